"""The key-value metadata of two Parquet files, and the metadata of their fields."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow.parquet as pq

    from kfm_repro.compare.context import Context

__all__ = ["key_value_findings"]

_ARROW_SCHEMA = b"ARROW:schema"
_PANDAS = b"pandas"
_FIELD_ID = b"PARQUET:field_id"
_MISSING = object()
_MOST_NESTING = 100


def key_value_findings(
    a: pq.ParquetFile, b: pq.ParquetFile, context: Context, skip: Sequence[bytes] = ()
) -> list[Finding]:
    """Return in what the metadata of two open files differ, by JSON pointer from ``/metadata/<key>`` on.

    The embedded Arrow schema is left out: reading the file has applied it, and the schemas are compared.
    """
    left, right = a.metadata.metadata or {}, b.metadata.metadata or {}
    findings: list[Finding] = []
    for key in sorted({*left, *right} - {_ARROW_SCHEMA, *skip}):
        if left.get(key) == right.get(key):
            continue
        pointer = f"/metadata/{_escaped(_text(key))}"
        if key not in left or key not in right:
            findings.append(_one_sided(pointer, left.get(key), right.get(key)))
        elif key == _PANDAS:
            findings += _pandas(pointer, (left[key], right[key]), (a, b), context)
        else:
            findings += _values(pointer, left[key], right[key], context)
    return findings + _field_metadata(a, b, context)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _one_sided(pointer: str, a: bytes | None, b: bytes | None) -> Finding:
    shown = [None if value is None else scalar(_text(value)) for value in (a, b)]
    return Finding(
        kind=Kind.VALUE,
        rung=Rung.VALUE,
        where={"pointer": pointer},
        examples=(Example(a=shown[0], b=shown[1]),),
        evidence=f"metadata only in {'B' if a is None else 'A'}",
        detail={"missing": "a" if a is None else "b"},
    )


def _values(pointer: str, a: bytes, b: bytes, context: Context) -> list[Finding]:
    """Compare two values of one key: as JSON where both are, else as texts."""
    trees = _tree(a), _tree(b)
    if _MISSING in trees or not all(isinstance(tree, dict | list) for tree in trees):
        texts: list[Any] = [_text(value) if _is_text(a, b) else value for value in (a, b)]
        return _classified(pointer, texts[0], texts[1], context)
    return _leaves_differ(pointer, trees[0], trees[1], context)


def _is_text(*values: bytes) -> bool:
    try:
        return all(value.decode("utf-8") is not None for value in values)
    except UnicodeDecodeError:
        return False


def _tree(value: bytes) -> Any:  # noqa: ANN401  # any JSON document
    """Return the parsed JSON, or a marker for what is none, repeats a key or nests too deep."""
    try:
        tree = json.loads(value, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        return _MISSING
    return tree if _is_shallow(tree) else _MISSING


def _is_shallow(tree: object) -> bool:
    """Return whether a document nests no deeper than is safe to walk by recursion."""
    level = [tree]
    for _ in range(_MOST_NESTING):
        below: list[object] = []
        for node in level:
            if isinstance(node, dict | list):
                below.extend(node.values() if isinstance(node, dict) else node)
        if not below:
            return True
        level = below
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is repeated")
    return found


def _leaves(tree: object, pointer: str) -> Iterator[tuple[str, object]]:
    """Yield every scalar and every empty container of a document with its pointer."""
    if isinstance(tree, dict) and tree:
        for key, member in tree.items():
            yield from _leaves(member, f"{pointer}/{_escaped(key)}")
    elif isinstance(tree, list) and tree:
        for i, member in enumerate(tree):
            yield from _leaves(member, f"{pointer}/{i}")
    else:
        yield pointer, tree


def _leaves_differ(pointer: str, a: object, b: object, context: Context) -> list[Finding]:
    """Report the leaves in which two documents differ; if none does, only their spelling differs."""
    left, right = dict(_leaves(a, pointer)), dict(_leaves(b, pointer))
    findings: list[Finding] = []
    for place in dict.fromkeys((*left, *right)):
        value_a, value_b = left.get(place, _MISSING), right.get(place, _MISSING)
        if value_a is _MISSING or value_b is _MISSING:
            side = "B" if value_a is _MISSING else "A"
            shown = [None if value is _MISSING else scalar(value) for value in (value_a, value_b)]
            findings.append(
                Finding(
                    kind=Kind.VALUE,
                    rung=Rung.VALUE,
                    where={"pointer": place},
                    examples=(Example(a=shown[0], b=shown[1]),),
                    evidence=f"only in {side}",
                    detail={"missing": "a" if side == "B" else "b"},
                )
            )
        elif (type(value_a), repr(value_a)) != (type(value_b), repr(value_b)):
            findings += _classified(place, value_a, value_b, context)
    if not findings:
        findings = [_note(Kind.LAYOUT, pointer, "the same metadata, spelled or ordered otherwise")]
    return findings


def _classified(pointer: str, a: object, b: object, context: Context) -> list[Finding]:
    """Return what one differing pair of scalars is; containers (an empty one against a value) are values."""
    if any(isinstance(value, dict | list) for value in (a, b)):
        a, b = scalar(a), scalar(b)
    return [
        Finding(
            kind=Kind(part.kind),
            rung=Rung(part.rung),
            where={"pointer": pointer},
            examples=(Example(a=scalar(a), b=scalar(b)),),
            evidence=part.evidence,
            detail=dict(part.detail),
        )
        for part in classify_pairs([(a, b)], context)
    ]


def _pandas(
    pointer: str, values: tuple[bytes, bytes], files: tuple[pq.ParquetFile, pq.ParquetFile], context: Context
) -> list[Finding]:
    """Compare what pandas wrote about the table: who wrote it, the index, the columns' dtypes."""
    trees = [_tree(value) for value in values]
    if not all(isinstance(tree, dict) for tree in trees):
        return _values(pointer, *values, context)
    findings: list[Finding] = []
    makers = [{name: tree.pop(name, None) for name in ("creator", "pandas_version")} for tree in trees]
    if makers[0] != makers[1]:
        said = [json.dumps(maker, sort_keys=True)[:150] for maker in makers]
        findings.append(_note(Kind.LIBRARY_VERSION, pointer, f"written by {said[0]} against {said[1]}"))
    counted = files[0].metadata.num_rows != files[1].metadata.num_rows
    indexes = [_index(tree.pop("index_columns", None), file) for tree, file in zip(trees, files, strict=True)]
    if indexes[0] != indexes[1]:
        findings.append(
            Finding(
                kind=Kind.SCHEMA,
                rung=Rung.VALUE,
                where={"pointer": f"{pointer}/index_columns"},
                examples=(Example(a=scalar(indexes[0]), b=scalar(indexes[1])),),
                evidence="another index of the data frame",
            )
        )
    shared = [name for name in files[0].schema_arrow.names if name in files[1].schema_arrow.names]
    trees = [_by_name(tree, shared) for tree in trees]
    explained = bool(findings) or counted
    if explained and repr(trees[0]) == repr(trees[1]):
        return findings
    return findings + _leaves_differ(pointer, trees[0], trees[1], context)


