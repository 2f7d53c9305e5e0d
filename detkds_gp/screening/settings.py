"""What a user may set of screening."""

from __future__ import annotations

from pydantic import field_validator

from detkds_gp.errors import nearest
from detkds_gp.settings import Settings


class ScreeningSettings(Settings):
    """What is asked of a formula before it is trained.

    Attributes:
        off: names of checks that are left out.
        identity: whether formulas that are the same loss up to a positive factor share one training; else only
            those of equal text do.
    """

    off: tuple[str, ...] = ()
    identity: bool = True

    @field_validator("off")
    @classmethod
    def _known(cls, off: tuple[str, ...]) -> tuple[str, ...]:
        from detkds_gp.screening.checks import CHECK_NAMES

        for name in off:
            if name not in CHECK_NAMES:
                raise ValueError(f"screening.off names {name!r}, no check{nearest(name, CHECK_NAMES)}")
        return off

    @property
    def active(self) -> bool:
        """Whether anything is asked at all."""
        from detkds_gp.screening.checks import CHECK_NAMES

        return self.identity or not set(CHECK_NAMES) <= set(self.off)
