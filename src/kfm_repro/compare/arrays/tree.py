"""Files that hold arrays in groups, whatever the format: what there is, what is said of it, then the elements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare.arrays.blocks import ArrayDiff, same_bits, windows
from kfm_repro.compare.arrays.fields import FieldDiffs
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.grouping import merge_many
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kfm_repro.compare.context import Context

__all__ = ["Node", "Tree", "compare_trees"]

_LIBRARY = frozenset(("_NCProperties",))
"""Attributes in which a library writes its own version (netCDF-4)."""
_LARGEST_CHUNK = 1 << 30


@dataclass(frozen=True)
class Node:
    """One group, array, or anything else of a file, at a path.

    ``what`` is ``group``, ``array``, or a text that says all of anything else, such as where a link leads.
    ``read`` returns the elements of a window; ``refused`` says why they are not read. ``storage`` is how the
    elements are kept, ``changed`` the seconds since 1970 at which the object was changed, 0 where nobody says.
    """

    what: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    dtype: Any = None
    shape: tuple[int, ...] = ()
    fill: Any = None
    storage: Mapping[str, Any] = field(default_factory=dict)
    chunks: tuple[int, ...] | None = None
    read: Callable[[tuple[slice, ...]], Any] | None = None
    refused: str = ""
    changed: float = 0.0


@dataclass(frozen=True)
class Tree:
    """All nodes of a file by their paths; ``storage`` says how the file as a whole is written."""

    nodes: Mapping[str, Node]
    storage: Mapping[str, Any] = field(default_factory=dict)


def compare_trees(a: Tree, b: Tree, context: Context) -> tuple[Finding, ...]:
    """Compare what two files hold; places are paths as ``pointer``, attributes ``path/@name``.

    Raises LimitExceeded, and what the readers of the nodes raise.
    """
    found: list[Finding] = [*_one_sided(a, b)]
    for path, left in a.nodes.items():
        right = b.nodes.get(path)
        if right is None:
            continue
        if left.what != right.what:
            found.append(_differs(Kind.TYPE, "what it is", left.what, right.what, path))
            continue
        found.extend(_attributes(path, left, right, context))
        if left.what == "array":
            found.extend(_array(path, left, right, context))
    found.extend(_times(a, b))
    keys = sorted({*a.storage, *b.storage})
    found.extend(
        _differs(Kind.LAYOUT, key, a.storage.get(key), b.storage.get(key), "", Rung.CONTAINER)
        for key in keys
        if a.storage.get(key) != b.storage.get(key)
    )
    return merge_many(found, "pointer")


def _differs(
    kind: Kind, what: str, a: object, b: object, path: str, rung: Rung = Rung.VALUE, evidence: str = ""
) -> Finding:
    where: dict[str, str | int] = {"pointer": path} if path else {}
    example = Example(key={"field": what}, a=scalar(a), b=scalar(b))
    return Finding(kind=kind, rung=rung, where=where, examples=(example,), evidence=evidence or what)


def _one_sided(a: Tree, b: Tree) -> Iterator[Finding]:
    for mine, other, side in ((a, b, "A"), (b, a, "B")):
        for path, node in mine.nodes.items():
            if path not in other.nodes:
                yield Finding(
                    kind=Kind.SCHEMA,
                    rung=Rung.VALUE,
                    where={"pointer": path},
                    evidence=f"{node.what} only in {side}",
                    detail={"only_in": side.lower()},
                )


def _times(a: Tree, b: Tree) -> Iterator[Finding]:
    both = [
        (path, node.changed, b.nodes[path].changed)
        for path, node in a.nodes.items()
        if path in b.nodes and node.changed != b.nodes[path].changed
    ]
    if both:
        yield Finding(
            kind=Kind.TIMESTAMP,
            rung=Rung.CONTAINER,
            where={"pointer": both[0][0]} if len(both) == 1 else {},
            count=len(both),
            of=len(a.nodes),
            examples=tuple(
                Example(key={"pointer": scalar(path)}, a=x, b=y) for path, x, y in both[:MAX_EXAMPLES]
            ),
            evidence="modification times in the headers of objects, seconds since 1970",
        )


def _attributes(path: str, a: Node, b: Node, context: Context) -> Iterator[Finding]:
    for name in sorted({*a.attributes, *b.attributes}):
        place = f"{path.rstrip('/')}/@{name}"
        if name not in a.attributes or name not in b.attributes:
            side = "A" if name in a.attributes else "B"
            kind, rung = (
                (Kind.LIBRARY_VERSION, Rung.CONTAINER) if name in _LIBRARY else (Kind.ATTRIBUTES, Rung.VALUE)
            )
            shown = scalar(a.attributes.get(name)), scalar(b.attributes.get(name))
            yield _differs(kind, name, *shown, place, rung, f"attribute only in {side}")
            continue
        yield from _attribute(place, name, a.attributes[name], b.attributes[name], context)


def _attribute(place: str, name: str, a: Any, b: Any, context: Context) -> Iterator[Finding]:  # noqa: ANN401  # scalars and arrays
    import numpy as np

    left, right = np.asarray(a), np.asarray(b)
    if left.dtype == right.dtype and left.shape == right.shape and same_bits(left, right):
        return
    if type(a) is type(b) and not isinstance(a, np.ndarray) and a == b and repr(a) == repr(b):
        return
    if name in _LIBRARY:
        yield _differs(Kind.LIBRARY_VERSION, name, a, b, place, Rung.CONTAINER)
        return
    if left.dtype == right.dtype and left.shape == right.shape and left.ndim and left.dtype.kind in "iufc":
        diff = ArrayDiff(Kind.ATTRIBUTES, {"pointer": place}, context)
        diff.add(left, right, [0] * left.ndim)
        yield from diff.findings()
        return
    pair = (_plain(a), _plain(b))
    if pair[0] == pair[1] and left.dtype != right.dtype:
        yield _differs(Kind.TYPE, f"type of the attribute {name}", str(left.dtype), str(right.dtype), place)
        return
    if pair[0] == pair[1] and repr(pair[0]) == repr(pair[1]):
        return
    for part in classify_pairs([pair], context):
        kind = Kind.ATTRIBUTES if part.kind == Kind.VALUE else Kind(part.kind)
        evidence = f"attribute {name}" + (f": {part.evidence}" if part.evidence else "")
        yield msgspec.structs.replace(
            _differs(kind, name, *pair, place, Rung(part.rung), evidence), detail=dict(part.detail)
        )


def _plain(value: Any) -> Any:  # noqa: ANN401  # as above
    """Return NumPy scalars and arrays, also within arrays, as Python values, bytes that are text as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return [member if isinstance(member, bytes) else _plain(member) for member in value]
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def _array(path: str, a: Node, b: Node, context: Context) -> Iterator[Finding]:
    keys = [key for key in sorted({*a.storage, *b.storage}) if a.storage.get(key) != b.storage.get(key)]
    if keys:
        yield Finding(
            kind=Kind.CHUNKING,
            rung=Rung.CONTAINER,
            where={"pointer": path},
            examples=tuple(
                Example(key={"field": key}, a=scalar(a.storage.get(key)), b=scalar(b.storage.get(key)))
                for key in keys[:MAX_EXAMPLES]
            ),
            evidence=f"how the elements are stored: {', '.join(keys)}",
        )
    if a.shape != b.shape:
        yield _differs(Kind.SCHEMA, "shape", list(a.shape), list(b.shape), path)
        return
    swapped = False
    if a.dtype != b.dtype:
        swapped = bool(a.dtype.newbyteorder("=") == b.dtype.newbyteorder("="))
        evidence = "another byte order" if swapped else "another dtype"
        rung, kind = (Rung.CONTAINER, Kind.ENCODING) if swapped else (Rung.VALUE, Kind.TYPE)
        yield _differs(kind, "dtype", str(a.dtype), str(b.dtype), path, rung, evidence)
        if not swapped:
            return
    if not _same_fill(a.fill, b.fill):
        yield _differs(Kind.NODATA, "fill value", a.fill, b.fill, path)
    yield from _elements(path, a, b, context)


