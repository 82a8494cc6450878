"""Write files with the libraries that pipelines use, each writer into a folder of its own.

``python write.py FOLDER [NAME ...]``: all writers, or those named; ``steady`` names those of `corpus.steady`.
``writers.json`` in the folder says of each when it ran, by the clock that it saw, and what it failed with.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

# Not the folder of this file: its modules have the names of libraries.
sys.path[0] = str(Path(__file__).parent.parent)

from corpus import documents, rasters, steady, tables, vector  # noqa: E402  # found only from here on

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Writers:
    """Every writer by its name: the function that writes to a path, and the suffix of that path."""

    known: dict[str, tuple[Callable[[Path], None], str]] = field(default_factory=dict)

    def add(self, function: Callable[[Path], None], suffix: str, name: str = "") -> None:
        self.known[name or function.__name__] = (function, suffix)


def all_writers() -> Writers:
    writers = Writers()
    for room in (vector, tables, documents, rasters):
        room.add(writers)
    return writers


def main(target: Path, names: list[str]) -> None:
    warnings.simplefilter("ignore")
    said = {}
    writers = all_writers()
    if names == ["steady"]:
        writers, names = Writers(), []
        steady.add(writers)
    for name, (function, suffix) in writers.known.items():
        if names and name not in names:
            continue
        folder = target / name
        folder.mkdir(parents=True)
        began = time.time()
        error = ""
        try:
            function(folder / f"out.{suffix}")
        except Exception as exc:  # noqa: BLE001  # the table says which writer failed, and with what
            error = f"{type(exc).__name__}: {exc}"[:300]
        said[name] = {"window": [began, time.time()], "error": error}
    (target / "writers.json").write_text(json.dumps(said, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
