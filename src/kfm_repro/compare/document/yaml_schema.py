"""What the scalars and collections of YAML stand for: what YAML 1.1 and the core schema of 1.2 agree on.

Where they disagree (``yes``, ``012``, ``1_000``, ``1:30``, ``1e3``, dates) a scalar is a `Plain`: equal to
what is written the same, and neither to the quoted text nor to what one of the two reads in it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.document.parse import DuplicateKey
from kfm_repro.compare.document.scalars import (
    Members,
    OrderedMap,
    Pairs,
    Plain,
    number_of,
    scalar_key,
    whole_number_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

__all__ = ["MERGE", "loader_class", "safe_base"]

_TAG = "tag:yaml.org,2002:"
MERGE = _TAG + "merge"
"""The tag of the key ``<<`` (YAML 1.1)."""
_PLAIN = "tag:kfm-repro,plain"

_AGREED = {
    "bool": re.compile(r"(?:true|True|TRUE|false|False|FALSE)"),
    "int": re.compile(r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+"),
    "float": re.compile(
        r"[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?|\.[0-9]+(?:[eE][-+][0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    ),
    "null": re.compile(r"(?:~|null|Null|NULL|)"),
}
"""Scalars of which YAML 1.1, as PyYAML resolves it, and the core schema of 1.2 (10.3.2) say the same."""
_CORE = re.compile(
    r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)$"
)
"""The numbers of the core schema of YAML 1.2."""
_FIRST = {"bool": "tTfF", "int": "-+0123456789", "float": "-+0123456789.", "null": ["~", "n", "N", ""]}


def safe_base() -> Any:  # noqa: ANN401  # the classes of PyYAML carry no useful types
    """Return PyYAML's safe loader, the fast one if it is there."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def loader_class() -> Any:  # noqa: ANN401  # a class built on an untyped one
    """Return a safe loader that yields the values of this room."""
    base = safe_base()
    loader: Any = type("StrictLoader", (base,), {"yaml_implicit_resolvers": {}})
    for name, pattern in _AGREED.items():
        loader.add_implicit_resolver(_TAG + name, re.compile(f"(?:{pattern.pattern})$"), list(_FIRST[name]))
    loader.add_implicit_resolver(MERGE, re.compile("<<$"), ["<"])
    loader.add_implicit_resolver(_PLAIN, _CORE, list("-+.0123456789"))
    for first, rows in base.yaml_implicit_resolvers.items():
        for tag, pattern in rows:
            if tag != MERGE:
                loader.add_implicit_resolver(_PLAIN, pattern, [first])
    for name, made in (("bool", _bool), ("int", _int), ("float", _float), ("null", _null)):
        loader.add_constructor(_TAG + name, _agreed(name, made))
    for tag, shown in ((_PLAIN, ""), (MERGE, ""), (_TAG + "timestamp", "timestamp")):
        loader.add_constructor(tag, _plain(shown))
    loader.add_constructor(_TAG + "map", _mapping)
    loader.add_constructor(_TAG + "set", _set)
    loader.add_constructor(_TAG + "omap", _listed(OrderedMap, base.construct_yaml_omap))
    loader.add_constructor(_TAG + "pairs", _listed(Pairs, base.construct_yaml_pairs))
    return loader


def _plain(tag: str) -> Callable[[Any, Any], Plain]:
    """Return a constructor for what readers disagree on; a document that says which of them is right is no other's."""
    return lambda loader, node: Plain(tag, loader.construct_scalar(node), is_old=loader.is_old)


def _agreed(name: str, made: Callable[[str], object]) -> Callable[[Any, Any], object]:
    """Return a constructor for a tag: texts beyond what all readers agree on stay as they are written."""

    def construct(loader: Any, node: Any) -> object:  # noqa: ANN401  # PyYAML's constructor form
        text = loader.construct_scalar(node)
        return made(text) if _AGREED[name].fullmatch(text) else Plain(name, text, is_old=loader.is_old)

    return construct


def _bool(text: str) -> bool:
    return text.lower() == "true"


def _null(text: str) -> None:
    del text


def _int(text: str) -> object:
    return int(text, 16) if text.startswith("0x") else whole_number_of(text)


def _float(text: str) -> object:
    special = text.lower().lstrip("+-")
    return float(text.lower().replace(".", "", 1)) if special in (".inf", ".nan") else number_of(text)


def _mapping(loader: Any, node: Any) -> Iterator[dict[Any, Any]]:  # noqa: ANN401  # PyYAML's constructor form
    made: dict[Any, Any] = {}
    yield made
    made.update(_members(loader, node))


def _set(loader: Any, node: Any) -> Iterator[Members]:  # noqa: ANN401  # PyYAML's constructor form
    made = Members()
    yield made
    made.extend(_members(loader, node))


def _members(loader: Any, node: Any) -> dict[Any, Any]:  # noqa: ANN401  # as above
    """Construct a mapping, merged keys first; refuse keys that only some readers tell apart."""
    made: dict[Any, Any] = loader.construct_mapping(node)
    exact: dict[Hashable, None] = {}
    for key, _ in node.value:
        exact[scalar_key(loader.construct_object(key, deep=True))] = None
    if len(exact) != len(made):
        raise DuplicateKey("keys of one mapping are one key to some readers")
    return made


def _listed(kind: type[list[Any]], base: Callable[[Any, Any], Iterator[list[Any]]]) -> Callable[..., Any]:
    """Return the constructor of a tagged sequence, which keeps what it is."""

    def construct(loader: Any, node: Any) -> Iterator[list[Any]]:  # noqa: ANN401  # as above
        made = kind()
        yield made
        steps = base(loader, node)
        found = next(steps)
        for _ in steps:
            pass
        made.extend(found)

    return construct
