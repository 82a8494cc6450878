"""The directories of a TIFF file (TIFF 6.0; BigTIFF): every field as raw bytes, and how much the blocks take.

GDAL says what it understands of a file. What it does not understand must not pass as equal.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from kfm_repro.compare.context import reading
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["NESTED", "Directory", "Tiff", "read_tiff"]

_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_DOUBLE = 12
NESTED = (34665, 34853, 40965)
"""Fields that lead to directories: Exif, GPS, and within Exif what makes cameras work together (Exif 2.32, 4.6.3)."""
_MOST_DIRECTORIES = 4096
_MOST_FIELDS = 4096
_MOST_BYTES = 256 << 20
_SUBFILE_TYPE, _STRIPS, _STRIP_COUNTS, _TILES, _TILE_COUNTS = 254, 273, 279, 324, 325
_REDUCED, _MASK = 1, 4


@dataclass(frozen=True)
class Directory:
    """One picture of the file. ``fields`` holds for each tag its type and its raw bytes, little-endian.

    ``nested`` are the directories to which fields lead that hold no picture: Exif, GPS and what Exif has of its own.
    """

    fields: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    nested: dict[int, Directory] = field(default_factory=dict)

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the integers of a field, none if it is not there."""
        kind, raw = self.fields.get(tag, (0, b""))
        code = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind)
        return struct.unpack(f"<{len(raw) // _SIZES[kind]}{code}", raw) if code else ()

    def doubles(self, tag: int) -> tuple[float, ...]:
        """Return the doubles of a field, none if it is not there."""
        kind, raw = self.fields.get(tag, (0, b""))
        return struct.unpack(f"<{len(raw) // 8}d", raw) if kind == _DOUBLE else ()

    @property
    def is_page(self) -> bool:
        """Whether it is a picture of its own, neither an overview nor a mask."""
        return not (next(iter(self.numbers(_SUBFILE_TYPE)), 0) & (_REDUCED | _MASK))

    def bytes_in(self, *, big: bool) -> int:
        """Return how many bytes the directory and the values of its fields take."""
        inline = 8 if big else 4
        head = 16 + 20 * len(self.fields) if big else 6 + 12 * len(self.fields)
        outside = sum(len(raw) for _, raw in self.fields.values() if len(raw) > inline)
        return head + outside + sum(nested.bytes_in(big=big) for nested in self.nested.values())

    def blocks(self, path: Path) -> list[bytes]:
        """Return all strips or tiles, packed. Raises Unreadable, LimitExceeded."""
        pairs = [
            *zip(self.numbers(_STRIPS), self.numbers(_STRIP_COUNTS), strict=False),
            *zip(self.numbers(_TILES), self.numbers(_TILE_COUNTS), strict=False),
        ]
        if sum(size for _, size in pairs) > _MOST_BYTES:
            raise LimitExceeded(f"a picture of more than {_MOST_BYTES} packed bytes that is not shown")
        found = []
        with reading(path, "TIFF"), path.open("rb") as file:
            for at, size in pairs:
                file.seek(at)
                found.append(file.read(size))
        return found

    @property
    def block_bytes(self) -> int:
        """Return the bytes of all strips or tiles, packed."""
        return sum(self.numbers(_STRIP_COUNTS)) + sum(self.numbers(_TILE_COUNTS))


@dataclass(frozen=True)
class Tiff:
    """What the header and the directories say; ``order`` is the byte order, ``big`` BigTIFF."""

    order: str
    big: bool
    size: int
    directories: tuple[Directory, ...]

    @property
    def pages(self) -> tuple[Directory, ...]:
        """Return the pictures that are neither overviews nor masks."""
        return tuple(directory for directory in self.directories if directory.is_page)

    @property
    def unused(self) -> int:
        """Return how many bytes belong to no block and no directory; padding is among them."""
        used = (directory.block_bytes + directory.bytes_in(big=self.big) for directory in self.directories)
        return self.size - sum(used)

    @property
    def most_padding(self) -> int:
        """Return how many bytes may be padding: one before the value of each field, each directory, and each block."""
        return sum(
            len(directory.fields) + 1 + len(directory.numbers(_STRIPS)) + len(directory.numbers(_TILES))
            for directory in self.directories
        )


