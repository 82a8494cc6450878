"""What ``prov --json``, ``pack --json`` and ``unpack --json`` print."""

from __future__ import annotations

import msgspec

from kfm_repro.model.finding import Document
from kfm_repro.model.report import REPORT_SCHEMA, RunRef

__all__ = ["PackReport", "ProvReport", "UnpackReport"]


class ProvReport(Document, frozen=True, kw_only=True):
    """The PROV record of a run: where it lies, relative to the root, and whether it was written just now."""

    schema: str = REPORT_SCHEMA
    command: str = "prov"
    run: RunRef
    path: str
    written: bool
    activity: str | msgspec.UnsetType = msgspec.UNSET
    used: int = 0
    generated: int = 0
    retain: str = ""
    notes: tuple[str, ...] = ()


class PackReport(Document, frozen=True, kw_only=True):
    """A pack: the file, its digest, and what is in it (record, outputs, inputs, code).

    ``secrets`` is ``none`` when the record, and of a bundle the code, was searched and nothing was found,
    ``partial`` when not all of the code was searched (of its history only the packed commit is), ``found`` when
    the code has what looks like secrets and the pack was allowed all the same.
    """

    schema: str = REPORT_SCHEMA
    command: str = "pack"
    run: RunRef
    path: str
    sha256: str
    size_bytes: int
    members: int
    contents: tuple[str, ...]
    secrets: str
    notes: tuple[str, ...] = ()


class UnpackReport(Document, frozen=True, kw_only=True):
    """A run that was brought in: where it lies, and what came with it. It is foreign: no replay without trust.

    ``already`` says that it was here before, as the pack has it; then ``foreign`` is as it was.
    """

    schema: str = REPORT_SCHEMA
    command: str = "unpack"
    run: RunRef
    path: str
    contents: tuple[str, ...]
    objects: int = 0
    foreign: bool = True
    already: bool = False
    notes: tuple[str, ...] = ()
