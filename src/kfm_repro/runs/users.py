"""Who uses an object store that lies apart from the runs: no object that one of them names may be collected.

Each runs folder has an id of its own, and the store a note of every runs folder that ever wrote to it. A note that
leads to no runs folder with that id (moved, not mounted, on another machine) says that not all needs are known.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from uuid import uuid4

from kfm_repro.errors import NotWritable

__all__ = ["Users"]

_ID = ".objects-user"
_OWN = ".objects"
_NOTES = "users"
_HEX = frozenset("0123456789abcdef")


class Users:
    """The runs folders that use the store ``store``; ``runs`` is ours."""

    def __init__(self, store: Path, runs: Path) -> None:
        self._store, self._runs = store, runs

    @property
    def is_own(self) -> bool:
        """Whether the store lies in our runs folder, where nothing has to be noted."""
        return self._store == self._runs / _OWN

    def register(self) -> None:
        """Note in the store that our runs use it. Raises OSError."""
        if self.is_own:
            return
        runs = self._runs.resolve()
        id_ = _read_id(runs) or _new_id(runs)
        place = hashlib.sha256(os.fsencode(runs)).hexdigest()[:12]
        note = self._store / _NOTES / f"{id_}-{place}.json"
        if not note.is_file():
            note.parent.mkdir(exist_ok=True)
            _write(note, json.dumps({"id": id_, "runs": str(runs)}, indent=2) + "\n")

    def folders(self) -> tuple[Path, ...]:
        """Return every runs folder that uses the store, ours first.

        Raises NotWritable when one cannot be found as it was noted: what it needs is not known.
        """
        found = [self._runs]
        if self._store.name == _OWN and not self.is_own and self._store.parent.is_dir():
            found.append(self._store.parent)
        for note in sorted((self._store / _NOTES).glob("*.json")):
            runs = _noted(note)
            if runs is None:
                raise NotWritable(
                    f"other runs use the object store, too, and cannot be looked at: {_told(note)}",
                    hint=f"if they are gone for good, delete {note}",
                )
            if runs not in found and runs.resolve() != self._runs.resolve():
                found.append(runs)
        return tuple(found)


def _noted(note: Path) -> Path | None:
    """Return the runs folder of a note, None when it is not there or is another one."""
    try:
        document = json.loads(note.read_bytes())
        runs, id_ = Path(document["runs"]), document["id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return runs if _read_id(runs) == id_ and os.access(runs, os.R_OK | os.X_OK) else None


def _told(note: Path) -> str:
    try:
        return str(json.loads(note.read_bytes())["runs"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return note.name


def _read_id(runs: Path) -> str | None:
    try:
        text = (runs / _ID).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return text if len(text) == 32 and _HEX.issuperset(text) else None  # noqa: PLR2004 - hex digits of a UUID


def _new_id(runs: Path) -> str:
    runs.mkdir(parents=True, exist_ok=True)
    _write(runs / _ID, uuid4().hex + "\n")
    id_ = _read_id(runs)
    if id_ is None:
        raise FileExistsError(17, "is there, and holds no id: delete it", str(runs / _ID))
    return id_


def _write(path: Path, text: str) -> None:
    """Bring a whole new file into being; who comes second leaves the first one's."""
    part = path.with_name(f".{uuid4().hex}.part")
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
