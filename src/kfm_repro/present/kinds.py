"""Every kind of difference in plain words: its title, what it means, what usually makes it, what ends it.

The HTML report, JUnit and the pages in ``docs/kinds/`` take their words from here; ``docs/findings.md`` has the
exact rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kfm_repro.model.finding import Kind

__all__ = ["TOLD", "Told", "told"]


class Told(NamedTuple):
    """The words for one kind; ``remedy`` may be empty where a kind alone says too little."""

    title: str
    means: str
    cause: str
    remedy: str


TOLD: Mapping[Kind, Told] = {
    Kind.ROW_ORDER: Told(
        "Rows in another order",
        "Both sides have the same rows, equally often, at other positions.",
        "Nothing states an order: a query without ORDER BY, workers that finish in any order, a walk through a folder "
        "or a set. Or the sort key has ties.",
        "Sort by a unique key before writing. Where ties are reported, add a column to the sort key that breaks them.",
    ),
    Kind.COLUMN_ORDER: Told(
        "Columns in another order",
        "Both sides have the same columns with the same values, in another order.",
        "Columns come from a set, or from whichever record was read first.",
        "Select the columns by a fixed list before writing.",
    ),
    Kind.ROWS_ADDED: Told(
        "Rows only in the replay",
        "B has rows that no row of A equals or matches.",
        "A sample without a seed, an input that grew, a filter by today's date, or a join on unstable values.",
        "Seed the sample, pin the input, and take dates from the run record instead of the clock.",
    ),
    Kind.ROWS_REMOVED: Told(
        "Rows missing from the replay",
        "A has rows that no row of B equals or matches.",
        "A sample without a seed, an input that shrank, a filter by today's date, or a join on unstable values.",
        "Seed the sample, pin the input, and take dates from the run record instead of the clock.",
    ),
    Kind.DUPLICATE_ROWS: Told(
        "Rows repeated another number of times",
        "Both sides have these rows, not equally often.",
        "A join that multiplies rows, an append that ran twice, or retries that write again.",
        "Drop duplicates by key before writing, and write each part once.",
    ),
    Kind.VALUE: Told(
        "Other values",
        "Values differ, and nothing milder is proven of them.",
        "Randomness without a seed, another version of a library, parallel sums, an input that changed, or the clock.",
        "Seed every random source, pin the packages, and replay with --vary all to see which axis moves the values.",
    ),
    Kind.FLOAT_NOISE: Told(
        "Float noise",
        "Numbers differ by at most 4 units in the last place: the same computation, rounded along another path.",
        "Sums in another order (threads, chunks, groups), another BLAS, or other processor instructions.",
        "Fix the number of threads and the order of sums, or round to the digits that mean something before writing.",
    ),
    Kind.NULL_FORM: Told(
        "Absence written another way",
        "null, NaN, an empty text or a word such as NA stand against each other.",
        "A column that is all null in one run is inferred with another type, or a reader takes other words for null.",
        "Declare the types of columns, and write one form of null.",
    ),
    Kind.TYPE: Told(
        "Another type",
        "The same column or value has another type: 1 against 1.0, int32 against int64, naive against UTC.",
        "Types are inferred from the data, or a library changed its default.",
        "Declare the schema when you write.",
    ),
    Kind.SCHEMA: Told(
        "Another schema",
        "A column, table, index, trigger or view is on one side only, or is declared otherwise.",
        "Columns follow from the data, or from the version of a library.",
        "Declare the schema, and write every column also when it is empty.",
    ),
    Kind.ENCODING: Told(
        "The same content, spelt otherwise",
        "Byte order mark, line ends, delimiter, quotes, Unicode normal form or the spelling of numbers differ.",
        "The platform's defaults, the locale, or another writer.",
        "State encoding, line ends and number format when you write: encoding='utf-8', lineterminator='\\n'.",
    ),
    Kind.LAYOUT: Told(
        "The same content, laid out otherwise",
        "Row groups, compression, page size, statistics or header fields differ; every value is the same.",
        "Another version of the library, another number of threads, or another size of batches.",
        "Pin the library, and set compression and row group size.",
    ),
    Kind.LIBRARY_VERSION: Told(
        "Written by another library version",
        "The name or version of the writing library differs; nothing else follows from it.",
        "Packages were updated between the two runs.",
        "Pin the library, or replay with --env rebuild, which installs the recorded packages.",
    ),
    Kind.FEATURE_ORDER: Told(
        "Features in another order",
        "Both sides have the same features at other positions.",
        "Nothing states an order: a spatial join, a query without ORDER BY, or workers that finish in any order.",
        "Sort by a unique key before writing.",
    ),
    Kind.GEOMETRY: Told(
        "Geometries differ",
        "Vertices lie elsewhere, the shape is another, or the type of geometry is.",
        "Another PROJ grid or pipeline, another GEOS, another tolerance of a simplification, or another input.",
        "Pin PROJ, GEOS and GDAL with their grids, name the transformation, or allow tolerance.geometry in metres.",
    ),
    Kind.RING_START: Told(
        "Rings begun at another vertex",
        "The rings are the same, written from another vertex on.",
        "Another version of GEOS, or an overlay that met its inputs in another order.",
        "Normalise geometries before writing: shapely.normalize.",
    ),
    Kind.RING_ORIENTATION: Told(
        "Rings wound the other way",
        "The rings are the same, with their vertices the other way round.",
        "A writer that follows RFC 7946 against one that does not.",
        "Orient polygons before writing: shapely.geometry.polygon.orient.",
    ),
    Kind.PART_ORDER: Told(
        "Parts in another order",
        "The parts, holes or members of geometries are the same, in another order.",
        "A union or dissolve that met its inputs in another order.",
        "Normalise geometries before writing: shapely.normalize.",
    ),
    Kind.LINE_DIRECTION: Told(
        "Lines drawn from the other end",
        "The same lines, with their direction reversed. For rivers and one-way streets that is data.",
        "A line merge that met its parts in another order.",
        "Merge with direction kept: shapely.line_merge(..., directed=True).",
    ),
    Kind.PRECISION: Told(
        "Coordinates rounded",
        "One side is the other, rounded to fewer decimals.",
        "Another default of the writer for the number of decimals.",
        "State the precision when you write, such as COORDINATE_PRECISION=7.",
    ),
    Kind.REPEATED_VERTEX: Told(
        "Repeated vertices",
        "One side repeats vertices; all others are equal.",
        "Another version of GEOS, or a clip along a border.",
        "Remove them before writing: shapely.remove_repeated_points.",
    ),
    Kind.DENSIFIED: Told(
        "The same shapes with other vertices",
        "The shapes cover each other, with other vertices along their edges.",
        "Densified before a projection on one side, or simplified.",
        "State densification and simplification in the pipeline.",
    ),
    Kind.SINGLE_MULTI: Told(
        "Single against multi-part geometries",
        "A geometry stands against a multi-geometry that holds only it.",
        "The writer promotes to multi when any feature has several parts.",
        "Promote all geometries before writing, or none.",
    ),
    Kind.DIMENSION: Told(
        "Heights or measures differ",
        "Z or M exist on one side only, or have other values, where x and y are equal.",
        "A driver or conversion that drops or fills heights.",
        "Force two or three dimensions before writing.",
    ),
    Kind.EMPTY_NULL: Told(
        "Null against empty geometries",
        "Null, empty and not empty geometries stand against each other.",
        "Formats and drivers write an empty geometry as null, or the other way round.",
        "Decide on one before writing.",
    ),
    Kind.AXIS_SWAP: Told(
        "x and y exchanged",
        "One side has latitude before longitude where the other has it after.",
        "The axis order of the authority was followed on one side only.",
        "Transform with always_xy=True.",
    ),
    Kind.LONGITUDE_WRAP: Told(
        "Longitudes a full turn apart",
        "Longitudes differ by 360 degrees.",
        "Ranges of 0 to 360 against -180 to 180.",
        "Wrap longitudes to one range before writing.",
    ),
    Kind.CRS: Told(
        "Another reference system",
        "The reference system is named or defined otherwise, is missing, or is another datum.",
        "Another version of PROJ's database, or a writer that drops the system.",
        "Set the reference system by its code when you write, and pin PROJ.",
    ),
    Kind.LAYER_ORDER: Told(
        "Layers in another order",
        "The same tables, made in another order.",
        "Layers are written by workers that finish in any order.",
        "Write layers in a stated order.",
    ),
    Kind.LAYER_NAME: Told(
        "A layer named after its file",
        "The layer has the name of its file on both sides.",
        "The driver's default.",
        "State the name of the layer when you write.",
    ),
    Kind.EXTENT_METADATA: Told(
        "Bounding boxes in the metadata",
        "Stated extents and counts differ, as the features make them.",
        "They follow from the features.",
        "Nothing to do: they follow from what else differs.",
    ),
    Kind.SPATIAL_INDEX: Told(
        "The spatial index",
        "The tables and triggers of the spatial index differ; the features tell the same.",
        "The index depends on the order in which features were inserted.",
        "Insert features in a stated order.",
    ),
    Kind.PIXELS: Told(
        "Pixels differ",
        "Cells of the raster have other values.",
        "Another resampling, another GDAL, parallel warps, or an input that changed.",
        "Pin GDAL, name the resampling, and warp with one thread.",
    ),
    Kind.NODATA: Told(
        "Another value for no data",
        "The value that marks missing cells differs.",
        "The driver's default, or a value that the type cannot hold.",
        "State the value when you write.",
    ),
    Kind.GEOTRANSFORM: Told(
        "The raster lies elsewhere",
        "Origin, size of cells or rotation differ.",
        "Rounded bounds, or another grid to snap to.",
        "State bounds and resolution when you warp.",
    ),
    Kind.OVERVIEWS: Told(
        "Overviews differ",
        "Reduced copies of the raster differ or are on one side only.",
        "Another resampling of overviews, or none built.",
        "Build overviews with stated levels and resampling.",
    ),
    Kind.BANDS: Told(
        "Bands differ",
        "The number, order, type or names of bands differ.",
        "Bands are stacked in the order of a folder or set.",
        "Stack bands in a stated order.",
    ),
    Kind.BLOCK_LAYOUT: Told(
        "Tiles laid out otherwise",
        "Tiling or interleaving differ; the cells are the same.",
        "The driver's defaults, or tiles written by several threads.",
        "State TILED, BLOCKXSIZE and BLOCKYSIZE, and write with one thread.",
    ),
    Kind.DEAD_SPACE: Told(
        "Unused bytes in the file",
        "Bytes that no reader looks at differ.",
        "A block was rewritten at the end, and its old place left behind.",
        "Write into a new file, then rename it.",
    ),
    Kind.ATTRIBUTES: Told(
        "Attributes of a dataset",
        "Attributes of variables or groups differ.",
        "A history, a title with a date, or the version of a library.",
        "Set the attributes yourself.",
    ),
    Kind.CHUNKING: Told(
        "Other chunks",
        "The array is cut into other chunks; its values are the same.",
        "Chunks follow from the workers.",
        "State the chunks when you write.",
    ),
    Kind.KEY_ORDER: Told(
        "Keys in another order",
        "The same keys with the same values, in another order.",
        "Keys come from a set or from parallel work.",
        "Write with sorted keys: json.dumps(..., sort_keys=True).",
    ),
    Kind.ARRAY_ORDER: Told(
        "A list in another order",
        "The same members of a list, in another order.",
        "The list comes from a set, a folder, or workers that finish in any order.",
        "Sort the list before writing.",
    ),
    Kind.ENTRY_ORDER: Told(
        "Members in another order",
        "The same members of an archive, in another order.",
        "The folder was walked in the order of the file system.",
        "Sort the names before packing; for tar --sort=name.",
    ),
    Kind.ENTRY_METADATA: Told(
        "Headers of archive members",
        "Permissions, owners, comments or versions in headers differ.",
        "They come from the machine and the user.",
        "Set them: tar --owner=0 --group=0 --numeric-owner --mode=go-w.",
    ),
    Kind.DUPLICATE_ENTRY: Told(
        "Members of the same name",
        "An archive has further members of one name.",
        "The archive was appended to.",
        "Write the archive anew.",
    ),
    Kind.TIMESTAMP: Told(
        "Embedded timestamp",
        "Both sides hold the time at which they were made: A's lies in run A's window and B's in run B's.",
        "The pipeline or a library reads the clock and writes it into the output.",
        "Take the time from the run record (KFM_RUN_STARTED_AT), leave it out, or set SOURCE_DATE_EPOCH.",
    ),
    Kind.IDENTIFIER: Told(
        "Made-up identifiers",
        "The two sides hold ids that map one-to-one onto each other, or the id of their run.",
        "uuid4, a ULID, or a random name is drawn anew in each run.",
        "Derive the id from the data: a key, or a digest of the row.",
    ),
    Kind.PATH: Told(
        "Paths of the machine",
        "The output names a folder of the run or of its machine.",
        "An absolute path or the name of a temporary file was written.",
        "Write paths relative to the project root, or leave them out.",
    ),
    Kind.HOST: Told(
        "The machine's name",
        "The output holds the name of the machine that made it.",
        "A manifest or log line was written into the data.",
        "Leave it out of the dataset; the run record has it.",
    ),
    Kind.ADDRESS: Told(
        "Addresses in memory",
        "The output holds 0x7f…, where an object lay in memory.",
        "The default text of an object was written instead of its value.",
        "Write the value itself.",
    ),
    Kind.DIGEST_CASCADE: Told(
        "A digest of something that differs",
        "The output states the digest of a file that differs itself: a consequence, not a cause.",
        "It follows from another finding.",
        "Mend the finding that it follows from.",
    ),
    Kind.GARBAGE: Told(
        "Leftovers in the file",
        "Free pages or bytes that were never written hold old data.",
        "Deleted rows stay in a SQLite file until it is vacuumed.",
        "VACUUM before closing, or write into a new file.",
    ),
    Kind.BYTES: Told(
        "Bytes that nobody can explain",
        "Bytes differ in a format that is not understood here, or could not be compared.",
        "Unknown; the offset says where to look.",
        "",
    ),
    Kind.MISSING_OUTPUT: Told(
        "Not written",
        "The recorded run wrote this output; the replay did not.",
        "The output depends on something that the replay did not have, or its name holds a date or id.",
        "Use names that do not change from run to run, and declare every input.",
    ),
    Kind.EXTRA_OUTPUT: Told(
        "Written only by the replay",
        "The replay wrote an output that the record does not declare.",
        "A name that holds a date or id, or an output that was not declared.",
        "Use names that do not change from run to run, and declare the output.",
    ),
    Kind.TRUNCATED: Told(
        "One side cannot be read",
        "One side cannot be read as its format; the other can.",
        "The file was cut off, or not closed.",
        "Close files before the pipeline ends, and write to a temporary name first.",
    ),
}


def told(kind: Kind) -> Told:
    """Return the words for a kind."""
    return TOLD[kind]