def read_tiff(path: Path) -> Tiff:
    """Read all directories of a TIFF file. Raises Unreadable, LimitExceeded."""
    with reading(path, "TIFF", struct.error), path.open("rb") as file:
        head = _read(file, 8) + file.read(8)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        big = struct.unpack_from(f"{order}H", head, 2)[0] == 43  # noqa: PLR2004  # BigTIFF; 42 is classic
        at = (
            struct.unpack_from(f"{order}Q", head, 8)[0]
            if big
            else struct.unpack_from(f"{order}I", head, 4)[0]
        )
        found: list[Directory] = []
        seen: set[int] = set()
        left = _MOST_BYTES
        while at:
            if at in seen or len(seen) >= _MOST_DIRECTORIES:
                raise LimitExceeded("the directories of the TIFF do not end")
            seen.add(at)
            directory, at, used = _directory(file, at, order, big=big, left=left)
            left -= used + _add_nested(file, directory, order, big=big, left=left - used)
            found.append(directory)
    return Tiff("little" if order == "<" else "big", big, path.stat().st_size, tuple(found))


def _add_nested(
    file: BinaryIO, directory: Directory, order: str, *, big: bool, left: int, depth: int = 2
) -> int:
    """Read the directories to which the fields of one lead; return how many bytes their fields take."""
    used = 0
    for tag in NESTED if depth else ():
        for at in directory.numbers(tag)[:1]:
            nested, _, size = _directory(file, at, order, big=big, left=left - used)
            used += size
            used += _add_nested(file, nested, order, big=big, left=left - used, depth=depth - 1)
            directory.nested[tag] = nested
    return used


def _directory(file: BinaryIO, at: int, order: str, *, big: bool, left: int) -> tuple[Directory, int, int]:
    """Return the directory at an offset, the offset of the next one, and how many bytes its fields take."""
    entry = struct.Struct(f"{order}HHQ8s" if big else f"{order}HHI4s")
    count = struct.Struct(f"{order}Q" if big else f"{order}H")
    link = struct.Struct(f"{order}Q" if big else f"{order}I")
    file.seek(at)
    (number,) = count.unpack(_read(file, count.size))
    if number > _MOST_FIELDS:
        raise ValueError(f"a directory of {number} fields")
    raw = _read(file, number * entry.size + link.size)
    fields: dict[int, tuple[int, bytes]] = {}
    used = 0
    file_size = file.seek(0, 2)
    for i in range(number):
        tag, kind, items, inline = entry.unpack_from(raw, i * entry.size)
        if tag in fields:
            raise ValueError(f"a directory that has field {tag} twice")
        size = _SIZES.get(kind, 1) * items
        used += size
        if used > left:
            raise LimitExceeded(f"fields of more than {_MOST_BYTES} bytes in the TIFF")
        if size > file_size:
            raise ValueError(f"a field of {size} bytes in a file of {file_size}")
        if size > len(inline):
            file.seek(link.unpack(inline)[0])
            data = _read(file, size)
        else:
            data = inline[:size]
        fields[tag] = (kind, _little(data, kind) if order == ">" else data)
    return Directory(fields), link.unpack_from(raw, number * entry.size)[0], used


def _little(data: bytes, kind: int) -> bytes:
    """Return big-endian items as little-endian ones."""
    width = {5: 4, 10: 4}.get(kind, _SIZES.get(kind, 1))
    if width == 1:
        return data
    return b"".join(data[i : i + width][::-1] for i in range(0, len(data), width))


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError("the file ends within a directory")
    return data
