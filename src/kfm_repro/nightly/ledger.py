"""The ledger: every verdict of every night, in one SQLite file beside the runs.

It lies in ``<runs>/.ledger``, where no run is looked for. Any number of processes may write to it at once: each trial
is one short transaction, known by the id of its replay, so that what is written twice counts once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import quote

import msgspec

from kfm_repro.errors import InvalidRecord, NotWritable
from kfm_repro.model.nightly import LedgerTrial, Trial
from kfm_repro.model.verdict import Verdict
from kfm_repro.nightly.choose import Known
from kfm_repro.runs.locks import locked
from kfm_repro.runs.project import Project

__all__ = ["Ledger"]

_VERSION = 1
_RESTORE = (
    "restore it from a copy; or move it away: the next night begins anew, knowing nothing of those before"
)
_PATIENCE_S = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    replay_id TEXT PRIMARY KEY,
    night TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    run_id TEXT NOT NULL,
    started_at TEXT NOT NULL,
    git_commit TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    environment TEXT NOT NULL,
    verdict TEXT NOT NULL,
    seconds REAL NOT NULL,
    trial TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_pipeline ON trials (pipeline, night, started_at, run_id, replay_id);
"""
_COLUMNS = "night, pipeline, run_id, started_at, git_commit, trial"


class Ledger:
    """The ledger of a project. Raises NotWritable where its file cannot be had, InvalidRecord where it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, project: Project) -> Ledger:
        """Return the ledger that lies beside the runs of a project."""
        return cls(project.runs / ".ledger" / "ledger.sqlite3")

    def add(self, trials: Iterable[LedgerTrial]) -> int:
        """Keep trials, and return how many were new.

        Raises InvalidRecord for a night that is no day, and where another replay has the same id: then none is kept.
        """
        trials = [*trials]
        rows = [
            (
                item.trial.replay_id, _day(item.night, "the report of a night"), item.pipeline, item.run_id,
                item.started_at, item.git_commit, item.trial.ordinal, item.trial.environment,
                str(item.trial.verdict), item.trial.seconds, msgspec.json.encode(item.trial).decode(),
            )
            for item in trials
        ]  # fmt: skip
        if not rows:
            return 0
        with self._open() as base, base:
            base.execute("BEGIN IMMEDIATE")
            before = base.total_changes
            for row, item in zip(rows, trials, strict=True):
                insert = f"INSERT OR IGNORE INTO trials VALUES ({', '.join('?' * len(row))})"  # noqa: S608 - placeholders
                if not base.execute(insert, row).rowcount:
                    self._check_same(base, item)
            return base.total_changes - before

    def _check_same(self, base: sqlite3.Connection, item: LedgerTrial) -> None:
        """Refuse a replay whose id another one has: one of the two would be lost, and with it what it found."""
        (there,) = base.execute(f"SELECT {_COLUMNS} FROM trials WHERE replay_id = ?", (item.trial.replay_id,))  # noqa: S608 - ours
        if (old := self._told(there)) != item:
            raise InvalidRecord(
                f"the ledger {self.path} has another replay of the id {item.trial.replay_id[:40]}: of "
                f"{old.pipeline}/{old.run_id} in the night {old.night}",
                hint="machines that were cloned with their state give the same ids; do the night again",
            )

    def last_night(self) -> str:
        """Return the last night that is known; an empty text where none is."""
        if not self.path.exists():
            return ""
        with self._open() as base:
            return str(base.execute("SELECT coalesce(max(night), '') FROM trials").fetchone()[0])

    def trials(self, *, before: str = "") -> Iterator[LedgerTrial]:
        """Yield the trials by pipeline, night, start of the run, run and time; those ``before`` a night, if given."""
        if not self.path.exists():
            return
        query = (
            f"SELECT {_COLUMNS} FROM trials WHERE ? = '' OR night < ? "  # noqa: S608 - ours
            "ORDER BY pipeline, night, started_at, run_id, replay_id"
        )
        with self._open() as base:
            yield from map(self._told, base.execute(query, (before, before)))

    def _told(self, row: tuple[str, ...]) -> LedgerTrial:
        night, pipeline, run_id, started, commit, text = row
        return LedgerTrial(
            night=_day(night, f"a row of the ledger {self.path}"), pipeline=pipeline, run_id=run_id,
            started_at=started, git_commit=commit, trial=_trial(text, self.path),
        )  # fmt: skip

    def known(self, *, before: str = "") -> dict[tuple[str, str], Known]:
        """Return by pipeline and run what is known of each: trials with a verdict, and how the last one was."""
        found: dict[tuple[str, str], Known] = {}
        for item in self.trials(before=before):
            trial, key = item.trial, (item.pipeline, item.run_id)
            if trial.verdict is Verdict.UNKNOWN:
                continue
            old = found.get(key, Known())
            found[key] = Known(
                trials=old.trials + 1,
                differed=old.differed + any(outcome.differed for outcome in trial.outcomes),
                night=date.fromisoformat(item.night),
                environment=trial.environment,
                seconds=trial.seconds,
            )
        return found

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            if not self.path.exists():
                self._begin()
            if not self.path.stat().st_size:
                raise InvalidRecord(f"the ledger {self.path} is empty: it was cut off", hint=_RESTORE)
            with closing(_connect(self.path)) as base:
                base.execute("PRAGMA synchronous = FULL")
                self._check(base)
                yield base
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):
                raise NotWritable(
                    f"the ledger {self.path} cannot be used: {exc}",
                    hint="check the folder and its disk; only one writer at a time waits longer than a minute",
                ) from exc
            raise InvalidRecord(f"{self.path} is no ledger, or a damaged one: {exc}", hint=_RESTORE) from exc
        except OSError as exc:
            raise NotWritable(
                f"the ledger cannot be made in {self.path.parent}: {exc.strerror or exc}",
                hint="check the folder of the runs",
            ) from exc

    def _begin(self) -> None:
        """Make an empty ledger, whole or not at all: a kill leaves none of no bytes, which would be one cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.with_name(".begin.lock")):
            if self.path.exists():
                return
            new = self.path.with_name(f".{self.path.name}.new")
            new.unlink(missing_ok=True)
            new.touch()
            with closing(_connect(new)) as base:
                base.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
            new.replace(self.path)

    def _check(self, base: sqlite3.Connection) -> None:
        """Refuse what another program wrote, and what is damaged: a row that is lost may be a regression."""
        version = base.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            raise InvalidRecord(f"{self.path} is no ledger: another program wrote it", hint=_RESTORE)
        if version != _VERSION:
            raise InvalidRecord(
                f"the ledger {self.path} is of version {version}, which this kfm-repro does not know",
                hint="use the kfm-repro that wrote it, or move it away and begin anew",
            )
        told = base.execute("PRAGMA quick_check(1)").fetchone()[0]
        if told != "ok":
            raise InvalidRecord(f"the ledger {self.path} is damaged: {told}", hint=_RESTORE)


def _connect(path: Path) -> sqlite3.Connection:
    """Open a database that is there; SQLite would make an empty one of a path that is not."""
    name = quote(str(path.absolute()), errors="surrogateescape")
    return sqlite3.connect(f"file:{name}?mode=rw", uri=True, timeout=_PATIENCE_S, isolation_level=None)


def _day(night: str, where: str) -> str:
    """Return the night if it is a day as we write it; nights are put in order as texts."""
    try:
        if date.fromisoformat(night).isoformat() == night:
            return night
    except ValueError:
        pass
    raise InvalidRecord(
        f"{where} is of {night[:40]!r}, which is no day", hint="restore it from a copy, or begin anew"
    )


def _trial(text: str, path: Path) -> Trial:
    try:
        return msgspec.json.decode(text, type=Trial)
    except msgspec.MsgspecError as exc:
        raise InvalidRecord(
            f"a row of the ledger {path} cannot be read: {exc}", hint="restore it from a copy, or begin anew"
        ) from exc
