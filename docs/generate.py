"""Write the documents that are generated from the code: ``make schema``. Tests check that they are current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from kfm_repro.cli import cli
from kfm_repro.model.encode import report_schema
from kfm_repro.model.record_schema import record_schemas

DOCS = Path(__file__).resolve().parent


def documents() -> dict[Path, str]:
    """Return every generated document by its path."""
    schemas = {"report-1": report_schema(), **record_schemas()}
    texts = {
        DOCS / "schema" / f"{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }
    return {**texts, DOCS / "cli-reference.md": cli_reference()}


def cli_reference() -> str:
    """Return the help of every command, as the terminal shows it."""
    # As main has it: click keeps the first help option that it makes for a command.
    names = ["-h", "--help"]
    top = click.Context(
        cli, info_name="kfm-repro", terminal_width=100, max_content_width=100, help_option_names=names
    )
    texts = [
        "# Command line reference",
        "Generated from the commands; `make schema` writes it anew.",
        _block(top),
    ]
    for name in cli.list_commands(top):
        command = cli.get_command(top, name)
        if command is not None:
            context = click.Context(command, top, info_name=name, terminal_width=100, max_content_width=100)
            texts += [f"## {name}", _block(context)]
    return "\n\n".join(texts) + "\n"


def _block(context: click.Context) -> str:
    return f"```\n{context.command.get_help(context)}\n```"


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")
