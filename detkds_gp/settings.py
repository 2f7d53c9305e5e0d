"""The base of everything a user may set in a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from typing_extensions import Self

Pixels = Annotated[int, Field(ge=32)]
"""A side of an image, in pixels."""


class Settings(BaseModel):
    """A frozen group of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def recorded(cls, values: Mapping[str, Any]) -> Self:
        """Take plain values that were checked before they were recorded; groups within them stay plain."""
        return cast("Self", cls.model_construct(None, **values))
