"""mmcv's operators from torchvision and plain torch, for an mmcv that has none compiled (``mmcv-lite``).

All of mmcv's operators reach their kernels through one module, ``mmcv._ext``. ``serve_operators()`` lets Python find
ours under that name where there is no compiled one; a compiled one is always found first and used as it is. An
operator without an equivalent here raises ``MissingOperator`` when it is called, and not before.

    >>> from detkds_gp.operators import serve_operators
    >>> serve_operators()  # from now on ``import mmdet`` and ``import mmcv.ops`` work

It imports nothing: an installation calls it at every start of Python (``detkds_gp_operators.pth``), so that any program
of the environment, mmdet's own among them, finds the operators.
"""

from detkds_gp.operators.finder import active_operators, serve_operators

__all__ = ["active_operators", "serve_operators"]
