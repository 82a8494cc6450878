"""Features in XML (KML placemarks, GML members, GPX waypoints and tracks): a set, whatever their order."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.noise.ordering import count_moved
from kfm_repro.compare.xml_read import local_name
from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["in_one_order"]

_ROOTS = {
    "kml": frozenset(("Placemark",)),
    "FeatureCollection": frozenset(("featureMember", "member")),
    "gpx": frozenset(("wpt", "trk", "rte")),
}
_IDS = frozenset(("id", "fid"))
_NUMBERED = re.compile(r".+\.(\d{1,18})")


def in_one_order(a: list[Any], b: list[Any]) -> tuple[list[Any], list[Finding]]:
    """Return B with its features in A's order, where both hold the same ones, and what was moved.

    Ids such as ``layer.7`` that count up on both sides number the places, not the features: they are left out
    of the question. Only features that are equal otherwise are moved.
    """
    kinds = _ROOTS.get(local_name(a[0]), frozenset())
    found: list[Finding] = []
    if not kinds or a[0] != b[0]:
        return b, found
    return _ordered(a, b, kinds, found, f"/{local_name(a[0])}"), found


def _ordered(
    a: list[Any], b: list[Any], kinds: frozenset[str], found: list[Finding], place: str
) -> list[Any]:
    mine, theirs = (list(_features(element, kinds)) for element in (a, b))
    if len(mine) == len(theirs) and mine:
        made = _permuted([a[i] for i in mine], [b[j] for j in theirs])
        if made is not None:
            children, moved = made
            result = list(b)
            for j, child in zip(theirs, children, strict=True):
                result[j] = child
            if moved:
                evidence = "the same features stand in another order"
                where: dict[str, str | int] = {"pointer": place}
                found.append(
                    Finding(
                        kind=Kind.FEATURE_ORDER,
                        rung=Rung.ORDER,
                        where=where,
                        count=moved,
                        of=len(mine),
                        evidence=evidence,
                    )
                )
            b = result
    if len(a) != len(b):
        return b
    return [
        _ordered(x, y, kinds, found, f"{place}/{local_name(x[0])}")
        if isinstance(x, list) and isinstance(y, list) and x[0] == y[0] and local_name(x[0]) not in kinds
        else y
        for x, y in zip(a, b, strict=True)
    ]


def _features(element: list[Any], kinds: frozenset[str]) -> Iterator[int]:
    for i, child in enumerate(element):
        if isinstance(child, list) and local_name(child[0]) in kinds:
            yield i


def _permuted(a: list[Any], b: list[Any]) -> tuple[list[Any], int] | None:
    """Return what stands for B's features in A's order, and how many moved; None where they are not the same."""
    ids = [[list(_ids(feature)) for feature in side] for side in (a, b)]
    numbered = ids[0] == ids[1] and _count_places(ids[0])
    keys = [[json.dumps(_bare(x) if numbered else x) for x in side] for side in (a, b)]
    if keys[0] == keys[1] or Counter(keys[0]) != Counter(keys[1]):
        return None
    places: dict[str, list[int]] = {}
    for j in range(len(b) - 1, -1, -1):
        places.setdefault(keys[1][j], []).append(j)
    chosen = [places[key].pop() for key in keys[0]]
    # Equal to A's but for ids that number places, which stand where they stood.
    return [a[i] if numbered else b[j] for i, j in enumerate(chosen)], count_moved(enumerate(chosen))


def _count_places(ids: list[list[str]]) -> bool:
    """Return whether ids are the layer's name and a number that goes up by one: GDAL's, not the data's."""
    matches = [[_NUMBERED.fullmatch(text) for text in own] for own in ids]
    if not all(own and all(own) for own in matches):
        return False
    numbers = [{int(match[1]) for match in own if match} for own in matches]
    return all(len(own) == 1 and own == {i + min(numbers[0])} for i, own in enumerate(numbers))


def _ids(element: list[Any]) -> Iterator[str]:
    for name, value in element[1].items():
        if local_name(name) in _IDS:
            yield value
    for child in element[2:]:
        if isinstance(child, list):
            yield from _ids(child)


def _bare(element: list[Any]) -> list[Any]:
    """Return an element without ids."""
    attributes = {name: value for name, value in element[1].items() if local_name(name) not in _IDS}
    return [
        element[0],
        attributes,
        *(_bare(child) if isinstance(child, list) else child for child in element[2:]),
    ]
