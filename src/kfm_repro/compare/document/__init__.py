"""JSON, YAML and TOML documents: key order, array order, and what differs at which JSON pointer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading
from kfm_repro.compare.document.parse import DuplicateKey, read_json, read_toml
from kfm_repro.compare.document.report import findings_of
from kfm_repro.compare.document.walk import Walk
from kfm_repro.compare.document.yaml_read import read_yaml
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare_json", "compare_toml", "compare_yaml"]

_NAMES: dict[Callable[[bytes, Context], object], str] = {
    read_json: "JSON",
    read_toml: "TOML",
    read_yaml: "YAML",
}


def compare_json(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two JSON documents by what they say (RFC 8259); places are JSON pointers (RFC 6901).

    Integers are exact, other numbers binary64 unless they say more than a double holds. A document with a
    repeated key has no one meaning: it is compared as text, and no order of lines is excused. Raises
    Unreadable, LimitExceeded.
    """
    return _compare(a, b, context, read_json, "whitespace, escapes or the spelling of numbers")


def compare_yaml(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two YAML files by what YAML 1.1 and the core schema of 1.2 both read in them.

    An unquoted scalar on which the two disagree equals only what is written the same. How many documents a
    file holds is part of what it says. Repeated keys are treated as in `compare_json`. Raises Unreadable,
    LimitExceeded (also for aliases that expand beyond the limit).
    """
    return _compare(a, b, context, read_yaml, "comments, quoting, layout or the spelling of numbers")


def compare_toml(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two TOML documents (TOML 1.0) as in `compare_json`. Raises Unreadable, LimitExceeded."""
    return _compare(a, b, context, read_toml, "comments, quoting, layout or the spelling of numbers")


def _compare(
    a: Path, b: Path, context: Context, read: Callable[[bytes, Context], object], spelling: str
) -> tuple[Finding, ...]:
    for path in (a, b):
        if path.stat().st_size > context.limits.document_bytes:
            raise LimitExceeded(f"a document of more than {context.limits.document_bytes} bytes")
    raw = tuple(_bytes(path) for path in (a, b))
    try:
        documents = [_parsed(path, data, context, read) for path, data in zip((a, b), raw, strict=True)]
        findings = findings_of(Walk(context), documents[0], documents[1], context)
    except DuplicateKey as exc:
        return _as_text(a, b, context, str(exc))
    except RecursionError:
        raise LimitExceeded("the document is nested too deeply") from None
    if findings or raw[0] == raw[1]:
        return findings
    evidence = f"every value is equal; only {spelling} differ"
    return (Finding(kind=Kind.ENCODING, rung=Rung.CONTAINER, evidence=evidence),)


def _bytes(path: Path) -> bytes:
    with reading(path, "a document"):
        return path.read_bytes()


def _parsed(path: Path, data: bytes, context: Context, read: Callable[[bytes, Context], object]) -> object:
    try:
        with reading(path, _NAMES[read], ArithmeticError):
            return read(data, context)
    except MemoryError:
        raise LimitExceeded("the document does not fit into memory") from None


def _as_text(a: Path, b: Path, context: Context, why: str) -> tuple[Finding, ...]:
    """Compare as text, where the order of lines counts: which of two equal keys wins depends on it."""
    from kfm_repro.compare import text

    return tuple(
        _strict(finding, f"compared as text, because {why}") for finding in text.compare(a, b, context)
    )


def _strict(finding: Finding, note: str) -> Finding:
    """Return the finding with the note, and as ``value`` if it is one of order."""
    import msgspec

    rung = Rung.VALUE if finding.rung is Rung.ORDER else finding.rung
    return msgspec.structs.replace(finding, rung=rung, evidence=f"{finding.evidence}; {note}")
