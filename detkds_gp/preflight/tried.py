"""Failures of mmdet's own code on a batch, told before anything is trained in one line."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from detkds_gp.detectors import BaseDetector
from detkds_gp.errors import DetectorError, UserError, named_line
from detkds_gp.losses import MACHINE_FAULTS

KNOWN = {
    "_gt_sem_seg": "it needs semantic maps, which the data do not have",
    "_pred_instances": "it predicts no instances",
}
"""By words of mmdet's errors, what they mean."""


@contextmanager
def trying(detector: BaseDetector, who: str, what: str) -> Iterator[None]:
    """Let a detector try something on a batch of the data.

    Args:
        detector: whose code runs.
        who: how the message calls it: ``student`` or ``teacher``.
        what: what it tries, such as ``learn``.

    Raises:
        DetectorError: it fails, and not for want of memory.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if any(word in str(error) for word in MACHINE_FAULTS):
            raise
        known = next((reason for words, reason in KNOWN.items() if words in str(error)), None)
        place = traceback.extract_tb(error.__traceback__)[-1].name
        reason = known or f"{place}() ends with {named_line(error)}"
        raise DetectorError(
            f"the {who}'s {type(detector).__name__} cannot {what} on these data: {reason}; choose another detector"
        ) from error