def _by_name(tree: dict[str, Any], shared: Sequence[str]) -> dict[str, Any]:
    """Return the metadata with its columns under their names, without those that only one file has."""
    columns = tree.get("columns")
    if not isinstance(columns, list) or not all(isinstance(column, dict) for column in columns):
        return tree
    names = [column.get("field_name") for column in columns]
    if len({str(name) for name in names}) < len(names):
        return tree
    named = {str(name): column for name, column in zip(names, columns, strict=True)}
    return {**tree, "columns": {name: named[name] for name in shared if name in named}}


def _note(kind: Kind, pointer: str, evidence: str) -> Finding:
    return Finding(kind=kind, rung=Rung.CONTAINER, where={"pointer": pointer}, evidence=evidence)


def _index(index: object, file: pq.ParquetFile) -> object:
    """Return the index columns, without the end of a plain range that merely counts the rows."""
    if not isinstance(index, list):
        return index
    rows = file.metadata.num_rows
    plain = {"kind": "range", "start": 0, "step": 1, "stop": rows}
    return [
        {**member, "stop": "number of rows"}
        if isinstance(member, dict) and plain.items() <= member.items()
        else member
        for member in index
    ]


def _field_metadata(a: pq.ParquetFile, b: pq.ParquetFile, context: Context) -> list[Finding]:
    """Compare the metadata of the top-level fields that both files have."""
    schema_a, schema_b = a.schema_arrow, b.schema_arrow
    findings: list[Finding] = []
    for name in dict.fromkeys(schema_a.names):
        places = schema_a.get_all_field_indices(name), schema_b.get_all_field_indices(name)
        for i, j in zip(*places, strict=False):
            pair = schema_a.field(i).metadata or {}, schema_b.field(j).metadata or {}
            if pair[0] != pair[1]:
                findings += _field(name, pair[0], pair[1], context)
    return findings


def _field(name: str, a: Mapping[bytes, bytes], b: Mapping[bytes, bytes], context: Context) -> list[Finding]:
    findings: list[Finding] = []
    for key in sorted({*a, *b}):
        if a.get(key) == b.get(key):
            continue
        pointer = f"/fields/{_escaped(name)}/metadata/{_escaped(_text(key))}"
        if key == _FIELD_ID:
            evidence = "another field number, or none"
            findings.append(
                Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, where={"pointer": pointer}, evidence=evidence)
            )
        elif key in a and key in b:
            findings += _values(pointer, a[key], b[key], context)
        else:
            findings.append(_one_sided(pointer, a.get(key), b.get(key)))
    return findings
