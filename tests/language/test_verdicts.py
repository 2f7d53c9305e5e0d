"""Own primitives are tried when they are first put into a set, in whatever process, once for each source."""

from __future__ import annotations

import importlib
import linecache
import subprocess
import sys
from pathlib import Path

import pytest

from detkds_gp.errors import DeclarationError
from detkds_gp.language import Declaration, contract
from detkds_gp.language.contract import check_contract

SOUND = """
from detkds_gp.language import Map, transform
from detkds_gp.primitives import OMNI
import own_helper

@transform(Map, Map, shape="n c h w -> n c h w", latex="H(#1)")
def halved(x):
    '''Halve every number.'''
    return own_helper.half(x)

def made(factor):
    @transform(Map, Map, shape="n c h w -> n c h w", latex="M(#1)")
    def multiplied(x):
        '''Multiply every number.'''
        return factor * x
    return multiplied

OWN = OMNI.extended("OWN", halved, made(3.0))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a set of one's own, and the cache directory of its user."""
    (tmp_path / "own_set.py").write_text(SOUND)
    (tmp_path / "own_helper.py").write_text("def half(x):\n    return x / 2\n")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def tried() -> list[str]:
    """Import the set anew and return what was tried."""
    names = []

    def noted(declaration: Declaration) -> None:
        names.append(declaration.name)
        check_contract(declaration)

    for module in ("own_set", "own_helper"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()
    linecache.clearcache()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(contract, "check_contract", noted)
        importlib.import_module("own_set")
    return names


def test_it_is_tried_once_for_each_version_of_its_source(own: Path) -> None:
    assert tried() == ["halved", "multiplied"]
    assert tried() == ["multiplied"]  # made inside a function: what it does does not follow from its source
    (own / "own_set.py").write_text(SOUND.replace("Halve every number.", "Divide every number by 2."))
    assert tried() == ["halved", "multiplied"]
    (own / "own_helper.py").write_text("def half(x):\n    return x * 0.5\n")
    assert tried() == ["halved", "multiplied"]


def test_what_breaks_its_contract_is_told_every_time(own: Path) -> None:
    (own / "own_helper.py").write_text("def half(x):\n    return x[..., :1]\n")
    for _ in range(2):
        with pytest.raises(DeclarationError, match=r"^halved\(Map\) -> Map on shape .* returns \(2, 3, 5, 1\)"):
            tried()
    assert not (own / "cache" / "detkds_gp").exists()


def test_a_cache_that_cannot_be_written_costs_a_trial_only(own: Path) -> None:
    (own / "cache").write_text("no folder")
    assert tried() == ["halved", "multiplied"]
    assert tried() == ["halved", "multiplied"]


@pytest.mark.slow
def test_processes_may_note_it_at_the_same_time(own: Path) -> None:
    command = [sys.executable, "-c", "import own_set"]
    started = [subprocess.Popen(command, cwd=own, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate()[1] for process in started] == [""] * 4
    assert len(list((own / "cache" / "detkds_gp" / "contracts").iterdir())) == 1
    assert tried() == ["multiplied"]
