"""XML and SVG: elements, attributes and texts; ids that were drawn, and dates of the document itself, told apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from kfm_repro.compare.context import reading
from kfm_repro.compare.document.report import findings_of
from kfm_repro.compare.document.walk import Walk
from kfm_repro.compare.document.xml_features import in_one_order
from kfm_repro.compare.xml_read import local_name, read_xml
from kfm_repro.errors import LimitExceeded
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare_xml"]

_DRAWN = re.compile(r"[A-Za-z_]{0,8}[0-9a-f]{8,40}")
"""Ids that a program made up: Matplotlib writes a letter and ten hexadecimal digits."""
_HEXADECIMAL = re.compile(r"[0-9][0-9a-f]*[a-f]|[a-f][0-9a-f]*[0-9]")
"""Letters and digits that stand among each other."""
_MOSTLY = 0.9
_OFFICE = frozenset(("coreProperties", "document-meta"))
_DATES = frozenset(("created", "modified", "date", "creation-date", "print-date"))
_PROGRAMS = frozenset(("AppVersion", "Application", "generator"))


def compare_xml(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two XML documents by what they say; places are paths of elements, ``@name`` an attribute.

    The dates in the metadata of an SVG or an office file are packaging. Ids of an SVG that are renamed
    one-to-one, with everything that refers to them, are ``identifier``. Raises Unreadable, LimitExceeded.
    """
    for path in (a, b):
        if path.stat().st_size > context.limits.document_bytes:
            raise LimitExceeded(f"a document of more than {context.limits.document_bytes} bytes")
    roots = []
    for path in (a, b):
        with reading(path, "XML"):
            roots.append(read_xml(path.read_bytes(), context))
    left, right = roots
    found: list[Finding] = []
    if local_name(left[0]) == local_name(right[0]) == "svg":
        left, renamed = _renamed(left, right)
        found.extend(renamed)
    right, moved = in_one_order(left, right)
    found.extend(moved)
    try:
        differing = findings_of(Walk(context), left, right, context)
    except RecursionError:
        raise LimitExceeded("the document is nested too deeply") from None
    for finding in differing:
        found.extend(_told(finding, left, right))
    return tuple(found)


def _renamed(a: list[Any], b: list[Any]) -> tuple[list[Any], list[Finding]]:
    """Return A with its drawn ids as B has them, if they map one-to-one in the order of their elements."""
    ids = [[value for value in _ids(root) if _DRAWN.fullmatch(value)] for root in (a, b)]
    pairs = dict(zip(*ids, strict=False))
    if ids[0] == ids[1] or len(ids[0]) != len(ids[1]) or len(set(ids[0])) != len(ids[0]) != len(set(ids[1])):
        return a, []
    if len(set(pairs.values())) != len(pairs):
        return a, []
    changed = {mine: theirs for mine, theirs in pairs.items() if mine != theirs}
    mine, theirs = frozenset(changed), frozenset(changed.values())
    if not _are_random(changed) or _is_said(a, theirs) or _is_said(b, mine):
        return a, []
    if _is_said(a, mine, elsewhere=True) or _is_said(b, theirs, elsewhere=True):
        return a, []
    first = next(iter(changed.items()))
    finding = Finding(
        kind=Kind.IDENTIFIER,
        rung=Rung.CONTAINER,
        count=len(changed),
        of=len(pairs),
        examples=(Example(key={"field": "id"}, a=first[0], b=first[1]),),
        evidence="ids of elements, renamed one-to-one with all that refers to them",
    )
    return _substituted(a, pairs), [finding]


def _are_random(changed: dict[str, str]) -> bool:
    """Return whether ids are as random as drawn ones: numbers of places are not.

    Of ten hexadecimal digits, one in a hundred is a decimal number, and of two such hardly ever both are.
    """
    random = sum(any(map(_HEXADECIMAL.search, pair)) for pair in changed.items())
    return random >= _MOSTLY * len(changed)


def _is_said(element: list[Any], names: frozenset[str], *, elsewhere: bool = False) -> bool:
    """Return whether one of the names stands anywhere, or anywhere but where `_substituted` changes it."""
    said = [value for name, value in element[1].items() if not (elsewhere and (name == "id" or "#" in value))]
    if not (elsewhere and _is_style(element)):
        said += [child for child in element[2:] if isinstance(child, str)]
    if any(not names.isdisjoint(_DRAWN.findall(text)) for text in said):
        return True
    return any(
        _is_said(child, names, elsewhere=elsewhere) for child in element[2:] if isinstance(child, list)
    )


