"""Texts, line by line: how they are written, the order of their lines, and the lines that differ."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from kfm_repro.compare import bytes as raw_bytes
from kfm_repro.compare.context import Classified, Context, reading
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.ordering import align
from kfm_repro.compare.samples import scalar
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

__all__ = ["compare"]

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_ROW_SUFFIXES = frozenset(
    (".txt", ".jsonl", ".ndjson", ".geojsonl", ".geojsons", ".nt", ".nq", ".log", ".lst", ".list")
)


@dataclass(frozen=True)
class _Text:
    """A decoded text: its lines without their ends, and how it was written."""

    lines: list[str]
    encoding: str
    bom: bool
    crlf: int
    final_newline: bool

    def offset(self, line: int) -> int:
        """Return the byte offset at which a line (counted from 0) begins, where all lines end alike."""
        ends = line * len(("\r\n" if self.crlf else "\n").encode(self.encoding))
        body = sum(len(text.encode(self.encoding, "surrogatepass")) for text in self.lines[:line])
        return body + ends + (3 if self.bom and self.encoding == "utf-8" else 2 * self.bom)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two texts (UTF-8, or UTF-16 with its mark) line by line.

    Line endings, byte order mark and the last newline are ``encoding``; the same lines in another order
    ``row-order``: rung order where every line is a record of its own (by the suffix), else value, since the
    order of the lines of a program or of prose is its meaning. Lines that differ are told apart by
    `classify_pairs`; lines on one side only are
    ``value``. Texts beyond ``limits.text_bytes`` or in another encoding are compared as bytes. Raises
    Unreadable.
    """
    if max(a.stat().st_size, b.stat().st_size) > context.limits.text_bytes:
        return raw_bytes.compare(a, b, context)
    left, right = _read(a), _read(b)
    if left is None or right is None:
        return raw_bytes.compare(a, b, context)
    written = _written(left, right)
    if left.lines == right.lines:
        return written
    aligned = align(left.lines, right.lines)
    findings = list(written)
    if aligned.moved:
        findings.append(_order(left, right, aligned.same, aligned.moved, context.name))
    findings.extend(_changed(left, right, aligned.changed, context))
    findings.extend(
        _one_sided(text, lines, side)
        for text, lines, side in ((left, aligned.removed, "A"), (right, aligned.added, "B"))
        if lines
    )
    return tuple(findings)


def _read(path: Path) -> _Text | None:
    with reading(path, "text"):
        raw = path.read_bytes()
    bom, encoding = next(((mark, name) for mark, name in _BOMS if raw.startswith(mark)), (b"", "utf-8"))
    try:
        text = raw[len(bom) :].decode(encoding)
    except UnicodeDecodeError:
        return None
    # Only CR LF and LF end a line: a lone CR, a form feed or U+2028 is content.
    lines = text.split("\n")
    final = lines[-1] == ""
    if final:
        lines.pop()
    ended = [line.removesuffix("\r") for line in lines[: None if final else -1]]
    crlf = sum(len(line) for line in lines) - sum(map(len, ended)) - (0 if final else len(lines[-1]))
    return _Text([*ended, *lines[len(ended) :]], encoding, bool(bom), crlf, final)


def _written(a: _Text, b: _Text) -> tuple[Finding, ...]:
    """Say how the same lines are written otherwise."""
    forms = []
    if a.encoding != b.encoding:
        forms.append(f"{a.encoding} in A, {b.encoding} in B")
    if a.bom != b.bom:
        forms.append(f"a byte order mark only in {'A' if a.bom else 'B'}")
    if a.crlf != b.crlf:
        forms.append(f"lines that end in CR LF: {a.crlf} in A, {b.crlf} in B")
    if a.final_newline != b.final_newline:
        forms.append(f"a newline at the end only in {'A' if a.final_newline else 'B'}")
    if not forms:
        return ()
    return (Finding(kind=Kind.ENCODING, rung=Rung.CONTAINER, evidence="; ".join(forms)),)


def _order(a: _Text, b: _Text, same: Sequence[tuple[int, int]], moved: int, name: str) -> Finding:
    rows = PurePosixPath(name).suffix.lower() in _ROW_SUFFIXES
    displaced = [(i, j) for i, j in same if i != j]
    first = displaced[0][0]
    return Finding(
        kind=Kind.ROW_ORDER,
        rung=Rung.ORDER if rows else Rung.VALUE,
        where={"offset": a.offset(first)},
        count=moved,
        of=max(len(a.lines), len(b.lines)),
        examples=tuple(
            Example(key={"line": i + 1}, a=scalar(a.lines[i]), b=scalar(b.lines[i]))
            for i, _ in displaced[:MAX_EXAMPLES]
            if i < len(b.lines)
        ),
        evidence="the same lines stand in another order"
        + ("" if rows else ", which has a meaning in this format"),
        detail={"line": first + 1},
    )


def _changed(a: _Text, b: _Text, changed: Sequence[tuple[int, int]], context: Context) -> tuple[Finding, ...]:
    pairs = [(a.lines[i], b.lines[j]) for i, j in changed]
    return tuple(_lines(part, a, b, changed) for part in classify_pairs(pairs, context))


def _lines(part: Classified, a: _Text, b: _Text, changed: Sequence[tuple[int, int]]) -> Finding:
    places = [changed[index] for index in part.indexes]
    return Finding(
        kind=Kind(part.kind),
        rung=Rung(part.rung),
        where={"offset": a.offset(places[0][0])},
        count=len(places),
        of=len(a.lines),
        examples=tuple(
            Example(key={"line": i + 1}, a=scalar(a.lines[i]), b=scalar(b.lines[j]))
            for i, j in places[:MAX_EXAMPLES]
        ),
        evidence=part.evidence,
        detail={**part.detail, "line": places[0][0] + 1},
        figures=part.figures or msgspec.UNSET,
    )


def _one_sided(text: _Text, lines: Sequence[int], side: str) -> Finding:
    shown = [(line + 1, scalar(text.lines[line])) for line in lines[:MAX_EXAMPLES]]
    return Finding(
        kind=Kind.VALUE,
        rung=Rung.VALUE,
        where={"offset": text.offset(lines[0])},
        count=len(lines),
        of=len(text.lines),
        examples=tuple(
            Example(key={"line": line}, a=value if side == "A" else None, b=value if side == "B" else None)
            for line, value in shown
        ),
        evidence=f"lines only in {side}",
        detail={"missing": "b" if side == "A" else "a", "line": lines[0] + 1},
    )
