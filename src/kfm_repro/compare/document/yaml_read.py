"""Reading YAML safely, within bounds, and without taking a side where readers disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfm_repro.compare.document.parse import DuplicateKey
from kfm_repro.compare.document.scalars import Stream, scalar_key
from kfm_repro.compare.document.yaml_schema import MERGE, loader_class, safe_base
from kfm_repro.errors import LimitExceeded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kfm_repro.compare.context import Context

__all__ = ["read_yaml"]

_MAX_DEPTH = 500
"""Deepest nesting of YAML that is composed: libyaml's composer recurses on the C stack without a limit."""
_OLD = (1, 1)
"""The version of which a document has to say that it is written in it, to those who read 1.2 (6.8.1)."""


def read_yaml(raw: bytes, context: Context) -> object:
    """Return the parsed document, or a `Stream` if there are several or none.

    Raises DuplicateKey, LimitExceeded, Unreadable (yaml.YAMLError).
    """
    import yaml

    try:
        versions = _check_depth(raw, context)
        loader = loader_class()(raw)
        try:
            documents = list(_documents(loader, versions, context))
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        raise Unreadable(f"cannot be read as YAML: {' '.join(str(exc).split())[:300]}") from exc
    return documents[0] if len(documents) == 1 else Stream(documents)


def _documents(
    loader: Any,  # noqa: ANN401  # PyYAML is untyped
    versions: list[tuple[int, int] | None],
    context: Context,
) -> Iterator[object]:
    left = context.limits.yaml_nodes
    for version in versions:
        if not loader.check_node():
            return
        loader.is_old = version == _OLD
        node = loader.get_node()
        left -= _expanded(node, left, {}, loader)
        yield loader.construct_document(node)


def _check_depth(raw: bytes, context: Context) -> list[tuple[int, int] | None]:
    """Count nesting and nodes from the event stream, before anything recursive sees the document.

    Returns the version of YAML that each document says it is written in.
    """
    import yaml

    versions: list[tuple[int, int] | None] = []
    depth = nodes = 0
    for event in yaml.parse(raw, Loader=safe_base()):
        if isinstance(event, yaml.events.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.events.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.events.DocumentStartEvent):
            versions.append(event.version)
        nodes += isinstance(event, yaml.events.NodeEvent)
        if depth > _MAX_DEPTH:
            raise LimitExceeded(f"YAML nested more than {_MAX_DEPTH} deep")
        if nodes > context.limits.yaml_nodes:
            raise LimitExceeded(f"YAML of more than {context.limits.yaml_nodes} nodes")
    return versions


def _expanded(node: Any, budget: int, sizes: dict[int, int], loader: Any) -> int:  # noqa: ANN401  # as above
    """Return how many nodes a node stands for once aliases are followed; refuse cycles and repeated keys."""
    known = sizes.get(id(node))
    if known is not None:
        if known < 0:
            raise LimitExceeded("a YAML alias refers to the node that holds it")
        return known
    sizes[id(node)] = -1
    total = 1
    for child in _children(node, loader):
        total += _expanded(child, budget, sizes, loader)
        if total > budget:
            raise LimitExceeded("the aliases of the YAML expand beyond the limit of nodes")
    sizes[id(node)] = total
    return total


def _children(node: Any, loader: Any) -> Iterable[Any]:  # noqa: ANN401  # as above
    if node.id == "sequence":
        return list(node.value)
    if node.id == "mapping":
        _refuse_repeated([key for key, _ in node.value if key.id == "scalar"], loader)
        return [member for pair in node.value for member in pair]
    return ()


def _refuse_repeated(keys: list[Any], loader: Any) -> None:  # noqa: ANN401  # as above
    """Raise DuplicateKey if two keys are one value, or one to readers in whose language 1, 1.0, true are."""
    values = [key.tag if key.tag == MERGE else loader.construct_object(key) for key in keys]
    exact = {scalar_key(value) for value in values}
    if min(len(exact), len(set(values))) != len(keys):
        raise DuplicateKey("a key is repeated in one mapping")