def _is_style(element: list[Any]) -> bool:
    return local_name(element[0]) == "style"


def _ids(element: list[Any]) -> list[str]:
    found = [element[1]["id"]] if "id" in element[1] else []
    for child in element[2:]:
        if isinstance(child, list):
            found.extend(_ids(child))
    return found


def _substituted(element: list[Any], pairs: dict[str, str]) -> list[Any]:
    """Return an element with other ids: as a whole value, after ``#``, within ``url(#…)``, and in styles."""

    def other(value: str) -> str:
        return _DRAWN.sub(lambda match: pairs.get(match.group(), match.group()), value)

    attributes = {
        name: other(value) if name == "id" or "#" in value else value for name, value in element[1].items()
    }
    styled = _is_style(element)
    children = [
        _substituted(child, pairs) if isinstance(child, list) else other(child) if styled else child
        for child in element[2:]
    ]
    return [element[0], attributes, *children]


def _told(finding: Finding, a: list[Any], b: list[Any]) -> Iterator[Finding]:
    """Yield a finding with paths of elements for its places, one for each kind of element if all are shown."""
    if len(finding.examples) != finding.count:
        yield msgspec.structs.replace(
            finding,
            where={"pointer": _place(finding.where.get("pointer", ""), a, b)},
            examples=finding.examples[:0],
        )
        return
    groups: dict[str, list[Example]] = {}
    for example in finding.examples:
        pointer = example.key.get("pointer", "") if isinstance(example.key, dict) else ""
        place = _place(pointer, a, b)
        groups.setdefault(re.sub(r"\[\d+\]", "", place), []).append(
            msgspec.structs.replace(example, key={"pointer": place})
        )
    for place, examples in groups.items():
        where: dict[str, str | int] = {
            "pointer": _example_place(examples[0]) if len(examples) == 1 else place
        }
        part = msgspec.structs.replace(finding, where=where, count=len(examples), examples=tuple(examples))
        yield _packaging(part, place, local_name(a[0]))


def _example_place(example: Example) -> str:
    return str(example.key["pointer"]) if isinstance(example.key, dict) else ""


def _packaging(finding: Finding, place: str, root: str) -> Finding:
    """Return a finding as packaging where its place is one of the document's own metadata."""
    name = place.rpartition("/")[2]
    metadata = root in _OFFICE or (root == "svg" and "/metadata/" in place)
    if finding.rung is not Rung.VALUE or not metadata or "missing" in finding.detail:
        return finding
    if name in _DATES and finding.kind in (Kind.VALUE, Kind.TIMESTAMP):
        return msgspec.structs.replace(finding, kind=Kind.TIMESTAMP, rung=Rung.CONTAINER)
    if name in _PROGRAMS:
        return msgspec.structs.replace(finding, kind=Kind.LIBRARY_VERSION, rung=Rung.CONTAINER)
    return finding


def _place(pointer: object, a: list[Any], b: list[Any]) -> str:
    steps = str(pointer).split("/")[1:]
    return "".join(f"/{name}" for name in _names(a, steps) or _names(b, steps))


def _names(element: Any, steps: list[str]) -> list[str]:  # noqa: ANN401  # an element, its attributes or a text
    """Return the names of the elements along a pointer; empty if it does not lead through this document."""
    names = [local_name(element[0])]
    for step in steps:
        if isinstance(element, dict):
            return [*names, f"@{local_name(step.replace('~1', '/').replace('~0', '~'))}"]
        if not isinstance(element, list):
            return names
        if step == "*":
            return [*names, "*"]
        index = int(step) if step.isdecimal() else -1
        if not 0 <= index < len(element):
            return []
        child = element[index]
        if isinstance(child, list):
            twins = [i for i, other in enumerate(element) if isinstance(other, list) and other[0] == child[0]]
            number = f"[{twins.index(index) + 1}]" if len(twins) > 1 else ""
            names.append(local_name(child[0]) + number)
        element = child
    return names
