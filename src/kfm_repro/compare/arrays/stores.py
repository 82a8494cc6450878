"""Zarr (versions 2 and 3): a store's groups and arrays. Codecs that would run what a file says are refused."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.arrays.tree import Node, Tree, compare_trees
from kfm_repro.compare.context import reading
from kfm_repro.compare.extras import need
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["METADATA", "check_codecs", "compare_stores", "in_memory", "zipped"]

METADATA = frozenset((".zgroup", ".zarray", ".zattrs", ".zmetadata", "zarr.json"))
"""Names of the documents that describe a store; everything else in it is a chunk."""
_MOST_NODES = 100_000
_CODECS = frozenset(
    (
        *("blosc", "zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "shuffle", "delta", "fixedscaleoffset"),
        *("quantize", "packbits", "astype", "bitround", "crc32", "crc32c", "adler32", "fletcher32"),
        *("jenkins_lookup3", "vlen-utf8", "vlen-bytes", "bytes", "transpose", "sharding_indexed", "base64"),
        *("json2", "categorize", "scale_offset", "cast_value", "default", "start", "end"),
    )
)
"""Codecs that only compute. ``pickle`` is none of them: decoding it runs code."""


def zipped(path: Path) -> Any:  # noqa: ANN401  # zarr's stores
    """Return the store in a zip file, read-only. Raises NotInstalled."""
    return need("zarr", "arrays", "Zarr").storage.ZipStore(path, mode="r", read_only=True)


def in_memory(files: dict[str, bytes]) -> Any:  # noqa: ANN401  # as above
    """Return a store of the given files. Raises NotInstalled."""
    zarr = need("zarr", "arrays", "Zarr")
    from zarr.core.buffer import default_buffer_prototype

    make = default_buffer_prototype().buffer.from_bytes
    return zarr.storage.MemoryStore({name: make(data) for name, data in files.items()}, read_only=True)


def compare_stores(a: Any, b: Any, path: Path, context: Context) -> tuple[Finding, ...]:  # noqa: ANN401  # as above
    """Compare two opened stores; ``path`` is named when they cannot be read. Raises Unreadable, LimitExceeded."""
    zarr = need("zarr", "arrays", "Zarr")
    errors = (RuntimeError, NotImplementedError, zarr.errors.BaseZarrError)
    with warnings.catch_warnings(), reading(path, "Zarr", *errors):
        # Files that are no part of the store are compared as members of its archive.
        warnings.simplefilter("ignore")
        return compare_trees(_tree(a), _tree(b), context)


def _tree(store: Any) -> Tree:  # noqa: ANN401  # as above
    import zarr

    root = zarr.open(store, mode="r")
    if not isinstance(root, zarr.Group):
        return Tree({"/": _node(root)})
    own = zarr.open_group(store, mode="r", use_consolidated=False)
    nodes = _nodes(own)
    if root.metadata.consolidated_metadata is not None:
        top = nodes["/"]
        nodes["/"] = replace(top, attributes={**top.attributes, **_stale(_nodes(root), nodes)})
    return Tree(dict(sorted(nodes.items())))


def _nodes(root: Any) -> dict[str, Node]:  # noqa: ANN401  # as above
    nodes = {"/": _node(root)}
    for name, member in root.members(max_depth=None):
        nodes[f"/{name}"] = _node(member)
        if len(nodes) > _MOST_NODES:
            raise LimitExceeded(f"more than {_MOST_NODES} arrays and groups in the Zarr store")
    return nodes


def _stale(consolidated: dict[str, Node], own: dict[str, Node]) -> dict[str, str]:
    """Return what the consolidated metadata, which readers go by, say otherwise than the nodes themselves."""
    sides = [{path: _said(node) for path, node in nodes.items()} for nodes in (consolidated, own)]
    return {
        f"consolidated metadata of {path}": sides[0].get(path, "absent")
        for path in sorted({*consolidated, *own})
        if sides[0].get(path) != sides[1].get(path)
    }


def _said(node: Node) -> str:
    return json.dumps(
        [node.what, node.attributes, str(node.dtype), node.shape, node.fill, node.storage],
        default=str,
        sort_keys=True,
    )


def _node(thing: Any) -> Node:  # noqa: ANN401  # as above
    import zarr

    attributes = dict(thing.attrs.asdict())
    if isinstance(thing, zarr.Group):
        return Node("group", attributes)
    metadata = json.loads(json.dumps(thing.metadata.to_dict(), default=str))
    dimensions = metadata.get("dimension_names")
    if dimensions is not None:
        attributes["dimension_names"] = json.dumps(dimensions)
    check_codecs(metadata)
    kept = (
        "chunks",
        "compressor",
        "filters",
        "order",
        "codecs",
        "chunk_grid",
        "chunk_key_encoding",
        "dimension_separator",
        "zarr_format",
    )
    return Node(
        "array",
        attributes,
        thing.dtype,
        tuple(thing.shape),
        thing.fill_value,
        {name: metadata[name] for name in kept if metadata.get(name) is not None},
        tuple(getattr(thing, "shards", None) or thing.chunks),
        lambda window: thing[window],
    )


def check_codecs(metadata: Any) -> None:  # noqa: ANN401  # parsed JSON
    """Refuse an array whose codecs are not known to be harmless. Raises LimitExceeded."""
    pending = [metadata.get(name) for name in ("codecs", "filters", "compressor")]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        elif isinstance(value, dict):
            name = value.get("id", value.get("name"))
            if isinstance(name, str) and name.removeprefix("numcodecs.") not in _CODECS:
                raise LimitExceeded(f"the codec {name} is not run")
            pending.extend(item for item in value.values() if isinstance(item, dict | list))
