"""Under ``torchrun``: the first process prepares for longer than the group's own timeout, then a mistake is found."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path

import torch.distributed

from detkds_gp.errors import ConfigError
from detkds_gp.training import first_does


def main(out: str) -> None:
    torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=20))
    rank = torch.distributed.get_rank()
    done = Path(out) / "done"

    def prepare() -> None:
        time.sleep(26)
        done.write_text(str(rank))

    first_does(prepare)
    told = [f"{rank} sees what {done.read_text()} did"]
    for error in (ConfigError("got 1, wanted 2"), ZeroDivisionError("x")):
        try:
            first_does(lambda error=error: fail(error))
        except Exception as raised:
            told.append(f"{type(raised).__name__}: {raised}")
    (Path(out) / f"{rank}.txt").write_text("\n".join(told))
    torch.distributed.destroy_process_group()


def fail(error: Exception) -> None:
    raise error


if __name__ == "__main__":
    main(*sys.argv[1:])
