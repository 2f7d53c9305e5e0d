"""The colours of a drawing: every ink has a name, a theme says which colour it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from detkds_gp.errors import UserError

Theme: TypeAlias = Mapping[str, str]
"""Colours as ``#rrggbb`` by name of the ink; a family has three: ``field-fill``, ``field-line``, ``field-ink``."""

TITLES = {
    "knowledge": "knowledge",
    "transform": "transform",
    "pair_transform": "pair transform",
    "learned": "learned",
    "field": "field, weighting",
    "distance": "distance",
    "combiner": "combiner",
    "constant": "constant",
}
"""What the legend calls the families of `to_networkx`."""


def _family(name: str, fill: str, line: str, ink: str) -> dict[str, str]:
    return {f"{name}-fill": fill, f"{name}-line": line, f"{name}-ink": ink}


LIGHT: Theme = {
    "paper": "#ffffff",
    "ink": "#1f2933",
    "muted": "#52606d",
    "student": "#1f77c9",
    "teacher": "#d96f0e",
    "shared": "#8a94a0",
    "rule": "#d5dae0",
    "accent": "#b5128f",
    **_family("knowledge", "#dff0d8", "#4b8a40", "#1d3318"),
    **_family("transform", "#e9eef5", "#7d92ad", "#1f2933"),
    **_family("pair_transform", "#eee2fa", "#8a5bb8", "#311c47"),
    **_family("learned", "#fbe0ea", "#b8557f", "#47182c"),
    **_family("field", "#fdf0c2", "#ad8812", "#3b2f06"),
    **_family("distance", "#c23b4b", "#8f2431", "#ffffff"),
    **_family("combiner", "#3d4b5c", "#253140", "#ffffff"),
    **_family("constant", "#d8f1ef", "#2f8f8a", "#0f3533"),
}
DARK: Theme = {
    "paper": "#14181e",
    "ink": "#e6eaf0",
    "muted": "#a8b3c0",
    "student": "#5aabf5",
    "teacher": "#f59a48",
    "shared": "#8994a1",
    "rule": "#36404c",
    "accent": "#ff7fdc",
    **_family("knowledge", "#22391e", "#78b36a", "#d9f0d2"),
    **_family("transform", "#263344", "#8aa7cc", "#e6eaf0"),
    **_family("pair_transform", "#37264b", "#b48ae0", "#eee2fa"),
    **_family("learned", "#4a1f33", "#e08bb0", "#fbe0ea"),
    **_family("field", "#3f360f", "#d3b23a", "#fbefc4"),
    **_family("distance", "#a83242", "#f08c98", "#ffffff"),
    **_family("combiner", "#c9d3de", "#f2f5f8", "#14181e"),
    **_family("constant", "#123a39", "#5cc2bc", "#d8f1ef"),
}
AUTO = "auto"
THEMES: Mapping[str, Theme] = {"light": LIGHT, "dark": DARK, AUTO: LIGHT}
"""Colours by the name of a theme."""
LAYOUTS = ("layered", "graphviz")
"""Names of the layouts; ``graphviz`` needs an installed Graphviz."""


@dataclass(frozen=True)
class Look:
    """How drawings are made.

    Attributes:
        theme: ``light``, ``dark``, or ``auto``: an SVG that follows the reader's setting (light elsewhere).
        layout: ``layered``, our own, or ``graphviz``: where Graphviz puts the nodes, if it is installed.
        diff: whether to mark what two formulas do not share.

    Raises:
        UserError: for an unknown theme or layout.
    """

    theme: str = "light"
    layout: str = LAYOUTS[0]
    diff: bool = False

    def __post_init__(self) -> None:
        for what, got, known in (("theme", self.theme, THEMES), ("layout", self.layout, LAYOUTS)):
            if got not in known:
                raise UserError(f"got {what} {got!r}, wanted one of {', '.join(known)}")


PLAIN = Look()
FOLLOWING = Look(theme=AUTO)
