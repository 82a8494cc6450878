"""Vector data read by GDAL as Arrow tables: one named file, one layer, nothing else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kfm_repro.compare.context import reading

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["GEOMETRY", "read_table"]

GEOMETRY = "geometry"
"""What the geometries are called; a column of the user's by this name keeps it, and they are `geometry (2)`."""

_OPTIONS = {
    "OGR_FLATGEOBUF_STREAM_BASE_IMPL": "YES",  # the quicker way breaks the offsets behind a null geometry
    "SHAPE_RESTORE_SHX": "YES",
    "GDAL_HTTP_MAX_RETRY": "0",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": "{none}",
}


@contextmanager
def _configured() -> Iterator[None]:
    """Set the options of GDAL for the length of the block: the process may be that of somebody else."""
    import pyogrio

    before = {name: pyogrio.get_gdal_config_option(name) for name in _OPTIONS}
    pyogrio.set_gdal_config_options(_OPTIONS)
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)


def read_table(path: Path, what: str) -> tuple[pa.Table, str]:
    """Return the features of a file that is known to be ``what``, and the name of their column of WKB.

    The caller has looked at the first bytes: GDAL asks every driver whether a file is its own, and only bytes
    that no other driver claims keep it from following what they say to other files or the network. Raises Unreadable
    when GDAL cannot read it, or says that it is damaged. Times are texts, since only as texts do they keep
    whether they have a zone.
    """
    import pyogrio

    with reading(path, what, RuntimeError), _configured(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta, table = pyogrio.raw.read_arrow(path, datetime_as_string=True)
        table.validate(full=True)
    # Files without a name for the geometries come with one of GDAL's own.
    given = meta["geometry_name"] or "wkb_geometry"
    name = GEOMETRY
    while name in table.column_names and name != given:
        name += " (2)"
    names = [name if column == given else column for column in table.column_names]
    return table.rename_columns(names).replace_schema_metadata(None), name
