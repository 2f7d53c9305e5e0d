"""The one place that says which messages of mmengine and mmdet are noise."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger


@contextmanager
def quiet() -> Iterator[None]:
    """Hide what mmengine logs and warns of while a detector is built or loaded.

    Hidden: the list of every initialised parameter, "Loads checkpoint by ... backend", and all
    warnings raised meanwhile. Errors are not: they come out as exceptions. The logger's level is
    as before afterwards.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
