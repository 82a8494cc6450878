"""The end of a run's log: a last line that was cut off is normal for an aborted run (rule 5)."""

from __future__ import annotations

import json
from pathlib import Path

from kfm_repro.errors import UnsafePath
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.paths import inside

__all__ = ["last_lines"]

_TAIL_BYTES = 1 << 16
_TEXT_KEYS = ("text", "message", "msg", "event")
"""Where records of different tools keep what was said."""


def last_lines(run: RunDir, count: int = 8) -> tuple[str, ...]:
    """Return the last lines of ``logs/pipeline.jsonl``, else of ``logs/stderr.log``, as the pipeline said them."""
    for name in ("logs/pipeline.jsonl", "logs/stderr.log"):
        try:
            path = inside(run.path, name, what=name)
            lines = _tail(path) if path.is_file() else []
        except (OSError, UnsafePath):
            continue
        if lines:
            said = lines if name.endswith(".log") else [_said(line) for line in lines]
            return tuple(line for line in said if line.strip())[-count:]
    return ()


def _tail(path: Path) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - _TAIL_BYTES)
        file.seek(start)
        lines = file.read(_TAIL_BYTES).decode(errors="replace").splitlines()
    return lines[1:] if start and len(lines) > 1 else lines


def _said(line: str) -> str:
    """Return the text of one event; a line that is cut off or no event is shown as it is."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if isinstance(event, dict):
        for key in _TEXT_KEYS:
            if isinstance(event.get(key), str):
                return str(event[key])
    return line
