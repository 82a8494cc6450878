"""One line of advice per kind: what to do about a finding when nothing better is known of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kfm_repro.compare.catalogue import CATALOGUE
from kfm_repro.model.finding import Finding, Fix, Kind, Rung

__all__ = ["IN_DATA", "advice_for", "advised"]

IN_DATA: Mapping[Kind, str] = {
    Kind.TIMESTAMP: "take the time from the run record (KFM_RUN_STARTED_AT) or leave it out of the dataset",
    Kind.IDENTIFIER: "derive the id from the data (a key, or a digest of the row) instead of drawing it",
    Kind.PATH: "write paths relative to the project root, or leave them out",
    Kind.HOST: "leave the machine's name out of the dataset; the run record has it",
    Kind.ADDRESS: "write the value itself, not the default text of an object",
    Kind.ROW_ORDER: "sort by a unique key before writing",
    Kind.FEATURE_ORDER: "sort by a unique key before writing",
    Kind.ARRAY_ORDER: "sort the list before writing",
    Kind.KEY_ORDER: "write with sorted keys (json.dumps(..., sort_keys=True))",
    Kind.FLOAT_NOISE: "sum in one order, on one thread (OPENBLAS_NUM_THREADS=1; DuckDB: SET threads = 1), or declare a"
    " tolerance for the output",
    Kind.RING_START: "bring polygons into one form before writing (shapely.normalize)",
    Kind.RING_ORIENTATION: "bring polygons into one form before writing (shapely.orient_polygons)",
    Kind.PART_ORDER: "bring geometries into one form before writing (shapely.normalize)",
    Kind.REPEATED_VERTEX: "drop repeated vertices before writing (shapely.remove_repeated_points)",
    Kind.PRECISION: "round coordinates to one precision before writing, and state it (GDAL: COORDINATE_PRECISION)",
    Kind.LINE_DIRECTION: "keep the direction of lines: merging and dissolving may turn them",
    Kind.SINGLE_MULTI: "write all features of a layer as multi-geometries (GDAL: PROMOTE_TO_MULTI)",
    Kind.DIMENSION: "write all features of a layer with heights, or none (shapely.force_2d, force_3d)",
    Kind.EMPTY_NULL: "write a missing geometry in one way: null",
    Kind.AXIS_SWAP: "keep x before y: in pyproj always_xy=True",
    Kind.LONGITUDE_WRAP: "write longitudes between -180 and 180 degrees",
    Kind.CRS: "state the CRS by its code when writing; it says where everything is drawn",
}


def advised(finding: Finding) -> Finding:
    """Return the finding with what to do about it, as far as that is known and nothing better was said."""
    text = "" if finding.fix else advice_for(finding)
    return msgspec.structs.replace(finding, fix=Fix(text=text)) if text else finding


def advice_for(finding: Finding) -> str:
    """Return advice for a finding, empty when its kind alone says too little."""
    if finding.rung in (Rung.CONTAINER, Rung.ORDER):
        fitting = (row.text for row in CATALOGUE if row.kind is finding.kind and row.fits(finding))
        if text := next(fitting, ""):
            return text
    if finding.rung in (Rung.CONTAINER, Rung.TOLERANCE) or (
        finding.kind is Kind.ROW_ORDER and finding.rung is Rung.VALUE
    ):
        return ""
    if "index of the data frame" in finding.evidence:
        return "pandas: reset_index(drop=True) before writing, and index=False"
    if finding.kind is Kind.IDENTIFIER and "run" in finding.evidence:
        return "leave the run's id out of the dataset; the run record has it"
    return IN_DATA.get(finding.kind, "")
