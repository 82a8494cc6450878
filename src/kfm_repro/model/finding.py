"""The vocabulary of difference: kinds, rungs, findings, and what they add up to for one output.

``docs/findings.md`` describes every kind. Comparators build findings; nobody changes one afterwards.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from kfm_repro.model.figures import Figures

__all__ = [
    "MAX_EXAMPLES",
    "Cause",
    "Example",
    "FileFacts",
    "Finding",
    "Fix",
    "Kind",
    "OutputComparison",
    "OutputVerdict",
    "Rung",
]

MAX_EXAMPLES = 10
"""Most examples that one finding carries; counts are always of everything."""


class Rung(StrEnum):
    """How bad a finding is; the ladder of ``docs/findings.md``."""

    IDENTICAL = "identical"
    CONTAINER = "container"
    ORDER = "order"
    NOISE = "noise"
    TOLERANCE = "tolerance"
    VALUE = "value"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    """What kind of difference a finding states; one page each in ``docs/findings.md``."""

    # tables
    ROW_ORDER = "row-order"
    COLUMN_ORDER = "column-order"
    ROWS_ADDED = "rows-added"
    ROWS_REMOVED = "rows-removed"
    DUPLICATE_ROWS = "duplicate-rows"
    VALUE = "value"
    FLOAT_NOISE = "float-noise"
    NULL_FORM = "null-form"
    TYPE = "type"
    SCHEMA = "schema"
    ENCODING = "encoding"
    LAYOUT = "layout"
    LIBRARY_VERSION = "library-version"
    # vector
    FEATURE_ORDER = "feature-order"
    GEOMETRY = "geometry"
    RING_START = "ring-start"
    RING_ORIENTATION = "ring-orientation"
    PART_ORDER = "part-order"
    LINE_DIRECTION = "line-direction"
    PRECISION = "precision"
    REPEATED_VERTEX = "repeated-vertex"
    DENSIFIED = "densified"
    SINGLE_MULTI = "single-multi"
    DIMENSION = "dimension"
    EMPTY_NULL = "empty-null"
    AXIS_SWAP = "axis-swap"
    LONGITUDE_WRAP = "longitude-wrap"
    CRS = "crs"
    LAYER_ORDER = "layer-order"
    LAYER_NAME = "layer-name"
    EXTENT_METADATA = "extent-metadata"
    SPATIAL_INDEX = "spatial-index"
    # rasters, arrays
    PIXELS = "pixels"
    NODATA = "nodata"
    GEOTRANSFORM = "geotransform"
    OVERVIEWS = "overviews"
    BANDS = "bands"
    BLOCK_LAYOUT = "block-layout"
    DEAD_SPACE = "dead-space"
    ATTRIBUTES = "attributes"
    CHUNKING = "chunking"
    # documents, archives
    KEY_ORDER = "key-order"
    ARRAY_ORDER = "array-order"
    ENTRY_ORDER = "entry-order"
    ENTRY_METADATA = "entry-metadata"
    DUPLICATE_ENTRY = "duplicate-entry"
    # anywhere
    TIMESTAMP = "timestamp"
    IDENTIFIER = "identifier"
    PATH = "path"
    HOST = "host"
    ADDRESS = "address"
    DIGEST_CASCADE = "digest-cascade"
    GARBAGE = "garbage"
    BYTES = "bytes"
    MISSING_OUTPUT = "missing-output"
    EXTRA_OUTPUT = "extra-output"
    TRUNCATED = "truncated"


class OutputVerdict(StrEnum):
    """What the findings of one output add up to; also the names in ``counts`` of a report."""

    IDENTICAL = "identical"
    EQUIVALENT = "equivalent"
    DIFFERENT = "different"
    MISSING = "missing"
    EXTRA = "extra"
    UNKNOWN = "unknown"


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything that is written to a report: built once, frozen, only read afterwards."""


class Example(Document, frozen=True, kw_only=True):
    """One place where A and B differ. ``key`` names the row; a, b are JSON scalars (bounded texts)."""

    key: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    a: Any = None
    b: Any = None


class Cause(Document, frozen=True, kw_only=True):
    """What made an aspect differ, and how sure that is."""

    axis: str
    confidence: str
    replays: tuple[str, ...] = ()
    source: str = ""
    call: str = ""


class Fix(Document, frozen=True, kw_only=True):
    """What to do about a finding; ``verified`` only when a replay with it was stable."""

    text: str
    verified: bool = False


class Flips(Document, frozen=True, kw_only=True):
    """In how many replays something differed, of those that could tell; ``low`` and ``high`` bound its probability.

    Each bound holds at 95 % (``model/flips.py``).
    """

    differed: int
    of: int
    low: float
    high: float


class Finding(Document, frozen=True, kw_only=True):
    """One kind of difference at one place of one output.

    ``where`` holds ``column``, ``pointer``, ``member``, ``layer``, ``band`` or ``offset``; ``count`` places
    differ ``of`` so many that could. ``latent`` findings are listed and not counted in a verdict.
    ``metres`` belongs to displacements; ``detail`` holds further figures of the kind (``max_ulp``, ``key``…).
    ``flips`` says in how many of several replays it was seen; the rest is what the first of these showed.
    ``figures`` is what of it can be drawn (``model/figures.py``).
    """

    kind: Kind
    rung: Rung
    where: dict[str, str | int] = {}
    count: int = 1
    of: int | None = None
    examples: tuple[Example, ...] = ()
    samples: dict[str, Any] = {}
    evidence: str = ""
    latent: bool = False
    metres: dict[str, float] | msgspec.UnsetType = msgspec.UNSET
    detail: dict[str, Any] = {}
    causes: tuple[Cause, ...] = ()
    fix: Fix | None = None
    flips: Flips | msgspec.UnsetType = msgspec.UNSET
    figures: Figures | msgspec.UnsetType = msgspec.UNSET


class FileFacts(Document, frozen=True, kw_only=True):
    """What a manifest says of one file. Counts are rows or features, sizes bytes."""

    sha256: str | None = None
    size_bytes: int | None = None
    row_count: int | msgspec.UnsetType = msgspec.UNSET
    feature_count: int | msgspec.UnsetType = msgspec.UNSET


class OutputComparison(Document, frozen=True, kw_only=True):
    """One output, compared: A is the recorded side, B the other; the verdict follows from the findings.

    ``flips`` says in how many of several replays it was not identical.
    """

    path: str
    verdict: OutputVerdict
    format: str = ""
    a: FileFacts | None = None
    b: FileFacts | None = None
    findings: tuple[Finding, ...] = ()
    accepted: bool = False
    flips: Flips | msgspec.UnsetType = msgspec.UNSET
