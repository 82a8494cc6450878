"""Which runs have provenance: the Activities in data/prov and data/provenance that carry a ``kfm:run_id``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any
from urllib.parse import quote

from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import real_path
from kfm_repro.runs.project import Project

__all__ = [
    "FOLDERS",
    "Activities",
    "Shared",
    "activities_in",
    "activities_of",
    "activity_id",
    "is_kept",
    "read_activities",
]

FOLDERS = ("data/prov", "data/provenance")
_SUFFIXES = (".jsonld", ".json")
_MAX_BYTES = 64 << 20
_PROV = "http://www.w3.org/ns/prov#"
_KFM = "https://kansasfrontiermatrix.org/ns/kfm#"
_ACTIVITY = {"prov:Activity", "Activity", _PROV + "Activity"}
_PLACES = {"activity", "prov:activity"}


_RUN = "kfm:pipeline:run"


def activity_id(pipeline: str, name: str) -> str:
    """Return the identifier of a run's Activity; ``name`` is the name of its directory."""
    return f"{_RUN}:{_quoted(pipeline)}:{_quoted(name)}"


class Shared(Enum):
    """Who else may have a run's id."""

    NOBODY = auto()
    PIPELINES = auto()
    """Runs of other pipelines."""
    FOLDERS = auto()
    """Any run: the id is not the name of its folder."""


@dataclass(frozen=True)
class _Mention:
    run_id: str
    pipeline: str | None
    activity: str
    path: Path

    def means(self, run: RunDir, shared: Shared) -> bool:
        """Return whether this is about ``run`` and no other run of the same id."""
        if self.activity == activity_id(run.pipeline, run.name):
            return True
        if shared is Shared.FOLDERS or self.activity.startswith(activity_id(run.pipeline, "")):
            return False
        return self.pipeline == run.pipeline or (self.pipeline is None and shared is Shared.NOBODY)


class Activities:
    """What is known to have provenance, by run id."""

    def __init__(self, mentions: Iterable[_Mention]) -> None:
        self._by_id: dict[str, list[_Mention]] = {}
        for mention in mentions:
            self._by_id.setdefault(mention.run_id, []).append(mention)

    def path_of(self, run: RunDir, run_id: str, shared: Shared = Shared.NOBODY) -> Path | None:
        """Return the file whose Activity carries this run, the first by name; None when there is none.

        An Activity of another pipeline or folder is another run. Where the id is ``shared``, one that does not say
        whose it is does not count.
        """
        found = (item.path for item in self._by_id.get(run_id, ()) if item.means(run, shared))
        return next(found, None)


def is_kept(project: Project, path: Path) -> bool:
    """Return whether a file really lies where provenance is kept, and not among the runs, with which it would go."""
    real = real_path(path)
    folders = (real_path(project.root / folder) for folder in FOLDERS)
    return any(real.is_relative_to(folder) for folder in folders) and not real.is_relative_to(
        real_path(project.runs)
    )


def read_activities(project: Project) -> Activities:
    """Read every PROV record below the project's folders of provenance.

    Files that are no PROV record, or cannot be read, mention nothing; nor do links to what lies elsewhere.
    """
    paths = sorted(path for folder in FOLDERS for path in _documents(project, project.root / folder))
    return Activities(mention for path in paths for mention in _mentions(path))


def activities_of(path: Path) -> Activities:
    """Return what one file mentions, nothing when it is not there."""
    return Activities(_mentions(path))


def activities_in(document: Any, path: Path) -> Activities:  # noqa: ANN401 - parsed JSON
    """Return what an already parsed PROV record mentions; ``path`` is where it came from."""
    return Activities(_mentions_in(document, path))


def _documents(project: Project, folder: Path) -> Iterator[Path]:
    if not is_kept(project, folder):
        return
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if (
                name.endswith(_SUFFIXES)
                and name[0] != "."
                and (not path.is_symlink() or is_kept(project, path))
            ):
                yield path


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
            found.append(_Mention(run_id, _value(node, "pipeline"), _identifier(node), path))
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


def _identifier(node: dict[str, Any]) -> str:
    text = node.get("@id", node.get("id"))
    return text.replace(_KFM, "kfm:", 1) if isinstance(text, str) else ""


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")
