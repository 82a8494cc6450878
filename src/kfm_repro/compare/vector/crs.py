"""Coordinate reference systems: what differs between two, and what a unit of theirs is on the ground."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.vector.measure import GEOGRAPHIC, UNKNOWN_GROUND, Ground

if TYPE_CHECKING:
    import pyproj

__all__ = ["compare_crs", "ground_of", "ground_of_definition", "ground_of_name", "parse"]

_LONGEST = 1 << 20
"""Longest text that is given to the parser, in characters."""
_GEOGRAPHIC_PARTS = (',DATUM["', ',SPHEROID["', ',PRIMEM["', ',UNIT["degree",0.01745329251994')


def parse(text: object) -> pyproj.CRS | None:
    """Return the CRS of a name, WKT or PROJJSON (text or object), None when nobody can read it.

    Texts that name files or pipelines are not followed.
    """
    import pyproj

    if not isinstance(text, str | dict) or not text or len(str(text)) > _LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pyproj.CRS.from_user_input(text)
    except (pyproj.exceptions.ProjError, ValueError, TypeError, KeyError, RecursionError):
        return None


def ground_of(crs: pyproj.CRS | None) -> Ground:
    """Return what a unit of the coordinates is; nobody knows without a CRS."""
    if crs is None:
        return UNKNOWN_GROUND
    if crs.is_geographic:
        return GEOGRAPHIC
    factors = {axis.unit_conversion_factor for axis in crs.axis_info[:2]}
    if crs.is_projected and len(factors) == 1:
        return Ground(geographic=False, unit=float(factors.pop()) or None)
    return UNKNOWN_GROUND


def ground_of_definition(crs: object) -> Ground:
    """Return the ground of a CRS given as `parse` takes it; one that says to be in degrees is taken at its word.

    That is what most files have, and PROJ need not be loaded to read it.
    """
    return GEOGRAPHIC if _is_in_degrees(crs) else ground_of(parse(crs))


def _is_in_degrees(crs: object) -> bool:
    """Return whether a definition is, without a doubt, that of a geographic CRS with two axes in degrees.

    Known here are PROJJSON 0.7 and the WKT of OGC 01-009 as GDAL writes it.
    """
    if isinstance(crs, str):
        parts = (crs.startswith('GEOGCS["'), crs.endswith("]"), crs.count("[") == crs.count("]"))
        return all(parts) and all(part in crs for part in _GEOGRAPHIC_PARTS)
    if not isinstance(crs, dict) or crs.get("type") != "GeographicCRS" or not _names_a_datum(crs):
        return False
    system = crs.get("coordinate_system")
    axes = system.get("axis") if isinstance(system, dict) and system.get("subtype") == "ellipsoidal" else None
    return (
        isinstance(axes, list)
        and all(isinstance(axis, dict) and axis.get("unit") == "degree" for axis in axes)
        and sorted(str(axis.get("direction")) for axis in axes) == ["east", "north"]
    )


def _names_a_datum(crs: dict[str, Any]) -> bool:
    datum = crs.get("datum", crs.get("datum_ensemble"))
    return (
        isinstance(crs.get("name"), str)
        and isinstance(datum, dict)
        and isinstance(datum.get("ellipsoid"), dict)
    )


def ground_of_name(name: str) -> Ground:
    """Return the ground of a CRS by its name; no name means longitude and latitude (GeoJSON, GeoParquet)."""
    return ground_of_definition(name) if name else GEOGRAPHIC


def compare_crs(a: Any, b: Any) -> tuple[bool, str]:  # noqa: ANN401 - a text or PROJJSON
    """Return whether two definitions mean the same CRS, and in words how they compare.

    "The same" is what PROJ calls equal, names and authority codes included.
    """
    left, right = parse(a), parse(b)
    if left is None or right is None:
        if (a is None or a == "") != (b is None or b == ""):
            return False, "missing on one side"
        return False, "a definition cannot be read; the texts differ"
    labels = _label(left), _label(right)
    named = [_declared(crs.to_json_dict()) for crs in (left, right)]
    relabelled = next(
        ((named[0][at], named[1][at]) for at in named[0] if at in named[1] and named[0][at] != named[1][at]),
        None,
    )
    if left == right and relabelled:
        return False, f"label only: {relabelled[0]} against {relabelled[1]}"
    if left == right and labels[0] == labels[1]:
        return True, f"the same CRS ({labels[0]}) in another spelling"
    if left == right:
        how = "label only"
    elif left.equals(right, ignore_axis_order=True):
        how = "axis order only"
    else:
        how = "different datum" if _datum(left) != _datum(right) else "different CRS"
    return False, f"{how}: {labels[0]} against {labels[1]}"


def _declared(part: Any, at: tuple[str, ...] = ()) -> dict[tuple[str, ...], str]:  # noqa: ANN401 - PROJJSON
    """Return the authority codes that a definition declares of itself and of its parts, by their place."""
    found: dict[tuple[str, ...], str] = {}
    if isinstance(part, dict):
        code = part.get("id")
        if isinstance(code, dict):
            found[at] = f"{code.get('authority')}:{code.get('code')}"
        for key, member in part.items():
            found |= _declared(member, (*at, key))
    elif isinstance(part, list):
        for number, member in enumerate(part):
            found |= _declared(member, (*at, str(number)))
    return found


def _label(crs: pyproj.CRS) -> str:
    declared = _declared(crs.to_json_dict()).get(())
    if declared:
        return declared
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else crs.name[:80]


def _datum(crs: pyproj.CRS) -> str:
    return crs.datum.name if crs.datum is not None else ""
