"""What two equal outputs hide: this run's id or folder in the data, a date that was today in both runs.

Equal bytes prove nothing about tomorrow. These findings are latent: listed, never counted in a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.registry import format_by_content
from kfm_repro.errors import KfmReproError
from kfm_repro.model.finding import Example, Finding, Kind, Rung

__all__ = ["latent_findings"]

_MAX_BYTES = 16 << 20
_LEAST_ID = 8
"""A shorter id is found in any text."""
_IN_COLUMNS = frozenset(("parquet", "arrow", "arrow-stream", "orc"))
_DATE = re.compile(rb"(?<![0-9])([0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9]|[T ][0-9]{2}:)")


def latent_findings(file: Path, context: Context) -> tuple[Finding, ...]:
    """Look through an output that is the same in both runs; only files of at most 16 MiB are looked at.

    Texts as they are, and the texts and dates in the columns of Parquet, Arrow and ORC files.
    A full time of day cannot be a clock reading of both runs, so only dates that stand alone count.
    """
    sides = (context.a, context.b)
    if (
        not any(side.run_id or side.paths or side.window for side in sides)
        or file.stat().st_size > _MAX_BYTES
    ):
        return ()
    content = file.read_bytes()
    if b"\x00" not in content:
        return (*_identities(content, sides), *_dates(content, sides))
    return tuple(
        msgspec.structs.replace(finding, where={"column": name})
        for name, texts in _columns(file, context)
        for finding in (*_identities(texts, sides), *_dates(texts, sides))
    )


def _columns(file: Path, context: Context) -> Iterator[tuple[str, bytes]]:
    """Yield the texts and the dates of a table by column, one value per line; nothing of other files."""
    if format_by_content(file) not in _IN_COLUMNS:
        return
    import pyarrow as pa

    from kfm_repro.compare.columns import read_columns

    try:
        table, _ = read_columns(
            file, replace(context, limits=replace(context.limits, member_bytes=_MAX_BYTES))
        )
    except KfmReproError:
        return
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_date(kind):
            try:
                yield name, "\n".join(map(str, column.drop_null().to_pylist())).encode(errors="replace")
            except (ValueError, OverflowError):
                continue


def _identities(content: bytes, sides: tuple[Side, Side]) -> tuple[Finding, ...]:
    findings = []
    ids = [(side.run_id, "a run's id") for side in sides if len(side.run_id) >= _LEAST_ID]
    paths = [(path, "a folder of the run") for side in sides for path in side.paths if path.count("/") > 1]
    for kind, wanted in ((Kind.IDENTIFIER, ids), (Kind.PATH, paths)):
        for text, what in dict(wanted).items():
            count = content.count(text.encode())
            if count:
                evidence = (
                    f"{what} stands in an output that is the same in both runs: it is written in the code"
                )
                findings.append(_finding(kind, content.find(text.encode()), count, text, evidence))
                break
    return tuple(findings)


def _dates(content: bytes, sides: tuple[Side, Side]) -> tuple[Finding, ...]:
    today = [_days(side) for side in sides]
    both = today[0] & today[1]
    if not both:
        return ()
    found = [match for match in _DATE.finditer(content) if match.group(1).decode() in both]
    if not found:
        return ()
    evidence = "the day on which both runs were made; on another day this output may differ"
    return (_finding(Kind.TIMESTAMP, found[0].start(), len(found), found[0].group(1).decode(), evidence),)


def _finding(kind: Kind, offset: int, count: int, value: str, evidence: str) -> Finding:
    return Finding(
        kind=kind,
        rung=Rung.VALUE,
        where={"offset": offset},
        count=count,
        latent=True,
        examples=(Example(a=value[:200], b=value[:200]),),
        evidence=evidence,
    )


def _days(side: Side) -> frozenset[str]:
    """Return the days (UTC) on which a run was made."""
    if side.window is None:
        return frozenset()
    try:
        return frozenset(datetime.fromtimestamp(moment, UTC).date().isoformat() for moment in side.window)
    except (ValueError, OverflowError):
        return frozenset()
