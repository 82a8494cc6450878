"""HDF5, and netCDF-4 which is HDF5: every object that hard links reach; nothing outside the file is opened."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.arrays.tree import Node, Tree, compare_trees
from kfm_repro.compare.context import reading
from kfm_repro.compare.extras import need
from kfm_repro.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding

__all__ = ["compare"]

_MOST_OBJECTS = 100_000
_DERIVED = frozenset(("REFERENCE_LIST",))
"""Attributes that the library keeps from others: who uses a dimension scale (HDF5 dimension scales, 1.0)."""
_NAMES = "names of the values"
_ERRORS = (RuntimeError, NotImplementedError, UnicodeError)


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two HDF5 or netCDF-4 files object by object.

    Soft and external links count by where they lead. Elements that lie in other files (external storage,
    virtual datasets) are ``unknown``. Raises Unreadable, LimitExceeded, NotInstalled.
    """
    h5py = need("h5py", "arrays", "HDF5")
    with (
        reading(a, "HDF5", *_ERRORS),
        h5py.File(a, "r", locking=False) as left,
        reading(b, "HDF5", *_ERRORS),
        h5py.File(b, "r", locking=False) as right,
    ):
        return compare_trees(_tree(left), _tree(right), context)


def _tree(file: Any) -> Tree:  # noqa: ANN401  # h5py is untyped
    nodes: dict[str, Node] = {}
    seen: dict[Any, str] = {}
    for path, node in _walk(file, "/", seen):
        nodes[path] = node
        if len(nodes) > _MOST_OBJECTS:
            raise LimitExceeded(f"more than {_MOST_OBJECTS} objects in the HDF5 file")
    return Tree(nodes, {"user block": file.userblock_size})


def _walk(root: Any, start: str, seen: dict[Any, str]) -> Iterator[tuple[str, Node]]:  # noqa: ANN401  # as above
    """Yield every object once; a second hard link to one is said to be that."""
    import h5py

    pending = [(start, root)]
    while pending:
        path, thing = pending.pop()
        info = h5py.h5o.get_info(thing.id)
        key = (info.fileno, info.addr)
        if key in seen:
            yield path, Node(f"hard link to {seen[key]}")
            continue
        seen[key] = path
        yield path, _node(thing, float(h5py.h5g.get_objinfo(thing.id, b".").mtime))
        if isinstance(thing, h5py.Group):
            below = path.rstrip("/")
            for name in sorted(thing, reverse=True):
                link = thing.get(name, getlink=True)
                if isinstance(link, h5py.HardLink):
                    pending.append((f"{below}/{name}", thing[name]))
                else:
                    leads = (
                        f"{getattr(link, 'filename', '')}:{link.path}"
                        if hasattr(link, "filename")
                        else link.path
                    )
                    yield f"{below}/{name}", Node(f"{type(link).__name__} to {leads}")


def _node(thing: Any, changed: float) -> Node:  # noqa: ANN401  # as above
    import h5py

    attributes = {
        name: _resolved(value, thing.file) for name, value in _attributes(thing) if name not in _DERIVED
    }
    for name in [*attributes]:
        said = _meaning(thing.attrs.get_id(name).dtype)
        attributes |= {f"{name}: {key}": value for key, value in said.items() if key == _NAMES}
    if isinstance(thing, h5py.Group):
        return Node("group", attributes, changed=changed)
    attributes |= _meaning(thing.dtype)
    if isinstance(thing, h5py.Datatype):
        return Node(f"named type {thing.dtype}", attributes, changed=changed)
    if thing.shape is None:
        return Node(f"empty array of {thing.dtype}", attributes, changed=changed)
    if thing.maxshape != thing.shape:
        attributes["maxshape of the dataset"] = str(thing.maxshape)
    return Node(
        "array",
        attributes,
        thing.dtype,
        thing.shape,
        _fill(thing),
        _storage(thing),
        thing.chunks,
        lambda window: _resolved(thing[window], thing.file),
        _refused(thing),
        changed,
    )


def _meaning(dtype: Any) -> dict[str, str]:  # noqa: ANN401  # a NumPy dtype
    """Return what HDF5 says of a type and NumPy does not compare: names of an enumeration, form of texts."""
    import h5py

    said: dict[str, str] = {}
    names = h5py.check_enum_dtype(dtype)
    if names is not None:
        said[_NAMES] = json.dumps(dict(sorted((str(k), int(v)) for k, v in names.items())))
    text = h5py.check_string_dtype(dtype)
    if text is not None:
        said["form of the texts"] = f"{text.encoding}, {text.length or 'any length'}"
    for name in dtype.names or ():
        said |= {f"{name}: {key}": value for key, value in _meaning(dtype[name]).items()}
    return said


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # as above
    for name in sorted(thing.attrs):
        yield name, thing.attrs[name]


def _fill(dataset: Any) -> Any:  # noqa: ANN401  # as above
    if dataset.dtype.hasobject:
        return None
    return dataset.fillvalue


def _refused(dataset: Any) -> str:  # noqa: ANN401  # as above
    if dataset.is_virtual:
        return "the elements of a virtual dataset lie in other datasets, perhaps of other files: not read"
    if dataset.external:
        return "the elements lie in another file: not read"
    return ""


def _storage(dataset: Any) -> dict[str, Any]:  # noqa: ANN401  # as above
    plist = dataset.id.get_create_plist()
    filters = [list(plist.get_filter(i)[:3:2]) for i in range(plist.get_nfilters())]
    return {"chunks": dataset.chunks, "filters": [[code, list(values)] for code, values in filters]}


def _resolved(value: Any, file: Any) -> Any:  # noqa: ANN401  # as above
    """Return references as the names of what they refer to: as numbers they are offsets in the file."""
    import h5py
    import numpy as np

    if isinstance(value, h5py.RegionReference):
        return f"region of {_name(value, file)}: {_selection(value, file)}" if value else None
    if isinstance(value, h5py.Reference):
        return _name(value, file)
    if isinstance(value, np.ndarray) and value.dtype.hasobject and value.dtype.names is not None:
        record = value.copy()
        for name in value.dtype.names:
            record[name] = _resolved(value[name], file)
        return record
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        made = np.empty(value.shape, dtype=object)
        for at in np.ndindex(value.shape):
            made[at] = _resolved(value[at], file)
        return made
    if isinstance(value, np.void) and value.dtype.hasobject:
        return [_resolved(value[name], file) for name in value.dtype.names or ()]
    return value


def _selection(reference: Any, file: Any) -> str:  # noqa: ANN401  # as above
    """Return the elements that a region reference selects: blocks of a hyperslab, or points."""
    import h5py

    space = h5py.h5r.get_region(reference, file.id)
    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_HYPERSLABS:
        return str(space.get_select_hyper_blocklist().tolist())
    return str(space.get_select_elem_pointlist().tolist() if kind == h5py.h5s.SEL_POINTS else kind)


def _name(reference: Any, file: Any) -> str | None:  # noqa: ANN401  # as above
    return file[reference].name if reference else None
