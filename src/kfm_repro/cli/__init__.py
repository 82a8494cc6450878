"""The command line. ``main`` owns exit codes: every way that a command can end is mapped here, and only here."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from types import FrameType

import click

from kfm_repro.errors import KfmReproError

__all__ = ["cli", "main"]

_COMMANDS = {
    "demo": "Try it on real Kansas data: record, replay, verdict.",
    "diff": "Compare two runs, two files or two folders, running nothing.",
    "doctor": "What this machine can isolate, pin and vary, and what is missing.",
    "ledger": "What all nights say of every output; export it as JSON.",
    "list": "List the recorded runs: state, start, duration, replays.",
    "nightly": "Replay what tells most within a budget; fail on what has regressed.",
    "pack": "Put a run into a zip file: its record, and with --bundle all that a replay needs.",
    "prov": "Write the provenance of a run: PROV-O as JSON-LD.",
    "prune": "Delete old runs that have provenance, and objects that no run needs.",
    "record": "Run a command unchanged and write its run record.",
    "replay": "Re-execute a recorded run into a fresh run and compare.",
    "show": "One recorded run on one screen: what ran, on what, and how it ended.",
    "unpack": "Bring in a run from a pack; it stays foreign.",
    "verify": "Check a run against the definition of done: is it publishable?",
}
_OK, _NO_VERDICT, _INTERRUPTED = 0, 2, 130
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"
_OBJECTS = 50_000
"""New objects after which garbage is looked for: importing libraries makes many, none of them garbage."""


class _LazyGroup(click.Group):
    """Commands are imported when they are used: ``--help`` pays for none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - the signature is click's
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(f"kfm_repro.cli.{cmd_name}").command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 reproduced, 1 it differs, 2 no verdict could be reached, 130 interrupted.",
)
@click.version_option(package_name="kfm-repro", message="%(prog)s %(version)s")
def cli() -> None:
    """Replay recorded pipeline runs and say what differs, down to the row, and what to do about it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; nothing but this decides it."""
    # Not ``list``: once that command is imported, the name means its module here.
    args = [*(sys.argv[1:] if argv is None else argv)]
    own = args[: args.index("--")] if "--" in args else args
    _open_missing_streams()
    _keep_libraries_quiet()
    gc.set_threshold(_OBJECTS)
    numbers = (signal.SIGTERM, signal.SIGHUP)
    previous = [signal.signal(number, _terminate) for number in numbers]
    try:
        result = cli.main(args=args, prog_name="kfm-repro", standalone_mode=False)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as exc:  # noqa: BLE001 - an exception never leaves as exit code 1
        return _ended_by(exc, own)
    finally:
        for number, handler in zip(numbers, previous, strict=True):
            signal.signal(number, handler)
    if argv is None:
        gc.freeze()  # the process ends: nobody needs to look through what is left for circles
    return int(result) if isinstance(result, int) else _OK


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


def _ended_by(exc: BaseException, args: Sequence[str]) -> int:
    """Say why a command ended before its time, and return the exit code."""
    if isinstance(exc, click.exceptions.Exit):
        return exc.exit_code
    if isinstance(exc, SystemExit):
        # What click makes of a reader that has gone, standalone or not; nothing else here ends that way.
        exc = BrokenPipeError()
    try:
        return _say_why(exc, args)
    except OSError:
        # Whoever reads us has gone, or the disk is full: nothing can be said any more.
        sink = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(sink, number)
        return _INTERRUPTED if isinstance(exc, KeyboardInterrupt) else _NO_VERDICT


def _say_why(exc: BaseException, args: Sequence[str]) -> int:
    if isinstance(exc, BrokenPipeError):
        raise exc
    if isinstance(exc, (KeyboardInterrupt, click.Abort)):
        _say(args, "interrupted", "interrupted; what had begun reads as aborted", "")
        return _INTERRUPTED
    if "--debug" in args:
        traceback.print_exception(exc)
    if isinstance(exc, OSError):
        from kfm_repro.runs.trouble import explain_refusal

        exc = explain_refusal(exc) or exc
    if isinstance(exc, KfmReproError):
        _say(args, exc.code, exc.message, exc.hint)
    elif isinstance(exc, click.exceptions.NoArgsIsHelpError):
        from kfm_repro.cli.output import progress

        progress(exc.format_message())
    elif isinstance(exc, click.ClickException):
        context = getattr(exc, "ctx", None)
        hint = f"see: {context.command_path} --help" if context else "see: kfm-repro --help"
        _say(args, "usage", exc.format_message(), hint)
    elif isinstance(exc, OSError):
        _say(
            args,
            "system",
            f"{exc.strerror or exc}: {exc.filename or ''}".rstrip(": "),
            "check disk and permissions",
        )
    else:
        _say(
            args,
            "internal",
            f"{type(exc).__name__}: {exc}",
            "this is a fault of kfm-repro: try again with --debug",
        )
    return _NO_VERDICT


def _say(args: Sequence[str], code: str, message: str, hint: str) -> None:
    from kfm_repro.cli.output import print_error

    print_error(code, message, hint, command=args[0] if args else "", as_json="--json" in args)
