from __future__ import annotations

import sys

import pytest

from detkds_gp.operators import serve_operators

serve_operators()  # before the tests of this folder import mmcv.ops


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all of mmcv.ops use our operators, also where a compiled mmcv is installed."""
    import mmcv.ops  # noqa: F401

    from detkds_gp.operators import extension

    for name, module in list(sys.modules.items()):
        if name.startswith("mmcv.ops.") and hasattr(module, "ext_module"):
            monkeypatch.setattr(module, "ext_module", extension)
