"""A Zarr store that is a folder: each chunk is an output of its own, decoded by the metadata that lie beside it."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kfm_repro.compare import bytes as raw_bytes
from kfm_repro.compare.context import reading
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["compare", "is_chunk", "is_stored"]

_METADATA = ("zarr.json", ".zarray")
_DESCRIPTIONS = frozenset((*_METADATA, ".zgroup", ".zattrs", ".zmetadata"))
_CHUNK = re.compile(r"(?:c(?:[/.]\d+)*|\d+(?:[/.]\d+)*)")
_LARGEST_DESCRIPTION = 1 << 20


def is_chunk(name: str, context: Context) -> bool:
    """Return whether an output is a chunk: both sides have the description of its array in a folder above."""
    return PurePosixPath(name).name not in _DESCRIPTIONS and bool(_array_of(name, context.siblings))


def is_stored(name: str, files: Container[str]) -> bool:
    """Return whether a file is one of a store: a description, or a chunk of an array described in a folder above."""
    path = PurePosixPath(name)
    return path.name in _DESCRIPTIONS or any(
        (folder / described).as_posix() in files and _CHUNK.fullmatch(path.relative_to(folder).as_posix())
        for folder in path.parents
        for described in _METADATA
    )


def _array_of(name: str, siblings: tuple[Mapping[str, Path], Mapping[str, Path]]) -> str:
    """Return the description of the array to which an output belongs as a chunk, empty if there is none."""
    if not siblings[0]:
        return ""
    for folder in PurePosixPath(name).parents:
        within = PurePosixPath(name).relative_to(folder).as_posix()
        for described in _METADATA:
            path = (folder / described).as_posix()
            if all(path in side for side in siblings):
                return path if _CHUNK.fullmatch(within) else ""
    return ""


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare one chunk by its elements; chunks of arrays that are cut otherwise are compared as bytes.

    Raises Unreadable, LimitExceeded, NotInstalled.
    """
    from kfm_repro.compare.arrays.blocks import ArrayDiff
    from kfm_repro.model.finding import Kind

    described = _array_of(context.name, context.siblings)
    folder = PurePosixPath(described).parent
    key = PurePosixPath(context.name).relative_to(folder).as_posix()
    arrays = [
        _opened(side[described], path, PurePosixPath(described).name, key)
        for side, path in zip(context.siblings, (a, b), strict=True)
    ]
    shapes = [(array.shape, array.dtype, _grid(array)) for array in arrays]
    if shapes[0] != shapes[1]:
        return raw_bytes.compare(a, b, context)
    numbers = [int(text) for text in re.findall(r"\d+", key)]
    grid = _grid(arrays[0])
    if len(numbers) != len(grid) and arrays[0].shape:
        return raw_bytes.compare(a, b, context)
    window = tuple(
        slice(number * step, min((number + 1) * step, size))
        for number, step, size in zip(numbers, grid, arrays[0].shape, strict=False)
    )
    blocks = []
    for path, array in zip((a, b), arrays, strict=True):
        with reading(path, "a chunk of a Zarr array", RuntimeError):
            blocks.append(_at_least_1d(array[window]))
    tolerance = context.options.tolerance
    diff = ArrayDiff(Kind.VALUE, {"pointer": f"/{folder.name}"}, context, tolerance.get("*"))
    diff.add(blocks[0], blocks[1], [part.start for part in window] or [0])
    return diff.findings()


def _grid(array: Any) -> tuple[int, ...]:  # noqa: ANN401  # zarr's arrays
    return tuple(getattr(array, "shards", None) or array.chunks)


def _at_least_1d(values: Any) -> Any:  # noqa: ANN401  # an array of any dtype
    import numpy as np

    return np.atleast_1d(np.asarray(values))


def _opened(described: Path, chunk: Path, name: str, key: str) -> Any:  # noqa: ANN401  # as above
    """Return an array that holds one chunk alone. Raises Unreadable, LimitExceeded, NotInstalled."""
    from kfm_repro.compare.arrays.stores import check_codecs, in_memory
    from kfm_repro.compare.extras import need

    if described.stat().st_size > _LARGEST_DESCRIPTION:
        raise LimitExceeded("the description of the array is too large")
    zarr = need("zarr", "arrays", "Zarr")
    with reading(described, "Zarr", RuntimeError, zarr.errors.BaseZarrError):
        metadata = described.read_bytes()
        check_codecs(json.loads(metadata))
        return zarr.open_array(in_memory({name: metadata, key: chunk.read_bytes()}), mode="r")
