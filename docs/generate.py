"""Write the documents that are generated from the code: ``make schema``. Tests check that they are current."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from kfm_repro.cli import cli
from kfm_repro.model.encode import report_schema

DOCS = Path(__file__).resolve().parent


def documents() -> dict[Path, str]:
    """Return every generated document by its path."""
    return {
        DOCS / "schema" / "report-1.json": json.dumps(report_schema(), indent=2, ensure_ascii=False) + "\n"
    }


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(DOCS.parent)}\n")
