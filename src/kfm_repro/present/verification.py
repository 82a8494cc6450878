"""A verification for people at a terminal: each line, its reason, secrets by place, the verdict last."""

from __future__ import annotations

from kfm_repro.model.verification import CheckState, Publishable, Verification
from kfm_repro.present.lines import Line, to_text
from kfm_repro.present.visible import visible

__all__ = ["render_verification"]

_MARKS: dict[CheckState, tuple[str, str, str]] = {
    CheckState.PASS: ("✓", "pass", "green"),
    CheckState.FAIL: ("✗", "fail", "red"),
    CheckState.UNKNOWN: ("?", "unknown", "magenta"),
}
_VERDICTS: dict[Publishable, tuple[str, str]] = {
    Publishable.PUBLISHABLE: ("PUBLISHABLE", "bold green"),
    Publishable.NOT_PUBLISHABLE: ("NOT PUBLISHABLE", "bold red"),
    Publishable.UNKNOWN: ("UNKNOWN", "bold magenta"),
}
_SHOWN_HITS = 20
_SHOWN_FILES = 3


def render_verification(verification: Verification, *, color: bool = False, quiet: bool = False) -> str:
    """Return the verification as text; ``quiet`` leaves only the verdict."""
    lines: list[Line] = [] if quiet else _lines(verification)
    return to_text([*lines, _verdict(verification)], color=color)


def _lines(verification: Verification) -> list[Line]:
    shown: list[Line] = [
        [(visible(verification.run.pipeline), "bold"), (f"  {visible(verification.run.run_id)}", "")]
    ]
    width = max((len(line.name) for line in verification.lines), default=0)
    for line in verification.lines:
        mark, word, style = _MARKS[line.state]
        shown.append([
            (f"  {mark}  {line.number} {word:<7} ", style),
            (f"{line.name:<{width}}  ", ""),
            (visible(line.asks, 120), "dim"),
        ])  # fmt: skip
        if line.state is not CheckState.PASS or line.reason:
            shown.append(
                [
                    (
                        f"                {visible(line.reason, 400)}",
                        "" if line.state is not CheckState.PASS else "dim",
                    )
                ]
            )
        if line.state is not CheckState.PASS and line.files:
            names = ", ".join(visible(name, 120) for name in line.files[:_SHOWN_FILES])
            more = f" and {len(line.files) - _SHOWN_FILES} more" if len(line.files) > _SHOWN_FILES else ""
            shown.append([(f"                in {names}{more}", "dim")])
    mark, word, style = _MARKS[verification.secrets.state]
    shown.append([(f"  {mark}    {word:<7} ", style), (f"{'secrets':<{width}}  ", ""),
                  (visible(verification.secrets.reason, 300), "")])  # fmt: skip
    hits = verification.secrets.hits
    shown += [
        [(f"                {visible(hit.file, 200)}:{hit.line}  {visible(hit.kind)}", "")]
        for hit in hits[:_SHOWN_HITS]
    ]
    if len(hits) > _SHOWN_HITS:
        shown.append([(f"                … {len(hits) - _SHOWN_HITS} more with --json", "dim")])
    return [*shown, []]


def _verdict(verification: Verification) -> Line:
    label, style = _VERDICTS[verification.verdict]
    states = [line.state for line in verification.lines]
    parts = [f"{states.count(CheckState.PASS)} of {len(states)} lines pass"]
    parts += [f"{states.count(state)} {word}" for state, word in
              ((CheckState.FAIL, "fail"), (CheckState.UNKNOWN, "unknown")) if state in states]  # fmt: skip
    if verification.secrets.state is not CheckState.PASS:
        parts.append(f"secrets: {visible(verification.secrets.reason, 120)}")
    return [(label, style), (f": {', '.join(parts)}.", "")]
