"""Which published distillers a pair can be trained with, and why not the others."""

from __future__ import annotations

from detkds_gp.detectors import Pair
from detkds_gp.errors import ConfigError, FormulaError
from detkds_gp.language import Distiller, PrimitiveSet, Published, Zoo

STAGES = {"one": "one-stage", "two": "two-stage"}


def reason_against(entry: Published, primitive_set: PrimitiveSet, pair: Pair) -> str:
    """Say why a pair cannot be trained with a published distiller, or should not with its weights; empty if it can."""
    try:
        distiller = entry.distiller(primitive_set)
    except FormulaError as error:
        return str(error)
    found = _stages(pair)
    if entry.stages is not None and found is not None and found != entry.stages:
        return f"its weights are for {STAGES[entry.stages]} detectors"
    return missing_knowledge(distiller, primitive_set, pair)


def missing_knowledge(distiller: Distiller, primitive_set: PrimitiveSet, pair: Pair) -> str:
    """Say which knowledge of a distiller the pair does not share, and why; empty if it shares all."""
    inputs = primitive_set.inputs_of(*(term.tree for term in distiller.terms))
    reasons = [
        f"the pair does not share {d.name!r}: {pair.refused.get(d.source, 'it was not looked for')}"
        for d in inputs
        if d.source not in pair.shared
    ]
    return "; ".join(reasons)


def check_applies(text: str, distiller: Distiller, primitive_set: PrimitiveSet, zoo: Zoo, pair: Pair) -> None:
    """Refuse a distiller that a pair cannot be trained with, or a published one whose weights are not for it.

    Args:
        text: the name of a published distiller, or how another one is called; a formula may have any weights.
        distiller: what that stands for.
        primitive_set: whose primitives it names.
        zoo: the published distillers.
        pair: student and teacher.

    Raises:
        ConfigError: with the reason from the pair check.
    """
    lacking = missing_knowledge(distiller, primitive_set, pair)
    named = text in zoo and zoo[text].distiller(primitive_set).text == distiller.text
    reason = lacking or (reason_against(zoo[text], primitive_set, pair) if named else "")
    if reason:
        others = [name for name, entry in zoo.items() if not reason_against(entry, primitive_set, pair)]
        remedy = f"of the zoo, {', '.join(others) or 'nothing'} does"
        typed = "" if lacking else "; its formula, typed out, is trained as it stands"
        raise ConfigError(f"{text!r} does not apply: {reason}; {remedy}{typed}")


def _stages(pair: Pair) -> str | None:
    """Return whether both detectors have one stage or two; None if they differ or it was not looked for."""
    if "class_map" in pair.shared:
        return "one"
    return "two" if {"objectness", "objectness_map"} & set(pair.shared) else None
