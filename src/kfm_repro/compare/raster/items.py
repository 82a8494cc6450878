"""What lies in the metadata that GDAL keeps as XML in a TIFF, and is not handed out as tags: 42112, GDAL_METADATA."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.samples import scalar
from kfm_repro.compare.xml_read import read_xml
from kfm_repro.errors import Unreadable
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.context import Context
    from kfm_repro.compare.raster.tiff import Directory

__all__ = ["HIDDEN_DOMAINS", "item_findings"]

_METADATA = 42112
HIDDEN_DOMAINS = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS", "SUBDATASETS", "TIFF", "COLOR_PROFILE")
"""Domains that GDAL fills in by how a file is stored; what a file itself says in them is compared here."""
_PACKED = frozenset((
    "COMPRESSION_REVERSIBILITY", "MAX_Z_ERROR", "MAX_Z_ERROR_OVERVIEW", "JPEG_QUALITY", "JPEGTABLESMODE",
    "JXL_LOSSLESS", "JXL_DISTANCE", "JXL_ALPHA_DISTANCE", "JXL_EFFORT", "WEBP_LOSSLESS", "WEBP_LEVEL",
))  # fmt: skip
"""How blocks were packed, in IMAGE_STRUCTURE: layout of the pixels, which are compared themselves."""
_TOLD_ROLES = ("", "description", "scale", "offset", "unittype", "colorinterp")


def item_findings(a: Directory, b: Directory, context: Context) -> list[Finding]:
    """Return the finding for items that are compared nowhere else. Raises Unreadable, LimitExceeded."""
    raw = [directory.fields.get(_METADATA, (0, b""))[1].rstrip(b"\0") for directory in (a, b)]
    if raw[0] == raw[1]:
        return []
    left, right = (_items(text, context) for text in raw)
    if left == right:
        return []
    pairs = [(x, y) for x, y in zip(left, right, strict=False) if x != y] or [("", (left + right)[-1])]
    example = Example(a=scalar(pairs[0][0]), b=scalar(pairs[0][1]))
    evidence = "items of GDAL_METADATA that are no tags"
    return [Finding(kind=Kind.ATTRIBUTES, rung=Rung.VALUE, examples=(example,), evidence=evidence)]


def _items(text: bytes, context: Context) -> list[str]:
    if not text:
        return []
    try:
        root = read_xml(text, context)
    except Unreadable:
        return [text.decode("utf-8", "replace")]
    names = Counter(str(child[1]) for child in root[2:] if isinstance(child, list))
    return sorted(str(child) for child in root[2:] if not _is_told(child) or names.get(str(child[1]), 0) > 1)


def _is_told(child: Any) -> bool:  # noqa: ANN401  # an element or a text
    if not isinstance(child, list) or child[0] != "Item":
        return not isinstance(child, list) and not child.strip()
    said = child[1]
    if said.get("domain") == "IMAGE_STRUCTURE" and said.get("name") in _PACKED:
        return True
    known = set(said) <= {"name", "sample", "role", "domain"}
    return known and said.get("role", "") in _TOLD_ROLES and said.get("domain", "") not in HIDDEN_DOMAINS
