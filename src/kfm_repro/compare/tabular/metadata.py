"""The key-value metadata of two files of Arrow's family, and the metadata of their fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.schema import plain_type
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    import pyarrow.parquet as pq

    from kfm_repro.compare.context import Context

__all__ = ["Described", "described_findings", "key_value_findings"]

_ARROW_SCHEMA = b"ARROW:schema"
_PANDAS = b"pandas"
_FIELD_ID = b"PARQUET:field_id"
_MISSING = object()
_DTYPE = ("pandas_type", "numpy_type", "metadata")
"""What pandas writes about a column that follows from whether it is held as categories."""
_MOST_NESTING = 100


@dataclass(frozen=True)
class Described:
    """What a file says of itself: its key-value metadata, the schema of its columns, how many rows it has."""

    metadata: Mapping[bytes, bytes]
    schema: pa.Schema
    rows: int


@dataclass(frozen=True)
class _Number:
    """A JSON number with a fraction or an exponent, as it is written: a float would round it."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Container:
    """The mark of an object or an array, whatever it holds."""

    name: str

    def __str__(self) -> str:
        return self.name


def key_value_findings(
    a: pq.ParquetFile, b: pq.ParquetFile, context: Context, skip: Sequence[bytes] = ()
) -> list[Finding]:
    """Return in what the metadata of two open Parquet files differ; see `described_findings`."""
    left, right = (
        Described(file.metadata.metadata or {}, file.schema_arrow, file.metadata.num_rows) for file in (a, b)
    )
    return described_findings(left, right, context, skip)


def described_findings(
    a: Described, b: Described, context: Context, skip: Sequence[bytes] = ()
) -> list[Finding]:
    """Return in what the metadata of two files differ, by JSON pointer from ``/metadata/<key>`` on.

    The embedded Arrow schema is left out: reading the file has applied it, and the schemas are compared.
    """
    left, right = a.metadata, b.metadata
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
    return findings + _fields("/fields", a.schema, b.schema, context)


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
        tree = json.loads(value, object_pairs_hook=_unique, parse_float=_Number)
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
    """Yield every scalar of a document, and every container as a mark of what it is, with its pointer."""
    if isinstance(tree, dict):
        yield pointer, _Container("object")
        for key, member in tree.items():
            yield from _leaves(member, f"{pointer}/{_escaped(key)}")
    elif isinstance(tree, list):
        yield pointer, _Container("array")
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
    """Return what one differing pair of scalars, or of marks of containers, is."""
    if any(isinstance(value, _Container) for value in (a, b)):
        return [
            Finding(
                kind=Kind.TYPE,
                rung=Rung.VALUE,
                where={"pointer": pointer},
                examples=(Example(a=scalar(a), b=scalar(b)),),
                evidence=" against ".join(
                    str(value) if isinstance(value, _Container) else "a scalar" for value in (a, b)
                ),
            )
        ]
    pair, text = _comparable(a, b)
    return [
        Finding(
            kind=Kind(part.kind),
            rung=Rung(part.rung),
            where={"pointer": pointer},
            examples=(Example(a=scalar(a), b=scalar(b)),),
            evidence=part.evidence,
            detail=dict(part.detail),
        )
        for part in classify_pairs([pair], context, text=text)
    ]


def _comparable(a: object, b: object) -> tuple[tuple[object, object], bool]:
    """Return a pair of scalars for `classify_pairs`, and whether both are the texts of numbers."""
    written = [isinstance(value, _Number) or type(value) is int for value in (a, b)]
    if all(written) and any(isinstance(value, _Number) for value in (a, b)):
        return (str(a), str(b)), True
    plain = [float(value.text) if isinstance(value, _Number) else value for value in (a, b)]
    return (plain[0], plain[1]), False


def _pandas(
    pointer: str, values: tuple[bytes, bytes], files: tuple[Described, Described], context: Context
) -> list[Finding]:
    """Compare what pandas wrote about the table: who wrote it, the index, the columns' dtypes."""
    trees = [_tree(value) for value in values]
    if not all(isinstance(tree, dict) for tree in trees):
        return _values(pointer, *values, context)
    findings: list[Finding] = []
    makers = [{name: tree.pop(name, None) for name in ("creator", "pandas_version")} for tree in trees]
    if makers[0] != makers[1]:
        said = [json.dumps(maker, sort_keys=True, default=str)[:150] for maker in makers]
        findings.append(_note(Kind.LIBRARY_VERSION, pointer, f"written by {said[0]} against {said[1]}"))
    counted = files[0].rows != files[1].rows
    indexes = [_index(tree.pop("index_columns", None), file) for tree, file in zip(trees, files, strict=True)]
    if len({json.dumps(index, sort_keys=True, default=repr) for index in indexes}) > 1:
        findings.append(
            Finding(
                kind=Kind.SCHEMA,
                rung=Rung.VALUE,
                where={"pointer": f"{pointer}/index_columns"},
                examples=(Example(a=scalar(indexes[0]), b=scalar(indexes[1])),),
                evidence="another index of the data frame",
            )
        )
    shared = [name for name in files[0].schema.names if name in files[1].schema.names]
    trees = [_by_name(tree, shared) for tree in trees]
    findings += _categories(pointer, trees, files)
    explained = bool(findings) or counted
    if explained and repr(trees[0]) == repr(trees[1]):
        return findings
    return findings + _leaves_differ(pointer, trees[0], trees[1], context)


