"""What has been asked and answered, in one SQLite file of the work directory."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.store._fingerprint import ROUNDING, differing
    from detkds_gp.store._lock import writer_of
    from detkds_gp.store.check import StoreReport, check_store
    from detkds_gp.store.records import (
        FIRST,
        Birth,
        Costs,
        Event,
        Generation,
        Merge,
        ScaleRecord,
        ScoreRecord,
        ScreeningRecord,
    )
    from detkds_gp.store.store import FILE_NAME, Store

__all__ = [
    "FILE_NAME", "FIRST", "ROUNDING", "Birth", "Costs", "Event", "Generation", "Merge", "ScaleRecord", "ScoreRecord",
    "ScreeningRecord", "Store", "StoreReport", "check_store", "differing", "writer_of",
]  # fmt: skip

import_lazily(__name__)
