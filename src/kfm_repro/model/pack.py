"""The list of contents of a pack, ``kfm-repro-pack.json`` in it."""

from __future__ import annotations

import msgspec

from kfm_repro.model.finding import Document

__all__ = ["PACK_SCHEMA", "PackCode", "PackFile", "PackList"]

PACK_SCHEMA = "kfm-repro.pack/1"


class PackFile(Document, frozen=True, kw_only=True):
    """One member: what its bytes are."""

    sha256: str
    size_bytes: int


class PackCode(Document, frozen=True, kw_only=True):
    """The code in the pack: its commit, and where the project lies below the top (empty or ending in ``/``)."""

    commit: str
    prefix: str = ""
    object_format: str = "sha1"


class PackList(Document, frozen=True, kw_only=True):
    """Which run, what of it (record, outputs, inputs, code), and every member but this list.

    ``labels`` say how restricted data is, by path, also where only sidecars and settings at home said so.
    """

    schema: str = PACK_SCHEMA
    pipeline: str
    run_id: str
    contents: tuple[str, ...]
    files: dict[str, PackFile]
    code: PackCode | msgspec.UnsetType = msgspec.UNSET
    labels: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
