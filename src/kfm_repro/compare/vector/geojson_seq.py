"""Sequences of GeoJSON texts: one feature per line, or after each record separator (RFC 8142)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from kfm_repro.compare.context import Context, Limits, reading
from kfm_repro.compare.vector.geojson import compare_features
from kfm_repro.compare.vector.geojson_read import Features, check_size, decoder
from kfm_repro.compare.vector.numbers import any_exact
from kfm_repro.model.finding import Example, Finding, Kind, Rung

__all__ = ["compare"]

_SEPARATOR = "\x1e"
_SPACE = " \t\r\n"


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two sequences of features, as rows of a table.

    Raises Unreadable when one of the texts is no Feature, and LimitExceeded beyond the limits.
    """
    (left, separated_a), (right, separated_b) = (_read(path, context.limits) for path in (a, b))
    findings = compare_features(left, right, (a.stem, b.stem), context)
    if separated_a == separated_b:
        return findings
    evidence = "record separators (RFC 8142) on one side, bare lines on the other"
    example = Example(a=separated_a, b=separated_b)
    return (*findings, Finding(kind=Kind.LAYOUT, rung=Rung.CONTAINER, examples=(example,), evidence=evidence))


def _read(path: Path, limits: Limits) -> tuple[Features, bool]:
    """Return the features, and whether record separators stand before them."""
    check_size(path, limits)
    with reading(path, "a sequence of GeoJSON texts", RecursionError, struct.error, OverflowError):
        text = path.read_bytes().decode("utf-8-sig")
        separated = text.startswith(_SEPARATOR)
        found = Features(exact=any_exact(text))
        take = decoder(exact=found.exact)
        for record in _records(text, separated=separated):
            found.add(take.decode(record))
        found.finish()
        if not found.count:
            raise ValueError("there is no feature in it")
        return found, separated


def _records(text: str, *, separated: bool) -> Iterator[str]:
    """Return the texts that are not blank; within a record separator's text, lines may break."""
    parts = text.split(_SEPARATOR) if separated else text.split("\n")
    return (record for record in (part.strip(_SPACE) for part in parts) if record)
