"""How a command ends: its exit code, and what is said when it ends before its time."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence

import click

from kfm_repro.errors import KfmReproError

__all__ = ["ended_by", "exit_code_of"]

_OK, _NO_VERDICT, _INTERRUPTED = 0, 2, 130


def exit_code_of(result: object) -> int:
    """Return the exit code of a command that came to its end."""
    return int(result) if isinstance(result, int) else _OK


def ended_by(exc: BaseException, args: Sequence[str]) -> int:
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
