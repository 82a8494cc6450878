"""Which runs have provenance: the Activities in data/prov and data/provenance that carry a ``kfm:run_id``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FOLDERS", "Activities", "activities_in", "activities_of", "read_activities"]

FOLDERS = ("data/prov", "data/provenance")
_SUFFIXES = (".jsonld", ".json")
_MAX_BYTES = 64 << 20
_PROV = "http://www.w3.org/ns/prov#"
_KFM = "https://kansasfrontiermatrix.org/ns/kfm#"
_ACTIVITY = {"prov:Activity", "Activity", _PROV + "Activity"}
_PLACES = {"activity", "prov:activity"}


@dataclass(frozen=True)
class _Mention:
    run_id: str
    pipeline: str | None
    path: Path


class Activities:
    """What is known to have provenance, by run id."""

    def __init__(self, mentions: Iterable[_Mention]) -> None:
        self._by_id: dict[str, list[_Mention]] = {}
        for mention in mentions:
            self._by_id.setdefault(mention.run_id, []).append(mention)

    def path_of(self, run_id: str, pipeline: str, *, shared: bool = False) -> Path | None:
        """Return the file whose Activity carries this run, the first by name; None when there is none.

        An Activity of another pipeline is another run. One that names no pipeline counts unless the id is
        ``shared`` by runs of several pipelines: then it cannot be told whose it is.
        """
        for mention in self._by_id.get(run_id, ()):
            if mention.pipeline == pipeline or (mention.pipeline is None and not shared):
                return mention.path
        return None


def read_activities(root: Path, also: Iterable[Path] = ()) -> Activities:
    """Read every PROV record below the project's folders of provenance, and the files ``also``.

    Files that are no PROV record, or cannot be read, mention nothing.
    """
    paths = {path for folder in FOLDERS for path in _documents(root / folder)}
    mentions = [mention for path in sorted(paths | set(also)) for mention in _mentions(path)]
    return Activities(mentions)


def activities_of(path: Path) -> Activities:
    """Return what one file mentions, nothing when it is not there."""
    return Activities(_mentions(path))


def activities_in(document: Any, path: Path) -> Activities:  # noqa: ANN401 - parsed JSON
    """Return what an already parsed PROV record mentions; ``path`` is where it came from."""
    return Activities(_mentions_in(document, path))


def _documents(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent, name) for name in names if name.endswith(_SUFFIXES) and name[0] != ".")


def _mentions(path: Path) -> list[_Mention]:
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return []
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    return _mentions_in(document, path)


def _mentions_in(document: Any, path: Path) -> list[_Mention]:  # noqa: ANN401 - parsed JSON
    found = []
    for node in _activity_nodes(document):
        run_id = _value(node, "run_id")
        if run_id is not None:
            found.append(_Mention(run_id, _value(node, "pipeline"), path))
    return found


def _activity_nodes(document: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - walks any document
    """Yield the nodes that are Activities: typed ones of JSON-LD, and the members of PROV-JSON's "activity"."""
    stack: list[tuple[Any, bool]] = [(document, False)]
    while stack:
        item, here = stack.pop()
        if isinstance(item, list):
            stack += [(part, here) for part in item]
        elif isinstance(item, dict):
            if here or _is_activity(item):
                yield item
            for key, value in item.items():
                if key in _PLACES and isinstance(value, dict) and "@type" not in value:
                    stack += [(part, True) for part in value.values()]
                else:
                    stack.append((value, key in _PLACES))


def _is_activity(node: dict[str, Any]) -> bool:
    types = node.get("@type", node.get("type"))
    return bool(
        _ACTIVITY & {text for text in (types if isinstance(types, list) else [types]) if _is_text(text)}
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _value(node: dict[str, Any], name: str) -> str | None:
    for key in (f"kfm:{name}", _KFM + name):
        value = node.get(key)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, dict):
            value = value.get("@value")
        if isinstance(value, str) and value:
            return value
    return None
