"""Whatever a file or a command line holds: a value or a named error, no code run, no hang."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detkds_gp.config import ExperimentConfig, load_config
from detkds_gp.data.coco import load_split
from detkds_gp.errors import UserError
from detkds_gp.language import distiller_from_json, parse_distiller
from detkds_gp.primitives import OMNI
from detkds_gp.steering import Inbox
from detkds_gp.steering.budget import Budget

BOUNDED = settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow])

WORDS = [
    *OMNI.declarations, "(", ")", ",", "*", "+", "none", "calibrated", "1", "0.5", "1e400", "-3", "nan", " ", "\n",
    "__import__('os').system('touch pwned')", "lambda: 0", "é", "\x00", "((((((((", "global.__class__",
]  # fmt: skip
formulas = st.lists(st.sampled_from(WORDS), max_size=12).map("".join) | st.text(max_size=60)
numbers = st.floats() | st.integers()
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


def read_or_named(read: Any, *arguments: Any) -> None:
    """Call; an error has to be one for users, in one line."""
    try:
        read(*arguments)
    except UserError as error:
        assert str(error)  # noqa: PT017


@BOUNDED
@given(formulas)
def test_formula_text(text: str) -> None:
    read_or_named(parse_distiller, text, OMNI)
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "text", ["(" * 100_000, "l2(" * 50_000, "1 * " * 50_000, "l2(global) + " * 20_000, "9" * 10_000]
)
def test_formula_text_without_end(text: str) -> None:
    read_or_named(parse_distiller, text, OMNI)


@BOUNDED
@given(plain | st.fixed_dictionaries({"formula": plain | formulas, "terms": plain}))
def test_json_distillers(values: Any) -> None:
    read_or_named(distiller_from_json, values, OMNI)


KEYS = [name for name in ExperimentConfig.model_fields if name not in ("student", "teacher", "data")]


@BOUNDED
@given(
    st.dictionaries(st.sampled_from([*KEYS, "search.divide.population", "proxy.image_size", "sead"]), plain, max_size=3)
)
def test_config_values(options: dict[str, Any]) -> None:
    read_or_named(load_config, "configs/quickstart.py", options)


boxes = st.lists(plain, max_size=5) | st.lists(numbers, min_size=4, max_size=4)
images = st.fixed_dictionaries({"id": plain, "file_name": plain}, optional={"width": plain, "height": plain})
annotations = st.fixed_dictionaries({"image_id": plain, "category_id": plain, "bbox": boxes}, optional={"id": plain})
coco = st.fixed_dictionaries(
    {},
    optional={
        "images": plain | st.lists(images | plain, max_size=3),
        "annotations": plain | st.lists(annotations | plain, max_size=3),
        "categories": plain | st.lists(st.fixed_dictionaries({"id": plain, "name": plain}) | plain, max_size=3),
    },
)


@BOUNDED
@given(coco | plain)
def test_coco_json(values: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.json"
        path.write_text(json.dumps(values), encoding="utf-8")
        read_or_named(load_split, str(path), folder)


@BOUNDED
@given(st.text(max_size=20) | st.sampled_from(["9" * 400, "1e9h", "8hh", "1h30", "12 gpu hours", "²h", "٣h"]))
def test_budget_text(text: str) -> None:
    read_or_named(Budget.parse, text)


@settings(max_examples=50, deadline=2000)
@given(st.binary(max_size=60) | plain.map(lambda value: json.dumps(value).encode()))
def test_inbox_files(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        inbox = Inbox(Path(folder))
        inbox.stop("pause")
        for name in ("stop.json", "1.inject.json"):
            (inbox.folder / name).write_bytes(content)
        assert inbox.stop_command() in (None, "pause", "final")
        assert all(isinstance(formula, str) for formula in inbox.injections().values())
