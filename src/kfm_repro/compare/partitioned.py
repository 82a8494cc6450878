"""Folders that hold one table in many part files whose names are drawn at random, as Spark and Arrow write them.

Paired by path, every part would be missing on one side and extra on the other. Where the names that only one
side has are random on both, the parts of a folder are compared as the one table that they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from kfm_repro.compare.context import Context
from kfm_repro.compare.engine import finished
from kfm_repro.compare.registry import format_by_name
from kfm_repro.errors import KfmReproError, Unreadable
from kfm_repro.model.finding import Example, FileFacts, Finding, Kind, OutputComparison, Rung
from kfm_repro.model.verdict import output_verdict

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.metadata import Described

__all__ = ["Dataset", "Part", "compare_dataset", "find_datasets"]

_RANDOM = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{32}|[0-9A-HJKMNP-TV-Z]{26})(?![0-9A-Za-z])",
    re.ASCII,
)
"""A UUID with or without dashes, or a ULID."""
_KEY_VALUE = re.compile(r"[^=/]+=[^/]*")
_FORMATS = frozenset(("parquet", "arrow", "orc"))


@dataclass(frozen=True)
class Part:
    """One part file of one side: its path among the outputs, where it lies, what is known of it."""

    path: str
    file: Path | None
    facts: FileFacts

    @property
    def partition(self) -> list[tuple[str, str]]:
        """The columns that its folders say, by the convention ``key=value``, from the top down."""
        folders = PurePosixPath(self.path).parts[:-1]
        pairs = (folder.partition("=") for folder in folders if _KEY_VALUE.fullmatch(folder))
        return [(unquote(key), unquote(value)) for key, _, value in pairs]

    @property
    def place(self) -> tuple[str, str]:
        """Its folder, and its name without what is random in it."""
        path = PurePosixPath(self.path)
        return str(path.parent), _RANDOM.sub("*", path.name)


@dataclass
class Dataset:
    """One table in part files: what it is called in a report, and the parts of both sides."""

    name: str
    a: list[Part] = field(default_factory=list)
    b: list[Part] = field(default_factory=list)
    sidecars: set[str] = field(default_factory=set)

    @property
    def paths(self) -> set[str]:
        """The paths of all parts, and of the checksums beside them."""
        return {part.path for part in (*self.a, *self.b)} | self.sidecars


def find_datasets(a: Mapping[str, Part], b: Mapping[str, Part]) -> list[Dataset]:
    """Return the tables whose part files bear random names on both sides, sorted by name.

    Every name that only one side has must be random, and the bytes of every part at hand: everything else is
    paired by path, so that an output which is really missing is called so.
    """
    groups: dict[tuple[str, str], Dataset] = {}
    for paths, side in ((a, "a"), (b, "b")):
        for path in sorted(paths):
            key = _group(path)
            if key:
                dataset = groups.setdefault(key, Dataset(_shown(*key)))
                getattr(dataset, side).append(paths[path])
    found = [dataset for dataset in groups.values() if _is_random(dataset, a, b)]
    for dataset in found:
        parts = {part.path for part in (*dataset.a, *dataset.b)}
        dataset.sidecars = {
            path for path in (*a, *b) if _summed(path) in parts and not (path in a and path in b)
        }
    return sorted(found, key=lambda dataset: dataset.name)


def _group(path: str) -> tuple[str, str] | None:
    """Return the top folder and the suffix of the table that a file may be a part of."""
    pure = PurePosixPath(path)
    if pure.name.startswith(("_", ".")) or format_by_name(path) not in _FORMATS:
        return None
    folders = list(pure.parts[:-1])
    while folders and _KEY_VALUE.fullmatch(folders[-1]):
        folders.pop()
    return "/".join(folders), pure.suffix.lower()


def _shown(folder: str, suffix: str) -> str:
    return f"{folder}/**/*{suffix}".lstrip("/")


def _summed(path: str) -> str:
    """Return the path of the file whose checksum Hadoop keeps at ``path``, empty when it is no such name."""
    pure = PurePosixPath(path)
    if not (pure.name.startswith(".") and pure.name.endswith(".crc")):
        return ""
    return str(pure.with_name(pure.name[1:-4])) if len(pure.name) > len("..crc") else ""


def _is_random(dataset: Dataset, a: Mapping[str, Part], b: Mapping[str, Part]) -> bool:
    lone = [
        [part for part in parts if part.path not in other]
        for parts, other in ((dataset.a, b), (dataset.b, a))
    ]
    if not all(lone):
        return False
    drawn = all(_RANDOM.search(PurePosixPath(part.path).name) for side in lone for part in side)
    return drawn and all(_bytes_of(part, a, b) is not None for part in (*dataset.a, *dataset.b))


def _bytes_of(part: Part, a: Mapping[str, Part], b: Mapping[str, Part]) -> Path | None:
    """Return a file with the bytes of a part: its own, or that of the same digest on the other side."""
    if part.file is not None:
        return part.file
    twins = (side.get(part.path) for side in (a, b))
    return next(
        (
            twin.file
            for twin in twins
            if twin and twin.file and part.facts.sha256 and twin.facts.sha256 == part.facts.sha256
        ),
        None,
    )


def compare_dataset(
    dataset: Dataset, a: Mapping[str, Part], b: Mapping[str, Part], context: Context
) -> OutputComparison | None:
    """Compare the parts of both sides as one table; None when they are not one, or cannot be read as one.

    Rows are taken file after file in the order of folders and names, without what is random in these.
    """
    sides = [
        [replace(part, file=_bytes_of(part, a, b)) for part in parts] for parts in (dataset.a, dataset.b)
    ]
    digests = [Counter(part.facts.sha256 for part in side) for side in sides]
    try:
        tables = [_table(sorted(side, key=_order(digests[1 - n])), context) for n, side in enumerate(sides)]
        findings = _findings(sides, digests, tables, context)
    except (KfmReproError, OSError):
        return None
    facts = [
        FileFacts(size_bytes=sum(part.facts.size_bytes or 0 for part in side), row_count=table.num_rows)
        for side, (table, _) in zip(sides, tables, strict=True)
    ]
    made = finished(findings)
    return OutputComparison(
        path=dataset.name,
        verdict=output_verdict(made),
        format=format_by_name(dataset.name),
        a=facts[0],
        b=facts[1],
        findings=made,
    )


def _order(others: Mapping[str | None, int]) -> Callable[[Part], tuple[object, ...]]:
    """Return the key by which parts are sorted; among parts of one place those that the other side has lead."""

    def key(part: Part) -> tuple[object, ...]:
        digest = part.facts.sha256 or ""
        return (*part.place, not others[digest], digest if others[digest] else "", part.facts.size_bytes or 0)

    return key


def _table(parts: Sequence[Part], context: Context) -> tuple[pa.Table, list[Described]]:
    """Return the rows of all parts with the columns of their folders, and what each file says of itself.

    Where a file holds a column of its folder's name, that is another column: readers differ on which they believe.
    """
    import pyarrow as pa

    from kfm_repro.compare.tabular.decoded import check_size

    tables: list[pa.Table] = []
    described: list[Described] = []
    size = 0
    for part in parts:
        table, said = _read(part, context)
        size += table.nbytes
        check_size(size, context)
        described.append(said)
        for name, value in part.partition:
            while name in table.column_names:
                name = f"{name} (folder)"  # noqa: PLW2901  # the next free name
            table = table.append_column(name, pa.array([value] * table.num_rows, pa.string()))
        tables.append(table.replace_schema_metadata(None))
    try:
        return pa.concat_tables(tables, promote_options="default"), described
    except pa.ArrowException as exc:
        raise Unreadable(f"the parts are not of one schema: {exc}".splitlines()[0][:300]) from exc


def _read(part: Part, context: Context) -> tuple[pa.Table, Described]:
    from kfm_repro.compare.columns import read_columns
    from kfm_repro.compare.tabular.metadata import Described

    if part.file is None:
        raise Unreadable("its bytes are nowhere")
    table, metadata = read_columns(part.file, context)
    return table, Described(metadata, table.schema, table.num_rows)


def _findings(
    sides: Sequence[Sequence[Part]],
    digests: Sequence[Counter[str | None]],
    tables: Sequence[tuple[pa.Table, list[Described]]],
    context: Context,
) -> list[Finding]:
    from kfm_repro.compare.tabular.decoded import compare_decoded

    (table_a, said_a), (table_b, said_b) = tables
    counts = [len(side) for side in sides]
    names = [sorted(PurePosixPath(part.path).name for part in side) for side in sides]
    example = next(pair for pair in zip(*names, strict=False) if pair[0] != pair[1])
    findings = [
        Finding(
            kind=Kind.IDENTIFIER,
            rung=Rung.CONTAINER,
            examples=(Example(key={"field": "file name"}, a=example[0], b=example[1]),),
            evidence=f"the part files bear names drawn at random; {counts[0]} in A, {counts[1]} in B "
            "are compared as one table",
        )
    ]
    if digests[0] == digests[1] and None not in digests[0] and _places(sides[0]) == _places(sides[1]):
        return findings
    findings += compare_decoded(table_a, table_b, context)
    findings += _said(said_a, said_b, context)
    sizes = [sum(part.facts.size_bytes or 0 for part in side) for side in sides]
    evidence = f"{counts[0]} files of {sizes[0]} bytes in A, {counts[1]} of {sizes[1]} bytes in B"
    return [*findings, Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, evidence=evidence)]


def _places(parts: Sequence[Part]) -> Counter[tuple[str, str | None]]:
    """Return which bytes lie how often in which folder."""
    return Counter((part.place[0], part.facts.sha256) for part in parts)


def _said(a: Sequence[Described], b: Sequence[Described], context: Context) -> list[Finding]:
    """Compare the metadata of the parts, each distinct one once; how many rows a part has is its layout."""
    from kfm_repro.compare.tabular.metadata import described_findings

    distinct = [list({_text(said): replace(said, rows=0) for said in side}.items()) for side in (a, b)]
    both = {text for text, _ in distinct[0]} & {text for text, _ in distinct[1]}
    rest = [[said for text, said in side if text not in both] for side in distinct]
    if len(rest[0]) == len(rest[1]):
        pairs = zip(*rest, strict=True)
        return [found for left, right in pairs for found in described_findings(left, right, context)]
    evidence = f"{len(distinct[0])} sorts of metadata among A's parts, {len(distinct[1])} among B's"
    where: dict[str, str | int] = {"pointer": "/metadata"}
    return [Finding(kind=Kind.VALUE, rung=Rung.VALUE, where=where, evidence=evidence)]


def _text(said: Described) -> str:
    fields = "".join(starmap("{}={};".format, sorted(said.metadata.items())))
    return f"{fields}{said.schema.to_string(show_field_metadata=True)}"
