"""One run on one screen, for people at a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from kfm_repro.model.listing import ListedRun, ShownFiles, ShowReport
from kfm_repro.model.run import RunState
from kfm_repro.present.lines import Line, to_text
from kfm_repro.present.listing import STATE_STYLES, seconds_text
from kfm_repro.present.visible import visible

__all__ = ["render_show"]

_STATUS_STYLES = {"pass": "green", "fail": "red"}
_SHOWN_REPLAYS = 5
_SHOWN_CONFIG = 6
_SHORT = 12
_KILO = 1000


def render_show(shown: ShowReport, *, color: bool = False, quiet: bool = False) -> str:
    """Return the run as text; ``quiet`` leaves only its state."""
    lines = [_state(shown)] if quiet else list(_lines(shown))
    return to_text(lines, color=color)


def _lines(shown: ShowReport) -> Iterator[Line]:
    run = shown.run
    yield [(visible(run.pipeline, 200), "bold"), (f"   {visible(run.run_id, 200)}", "")]
    yield _state(shown)
    if run.replay_of:
        yield _row("replay of", visible(run.replay_of, 200))
    yield from _what(shown)
    yield from _when(shown)
    yield from _files("inputs", shown.inputs)
    yield from _files("outputs", shown.outputs)
    yield from _rest(shown)
    if shown.last_lines:
        yield _row("last lines", "")
        for line in shown.last_lines:
            yield [(f"    {visible(line, 160)}", "dim")]
    yield from _replays(shown)
    for problem in shown.problems:
        yield [("  !  ", "yellow"), (visible(problem, 300), "")]


def _state(shown: ShowReport) -> Line:
    run = shown.run
    why = f"   {visible(run.reason.splitlines()[0], 200)}" if run.reason else ""
    if run.partial:
        why += "   partial: no run.yaml"
    return [("  state       ", "dim"), (str(run.state), STATE_STYLES[run.state]), (why, "")]


def _row(name: str, text: str) -> Line:
    return [(f"  {name:<11} ", "dim"), (text, "")]


def _what(shown: ShowReport) -> Iterator[Line]:
    if shown.entrypoint:
        command = " ".join(visible(part, 200) for part in (shown.entrypoint, *shown.args))
        yield _row("ran", command + (f"   in {visible(shown.cwd, 200)}" if shown.cwd != "." else ""))
    if shown.git_commit:
        dirty = {True: "   with uncommitted changes", False: "", None: "   clean or not: not recorded"}
        yield _row("code", visible(shown.git_commit, 40) + dirty[shown.repo_dirty])


def _when(shown: ShowReport) -> Iterator[Line]:
    run = shown.run
    took = seconds_text(run.duration_s)
    yield _row("started", (run.started_at or "unknown") + (f"   took {took}" if took else ""))
    where = [visible(part) for part in (shown.host, shown.runner) if part]
    if shown.invoked_by:
        where.append(f"by {visible(shown.invoked_by)}")
    if where:
        yield _row("where", "   ".join(where))
    parts = [f"{name} {visible(value, 100)}" for name, value in shown.environment.items()]
    if shown.packages is not None:
        parts.append(f"{shown.packages} packages")
    if shown.variables:
        parts.append(f"{len(shown.variables)} variables")
    if parts:
        yield _row("environment", ", ".join(parts))


def _files(name: str, files: ShownFiles | None) -> Iterator[Line]:
    if files is None:
        yield _row(name, "no manifest")
        return
    yield _row(name, f"{files.count} file{'s' if files.count != 1 else ''}, {_size(files.size_bytes)}")
    width = max((len(visible(file.path, 100)) for file in files.files), default=0)
    for file in files.files:
        digest = file.sha256[:_SHORT] if file.sha256 else "no digest"
        size = "size unknown" if file.size_bytes is None else _size(file.size_bytes)
        records = "" if file.records is None else f"   {file.records} records"
        text = f"{visible(file.path, 100):<{width}}   {digest:<{_SHORT}}   {size:>10}{records}"
        yield [(f"    {text}", "")]
    if files.count > len(files.files):
        yield [(f"    … and {files.count - len(files.files)} more", "dim")]


def _rest(shown: ShowReport) -> Iterator[Line]:
    if shown.config:
        more = f" and {len(shown.config) - _SHOWN_CONFIG} more" if len(shown.config) > _SHOWN_CONFIG else ""
        yield _row("config", ", ".join(visible(name, 100) for name in shown.config[:_SHOWN_CONFIG]) + more)
    for number, item in enumerate(shown.validation):
        status = visible(item.status, 20)
        reason = f"   {visible(item.reason, 120)}" if item.reason else ""
        label = "validation" if not number else ""
        yield [
            (f"  {label:<11} ", "dim"),
            (f"{visible(item.name, 60):<22} ", ""),
            (status, _STATUS_STYLES.get(status, "yellow")),
            (reason, ""),
        ]
    if shown.metrics:
        yield _row(
            "metrics",
            ", ".join(f"{visible(k, 60)} {visible(v)}" for k, v in list(shown.metrics.items())[:12]),
        )


def _replays(shown: ShowReport) -> Iterator[Line]:
    recent = shown.replays[-_SHOWN_REPLAYS:]
    for number, replay in enumerate(recent):
        count = (
            f"{len(shown.replays)} in all, the last of them first" if len(shown.replays) > len(recent) else ""
        )
        label = "replays" if not number else ""
        yield _row(label, _replay(shown, replay) + (f"   ({count})" if count and not number else ""))


def _replay(shown: ShowReport, replay: ListedRun) -> str:
    verdict = shown.verdicts.get(replay.run_id, "unknown")
    state = "" if replay.state is RunState.SUCCESS else f" ({replay.state})"
    return f"{visible(replay.run_id, 200)}   {verdict}{state}"


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < _KILO or unit == "TB":
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= _KILO
    raise AssertionError  # pragma: no cover - the last unit always returns
