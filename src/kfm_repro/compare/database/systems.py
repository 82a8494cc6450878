"""Rows of gpkg_spatial_ref_sys: whether two of them mean the same reference system."""

from __future__ import annotations

from typing import Any

from kfm_repro.compare.vector.crs import compare_crs

__all__ = ["definition", "system_difference"]

Row = dict[str, Any]
_NO_CODE = ("none", "undefined", "")
"""Organizations of systems that no authority names."""
_WKT2 = "definition_12_063"


def definition(row: Row | None) -> str:
    """Return the WKT of a reference system, "" when it is not defined."""
    text = (row or {}).get("definition", "")
    # GDAL stores a dataset without a CRS under a system of its own with this name.
    unknown = text == "undefined" or str((row or {}).get("srs_name", "")).lower().startswith("undefined")
    return text if isinstance(text, str) and not unknown else ""


def system_difference(rows: tuple[Row | None, Row | None], *, same_id: bool) -> tuple[bool, str]:
    """Return whether two systems mean the same, and in words how they compare.

    The code that a row declares counts like its definition: readers go by either (GeoPackage 1.4, clause
    1.1.2). ``same_id`` says that both have the same SRS id.
    """
    texts = tuple(definition(row) for row in rows)
    if texts[0] == texts[1] and same_id:
        same, evidence = True, "the same CRS under another name or note"
    else:
        same, evidence = compare_crs(*texts)
    if not same:
        return same, evidence
    codes = [_code(row) for row in rows]
    if all(codes) and codes[0] != codes[1]:
        return False, f"label only: {codes[0]} against {codes[1]}"
    for column in (_WKT2, "epoch"):
        left, right = ((row or {}).get(column) for row in rows)
        if left == right or None in (left, right):
            continue
        same, how = compare_crs(left, right) if column == _WKT2 else (False, f"{left} against {right}")
        if not same:
            return False, f"{column}: {how}"[:300]
    return True, evidence


def _code(row: Row | None) -> str:
    organization = str((row or {}).get("organization") or "")
    if row is None or organization.lower() in _NO_CODE:
        return ""
    return f"{organization.upper()}:{row.get('organization_coordsys_id')}"
