"""FlatGeobuf: features as rows, and everything that header and index say of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.compare.vector.columns import classify_texts
from kfm_repro.compare.vector.crs import compare_crs, ground_of_definition
from kfm_repro.compare.vector.examples import ShownGeometries
from kfm_repro.compare.vector.extent import each_extent, fits
from kfm_repro.compare.vector.flatgeobuf_read import Header, read_header
from kfm_repro.compare.vector.geometry import classify_geometries
from kfm_repro.compare.vector.ogr import read_table
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    import pyarrow as pa

    from kfm_repro.compare.tabular.diff import PairClassifier
    from kfm_repro.compare.vector.extent import Floats

__all__ = ["compare"]

_WHAT = "FlatGeobuf"
_GEOMETRY_TYPES = ("geometry_type", "z", "m", "t", "tm")
_PLANE = (0, 1, 3, 4)


@dataclass(frozen=True)
class _File:
    """One side: its header, its features, and their extents."""

    stem: str
    header: Header
    table: pa.Table
    geometry: str
    extents: Floats

    @property
    def crs(self) -> str:
        """Return the reference system: the code where it names one, else its definition."""
        named = self.header.crs
        code = named.get("code") or named.get("code_string")
        return f"{named.get('org') or 'EPSG'}:{code}" if code else str(named.get("wkt", ""))

    def envelope_fits(self) -> bool:
        """Return whether the extent of the header, if it states one, is that of the features."""
        import numpy as np

        stated = self.header.envelope
        if not stated or not len(self.extents):
            return not stated
        if len(stated) != len(_PLANE):
            return False
        whole = np.concatenate([np.fmin.reduce(self.extents[:, :3]), np.fmax.reduce(self.extents[:, 3:])])
        return bool((whole[list(_PLANE)] == np.array(stated)).all())

    def index_fits(self) -> bool:
        """Return whether the index leads to every feature where it lies, under its extent."""
        import numpy as np

        index = self.header.index
        if index is None:
            return True
        if not self.header.rooted or not np.array_equal(index["offset"], self.header.offsets):
            return False
        claimed = np.full((len(index), 6), np.nan)
        claimed[:, _PLANE] = index["box"]
        empty = np.isnan(self.extents[:, 0])
        return fits(claimed[~empty], self.extents[~empty], single=False)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two FlatGeobuf files. Raises Unreadable for a damaged one.

    A file with an index holds its features in the order of that index, whatever order they were written in.
    """
    left, right = _read(a), _read(b)
    shown = ShownGeometries()
    classify = partial(classify_geometries, ground=ground_of_definition(left.crs))
    classifiers: dict[str, PairClassifier] = {
        c["name"]: classify_texts for c in left.header.columns if c["type"] == "datetime"
    }
    classifiers[left.geometry] = shown.watch(left.geometry, classify)
    rows = compare_tables(left.table, right.table, context, unit="feature", classifiers=classifiers)
    return (*_header_findings(left, right, context), *_columns(left, right), *shown.render(rows))


def _read(path: Path) -> _File:
    header = read_header(path)
    table, geometry = read_table(path, _WHAT)
    with reading(path, _WHAT):
        if table.num_rows != len(header.offsets):
            raise ValueError(f"{table.num_rows} of {len(header.offsets)} features can be read")
    return _File(path.stem, header, table, geometry, each_extent(table.column(geometry).to_pylist()))


def _header_findings(a: _File, b: _File, context: Context) -> Iterator[Finding]:
    left, right = a.header.fields, b.header.fields
    if a.header.crs != b.header.crs:
        yield _crs(a, b)
    if (left["name"], right["name"]) == (a.stem, b.stem) and a.stem != b.stem:
        evidence = "the layer is named after the file on both sides"
        yield _finding(Kind.LAYER_NAME, Rung.CONTAINER, "name", left["name"], right["name"], evidence)
    elif left["name"] != right["name"]:
        yield _finding(
            Kind.LAYER_NAME, Rung.VALUE, "name", left["name"], right["name"], "the name of the layer"
        )
    for name in _GEOMETRY_TYPES:
        if left[name] != right[name]:
            kind = Kind.SCHEMA if name == "geometry_type" else Kind.DIMENSION
            evidence = f"the declared types of the geometries: {name}"
            yield _finding(kind, Rung.VALUE, name, left[name], right[name], evidence)
    for name in ("title", "description", "metadata"):
        if left[name] != right[name]:
            for group in classify_pairs([(left[name], right[name])], context):
                yield _finding(
                    Kind(group.kind), Rung(group.rung), name, left[name], right[name], group.evidence
                )
    yield from _derived(a, b)