def _same_fill(a: Any, b: Any) -> bool:  # noqa: ANN401  # a scalar of any dtype
    import numpy as np

    left, right = np.asarray(a), np.asarray(b)
    if left.dtype.hasobject or right.dtype.hasobject:
        return bool(a == b)
    return (
        left.shape == right.shape
        and left.astype(left.dtype.newbyteorder("=")).tobytes()
        == right.astype(right.dtype.newbyteorder("=")).tobytes()
    )


def _elements(path: str, a: Node, b: Node, context: Context) -> Iterator[Finding]:
    refused = a.refused or b.refused
    if refused or a.read is None or b.read is None:
        yield Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, where={"pointer": path}, evidence=refused)
        return
    size = max(1, a.dtype.itemsize)
    for length in a.shape:
        size *= length
    if size > context.limits.raster_bytes:
        raise LimitExceeded(f"an array of more than {context.limits.raster_bytes} bytes: {path}")
    chunks = _common_chunks(a, b)
    tolerance = context.options.tolerance
    limit = tolerance.get(path.lstrip("/"), tolerance.get("*"))
    diffs = FieldDiffs(Kind.VALUE, {"pointer": path}, context, limit)
    for window in windows(a.shape, max(1, a.dtype.itemsize), chunks):
        left, right = _native(a.read(window)), _native(b.read(window))
        diffs.add(left, right, [part.start for part in window])
    yield from diffs.findings()


def _common_chunks(a: Node, b: Node) -> tuple[int, ...] | None:
    """Return the larger chunks of the two, so that none is unpacked for every element. Raises LimitExceeded."""
    if a.chunks is None or b.chunks is None:
        return a.chunks or b.chunks
    chunks = tuple(min(max(x, y), size) for x, y, size in zip(a.chunks, b.chunks, a.shape, strict=True))
    size = max(1, a.dtype.itemsize)
    for length in chunks:
        size *= max(1, length)
    if size > _LARGEST_CHUNK:
        raise LimitExceeded(f"chunks of more than {_LARGEST_CHUNK} bytes")
    return tuple(max(1, length) for length in chunks)


def _native(values: Any) -> Any:  # noqa: ANN401  # an array of any dtype
    """Return an array, also of one element, in this machine's byte order."""
    import numpy as np

    array = np.atleast_1d(np.asarray(values))
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
