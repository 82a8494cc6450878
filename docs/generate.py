"""Write the documents that are generated from the code: ``make schema``. Tests check that they are current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from kfm_repro.cli.group import cli
from kfm_repro.compare.advice import IN_DATA
from kfm_repro.compare.catalogue import CATALOGUE
from kfm_repro.model.finding import Kind
from kfm_repro.model.record_schema import record_schemas
from kfm_repro.model.report_schema import report_schema
from kfm_repro.present.kinds import told

DOCS = Path(__file__).resolve().parent
_GENERATED = "Generated from the code and [findings.md](../findings.md); `make schema` writes it anew."


def documents() -> dict[Path, str]:
    """Return every generated document by its path."""
    schemas = {"report-1": report_schema(), **record_schemas()}
    texts = {
        DOCS / "schema" / f"{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }
    pages = {DOCS / "kinds" / f"{kind}.md": kind_page(kind) for kind in Kind}
    return {
        **texts,
        **pages,
        DOCS / "kinds" / "README.md": kinds_index(),
        DOCS / "noise.md": noise(),
        DOCS / "cli-reference.md": cli_reference(),
    }


def kinds_index() -> str:
    """Return the list of all kinds, in the order of the vocabulary."""
    rows = [f"| [`{kind}`]({kind}.md) | {told(kind).title} | {told(kind).means} |" for kind in Kind]
    return (
        "\n".join(
            ["# Kinds of difference", "", _GENERATED, "", "| kind | title | means |", "|---|---|---|", *rows]
        )
        + "\n"
    )


def noise() -> str:
    """Return the noise catalogue: where files differ that hold the same, and what a pipeline writes against it."""
    packaging = [
        f"| {row.place} | `{row.kind}` | {_cell(row.text)} | {'yes' if row.tried else 'no'} |"
        for row in CATALOGUE
    ]
    data = [f"| `{kind}` | {_cell(text)} |" for kind, text in IN_DATA.items()]
    return "\n".join(
        [
            "# Noise: what differs though nothing changed",
            "",
            "Generated from the code; `make schema` writes it anew. Every row has a pair of files, written by the real",
            "libraries, in `tests/corpus/pairs.py`. *Tried* says that files written so were equal byte for byte, under",
            "a clock ten years on or whatever else the row is about (`tests/corpus/steady.py`).",
            "",
            "## In packaging",
            "",
            "| where | kind | what keeps it the same | tried |",
            "|---|---|---|---|",
            *packaging,
            "",
            "## In data",
            "",
            "| kind | what usually helps |",
            "|---|---|",
            *data,
            "",
            "What each kind means: [findings](findings.md).",
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def kind_page(kind: Kind) -> str:
    """Return the page of one kind: what it means, its rule in findings.md, what makes it, what ends it."""
    words = told(kind)
    rules = [
        f"- **{rung or 'value in data, container in packaging'}**: {says}" for rung, says in _rules(kind)
    ]
    parts = [
        f"# {words.title}: `{kind}`",
        _GENERATED,
        words.means,
        *(
            ["## The rule", "\n".join(rules), "Rungs, places and figures: [findings](../findings.md)."]
            if rules
            else ["No comparator reports this kind yet."]
        ),
        "## What usually makes it",
        words.cause,
        *(["## What ends it", words.remedy] if words.remedy else []),
        "[All kinds](README.md)",
    ]
    return "\n\n".join(parts) + "\n"


def _rules(kind: Kind) -> list[tuple[str, str]]:
    """Return rung and text of every row of findings.md that defines a kind; one without a rung is value."""
    found, heads = [], []
    for line in (DOCS / "findings.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if not cells:
            heads = []
        elif not heads:
            heads = cells
        elif heads[0] == "kind" and f"`{kind}`" in cells[0].split(", "):
            row = dict(zip(heads, cells, strict=False))
            found.append((row.get("rung", ""), _relinked(row["says"])))
    return found


def _relinked(text: str) -> str:
    return text.replace("](#", "](../findings.md#").replace("](settings", "](../settings")


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
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")