def _derived(a: _File, b: _File) -> Iterator[Finding]:
    """Report what follows from the features, if it does."""
    envelopes = a.header.envelope, b.header.envelope
    if envelopes[0] != envelopes[1]:
        good = a.envelope_fits() and b.envelope_fits()
        words = "is that of the features on both sides" if good else "is not that of the features"
        yield _finding(
            Kind.EXTENT_METADATA, Rung.CONTAINER if good else Rung.VALUE, "envelope",
            list(envelopes[0]), list(envelopes[1]), f"the extent in the header {words}",
        )  # fmt: skip
    counts = [side.header.fields["features_count"] for side in (a, b)]
    if 0 in counts and counts[0] != counts[1]:
        evidence = "only one side states how many features there are"
        yield _finding(Kind.LAYOUT, Rung.CONTAINER, "features_count", counts[0], counts[1], evidence)
    nodes = [side.header.fields["index_node_size"] for side in (a, b)]
    broken = [name for name, side in (("A", a), ("B", b)) if not side.index_fits()]
    if broken and not (a.header.index is b.header.index is None):
        evidence = f"the index of {broken[0]} does not lead to its features"
        yield _finding(Kind.SPATIAL_INDEX, Rung.VALUE, "index", None, None, evidence)
    elif nodes[0] != nodes[1]:
        evidence = "another or no spatial index: it follows from the features"
        yield _finding(Kind.SPATIAL_INDEX, Rung.CONTAINER, "index_node_size", nodes[0], nodes[1], evidence)


def _crs(a: _File, b: _File) -> Finding:
    same, evidence = compare_crs(a.crs, b.crs)
    if same or a.crs == b.crs:
        definitions = [side.header.crs.get("wkt", "") for side in (a, b)]
        same, other = compare_crs(*definitions) if all(definitions) else (True, "")
        evidence = other or "the same CRS, described in another way"
    kind, rung = (Kind.LAYOUT, Rung.CONTAINER) if same else (Kind.CRS, Rung.VALUE)
    return _finding(kind, rung, "crs", a.crs, b.crs, evidence)


def _columns(a: _File, b: _File) -> Iterator[Finding]:
    """Report what is declared of columns beyond their names, order and types in memory."""
    others = {column["name"]: column for column in b.header.columns}
    for column in a.header.columns:
        name = column["name"]
        other = others.get(name)
        if other is None or other == column:
            continue
        fields = [field for field in column if column[field] != other[field]]
        types = [side.table.schema.field(name).type for side in (a, b)]
        if "type" in fields and types[0] != types[1]:
            fields.remove("type")
        shown = [", ".join(f"{field} {side[field]}" for field in fields) for side in (column, other)]
        if fields:
            kind = Kind.TYPE if "type" in fields else Kind.SCHEMA
            yield Finding(
                kind=kind, rung=Rung.VALUE, where={"column": name}, evidence="the column is declared otherwise",
                examples=(Example(a=scalar(shown[0]), b=scalar(shown[1])),),
            )  # fmt: skip


def _finding(kind: Kind, rung: Rung, field: str, a: object, b: object, evidence: str) -> Finding:
    examples = () if a is b is None else (Example(a=scalar(a), b=scalar(b)),)
    where: dict[str, str | int] = {"pointer": f"/header/{field}"}
    return Finding(kind=kind, rung=rung, where=where, examples=examples, evidence=evidence)
