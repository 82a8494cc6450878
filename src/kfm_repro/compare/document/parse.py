"""Reading JSON and YAML strictly and within bounds: exact integers, no repeated keys, bounded aliases."""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kfm_repro.errors import LimitExceeded, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kfm_repro.compare.context import Context

__all__ = ["DuplicateKey", "read_json", "read_yaml"]

_INT_DIGITS = 4000
"""Longer integers are held as exact decimals: Python refuses to convert them (CVE-2020-10735)."""
_MAX_DEPTH = 500
"""Deepest nesting of YAML that is composed: libyaml's composer recurses on the C stack without a limit."""
_NONZERO = re.compile(r"[1-9]")
_MERGE = "tag:yaml.org,2002:merge"


class DuplicateKey(Exception):  # a fork in the reading, handled inside this room
    """An object of the document names a key twice."""


def read_json(raw: bytes, context: Context) -> object:
    """Return the parsed document. Raises DuplicateKey, ValueError, RecursionError; ``context`` is unused.

    Numbers are int or float; what neither can hold (beyond binary64, more than 4000 digits) is a Decimal.
    """
    del context
    text = raw.decode(json.detect_encoding(raw))
    return json.loads(text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise DuplicateKey("a key is repeated in one object")
    return result


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _INT_DIGITS else Decimal(text)


def _float(text: str) -> float | Decimal:
    """Read a number as binary64, unless that would overflow or turn a value into zero."""
    value = float(text)
    lost = value == 0.0 and _NONZERO.search(re.split("[eE]", text)[0])
    return Decimal(text) if math.isinf(value) or lost else value


def read_yaml(raw: bytes, context: Context) -> object:
    """Return the parsed document, or the list of them if there are several; None if there is none.

    Raises DuplicateKey, LimitExceeded, Unreadable (yaml.YAMLError).
    """
    import yaml

    try:
        _check_depth(raw, context)
        loader = _loader()(raw)
        try:
            documents = list(_documents(loader, context))
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        raise Unreadable(f"cannot be read as YAML: {' '.join(str(exc).split())[:300]}") from exc
    return documents[0] if len(documents) == 1 else documents or None


def _documents(loader: Any, context: Context) -> Iterator[object]:  # noqa: ANN401  # one of two loaders
    left = context.limits.yaml_nodes
    while loader.check_node():
        node = loader.get_node()
        left -= _expanded(node, left, {})
        yield loader.construct_document(node)


def _base() -> Any:  # noqa: ANN401  # the classes of PyYAML carry no useful types
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _check_depth(raw: bytes, context: Context) -> None:
    """Count nesting and nodes from the event stream, before anything recursive sees the document."""
    import yaml

    depth = nodes = 0
    for event in yaml.parse(raw, Loader=_base()):
        if isinstance(event, yaml.events.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.events.CollectionEndEvent):
            depth -= 1
        nodes += isinstance(event, yaml.events.NodeEvent)
        if depth > _MAX_DEPTH:
            raise LimitExceeded(f"YAML nested more than {_MAX_DEPTH} deep")
        if nodes > context.limits.yaml_nodes:
            raise LimitExceeded(f"YAML of more than {context.limits.yaml_nodes} nodes")


def _expanded(node: Any, budget: int, sizes: dict[int, int]) -> int:  # noqa: ANN401  # yaml.Node is untyped
    """Return how many nodes a node stands for once aliases are followed; refuse cycles and repeated keys."""
    known = sizes.get(id(node))
    if known is not None:
        if known < 0:
            raise LimitExceeded("a YAML alias refers to the node that holds it")
        return known
    sizes[id(node)] = -1
    total = 1
    for child in _children(node):
        total += _expanded(child, budget, sizes)
        if total > budget:
            raise LimitExceeded("the aliases of the YAML expand beyond the limit of nodes")
    sizes[id(node)] = total
    return total


def _children(node: Any) -> Iterable[Any]:  # noqa: ANN401  # yaml.Node is untyped
    if node.id == "sequence":
        return list(node.value)
    if node.id == "mapping":
        keys = [(key.tag, key.value) for key, _ in node.value if key.id == "scalar"]
        if len(set(keys)) != len(keys):
            raise DuplicateKey("a key is repeated in one mapping")
        return [member for pair in node.value for member in pair]
    return ()


def _loader() -> Any:  # noqa: ANN401  # a class built on an untyped one
    """Return the safe loader with the scalars of YAML 1.2 only: ``no``, ``1_0``, ``1:30`` are texts.

    Under YAML 1.1 ``no`` and ``false`` would be one value, and readers disagree; then they must differ here.
    """
    base = _base()
    core: Any = type("CoreLoader", (base,), {"yaml_implicit_resolvers": {}})

    for tag, pattern, first in _CORE:
        core.add_implicit_resolver(tag, re.compile(pattern), list(first))
    core.add_constructor("tag:yaml.org,2002:int", _yaml_integer)
    core.add_constructor("tag:yaml.org,2002:float", _yaml_float)
    return core


_CORE = (
    ("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("tag:yaml.org,2002:int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        (
            r"^(?:[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        "-+0123456789.",
    ),
    (_MERGE, r"^(?:<<)$", "<"),
    ("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
)


def _yaml_integer(loader: Any, node: Any) -> int | Decimal:  # noqa: ANN401  # PyYAML's constructor form
    return _integer(loader.construct_scalar(node).strip())


def _yaml_float(loader: Any, node: Any) -> float | Decimal:  # noqa: ANN401  # PyYAML's constructor form
    text = loader.construct_scalar(node).strip()
    special = text.lower().lstrip("+-")
    if special in (".inf", ".nan"):
        return float(text.lower().replace(".", "", 1))
    return _float(text)
