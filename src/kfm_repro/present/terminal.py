"""A report for people at a terminal: outputs, what differs in them, and the verdict as the last line."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kfm_repro.model.finding import Example, Finding, Flips, OutputComparison, OutputVerdict
from kfm_repro.model.report import Drift, Environment, ErrorInfo, RebuiltEnvironment, Report
from kfm_repro.model.verdict import Verdict
from kfm_repro.model.waiver import WaiverUse
from kfm_repro.present.flips import flip_sentence, flip_share
from kfm_repro.present.lines import Line, plural, to_text
from kfm_repro.present.visible import visible
from kfm_repro.present.words import in_metres

__all__ = ["VERDICTS", "render", "render_error", "told_waiver", "verdict_line"]

_MARKS: dict[OutputVerdict, tuple[str, str]] = {
    OutputVerdict.IDENTICAL: ("=", "green"),
    OutputVerdict.EQUIVALENT: ("~", "yellow"),
    OutputVerdict.DIFFERENT: ("≠", "red"),
    OutputVerdict.MISSING: ("-", "red"),
    OutputVerdict.EXTRA: ("+", "red"),
    OutputVerdict.UNKNOWN: ("?", "magenta"),
}
VERDICTS: dict[Verdict, tuple[str, str]] = {
    Verdict.REPRODUCIBLE: ("REPRODUCIBLE", "bold green"),
    Verdict.EQUIVALENT: ("EQUIVALENT", "bold yellow"),
    Verdict.NOT_REPRODUCIBLE: ("NOT REPRODUCIBLE", "bold red"),
    Verdict.UNKNOWN: ("UNKNOWN", "bold magenta"),
    Verdict.WAIVED: ("WAIVED", "bold yellow"),
}
_LEVELS = {
    "R1": "byte-identical on the same machine image",
    "R2": "byte-identical on another Linux machine",
    "R3": "byte-identical on another architecture",
}
_SHOWN_EXAMPLES = 2
_SHOWN_FINDINGS = 8
_SHOWN_AVOIDED = 4


def render(report: Report, *, color: bool = False, quiet: bool = False, saved: str = "") -> str:
    """Return the report as text; ``quiet`` leaves only the verdict. ``saved`` is where the JSON was written."""
    lines: list[Line] = []
    if not quiet:
        lines += _head(report)
        width = max((len(visible(o.path, 200)) for o in report.outputs), default=0)
        for output in report.outputs:
            lines += _output(output, width)
        lines += _notes(report)
        lines.append([])
    lines.append(_verdict(report, saved))
    return to_text(lines, color=color)


def render_error(error: ErrorInfo, *, color: bool = False) -> str:
    """Return an error as people read it: what and where, then what to do."""
    first, *rest = error.message.split("\n")
    lines: list[Line] = [[("error: ", "bold red"), (visible(first, 2_000), "")]]
    lines += [[(f"  {visible(line.strip(), 2_000)}", "")] for line in rest]
    if error.hint:
        lines.append([("  hint: ", "bold"), (visible(error.hint, 2_000), "")])
    return to_text(lines, color=color)


def verdict_line(report: Report) -> str:
    """Return the verdict in one sentence, written from the counts."""
    return "".join(text for text, _ in _verdict(report, ""))


def _head(report: Report) -> Iterator[Line]:
    if isinstance(report.run, msgspec.UnsetType):
        return
    run = report.run
    other = report.replays[0].run_id if report.replays else ""
    if not isinstance(report.against, msgspec.UnsetType):
        other = report.against.run_id
    arrow = f" → {visible(other)}" if other else ""
    seconds = f"   {sum(item.duration_s for item in report.replays):.1f} s" if report.replays else ""
    if len(report.replays) > 1:
        other = f"{len(report.replays)} replays"
    count = len(report.outputs)
    yield [
        (visible(run.pipeline), "bold"),
        (f"   {visible(run.run_id)}{arrow}   {count} output{'s' if count != 1 else ''}{seconds}", ""),
    ]


def _output(output: OutputComparison, width: int) -> Iterator[Line]:
    mark, style = _MARKS[output.verdict]
    counted = [finding for finding in output.findings if not finding.latent]
    head: Line = [
        (f"  {mark}  {output.verdict!s:<11} ", style),
        (f"{visible(output.path, 200):<{width}}", ""),
    ]
    if len(counted) == 1:
        head.append(("   " + _describe(counted[0]), ""))
    if output.accepted:
        head.append(("   accepted", "dim"))
    if isinstance(output.flips, Flips) and output.flips.differed:
        head.append((f"   {flip_share(output.flips)}", style))
    yield head
    shown = counted[:_SHOWN_FINDINGS]
    for finding in shown:
        if len(counted) > 1:
            often = f", {flip_share(finding.flips)}" if isinstance(finding.flips, Flips) else ""
            yield [("       · ", style), (_describe(finding) + often, "")]
        yield from _explain(finding)
    for finding in (item for item in output.findings if item.latent):
        yield [("       latent  ", "dim"), (f"{_describe(finding)}: {visible(finding.evidence, 160)}", "dim")]
    if len(counted) > len(shown):
        yield [(f"       … {len(counted) - len(shown)} more findings: --json shows them all", "dim")]


def _explain(finding: Finding) -> Iterator[Line]:
    if finding.evidence:
        yield [("         " + visible(finding.evidence, 240), "dim")]
    if finding.rung == "value":
        for example in finding.examples[:_SHOWN_EXAMPLES]:
            yield [("         " + _example(example), "dim")]
    for cause in finding.causes:
        where = f"{visible(cause.source)}  {visible(cause.call)}" if cause.source else visible(cause.axis)
        yield [("         why   ", "bold"), (where, "")]
    if finding.fix:
        yield [("         fix   ", "bold"), (visible(finding.fix.text, 300), "")]


def _describe(finding: Finding) -> str:
    place = ", ".join(
        f"{visible(name, 40)} {visible(value) or '(root)'}" for name, value in finding.where.items()
    )
    of = f" of {finding.of}" if finding.of is not None else ""
    text = f"{place}: {finding.kind}" if place else str(finding.kind)
    if finding.count != 1 or finding.of is not None:
        text += f", {finding.count}{of}"
    if isinstance(finding.metres, dict) and "max" in finding.metres:
        text += f", up to {in_metres(finding.metres['max'])}"
    return text


def _example(example: Example) -> str:
    key = ""
    if isinstance(example.key, dict):
        key = " ".join(f"{visible(k, 30)}={visible(v, 30)}" for k, v in example.key.items())
    if key and example.a is None and example.b is None:
        return key
    return f"{key}{'  ' if key else ''}{_scalar(example.a)} → {_scalar(example.b)}"


def _scalar(value: object) -> str:
    return "null" if value is None else visible(value)


def _notes(report: Report) -> Iterator[Line]:
    for item in report.preconditions:
        if item.state not in ("ok", "assumed"):
            yield [(f"  !  {visible(item.name)}: ", "yellow"), (visible(item.detail, 300), "")]
    lost = [
        (number, replay) for number, replay in enumerate(report.replays, 1) if replay.outcome != "success"
    ]
    for number, replay in lost[:_SHOWN_FINDINGS] if len(report.replays) > 1 else []:
        told = (
            f"{visible(replay.outcome)}, exit code {replay.exit_code}: not counted ({visible(replay.run_id)})"
        )
        yield [(f"  !  replay {number} of {len(report.replays)}: ", "yellow"), (told, "")]
    for use in report.waivers:
        yield [(f"  waiver {use.state}: ", "yellow"), (told_waiver(use), "")]
    yield from _environment(report.environment)
    yield from _scope(report)
    if report.scope.shown:
        yield [
            ("  shown: ", "dim"),
            (f"{visible(report.scope.shown)}, {_LEVELS.get(report.scope.shown, '')}", "dim"),
        ]
    if report.replays and report.scope.not_exercised:
        yield [("  not exercised: ", "dim"), (", ".join(map(visible, report.scope.not_exercised)), "dim")]


def told_waiver(use: WaiverUse) -> str:
    """Return what a waiver is for, until when, and why."""
    until = visible(use.expires, 20)
    return f"{visible(use.output, 200)}   {visible(use.kind)}, until {until}: {visible(use.reason, 160)}"


def _scope(report: Report) -> Iterator[Line]:
    """Say the level that it ran at when that is not the best, what is lost there first, and what was not compared."""
    lost = [note for note in report.scope.notes if note.startswith("isolation ")]
    if lost:
        more = f" … {len(lost) - 1} more in the report" if len(lost) > 1 else ""
        yield [("  !  ", "yellow"), (visible(lost[0], 300), ""), (more, "dim")]
    for note in report.scope.notes:
        if note.startswith("not compared: "):
            yield [("  !  ", "yellow"), (visible(note, 300), "")]


def _environment(environment: Environment) -> Iterator[Line]:
    """Say how the environment is not as recorded, and what was gained when it was rebuilt."""
    for drift in environment.drift[:_SHOWN_FINDINGS]:
        yield [("  !  environment: ", "yellow"), (_drift(drift), "")]
    more = len(environment.drift) + environment.omitted - _SHOWN_FINDINGS
    if more > 0:
        yield [(f"  !  … {more} more in the report", "yellow")]
    if not isinstance(environment.rebuilt, RebuiltEnvironment):
        return
    made = environment.rebuilt
    yield [(f"  environment: rebuilt, Python {visible(made.python)}, {plural(made.packages, 'package')}", "")]
    avoided = environment.avoided
    if isinstance(avoided, msgspec.UnsetType) or not avoided:
        return
    for drift in avoided[:_SHOWN_AVOIDED]:
        yield [("     today's has: ", "dim"), (_drift(drift), "dim")]
    if len(avoided) > _SHOWN_AVOIDED:
        yield [(f"     … {len(avoided) - _SHOWN_AVOIDED} more in the report", "dim")]


def _drift(drift: Drift) -> str:
    a, b = ("not there" if value is None else visible(value, 40) for value in (drift.a, drift.b))
    return f"{visible(drift.what)} {a} → {b} ({visible(drift.matters)})"


def _verdict(report: Report, saved: str) -> Line:
    label, style = VERDICTS[report.verdict]
    if isinstance(report.error, ErrorInfo):
        said = visible(report.error.message.partition("\n")[0], 300)
        left = f"  Compared all the same: {_counts(report)}." if report.outputs else ""
        line: Line = [(label, style), (f": {said}.{left}", "")]
    else:
        line = [(label, style), (f": {_counts(report)}.", "")]
    if isinstance(report.flips, Flips):
        line.append((f"  {flip_sentence(report.flips)}.", ""))
    if report.verdict is Verdict.EQUIVALENT and not all(
        output.accepted for output in report.outputs if output.verdict is OutputVerdict.EQUIVALENT
    ):
        line.append(("  Not accepted: --accept equivalent, or accept in the settings.", ""))
    if any(
        item.name == "inputs" and item.detail.startswith("replayed on today") for item in report.preconditions
    ):
        line.append(("  On today's inputs, not the recorded ones.", "yellow"))
    if isinstance(report.environment.rebuilt, RebuiltEnvironment) and not report.scope.level:
        line.append(("  Not in the same environment as recorded.", "yellow"))
    if saved:
        line.append((f"  Report: {saved}", "dim"))
    return line


def _counts(report: Report) -> str:
    counts, total = report.counts, len(report.outputs)
    differs = sum(counts[name] for name in ("different", "missing", "extra"))
    if report.verdict is Verdict.REPRODUCIBLE:
        return f"{total} of {total} output{'s' * (total != 1)} identical"
    parts = []
    if differs:
        parts.append(f"{differs} of {total} output{'s' * (total != 1)} differ{'s' * (differs == 1)}")
    named = (("missing", "missing"), ("extra", "extra"), ("unknown", "unknown"), ("equivalent", "equivalent"),
             ("identical", "identical"))  # fmt: skip
    parts += [f"{counts[name]} {word}" for name, word in named if counts[name]]
    return ", ".join(parts) or "nothing was compared"
