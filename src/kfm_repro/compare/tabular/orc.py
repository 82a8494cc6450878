"""ORC files: their values, the user's metadata, and how they were written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.context import reading
from kfm_repro.compare.tabular import orc_probe
from kfm_repro.compare.tabular.decoded import check_size, collect, compare_decoded, most_bytes
from kfm_repro.compare.tabular.expanded import WIDTH
from kfm_repro.compare.tabular.metadata import Described, described_findings
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.context import Context

__all__ = ["compare", "read_table"]

_ASPECTS = (
    ("compression", "compression"),
    ("compression block", "compression_size"),
    ("stripes", "nstripes"),
    ("rows between index entries", "row_index_stride"),
    ("format version", "file_version"),
)
_SHOWN = 20
_UNNAMED = "(a name that is not UTF-8)"
"""Arrow does not hand out such a name, so that two of them cannot be told to be the same."""


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two ORC files by schema, values, metadata and layout.

    Raises Unreadable for a damaged file and LimitExceeded for one that would decode to too much.
    """
    (left, table_a), (right, table_b) = _open(a, context), _open(b, context)
    findings = compare_decoded(table_a, table_b, context)
    described = [Described(dict(file.metadata or {}), file.schema, file.nrows) for file in (left, right)]
    return (
        *findings,
        *described_findings(described[0], described[1], context),
        *_writers(left, right),
        *_layout(left, right, (table_a, table_b), equal=not findings),
    )


def read_table(path: Path, context: Context) -> tuple[pa.Table, dict[bytes, bytes]]:
    """Return the rows of a file and the metadata that users gave it. Raises Unreadable and LimitExceeded."""
    file, table = _open(path, context)
    return table, dict(file.metadata or {})


def _open(path: Path, context: Context) -> tuple[Any, pa.Table]:
    import pyarrow as pa
    from pyarrow import orc

    with reading(path, "ORC", pa.ArrowException, UnicodeDecodeError):
        file = orc.ORCFile(path)
        _check(path, file, context)
        stripes = (file.read_stripe(i) for i in range(file.nstripes))
        table = collect(file.schema, stripes, context, rows=file.nrows)
        if table.num_rows != file.nrows:
            raise ValueError(f"its stripes hold {table.num_rows} rows, its footer says {file.nrows}")
    return file, table


def _check(path: Path, file: Any, context: Context) -> None:  # noqa: ANN401 - pyarrow's classes have no types
    """Raise LimitExceeded for a file that would decode to too much; a small one of plain columns cannot.

    What is stored plainly, each text in every row, is the most that a file without compression or lists may say.
    """
    import pyarrow as pa

    most = most_bytes(context)
    check_size(file.nrows * max(1, len(file.schema)) * WIDTH, context)
    flat = not any(map(pa.types.is_nested, file.schema.types))
    if flat and file.compression == "UNCOMPRESSED" and file.nrows * path.stat().st_size <= most:
        return
    program = [sys.executable, "-I", str(Path(orc_probe.__file__)), str(path), str(most)]
    ended = subprocess.run(program, check=False, capture_output=True, stdin=subprocess.DEVNULL)
    if ended.returncode == orc_probe.TOO_LARGE or ended.returncode < 0:
        raise LimitExceeded(f"the table would take more than {most} bytes")


def _writers(a: Any, b: Any) -> list[Finding]:  # noqa: ANN401 - pyarrow's classes have no types
    said = [_writer(file) for file in (a, b)]
    if said[0] == said[1] and _UNNAMED not in said[0]:
        return []
    evidence = f"written by {said[0]} against {said[1]}"[:300]
    return [Finding(kind=Kind.LIBRARY_VERSION, rung=Rung.CONTAINER, evidence=evidence)]


def _writer(file: Any) -> str:  # noqa: ANN401 - as above
    try:
        version = file.software_version
    except UnicodeDecodeError:
        version = _UNNAMED
    return f"{version} ({file.writer} {file.writer_version})"


def _layout(a: Any, b: Any, tables: tuple[pa.Table, pa.Table], *, equal: bool) -> list[Finding]:  # noqa: ANN401 - as above
    sides: list[dict[str, Any]] = []
    for file, table in zip((a, b), tables, strict=True):
        aspects = {name: getattr(file, attribute) for name, attribute in _ASPECTS}
        if equal:
            aspects["rows per stripe"] = " ".join(
                str(len(chunk)) for chunk in (table.column(0).chunks if table.num_columns else ())[:_SHOWN]
            )
        else:
            del aspects["stripes"]
        sides.append(aspects)
    differing = [name for name in sides[0] if sides[0][name] != sides[1][name]]
    if not differing:
        return []
    said = "; ".join(f"{name} {sides[0][name]} against {sides[1][name]}" for name in differing)
    detail = {name: [sides[0][name], sides[1][name]] for name in differing}
    return [Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=said, detail=detail)]
