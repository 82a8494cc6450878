"""The messages of an Arrow IPC file or stream, without decoding them: sizes, counts, compression.

Arrow's reader allocates whatever a compressed buffer claims to unpack to, so the claims are summed up first.
The layout is that of the specification ("Encapsulated message format", Message.fbs and Schema.fbs).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Written", "scan"]

_MAGIC, _TAIL = b"ARROW1\0\0", b"ARROW1"
_CONTINUED = b"\xff\xff\xff\xff"
_FOOTER_DICTIONARIES, _FOOTER_BATCHES = 2, 3
_BLOCK = struct.Struct("<qiiq")
"""Of File.fbs: offset, bytes of metadata, padding, bytes of the body."""
_SIZE = struct.Struct("<i")
_DICTIONARY, _BATCH = 2, 3
_CODECS = {0: "lz4", 1: "zstd"}
_LENGTH = struct.Struct("<q")
_BUFFER = struct.Struct("<qq")
_MOST_MESSAGES = 10_000_000


@dataclass
class Written:
    """What the messages say: rows of each record batch, bytes once decoded, compression, metadata version."""

    is_stream: bool
    version: int = 0
    lengths: list[int] = field(default_factory=list)
    dictionaries: int = 0
    decoded: int = 0
    codecs: set[str] = field(default_factory=set)

    @property
    def batches(self) -> int:
        """Number of record batches."""
        return len(self.lengths)

    @property
    def rows(self) -> int:
        """Rows of all record batches."""
        return sum(self.lengths)


def scan(path: Path) -> Written:
    """Read the headers of all messages. Raises ArrowException, ValueError for what is none or cut off."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        if source.size() < len(_MAGIC):
            raise ValueError("it is shorter than any header")
        found = Written(is_stream=source.read_at(len(_MAGIC), 0) != _MAGIC)
        try:
            for head, body in _of_stream(source) if found.is_stream else _of_file(source):
                _add(found, head, body)
                if found.batches + found.dictionaries > _MOST_MESSAGES:
                    raise ValueError(f"more than {_MOST_MESSAGES} messages")
        except struct.error as exc:
            raise ValueError("a message's header is damaged") from exc
    return found


def _of_stream(source: Any) -> Iterator[tuple[bytes, Any]]:  # noqa: ANN401 - pyarrow has no types
    """Yield metadata and body of each message, one after the other."""
    import pyarrow as pa

    schemas = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        schemas += message.type == "schema"
        yield bytes(message.metadata), message.body
    if not schemas:
        raise ValueError("it has no schema")
    if source.read():
        raise ValueError("more follows the end of the stream")


def _of_file(source: Any) -> Iterator[tuple[bytes, Any]]:  # noqa: ANN401 - pyarrow has no types
    """Yield metadata and body of the messages that the footer names. Not all writers end them as a stream ends."""
    end = source.size() - len(_TAIL) - _SIZE.size
    (size,) = _SIZE.unpack(source.read_at(_SIZE.size, end))
    if source.read_at(len(_TAIL), end + _SIZE.size) != _TAIL or not 0 < size <= end:
        raise ValueError("it has no footer")
    footer = bytes(source.read_at(size, end - size))
    table = _Table(footer, struct.unpack_from("<I", footer)[0])
    for field_number in (_FOOTER_DICTIONARIES, _FOOTER_BATCHES):
        for start, head, _, length in table.structs(field_number, _BLOCK):
            if start < 0 or head < _SIZE.size * 2 or length < 0 or start + head + length > end - size:
                raise ValueError("a message lies outside of the file")
            metadata = bytes(source.read_at(head, start))
            skipped = 2 * _SIZE.size if metadata.startswith(_CONTINUED) else _SIZE.size
            yield metadata[skipped:], source.read_at(length, start + head)


def _add(found: Written, head: bytes, body: object) -> None:
    message = _Table(head, struct.unpack_from("<I", head)[0])
    found.version = message.number(0, "<h")
    kind = message.number(1, "<B")
    if kind not in (_DICTIONARY, _BATCH):
        return
    batch = message.table(2)
    if kind == _DICTIONARY:
        found.dictionaries += 1
        batch = batch.table(1)
    else:
        found.lengths.append(batch.number(0, "<q"))
    if batch.number(0, "<q") < 0:
        raise ValueError("a batch of less than no rows")
    view = memoryview(body if body is not None else b"")  # type: ignore[arg-type]  # pyarrow's buffers have no types
    if not batch.has(3):
        found.decoded += view.nbytes
        return
    found.codecs.add(_CODECS.get(batch.table(3).number(0, "<b"), "another codec"))
    for offset, length in batch.structs(2, _BUFFER):
        if length >= _LENGTH.size:
            claimed = _LENGTH.unpack_from(view, offset)[0]
            found.decoded += length if claimed < 0 else claimed


@dataclass(frozen=True)
class _Table:
    """A table of a flatbuffer: fields by their number, zero where they are absent."""

    data: bytes
    at: int

    def _place(self, number: int) -> int:
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        (size,) = struct.unpack_from("<H", self.data, vtable)
        entry = 4 + 2 * number
        offset: int = struct.unpack_from("<H", self.data, vtable + entry)[0] if entry < size else 0
        return self.at + offset if offset else 0

    def has(self, number: int) -> bool:
        return self._place(number) > 0

    def number(self, number: int, form: str) -> int:
        place = self._place(number)
        return int(struct.unpack_from(form, self.data, place)[0]) if place else 0

    def table(self, number: int) -> _Table:
        place = self._place(number)
        if not place:
            raise ValueError("a message lacks what it announces")
        return _Table(self.data, place + struct.unpack_from("<I", self.data, place)[0])

    def structs(self, number: int, form: struct.Struct) -> list[tuple[int, ...]]:
        place = self._place(number)
        if not place:
            return []
        start = place + struct.unpack_from("<I", self.data, place)[0]
        (count,) = struct.unpack_from("<I", self.data, start)
        if count * form.size > len(self.data):
            raise ValueError("a message announces more than it holds")
        return [form.unpack_from(self.data, start + 4 + form.size * i) for i in range(count)]
