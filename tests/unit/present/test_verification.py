"""A verification as text: nothing hostile reaches the terminal, and the verdict follows from the lines."""

from __future__ import annotations

import pytest

from kfm_repro.model.report import RunRef
from kfm_repro.model.verdict import ExitCode
from kfm_repro.model.verification import (
    CheckState,
    Line,
    Publishable,
    SecretHit,
    SecretScan,
    Verification,
    exit_code,
    publishable,
)
from kfm_repro.present.verification import render_verification

PASS, FAIL, UNKNOWN = CheckState.PASS, CheckState.FAIL, CheckState.UNKNOWN


def line(state: CheckState, text: str = "because") -> Line:
    return Line(number=1, name="status", asks="a thing", state=state, reason=text, files=(text,))


def scan(state: CheckState, *hits: SecretHit) -> SecretScan:
    return SecretScan(state=state, reason="as said", hits=hits)


@pytest.mark.parametrize(
    ("lines", "secrets", "verdict", "code"),
    [
        ((PASS, PASS), PASS, Publishable.PUBLISHABLE, ExitCode.OK),
        ((PASS, UNKNOWN), PASS, Publishable.UNKNOWN, ExitCode.NO_VERDICT),
        ((UNKNOWN, FAIL), PASS, Publishable.NOT_PUBLISHABLE, ExitCode.DIFFERS),
        ((PASS, PASS), FAIL, Publishable.NOT_PUBLISHABLE, ExitCode.DIFFERS),
        ((PASS, PASS), UNKNOWN, Publishable.UNKNOWN, ExitCode.NO_VERDICT),
        ((), PASS, Publishable.UNKNOWN, ExitCode.NO_VERDICT),
    ],
)
def test_rule_21_all_lines_have_to_pass_and_a_failed_one_outweighs(
    lines: tuple[CheckState, ...], secrets: CheckState, verdict: Publishable, code: ExitCode
) -> None:
    found = publishable(tuple(line(state) for state in lines), scan(secrets))
    assert (found, exit_code(found)) == (verdict, code)


@pytest.mark.parametrize("color", [False, True])
def test_nothing_hostile_reaches_the_terminal(color: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    evil = "a\x1b[2Jb\u202ec\r\nPUBLISHABLE"
    document = Verification(
        verdict=Publishable.NOT_PUBLISHABLE,
        run=RunRef(run_id=evil, pipeline=evil),
        path=evil,
        lines=(line(FAIL, evil),),
        secrets=scan(FAIL, SecretHit(file=evil, line=3, kind=evil)),
    )
    text = render_verification(document, color=color)
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert not any(shown.startswith("PUBLISHABLE") for shown in text.splitlines())
