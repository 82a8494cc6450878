"""Whether SQLite itself finds a file sound: the rows do not say whether the indexes fit them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from kfm_repro.compare.database.read import Database

__all__ = ["integrity_findings"]

_STEPS = 1_000_000
_MAX_ROUNDS = 200
"""So many million steps of SQLite's machine: about ten seconds."""
_STOPPED = "interrupted"


def integrity_findings(a: Database, b: Database) -> Iterator[Finding]:
    """Report a side that ``PRAGMA integrity_check`` finds damaged; nothing when both are sound.

    Damage of both sides leaves the rows uncertain, and so does a check that had to be stopped. A schema with
    functions that are not at hand cannot be checked; its rows are compared all the same.
    """
    # SQLite lets go of the interpreter while it checks.
    with ThreadPoolExecutor(2 if sqlite3.threadsafety else 1) as pool:
        wrong = [*pool.map(_complaint, (a, b))]
    if all(wrong):
        evidence = f"integrity check: A: {wrong[0]}; B: {wrong[1]}"
        yield Finding(kind=Kind.GARBAGE, rung=Rung.UNKNOWN, evidence=evidence[:300])
    elif any(wrong):
        side = "A" if wrong[0] else "B"
        rung = Rung.UNKNOWN if _STOPPED in wrong else Rung.VALUE
        evidence = f"integrity check of {side}: {wrong[0] or wrong[1]}"
        yield Finding(kind=Kind.TRUNCATED, rung=rung, evidence=evidence[:300])


def _complaint(database: Database) -> str:
    """Return the first complaint of SQLite about a file, "" when there is none."""
    rounds = 0

    def stop() -> bool:
        nonlocal rounds
        rounds += 1
        return rounds > _MAX_ROUNDS

    connection = database.connection
    connection.set_progress_handler(stop, _STEPS)
    try:
        (text,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.OperationalError as exc:
        return _STOPPED if _STOPPED in str(exc) else ""
    except sqlite3.Error as exc:
        return str(exc)
    finally:
        connection.set_progress_handler(None, 0)
    return "" if text == "ok" else " ".join(str(text).split())
