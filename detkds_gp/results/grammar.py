"""The grammar of a run, left in its work directory: who reads the run parses formulas without importing primitives."""

from __future__ import annotations

import json
from pathlib import Path

from detkds_gp.atomic import atomic_file
from detkds_gp.errors import StoreError
from detkds_gp.language import PrimitiveSet
from detkds_gp.language.recorded import grammar_from_json, grammar_to_json

FILE = "grammar.json"


def write_grammar(work_dir: Path, primitive_set: PrimitiveSet) -> None:
    """Leave the grammar that a work directory's formulas are of, with the knowledge that the pair shares.

    Raises:
        StoreError: the work directory cannot be written.
    """
    try:
        with atomic_file(work_dir / FILE) as draft:
            draft.write_text(json.dumps(grammar_to_json(primitive_set)), encoding="utf-8")
    except OSError as error:
        raise StoreError(f"cannot write {work_dir / FILE}: {error.strerror}; make the folder writable") from error


def read_grammar(work_dir: Path) -> PrimitiveSet | None:
    """Return the grammar that was left in a work directory; None if none was.

    Raises:
        StoreError: the file cannot be read.
    """
    path = work_dir / FILE
    try:
        return grammar_from_json(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StoreError(f"cannot read {path}: {error}; remove it, and it is written again by gp_search run") from error
