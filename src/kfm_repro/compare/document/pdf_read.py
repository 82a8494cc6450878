"""The objects of a PDF as its cross-reference tables lead to them (ISO 32000-1, clause 7.3 to 7.5).

Only what the tables lead to is there for a reader: objects that a later revision replaced are not. Files without plain
tables (cross-reference streams), and whatever is irregular, are refused: they are compared by their bytes.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Pdf", "Ref", "Stream", "Text", "newest_trailer", "read_pdf"]

_SPACE = b"\0\t\n\f\r "
_DELIMITERS = b"()<>[]{}/%"
_REGULAR = re.compile(rb"[^\0\t\n\f\r ()<>\[\]{}/%]+")
_BLANK = re.compile(rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)++")
_OBJECT = re.compile(rb"(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+obj")
_REFERENCE = re.compile(rb"(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]+R(?![^\0\t\n\f\r ()<>\[\]{}/%])")
_SECTION = re.compile(rb"[\0\t\n\f\r ]*(\d{1,10})[ ]+(\d{1,10})[ ]*\r?\n?")
_ENTRY = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \r| \n|\r\n)")
_START = re.compile(rb"startxref\s+(\d{1,20})\s+%%EOF\s*\Z")
_STREAM = re.compile(rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)*+stream(?:\r\n|\n)")
_STREAM_END = re.compile(rb"(?:\r\n|\n|\r)?endstream")
_OBJECT_END = re.compile(rb"(?:[\0\t\n\f\r ]++|%[^\r\n]*+)*+endobj")
_MOST_OBJECTS = 1_000_000
_MOST_REVISIONS = 1_000
_DEEPEST = 100
_MOST_UNPACKED = 128 << 20


class Ref(NamedTuple):
    """A reference to an object: its number and generation."""

    number: int
    generation: int


class Text(NamedTuple):
    """A string as it is written, with its brackets."""

    raw: bytes


@dataclass(frozen=True)
class Stream:
    """A stream: its dictionary without the length, and its data, unpacked where it is plain Flate."""

    said: dict[bytes, Any]
    data: bytes
    packed: bytes

    def same_content(self, other: Stream) -> bool:
        """Return whether another stream says the same, however it is packed."""
        return self.said == other.said and self.data == other.data


@dataclass
class Pdf:
    """What a reader finds: the trailer of the last revision, and every object in use by number and generation."""

    trailer: dict[bytes, Any] = field(default_factory=dict)
    objects: dict[Ref, Any] = field(default_factory=dict)


def read_pdf(data: bytes) -> Pdf:
    """Return the objects that are in use. Raises ValueError, IndexError for all that is irregular."""
    start = _START.search(data[-2048:])
    if start is None:
        raise ValueError("no startxref before the end")
    places, trailer = _tables(data, int(start[1]))
    reader = _Reader(data, places)
    return Pdf(trailer, {ref: reader.object(ref) for ref in sorted(places)})


def newest_trailer(data: bytes) -> tuple[int, int]:
    """Return where the dictionary of the newest cross-reference stream begins and ends; (0, 0) where there is none."""
    start = _START.search(data[-2048:])
    head = _OBJECT.match(data, int(start[1])) if start else None
    if head is None:
        return 0, 0
    try:
        said, end = _Parser(data).value(head.end())
    except (ValueError, IndexError, TypeError, RecursionError):
        return 0, 0
    is_table = isinstance(said, dict) and said.get(b"Type") == b"/XRef"
    return (head.end(), end) if is_table else (0, 0)


def _tables(data: bytes, at: int) -> tuple[dict[Ref, int], dict[bytes, Any]]:
    """Return where each object in use lies, newest revision first, and the newest trailer."""
    known: dict[int, tuple[int, int] | None] = {}
    newest: dict[bytes, Any] = {}
    seen: set[int] = set()
    while True:
        if at in seen or len(seen) > _MOST_REVISIONS:
            raise ValueError("the tables do not end")
        seen.add(at)
        at = _table(data, at, known)
        trailer, _ = _Parser(data).value(at)
        if not isinstance(trailer, dict) or b"XRefStm" in trailer:
            raise ValueError("no plain trailer")
        newest = newest or trailer
        if b"Prev" not in trailer:
            break
        at = int(trailer[b"Prev"])
    return {Ref(number, used[1]): used[0] for number, used in known.items() if used}, newest


def _table(data: bytes, at: int, known: dict[int, tuple[int, int] | None]) -> int:
    """Add the entries of one table that no later one has; return where its trailer begins."""
    if data[at : at + 4] != b"xref":
        raise ValueError("no plain table")
    at += 4
    while match := _SECTION.match(data, at):
        at = match.end()
        first, count = int(match[1]), int(match[2])
        if len(known) + count > _MOST_OBJECTS:
            raise ValueError("too many objects")
        for number in range(first, first + count):
            entry = _ENTRY.match(data, at)
            if entry is None:
                raise ValueError("an entry of a table that is none")
            known.setdefault(number, (int(entry[1]), int(entry[2])) if entry[3] == b"n" else None)
            at = entry.end()
    blank = _BLANK.match(data, at)
    at = blank.end() if blank else at
    if data[at : at + 7] != b"trailer":
        raise ValueError("a table without a trailer")
    return at + 7


class _Parser:
    """Reads one value at an offset: dictionaries, arrays, strings, references; all else as it is written."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def value(self, at: int, depth: int = 0) -> tuple[Any, int]:
        """Return the value and where it ends."""
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        at = self._skipped(at)
        if self._data.startswith(b"<<", at):
            return self._dictionary(at + 2, depth)
        if self._data.startswith(b"[", at):
            return self._array(at + 1, depth)
        if self._data.startswith(b"(", at):
            return self._literal(at)
        return self._atom(at)

    def _atom(self, at: int) -> tuple[Any, int]:
        data = self._data
        if data.startswith(b"<", at):
            end = data.index(b">", at) + 1
            return Text(data[at:end]), end
        reference = _REFERENCE.match(data, at)
        if reference:
            return Ref(int(reference[1]), int(reference[2])), reference.end()
        named = data.startswith(b"/", at)
        word = _REGULAR.match(data, at + named)
        if word is None and not named:
            raise ValueError("a value that is none")
        end = word.end() if word else at + 1
        return data[at:end], end

    def _dictionary(self, at: int, depth: int) -> tuple[dict[bytes, Any], int]:
        found: dict[bytes, Any] = {}
        while not self._data.startswith(b">>", at := self._skipped(at)):
            name, at = self.value(at, depth + 1)
            if not isinstance(name, bytes) or not name.startswith(b"/") or name[1:] in found:
                raise ValueError("a key of a dictionary that is none, or stands twice")
            found[name[1:]], at = self.value(at, depth + 1)
        return found, at + 2

    def _array(self, at: int, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        while not self._data.startswith(b"]", at := self._skipped(at)):
            value, at = self.value(at, depth + 1)
            found.append(value)
        return found, at + 1

    def _literal(self, start: int) -> tuple[Text, int]:
        depth, at = 0, start
        while True:
            byte = self._data[at]
            at += 2 if byte == ord("\\") else 1
            depth += (byte == ord("(")) - (byte == ord(")"))
            if not depth:
                return Text(self._data[start:at]), at

    def _skipped(self, at: int) -> int:
        blank = _BLANK.match(self._data, at)
        return blank.end() if blank else at


class _Reader:
    """Reads the objects that the tables lead to."""

    def __init__(self, data: bytes, places: dict[Ref, int]) -> None:
        self._data = data
        self._places = places
        self._parser = _Parser(data)
        self._left = _MOST_UNPACKED

    def object(self, ref: Ref) -> Any:  # noqa: ANN401  # an object of a PDF
        """Return an object: a value, or a stream."""
        value, at = self._plain(ref)
        stream = _STREAM.match(self._data, at)
        if stream and isinstance(value, dict):
            return self._stream(value, stream.end())
        if _OBJECT_END.match(self._data, at) is None:
            raise ValueError("an object that does not end")
        return value

    def _plain(self, ref: Ref) -> tuple[Any, int]:
        head = _OBJECT.match(self._data, self._places[ref])
        if head is None or Ref(int(head[1]), int(head[2])) != ref:
            raise ValueError("a table that leads to another object")
        return self._parser.value(head.end())

    def _stream(self, said: dict[bytes, Any], at: int) -> Stream:
        length = said.get(b"Length")
        if isinstance(length, Ref):
            if length not in self._places:
                raise ValueError("a stream without a length")
            length, _ = self._plain(length)
        size = int(length or b"")
        end = _STREAM_END.match(self._data, at + size)
        if size < 0 or end is None or _OBJECT_END.match(self._data, end.end()) is None:
            raise ValueError("a stream that does not end where it says")
        packed = self._data[at : at + size]
        rest = {key: value for key, value in said.items() if key != b"Length"}
        return Stream(rest, self._unpacked(rest, packed), packed)

    def _unpacked(self, said: dict[bytes, Any], packed: bytes) -> bytes:
        """Return the data of a stream that is packed by Flate and nothing else; other data as they are."""
        if said.get(b"Filter") not in (b"/FlateDecode", [b"/FlateDecode"]) or b"DecodeParms" in said:
            return packed
        engine = zlib.decompressobj()
        try:
            data = engine.decompress(packed, self._left)
        except zlib.error:
            return packed
        if not engine.eof or engine.unused_data.strip(_SPACE):
            return packed
        self._left -= len(data)
        if self._left <= 0:
            raise ValueError("streams that unpack to too much")
        return data
