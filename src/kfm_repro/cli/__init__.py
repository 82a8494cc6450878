"""The command line. ``main`` owns exit codes: every way that a command can end is mapped in `ending`, and only there.

Two large files are digested while the rest is loaded, which takes longer than anything else before they are compared.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from kfm_repro.judge.digests import begin_ahead

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

__all__ = ["main", "run"]

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_OBJECTS = 50_000
"""New objects after which garbage is looked for: importing libraries makes many, none of them garbage."""


def run() -> NoReturn:
    """Be the command: run the command line, then leave the process, and take no libraries apart that nobody needs.

    Threads and whoever asked to be called at the end come first.
    """
    codes: list[int] = []
    atexit.register(_leave, codes)  # before anybody else, to be called behind all of them
    codes.append(main())
    sys.exit(codes[0])


def _leave(codes: Sequence[int]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    if codes:
        os._exit(codes[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing but this decides it."""
    # Not ``list``: once that command is imported, the name means its module here.
    args = [*(sys.argv[1:] if argv is None else argv)]
    begun = begin_ahead(args)
    from kfm_repro.cli.ending import ended_by, exit_code_of
    from kfm_repro.cli.group import cli

    own = args[: args.index("--")] if "--" in args else args
    _open_missing_streams()
    _keep_libraries_quiet()
    gc.set_threshold(_OBJECTS)
    numbers = (signal.SIGTERM, signal.SIGHUP)
    previous = [signal.signal(number, _terminate) for number in numbers]
    try:
        result = cli.main(args=args, prog_name="kfm-repro", standalone_mode=False, obj=begun)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as exc:  # noqa: BLE001 - an exception never leaves as exit code 1
        return ended_by(exc, own)
    finally:
        if begun is not None:
            begun.stop()
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
    return exit_code_of(result)


def _open_missing_streams() -> None:
    """Give stdout and stderr a place to go when we were started without them."""
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            sink = os.open(os.devnull, os.O_WRONLY)
            if sink != number:
                os.dup2(sink, number)
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def _keep_libraries_quiet() -> None:
    """Keep NumPy's BLAS, which comes along with pyarrow and has nothing to do here, from starting threads that spin.

    ``os.environ`` stays as it is, and with it what a pipeline gets and a record keeps.
    """
    if _BLAS_THREADS not in os.environ:
        os.putenv(_BLAS_THREADS, "1")


def _terminate(number: int, frame: FrameType | None) -> None:
    del frame
    raise KeyboardInterrupt(signal.Signals(number).name)
