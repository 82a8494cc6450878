"""The commands, each imported when it is used."""

from __future__ import annotations

from importlib import import_module

import click

__all__ = ["cli"]

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
