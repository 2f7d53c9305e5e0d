"""What goes on between two generations: budgets, commands of other processes, how a run stands."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.steering.budget import Budget
    from detkds_gp.steering.controller import Controller
    from detkds_gp.steering.decisions import Decision, recorded_decision
    from detkds_gp.steering.inbox import Inbox
    from detkds_gp.steering.status import read_status

__all__ = ["Budget", "Decision", "Inbox", "Controller", "read_status", "recorded_decision"]

import_lazily(__name__)
