"""netCDF in its classic formats (CDF-1, CDF-2, CDF-5): dimensions, attributes, variables.

The layout is that of the NetCDF Users Guide, appendix "File Format Specifications".
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.arrays.tree import Node, Tree, compare_trees
from kfm_repro.compare.context import reading

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["compare"]

_TYPES = {
    1: "i1",
    2: "S1",
    3: ">i2",
    4: ">i4",
    5: ">f4",
    6: ">f8",
    7: "u1",
    8: ">u2",
    9: ">u4",
    10: ">i8",
    11: ">u8",
}
_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
_MOST_HEADER = 64 << 20
_MOST_ITEMS = 100_000


@dataclass
class _Reader:
    """The header, read from its start; all numbers are big-endian."""

    raw: bytes
    version: int
    at: int = 4

    def number(self, *, offset: bool = False) -> int:
        """Read a count, or an offset, which takes eight bytes from CDF-2 on."""
        wide = self.version == 5 or (offset and self.version == 2)  # noqa: PLR2004  # the versions of the format
        size = 8 if wide else 4
        (value,) = struct.unpack_from(">Q" if wide else ">I", self.raw, self.at)
        self.at += size
        return int(value)

    def tag(self) -> int:
        (value,) = struct.unpack_from(">I", self.raw, self.at)
        self.at += 4
        return int(value)

    def take(self, size: int) -> bytes:
        """Read bytes that are padded to four."""
        data = self.raw[self.at : self.at + size]
        if len(data) != size:
            raise EOFError("the header ends too early")
        self.at += -(-size // 4) * 4
        return data

    def name(self) -> str:
        return self.take(self.number()).decode()

    def items(self, wanted: int) -> int:
        """Read the head of a list and return how many items follow."""
        tag, count = self.tag(), self.number()
        if (tag, count) != (0, 0) and tag != wanted:
            raise ValueError(f"a list of kind {tag} where {wanted} should be")
        if count > _MOST_ITEMS:
            raise ValueError(f"a list of {count} items")
        return count

    def attributes(self) -> dict[str, Any]:
        import numpy as np

        found: dict[str, Any] = {}
        for _ in range(self.items(_ATTRIBUTES)):
            name, code = self.name(), self.tag()
            dtype = np.dtype(_TYPES[code])
            data = self.take(self.number() * dtype.itemsize)
            found[name] = data.decode("utf-8", "surrogateescape") if code == 2 else np.frombuffer(data, dtype)  # noqa: PLR2004  # NC_CHAR
        return found


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two classic netCDF files. Raises Unreadable (also when truncated), LimitExceeded."""
    trees = []
    for path in (a, b):
        with reading(path, "netCDF", struct.error, OverflowError):
            trees.append(_tree(path))
    with reading(a, "netCDF"):
        return compare_trees(trees[0], trees[1], context)


def _tree(path: Path) -> Tree:
    with path.open("rb") as file:
        raw = file.read(_MOST_HEADER)
    reader = _Reader(raw, raw[3])
    records = reader.number()
    dimensions = [(reader.name(), reader.number()) for _ in range(reader.items(_DIMENSIONS))]
    nodes: dict[str, Node] = {}
    attributes = reader.attributes()
    variables = [_variable(reader, dimensions) for _ in range(reader.items(_VARIABLES))]
    in_records = [variable for variable in variables if variable.is_record]
    stride = sum(variable.padded for variable in in_records)
    if len(in_records) == 1:
        stride = in_records[0].size  # a lone record variable is not padded
    for variable in variables:
        nodes[f"/{variable.name}"] = variable.node(path, records, stride)
    named = {name: size or "unlimited" for name, size in dimensions}
    root = Node("group", {**attributes, **{f"dimension {name}": size for name, size in named.items()}})
    return Tree({"/": root, **dict(sorted(nodes.items()))}, {"format": f"CDF-{raw[3]}"})


@dataclass(frozen=True)
class _Variable:
    """A variable of the header. ``shape`` is without the record axis, which ``is_record`` says it has."""

    name: str
    attributes: dict[str, Any]
    dtype: Any
    shape: tuple[int, ...]
    dimensions: tuple[str, ...]
    is_record: bool
    begin: int

    @property
    def size(self) -> int:
        """Bytes of the variable, or of one record of it."""
        return int(self.dtype.itemsize * math.prod(self.shape))

    @property
    def padded(self) -> int:
        return -(-self.size // 4) * 4

    def node(self, path: Path, records: int, stride: int) -> Node:
        """Return the variable as an array that is read from ``path`` when asked."""
        import numpy as np

        shape = ((records,) if self.is_record else ()) + self.shape
        last = stride * (records - 1) + self.size if self.is_record and records else self.size
        if math.prod(shape) and self.begin + last > path.stat().st_size:
            raise EOFError(f"the file ends within the variable {self.name}")

        def read(window: tuple[slice, ...]) -> Any:  # noqa: ANN401  # an array of the variable's dtype
            if not math.prod(shape):
                return np.empty(shape, self.dtype)
            mapped = np.memmap(path, dtype=np.uint8, mode="r")
            inner = [self.dtype.itemsize]
            for length in reversed(self.shape[1:]):
                inner.insert(0, inner[0] * length)
            strides = ((stride,) if self.is_record else ()) + tuple(
                inner[: len(self.shape)] if self.shape else ()
            )
            view = np.ndarray(shape, self.dtype, mapped, self.begin, strides)
            return np.array(view[window])

        attributes = {**self.attributes, "dimensions": " ".join(self.dimensions)}
        return Node("array", attributes, self.dtype, shape, read=read)


def _variable(reader: _Reader, dimensions: list[tuple[str, int]]) -> _Variable:
    import numpy as np

    name = reader.name()
    count = reader.number()
    if count > len(dimensions) + 32:
        raise ValueError(f"a variable of {count} dimensions")
    axes = [dimensions[reader.number()] for _ in range(count)]
    attributes = reader.attributes()
    dtype = np.dtype(_TYPES[reader.tag()])
    reader.number()  # the size, which follows from the shape
    begin = reader.number(offset=True)
    record = bool(axes) and not axes[0][1]
    shape = tuple(size for _, size in axes[1 if record else 0 :])
    return _Variable(name, attributes, dtype, shape, tuple(axis for axis, _ in axes), record, begin)
