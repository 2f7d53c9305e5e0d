"""What screening found so far, counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

from detkds_gp.store import Store


def screening_counts(store: Store) -> dict[str, Any]:
    """Return how many formulas were screened, were the same loss as another, and failed which check, as JSON."""
    screenings = [record.screening for record in store.screenings()]
    failures = Counter(s.failure.removeprefix("rejected:") for s in screenings if s.failure is not None)
    return {"screened": len(screenings), "same": len(store.merges()), "rejected": dict(sorted(failures.items()))}
