"""How a Parquet file was written: writer version, row groups, compression, encodings, statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow.parquet as pq

__all__ = ["layout_findings"]

_ARROW_SCHEMA = b"ARROW:schema"

_UNNAMED = "(a name that is not UTF-8)"
"""Arrow does not hand out such a name, so that two of them cannot be told to be the same."""

_CHUNK_ASPECTS: tuple[tuple[str, Callable[[Any], object]], ...] = (
    ("compression", lambda chunk: chunk.compression.lower()),
    ("encodings", lambda chunk: "+".join(sorted(set(chunk.encodings)))),
    ("dictionary pages", lambda chunk: chunk.has_dictionary_page),
    ("statistics", lambda chunk: chunk.is_stats_set),
    ("page index", lambda chunk: chunk.has_offset_index or chunk.has_column_index),
    ("Bloom filters", lambda chunk: bool(chunk.bloom_filter_length)),
    ("physical types", lambda chunk: chunk.physical_type),
)


def layout_findings(a: pq.ParquetFile, b: pq.ParquetFile, *, equal: bool) -> list[Finding]:
    """Return the findings on how two open files were written: ``library-version`` and ``layout``.

    Rows per group and sizes follow from the data, so they are compared only when all values are ``equal``.
    """
    findings = []
    writers = _writer(a), _writer(b)
    if writers[0] != writers[1] or _UNNAMED in writers:
        evidence = f"written by {writers[0]} against {writers[1]}"
        findings.append(Finding(kind=Kind.LIBRARY_VERSION, rung=Rung.CONTAINER, evidence=evidence))
    left, right = _aspects(a, equal=equal), _aspects(b, equal=equal)
    differing = [name for name in left if left[name] != right[name]]
    if not differing and equal and _sizes(a) != _sizes(b):
        differing = ["pages"]
        left, right = ({"pages": f"{sum(_sizes(file))} bytes in all"} for file in (a, b))
    if differing:
        said = "; ".join(f"{name} {_said(left[name])} against {_said(right[name])}" for name in differing)
        detail = {name: [left[name], right[name]] for name in differing}
        findings.append(Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=said, detail=detail))
    return findings


def _writer(file: pq.ParquetFile) -> str:
    try:
        return str(file.metadata.created_by)
    except UnicodeDecodeError:
        return _UNNAMED


def _aspects(file: pq.ParquetFile, *, equal: bool) -> dict[str, Any]:
    """Return what is worth naming of a file's layout, as texts, numbers and booleans."""
    metadata = file.metadata
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    aspects: dict[str, Any] = {"row groups": len(groups)}
    if equal:
        aspects["rows per group"] = _listed([str(group.num_rows) for group in groups])
    for name, read in _CHUNK_ASPECTS:
        aspects[name] = _listed([_said(read(chunk)) for chunk in _chunks(file)])
    aspects["format version"] = metadata.format_version
    aspects["embedded Arrow schema"] = _ARROW_SCHEMA in (metadata.metadata or {})
    aspects["sort order"] = _listed([str(group.sorting_columns) for group in groups if group.sorting_columns])
    if equal:
        aspects["Parquet schema"] = " ".join(str(file.schema).split("\n", 1)[1].split())
    return aspects


def _chunks(file: pq.ParquetFile) -> Iterator[Any]:
    for i in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(i)
        for j in range(group.num_columns):
            yield group.column(j)


def _sizes(file: pq.ParquetFile) -> list[int]:
    return [chunk.total_compressed_size for chunk in _chunks(file)]


def _listed(values: list[str]) -> str:
    """Return the distinct values in order of appearance, with how often each stands in a row if they vary."""
    runs: list[tuple[str, int]] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1] = (value, runs[-1][1] + 1)
        else:
            runs.append((value, 1))
    if len({value for value, _ in runs}) == 1:
        return runs[0][0]
    shown = [f"{value} ({count}x)" if count > 1 else value for value, count in runs[:_MOST_RUNS]]
    more = f", … {len(runs)} runs" if len(runs) > _MOST_RUNS else ""
    return ", ".join(shown) + more


_MOST_RUNS = 6


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)[:200] or "none"
