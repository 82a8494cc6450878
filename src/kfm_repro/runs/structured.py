"""The values of JSON, YAML and TOML texts with what stands before each, wherever the lines are broken."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

__all__ = ["MAX_BYTES", "Leaf", "is_structured", "leaves"]

MAX_BYTES = 2 << 20
"""A longer text is searched line by line alone: parsing it would take long."""
_YAML = frozenset({".yaml", ".yml"})
_SUFFIXES = _YAML | {".json", ".jsonld", ".geojson", ".toml", ".ipynb"}


@dataclass(frozen=True)
class Leaf:
    """A text in a document: the key it is under, or the text before it in its list; its line where that is known."""

    value: str
    key: str = ""
    before: str = ""
    line: int | None = None


def is_structured(name: str) -> bool:
    """Return whether a file of this name is a document that ``leaves`` reads."""
    return PurePosixPath(name).suffix.lower() in _SUFFIXES


def leaves(text: str, name: str) -> Iterator[Leaf]:
    """Yield the texts of a document; of one that is not what its name says, those before the fault or none."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _YAML:
        yield from _of_yaml(text)
        return
    try:
        document = tomllib.loads(text) if suffix == ".toml" else json.loads(text)
    except (ValueError, RecursionError):
        return
    yield from _of_document(document)


def _of_document(document: Any) -> Iterator[Leaf]:  # noqa: ANN401 - walks any document
    stack = [document]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            yield from (Leaf(value, key=key) for key, value in node.items() if isinstance(value, str))
            stack += [value for value in node.values() if isinstance(value, dict | list)]
        elif isinstance(node, list):
            before = ""
            for item in node:
                if isinstance(item, str):
                    yield Leaf(item, before=before)
                before = item if isinstance(item, str) else ""
            stack += [item for item in node if isinstance(item, dict | list)]


def _of_yaml(text: str) -> Iterator[Leaf]:
    """Yield the scalars of a YAML text, event by event: nothing is built, and no alias is followed."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    lists: list[bool] = []
    held: list[str | None] = []
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionEndEvent):
                lists.pop()
                held.pop()
            elif isinstance(event, yaml.ScalarEvent) and lists:
                mark = event.start_mark
                yield from _scalar(event.value, mark.line + 1 if mark else None, lists[-1], held)
            elif lists and isinstance(event, yaml.NodeEvent):
                # A collection, or an alias: in a list nothing stands before the next; in a mapping a pair is over,
                # or has a key that is none of ours.
                held[-1] = None if lists[-1] or held[-1] is not None else ""
            if isinstance(event, yaml.CollectionStartEvent):
                lists.append(isinstance(event, yaml.SequenceStartEvent))
                held.append(None)
    except (yaml.YAMLError, ValueError, RecursionError):
        return


def _scalar(value: str, line: int | None, in_list: bool, held: list[str | None]) -> Iterator[Leaf]:  # noqa: FBT001 - the state
    if in_list:
        yield Leaf(value, before=held[-1] or "", line=line)
        held[-1] = value
    elif held[-1] is None:
        held[-1] = value
    else:
        yield Leaf(value, key=held[-1], line=line)
        held[-1] = None
