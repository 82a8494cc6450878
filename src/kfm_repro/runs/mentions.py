"""Who speaks of a run: catalogue entries that name its outputs, provenance records that carry its id."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kfm_repro.errors import UnsafePath
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.paths import inside

__all__ = ["Search", "find_activity", "find_mentions"]

MAX_FILES = 20_000
"""Files of one tree that are looked at."""
MAX_FILE_BYTES = 16 << 20
"""A larger file is not read, and said to be unread."""
_TEXTS = frozenset(
    {".json", ".jsonld", ".geojson", ".yaml", ".yml", ".xml", ".ttl", ".md", ".csv", ".txt", ".html"}
)
_PROV = frozenset({".json", ".jsonld"})
_VAGUE = re.compile(r".{0,9}\Z|\D*\Z")
"""Ids that a text could hold without meaning the run: short ones, and those without a digit."""


@dataclass(frozen=True)
class Search:
    """What a search came to: the files that speak, what none of them names, and what could not be read."""

    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    looked_at: int = 0


def find_mentions(root: Path, tree: str, run_id: str, outputs: Iterable[Entry]) -> Search:
    """Search the texts below ``root/tree`` for the run, or for every one of ``outputs``.

    An output is named by its path, also relative to its data root (as links of catalogues are), or its sha256.
    """
    wanted = {entry.path: entry for entry in sorted(outputs, key=lambda entry: entry.path)}
    run = _standing_alone(run_id) if _VAGUE.match(run_id) is None else None
    files, unread, count = [], [], 0
    for path in _texts(root, tree, _TEXTS):
        name = path.relative_to(root).as_posix()
        text = _read(path) if count < MAX_FILES else None
        count += 1
        if text is None:
            unread.append(name)
            if count > MAX_FILES:
                break
            continue
        if run is not None and run.search(text):
            return Search((name,), (), (), count)
        named = [name for name, entry in wanted.items() if _names(text, entry)]
        for known in named:
            del wanted[known]
        files += [name] if named else []
        if not wanted and files:
            break
    return Search(tuple(files), tuple(wanted), tuple(unread) if wanted else (), count)


def find_activity(
    root: Path,
    trees: Iterable[str],
    first: str,
    run_id: str,
    is_kept: Callable[[Path], bool],
    carries: Callable[[Any, Path], bool],
) -> Search:
    """Search for a PROV record with an Activity that carries ``run_id``: in the file ``first``, then in ``trees``.

    ``first`` may be empty. ``is_kept`` says whether a file lies where provenance is kept; others do not count.
    ``carries`` says whether a parsed document has the run's Activity. Raises UnsafePath when ``first`` leads out of
    ``root``.
    """
    unread, count = [], 0
    candidates = [inside(root, first, what="prov.target_path")] if first else []
    for path in _unique(candidates, (file for tree in trees for file in _texts(root, tree, _PROV))):
        if not path.is_file() or not is_kept(path):
            continue
        name = path.relative_to(root).as_posix()
        text = _read(path, plain=True) if count < MAX_FILES else None
        count += 1
        try:
            document = json.loads(text) if text is not None else None
        except (ValueError, RecursionError):
            text = None
        if text is None:
            unread.append(name)
            if count > MAX_FILES:
                break
        elif carries(document, path):
            return Search((name,), (), (), count)
    return Search((), (run_id,), tuple(unread), count)


def _names(text: str, entry: Entry) -> bool:
    """Return whether a text names an output. Most do not, and finding that out by a pattern would take ages."""
    tail = entry.path.partition("/")[2] or entry.path
    if tail not in text and (not entry.sha256 or entry.sha256 not in text):
        return False
    names = [re.escape(entry.path), re.escape(tail if "/" in tail else entry.path)]
    digest = f"|{entry.sha256}" if entry.sha256 else ""
    return re.search(rf"(?<![\w-])(?:{'|'.join(names)})(?![\w-]|\.\w){digest}", text) is not None


def _standing_alone(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w-])")


def _read(path: Path, *, plain: bool = False) -> str | None:
    """Return a text, with its escapes resolved unless ``plain``; None when it cannot be read."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    if plain:
        return text
    if path.suffix.lower() in (".json", ".jsonld", ".geojson"):
        try:
            text = json.dumps(json.loads(text), ensure_ascii=False)
        except (ValueError, RecursionError):
            return None
    return unquote(text)


def _texts(root: Path, tree: str, suffixes: frozenset[str]) -> Iterator[Path]:
    """Yield the files of these kinds below ``root/tree``, sorted; links that lead out of ``root`` are passed over."""
    for base, folders, names in os.walk(root / tree, followlinks=False):
        folders.sort()
        for name in sorted(names):
            path = Path(base) / name
            if path.suffix.lower() not in suffixes:
                continue
            try:
                inside(root, path.relative_to(root).as_posix(), what="metadata")
            except UnsafePath:
                continue
            if path.is_file():
                yield path


def _unique(first: list[Path], rest: Iterator[Path]) -> Iterator[Path]:
    yield from first
    yield from (path for path in rest if path not in first)
