"""Thrift's compact protocol, as far as Parquet is written in it: fields are read or passed over in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["I32", "LIST", "STRUCT", "Fields"]

_STOP, _TRUE, _FALSE, _BYTE, _I16, I32, _I64, _DOUBLE, _BINARY, LIST, _SET, _MAP, STRUCT = range(13)
_COUNTED = 15
"""What stands for the count of a list whose count follows."""
_DEEPEST = 8
_LONGEST = 10
"""Bytes of the longest variable-length integer of 64 bits."""


class Fields:
    """The fields of Thrift structs, one after the other. Raises IndexError or ValueError at what is none."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def varint(self) -> int:
        """Take an unsigned number."""
        data, at = self.data, self.at
        number = shift = 0
        for _ in range(_LONGEST):
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
                self.at = at
                return number
            shift += 7
        raise ValueError("its Thrift is damaged")

    def integer(self) -> int:
        """Take a signed number."""
        number = self.varint()
        return (number >> 1) ^ -(number & 1)

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of each field; who is yielded to takes or skips the value."""
        number = 0
        while byte := self.data[self.at]:
            self.at += 1
            number = number + (byte >> 4) if byte >> 4 else self.integer()
            yield number, byte & 0x0F
        self.at += 1

    def items(self) -> Iterator[int]:
        """Yield the type of each item of a list; who is yielded to takes or skips the item."""
        head = self.data[self.at]
        self.at += 1
        count = self.varint() if head >> 4 == _COUNTED else head >> 4
        if count > len(self.data) - self.at:  # an item takes a byte at least
            raise ValueError("its Thrift holds a longer list than there is")
        for _ in range(count):
            yield head & 0x0F

    def skip(self, kind: int, depth: int = 0) -> None:
        """Pass over a value of a type."""
        if depth > _DEEPEST:
            raise ValueError("its Thrift is nested too deeply")
        if kind in (_TRUE, _FALSE):
            return
        if kind in (_I16, I32, _I64):
            self.varint()
        elif kind == _BINARY:
            length = self.varint()
            self.at += length
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner, depth + 1)
        elif kind in (LIST, _SET):
            for inner in self.items():
                # Only as a member of a list a truth value has a byte of its own.
                self.skip(_BYTE if inner in (_TRUE, _FALSE) else inner, depth + 1)
        elif kind in (_BYTE, _DOUBLE):
            self.at += 1 if kind == _BYTE else 8
        else:
            raise ValueError(f"its Thrift holds what none does (type {kind})")

    def numbers(self, wanted: int) -> dict[int, int]:
        """Return the integers of a struct up to a field; its others are skipped."""
        found: dict[int, int] = {}
        for number, kind in self.fields():
            if kind == I32 and number <= wanted:
                found[number] = self.integer()
            else:
                self.skip(kind)
        return found
