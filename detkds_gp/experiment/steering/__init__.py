"""What goes on between two generations: budgets, wishes of other processes, how a run stands."""

from typing import TYPE_CHECKING

from detkds_gp.lazy import import_lazily

if TYPE_CHECKING:
    from detkds_gp.experiment.steering.budget import Budget
    from detkds_gp.experiment.steering.controller import Controller
    from detkds_gp.experiment.steering.decisions import FIRST, Decision, recorded_decision
    from detkds_gp.experiment.steering.inbox import Inbox
    from detkds_gp.experiment.steering.status import read_status

__all__ = ["FIRST", "Budget", "Decision", "Inbox", "Controller", "read_status", "recorded_decision"]

import_lazily(__name__)
