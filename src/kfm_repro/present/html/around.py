"""What surrounds the findings: the runs, what the verdict covers, preconditions, and drift of the environment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from kfm_repro.model.report import RebuiltEnvironment, Report
from kfm_repro.present.lines import plural
from kfm_repro.present.listing import seconds_text
from kfm_repro.present.times import utc
from kfm_repro.present.visible import visible

__all__ = ["Facts", "Part", "facts_of", "parts_of"]

_MOST = 200
_LEVELS = {
    "R1": "byte-identical on the same machine image",
    "R2": "byte-identical on another Linux machine",
    "R3": "byte-identical on another architecture",
}


@dataclass(frozen=True)
class Facts:
    """What was compared with what: a name, and facts as (name, value)."""

    name: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Part:
    """A part of the lower page: a table under a title, ``note`` below it; ``alert`` where it needs a look."""

    anchor: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    alert: bool = False


def facts_of(report: Report) -> Facts:
    """Return what the report is about."""
    if isinstance(report.run, msgspec.UnsetType):
        return Facts("two sets of files", ())
    run = report.run
    rows = [("run", visible(run.run_id, 80))]
    if not isinstance(report.against, msgspec.UnsetType):
        rows.append(("against", visible(report.against.run_id, 80)))
    if len(report.replays) == 1:
        rows.append(("replay", visible(report.replays[0].run_id, 80)))
    elif report.replays:
        rows.append(("replays", str(len(report.replays))))
    if run.git_commit:
        rows.append(("commit", visible(run.git_commit, 12).rstrip("…")))
    if report.replays:
        rows.append(("took", seconds_text(sum(item.duration_s for item in report.replays))))
        rows.append(("isolation", ", ".join(dict.fromkeys(visible(r.isolation) for r in report.replays))))
    return Facts(visible(run.pipeline or run.run_id, 80), tuple(rows))


def parts_of(report: Report) -> tuple[Part, ...]:
    """Return the parts that have something to say, in reading order."""
    parts = (_preconditions(report), _drift(report), _environment(report), _scope(report), _replays(report),
             _waivers(report))  # fmt: skip
    return tuple(_without_empty_end(part) for part in parts if part.rows or part.note)


def _without_empty_end(part: Part) -> Part:
    """Leave out the last column where no row has anything in it: a head above nothing is a riddle."""
    if not part.rows or any(row[-1] for row in part.rows):
        return part
    return replace(part, heads=part.heads[:-1], rows=tuple(row[:-1] for row in part.rows))


def _preconditions(report: Report) -> Part:
    rows = tuple(
        (visible(item.name), visible(item.state), visible(item.detail, 600), visible(item.code))
        for item in report.preconditions[:_MOST]
    )
    bad = any(item.state not in ("ok", "assumed") for item in report.preconditions)
    return Part("preconditions", "Preconditions", ("what", "state", "detail", "code"), rows, alert=bad)


def _drift(report: Report) -> Part:
    rows = tuple(
        (visible(item.what, 200), _side(item.a), _side(item.b), str(item.code))
        for item in report.drift[:_MOST]
    )
    more = len(report.drift) - len(rows)
    note = f"{more} more in the JSON report." if more else ""
    return Part("drift", "What drifted", ("what", "A", "B", "code"), rows, note)


def _environment(report: Report) -> Part:
    found = report.environment
    rows = tuple(
        (visible(item.what, 120), _side(item.a), _side(item.b), visible(item.matters))
        for item in found.drift[:_MOST]
    )
    notes = []
    if isinstance(found.rebuilt, RebuiltEnvironment):
        made = found.rebuilt
        notes.append(f"Rebuilt: Python {visible(made.python)}, {plural(made.packages, 'package')}.")
    more = len(found.drift) + found.omitted - len(rows)
    if more:
        notes.append(f"{more} more in the JSON report.")
    heads = ("what", "recorded", "replay", "can affect")
    return Part("environment", "Environment drift", heads, rows, " ".join(notes), alert=bool(rows))


def _scope(report: Report) -> Part:
    return Part("scope", "What this verdict covers", ("", ""), tuple(_scope_rows(report)))


def _scope_rows(report: Report) -> Iterator[tuple[str, str]]:
    scope = report.scope
    if scope.shown:
        yield "shown", f"{visible(scope.shown)}: {_LEVELS.get(scope.shown, '')}"
    elif scope.level and report.replays:
        yield (
            "could show",
            f"{visible(scope.level)}: {_LEVELS.get(scope.level, '')}; the bytes are not the same",
        )
    for name, axes in (("held", scope.held), ("varied", scope.varied)):
        if axes:
            yield (
                name,
                ", ".join(f"{visible(axis)} {visible(value, 120)}".strip() for axis, value in axes.items()),
            )
    if scope.natural:
        yield "natural", ", ".join(map(visible, scope.natural))
    if scope.not_exercised and report.replays:
        yield "not exercised", ", ".join(map(visible, scope.not_exercised))
    for note in scope.notes[:_MOST]:
        yield "note", visible(note, 600)


def _replays(report: Report) -> Part:
    rows = []
    for item in report.replays[:_MOST]:
        when = "" if isinstance(item.window, msgspec.UnsetType) else utc(item.window[0])
        setting = ", ".join(f"{visible(k)} {visible(v)}" for k, v in item.setting.items())
        rows.append(
            (visible(item.run_id, 80), visible(item.outcome), when, seconds_text(item.duration_s), setting)
        )
    heads = ("replay", "ended", "its clock said", "took", "setting")
    more = len(report.replays) - len(rows)
    return Part("replays", "Replays", heads, tuple(rows), f"{more} more in the JSON report." if more else "")


def _waivers(report: Report) -> Part:
    rows = tuple(
        (
            visible(item.output, 200),
            ", ".join(
                [visible(item.kind), *(f"{k} {visible(v, 80)}" for k, v in sorted(item.where.items()))]
            ),
            visible(item.state),
            f"{item.found} of {item.count}" if item.state != "not-checked" else "",
            visible(item.reason, 300),
            visible(item.expires),
        )
        for item in report.waivers[:_MOST]
    )
    return Part(
        "waivers", "Waivers", ("output", "what", "state", "found of allowed", "reason", "until"), rows
    )


def _side(value: str | None) -> str:
    return "not there" if value is None else visible(value, 80)