def _categories(
    pointer: str, trees: Sequence[dict[str, Any]], files: tuple[Described, Described]
) -> list[Finding]:
    """Take out, and report as layout, what only follows from values being held as categories or not."""
    columns = [tree.get("columns") for tree in trees]
    named = [column for column in columns if isinstance(column, dict)]
    schemas = [file.schema for file in files]
    findings: list[Finding] = []
    for name in named[0] if len(named) == len(trees) else ():
        sides = [column[name] for column in named if name in column]
        if len(sides) < len(named) or any(len(schema.get_all_field_indices(name)) != 1 for schema in schemas):
            continue
        if not _only_held_otherwise([schema.field(name) for schema in schemas], sides):
            continue
        dtypes = [[side.pop(part, None) for part in _DTYPE] for side in sides]
        if dtypes[0] != dtypes[1]:
            evidence = "what pandas says of a column that is held as other categories, or as none"
            findings.append(_note(Kind.LAYOUT, f"{pointer}/columns/{_escaped(name)}", evidence))
    return findings


def _only_held_otherwise(fields: Sequence[pa.Field], sides: Sequence[dict[str, Any]]) -> bool:
    """Return whether two columns of the same values are categories on at least one side, and described so."""
    import pyarrow as pa

    coded = [pa.types.is_dictionary(field.type) for field in fields]
    if not any(coded) or len({str(plain_type(field.type)) for field in fields}) > 1:
        return False
    described = [_described(side) for side in sides]
    if [said is not None for said in described] != coded:
        return False
    orders = {field.type.ordered for field, is_coded in zip(fields, coded, strict=True) if is_coded}
    return len(orders) == 1 and orders == {said for said in described if said is not None}


def _described(column: dict[str, Any]) -> bool | None:
    """Return whether pandas calls the categories of a column ordered; None when it has no categories."""
    about = column.get("metadata")
    if column.get("pandas_type") != "categorical" or not isinstance(about, dict):
        return None
    is_plain = set(about) == {"num_categories", "ordered"} and type(about["num_categories"]) is int
    return about["ordered"] if is_plain and isinstance(about["ordered"], bool) else None


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


def _index(index: object, file: Described) -> object:
    """Return the index columns, without the end of a plain range that merely counts the rows."""
    if not isinstance(index, list):
        return index
    plain = {"kind": "range", "start": 0, "step": 1, "stop": file.rows}
    return [
        {**member, "stop": "number of rows"}
        if isinstance(member, dict) and plain.items() <= member.items()
        else member
        for member in index
    ]


def _fields(
    pointer: str, a: pa.Schema | pa.StructType, b: pa.Schema | pa.StructType, context: Context
) -> list[Finding]:
    """Compare the metadata of fields of the same name; the n-th of a name with the n-th."""
    places: list[dict[tuple[str, int], pa.Field]] = []
    for side in (a, b):
        named: dict[tuple[str, int], pa.Field] = {}
        seen: dict[str, int] = {}
        for field in side:
            seen[field.name] = seen.get(field.name, -1) + 1
            named[field.name, seen[field.name]] = field
        places.append(named)
    findings: list[Finding] = []
    for key, field in places[0].items():
        if key in places[1]:
            findings += _field(f"{pointer}/{_escaped(key[0])}", field, places[1][key], context)
    return findings


def _field(pointer: str, a: pa.Field, b: pa.Field, context: Context) -> list[Finding]:
    """Compare the metadata of one field and of the fields inside of it."""
    import pyarrow as pa

    left, right = a.metadata or {}, b.metadata or {}
    findings: list[Finding] = []
    for key in sorted({*left, *right}):
        if left.get(key) != right.get(key):
            findings += _field_value(f"{pointer}/metadata/{_escaped(_text(key))}", key, left, right, context)
    inner = [[side.type.field(i) for i in range(side.type.num_fields)] for side in (a, b)]
    if pa.types.is_struct(a.type) and pa.types.is_struct(b.type):
        return findings + _fields(pointer, a.type, b.type, context)
    if len(inner[0]) == len(inner[1]):
        for one, other in zip(*inner, strict=True):
            findings += _field(f"{pointer}/{_escaped(one.name)}", one, other, context)
    return findings


def _field_id(pointer: str, a: bytes | None, b: bytes | None) -> Finding:
    """Return what another number of a field is: table formats such as Iceberg find a column by it, not by its name."""
    if a is None or b is None:
        return _note(Kind.LAYOUT, pointer, "no field number on one side")
    return Finding(
        kind=Kind.SCHEMA,
        rung=Rung.VALUE,
        where={"pointer": pointer},
        examples=(Example(a=scalar(_text(a)), b=scalar(_text(b))),),
        evidence="another field number, by which readers may find the column",
    )


def _field_value(
    pointer: str, key: bytes, a: Mapping[bytes, bytes], b: Mapping[bytes, bytes], context: Context
) -> list[Finding]:
    if key == _FIELD_ID:
        return [_field_id(pointer, a.get(key), b.get(key))]
    if key in a and key in b:
        return _values(pointer, a[key], b[key], context)
    return [_one_sided(pointer, a.get(key), b.get(key))]
