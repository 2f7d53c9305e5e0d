import subprocess
import sys
import textwrap

import pytest

from detkds_gp.execution._travel import install, sources_beside


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder of modules that is deleted from the path after they were imported."""
    (tmp_path / "grown").mkdir()
    (tmp_path / "grown/__init__.py").write_text("from grown.leaf import LEAF\n")
    (tmp_path / "grown/leaf.py").write_text("import beside\nLEAF = beside.ROOT + 1\n")
    (tmp_path / "beside.py").write_text("ROOT = 41\ndef root():\n    return ROOT\n")
    (tmp_path / "never_loaded.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("grown", "grown.leaf", "beside"):
        sys.modules.pop(name, None)


def test_a_module_travels_with_all_loaded_ones_beside_it(elsewhere):
    import grown.leaf  # noqa: F401

    sources = sources_beside(["grown.leaf"])
    assert set(sources) == {"grown.", "grown.leaf", "beside"}
    code = """
        import inspect, sys
        from detkds_gp.execution._travel import install
        install(eval(sys.argv[1]))
        import grown
        print(grown.LEAF, getattr(grown, "__file__", "nowhere"), inspect.getsource(grown.leaf.beside.root)[:11])
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), repr(sources)], cwd="/", capture_output=True, text=True
    )
    assert ended.stdout.strip() == "42 nowhere def root():", ended.stderr


def test_nothing_travels_for_what_is_installed():
    assert sources_beside(["pytest"]) == {}
    before = list(sys.meta_path)
    install({})
    assert sys.meta_path == before
