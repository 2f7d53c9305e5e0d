"""Draws what the store of a run holds: one HTML file that needs no network."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.report.collect import collect
    from detkds_gp.report.compare import render_comparison
    from detkds_gp.report.page import render_report, write_page
    from detkds_gp.report.run import Run

__all__ = ["Run", "collect", "render_comparison", "render_report", "write_page"]

import_lazily(__name__)
