"""What the page of a night shows, as frozen data: chosen, bounded and made visible here, laid out by the template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from kfm_repro.model.nightly import Alarm, NightReport, NightRun, Trial
from kfm_repro.model.report import ErrorInfo
from kfm_repro.model.verdict import Verdict
from kfm_repro.present.html.around import Facts, Part
from kfm_repro.present.listing import seconds_text
from kfm_repro.present.night.words import MARKS, TITLES, passes, sentence, told_outputs, worst_first
from kfm_repro.present.visible import visible
from kfm_repro.present.words import LABELS

__all__ = ["FULL", "Limits", "NightPage", "night_page"]

_TEXT = 600
_COMMIT = 12
_OUTPUTS = 20
_PERCENT = 100


@dataclass(frozen=True)
class Limits:
    """How much of a night a page shows; what is left out is counted."""

    runs: int
    rows: int

    @property
    def is_least(self) -> bool:
        """Whether nothing more can be left out."""
        return self.runs <= 1

    def halved(self) -> Limits:
        """Return limits of half the size."""
        return Limits(max(1, self.runs // 2), max(1, self.rows // 2))


FULL = Limits(runs=4_096, rows=1_024)


@dataclass(frozen=True)
class Replay:
    """One replay of a run; ``href`` leads to its own report where that is known."""

    name: str
    verdict: str
    href: str


@dataclass(frozen=True)
class Output:
    """One output that is not as recorded."""

    path: str
    status: str
    kinds: str


@dataclass(frozen=True)
class Run:
    """One run of the night as the page shows it."""

    pipeline: str
    run_id: str
    mark: str
    verdict: str
    commit: str
    why: str
    error: str
    outputs: tuple[Output, ...]
    outputs_left_out: int
    replays: tuple[Replay, ...]


@dataclass(frozen=True)
class Raised:
    """One alarm as the page shows it."""

    title: str
    output: str
    message: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class NightPage:
    """The whole page, in the order in which it is read."""

    title: str
    command: str
    verdict: str
    label: str
    sentence: str
    hint: str
    facts: Facts
    counts: tuple[tuple[str, str, int, str], ...]
    alarms: tuple[Raised, ...]
    alarms_left_out: int
    failing: tuple[Run, ...]
    failing_left_out: int
    passing: tuple[Run, ...]
    passing_left_out: int
    parts: tuple[Part, ...]
    linked: bool


def night_page(report: NightReport, links: Mapping[str, str], limits: Limits) -> NightPage:
    """Return what the page shows of a night; ``links`` lead to the report of a replay, by its id."""
    runs = worst_first(report)
    failing = [run for run in runs if not passes(run)]
    passing = [run for run in runs if passes(run)]
    error = report.error if isinstance(report.error, ErrorInfo) else ErrorInfo(code="", message="")
    night = f"night {visible(report.night, 20)}"
    return NightPage(
        title=f"{LABELS[report.verdict]}: {night}",
        command="nightly",
        verdict=str(report.verdict),
        label=LABELS[report.verdict],
        sentence=sentence(report),
        hint=visible(error.hint, 2_000) if error.hint else "",
        facts=Facts(night, tuple(_facts(report))),
        counts=tuple(_counts(report)),
        alarms=tuple(_raised(alarm) for alarm in report.alarms[: limits.rows]),
        alarms_left_out=max(0, len(report.alarms) - limits.rows),
        failing=tuple(_run(run, links) for run in failing[: limits.runs]),
        failing_left_out=max(0, len(failing) - limits.runs),
        passing=tuple(_run(run, links) for run in passing[: limits.runs]),
        passing_left_out=max(0, len(passing) - limits.runs),
        parts=tuple(part for part in _parts(report, limits.rows) if part.rows),
        linked=bool(links),
    )


def _facts(report: NightReport) -> Iterator[tuple[str, str]]:
    if report.shard:
        yield "part", visible(report.shard, 20)
    yield "replayed", str(len(report.runs))
    yield "left out", str(len(report.left_out))
    if report.vary:
        yield "varied", ", ".join(map(visible, report.vary))
    if report.budget_s:
        yield "budget", seconds_text(report.budget_s)
    if not isinstance(report.options, msgspec.UnsetType):
        yield "accepted", visible(report.options.accept) or "as the settings say"
        yield "isolation", visible(report.options.isolation)
        yield "kfm-repro", visible(report.options.version)


def _counts(report: NightReport) -> Iterator[tuple[str, str, int, str]]:
    """Yield verdict, mark, number and share in percent of the runs, those that occur, the worst first."""
    found = Counter(run.report.verdict for run in report.runs)
    order = (
        Verdict.NOT_REPRODUCIBLE,
        Verdict.UNKNOWN,
        Verdict.EQUIVALENT,
        Verdict.WAIVED,
        Verdict.REPRODUCIBLE,
    )
    for verdict in (verdict for verdict in order if found[verdict]):
        share = f"{found[verdict] * _PERCENT / len(report.runs):.4g}"
        yield str(verdict), MARKS[verdict], found[verdict], share


def _raised(alarm: Alarm) -> Raised:
    rows = (
        ("pipeline", visible(alarm.pipeline, 120)),
        ("since run", visible(alarm.run_id, 80)),
        ("commit", visible(alarm.commit, 40)),
        ("what differs", "; ".join(_aspects(alarm))),
    )
    return Raised(
        title=TITLES.get(alarm.kind, visible(alarm.kind)),
        output=visible(alarm.output, 300),
        message=visible(alarm.message, _TEXT),
        rows=tuple((name, value) for name, value in rows if value),
    )


def _aspects(alarm: Alarm) -> Iterator[str]:
    for aspect in alarm.aspects[:_OUTPUTS]:
        where = f"{visible(aspect.where, 200)}: " if aspect.where else ""
        yield f"{where}{visible(aspect.kind)}, {aspect.count}"


def _run(run: NightRun, links: Mapping[str, str]) -> Run:
    outputs = [Output(visible(path, 300), status, kinds) for path, status, kinds in told_outputs(run)]
    error = run.report.error.message if isinstance(run.report.error, ErrorInfo) else ""
    return Run(
        pipeline=visible(run.run.pipeline, 120),
        run_id=visible(run.run.run_id, 80),
        mark=MARKS[run.report.verdict],
        verdict=str(run.report.verdict),
        commit=visible(run.run.git_commit, _COMMIT).rstrip("…") if run.run.git_commit else "",
        why=", ".join(visible(reason, 40) for reason in run.reasons),
        error=visible(error.partition("\n")[0], _TEXT) if error else "",
        outputs=tuple(outputs[:_OUTPUTS]),
        outputs_left_out=max(0, len(outputs) - _OUTPUTS),
        replays=tuple(_replay(trial, links) for trial in run.trials),
    )


def _replay(trial: Trial, links: Mapping[str, str]) -> Replay:
    name = f"confirming {trial.ordinal}" if trial.ordinal else "first"
    return Replay(name, str(trial.verdict), links.get(trial.replay_id, ""))


def _parts(report: NightReport, most: int) -> Iterator[Part]:
    waivers = tuple(
        (
            visible(use.output, 300),
            str(use.state),
            visible(use.kind),
            visible(use.expires),
            visible(use.reason, _TEXT),
        )
        for use in report.waivers[:most]
    )
    yield Part("waivers", "Waivers", ("output", "state", "kind", "until", "reason"), waivers)
    left = tuple(
        (
            f"{visible(item.pipeline, 120)}/{visible(item.run_id, 80)}",
            visible(item.reason),
            visible(item.detail, _TEXT),
        )
        for item in sorted(report.left_out, key=lambda item: item.reason)[:most]
    )
    note = f"{len(report.left_out) - most} more in the JSON report." if len(report.left_out) > most else ""
    yield Part("left-out", "Left out", ("run", "reason", "why"), left, note, alert=not report.runs)
    notes = tuple((visible(note, _TEXT),) for note in report.notes[:most])
    yield Part("notes", "Notes", ("",), notes, alert=True)
