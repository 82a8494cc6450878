"""Issue 4: pipelines that misbehave end as stated at every level, the originals intact, nothing left running."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import misbehaving
import pytest
from misbehaving import CASES, Arena, Case, can_run

from kfm_repro.execute.isolate import Isolation, detect

NOBODY = 65534


QUICK = (Isolation.NAMESPACE, Isolation.LANDLOCK, Isolation.AGENT)


@pytest.mark.parametrize(
    ("case", "levels"),
    [
        *(pytest.param(case, QUICK, id=case.name) for case in CASES),
        # Supervised as `agent` is, so that it need not be seen every time.
        *(
            pytest.param(case, (Isolation.NONE,), marks=pytest.mark.full, id=f"{case.name}, at none")
            for case in CASES
        ),
    ],
)
def test_a_misbehaving_pipeline_ends_as_stated_at_every_level(
    case: Case, levels: tuple[Isolation, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = []
    for number, state in enumerate(state for state in detect() if state.level in levels):
        if not can_run(case, state.level):
            row.append("-")
            continue
        if not state.available:
            row.append(f"({state.reason})")
            continue
        seen = Arena(tmp_path / str(number)).run(case, state.level)
        row.append(seen.text)
        told = f"{state.level}: {seen.outcome}"
        assert seen.text == case.stated[state.level], told
        assert seen.intact, f"{told}: the project was changed"
        assert not seen.escaped, f"{told}: {seen.escaped} got away"
        assert seen.outcome.contained == (seen.outcome.evidence != "its supervisor was killed"), told
        assert seen.outcome.ended >= case.left, told
        assert seen.log_bytes < 16 << 20, told
        kept = state.level in (Isolation.NAMESPACE, Isolation.LANDLOCK)
        assert not (kept and seen.received), f"{told}: {seen.received} came through"
    with capsys.disabled():
        print(f"\n{case.name:42}", "".join(f"{text:32}" for text in row), end="")  # noqa: T201 - the table


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("level", ["namespace", "landlock"])
def test_it_is_the_same_for_a_user_without_any_privilege(level: str, tmp_path: Path) -> None:
    become = [
        shutil.which("setpriv") or "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
    ]
    # Twice, since setpriv itself still has root's rights when it executes the first one.
    again = "import kfm_repro.execute.isolate, subprocess, sys; subprocess.run([sys.executable, '-c', ''], check=True)"
    probe = [*become, sys.executable, "-c", again]
    try:
        can = subprocess.run(probe, cwd="/", capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        pytest.skip("no setpriv here")
    if not can or not os.access(misbehaving.__file__, os.R_OK):
        pytest.skip("this Python cannot be read by another user")
    (state,) = (state for state in detect() if state.level == level)
    if not state.available:
        pytest.skip(state.reason)
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    done = subprocess.run(
        [*become, sys.executable, misbehaving.__file__, level],
        cwd="/", env={"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == sum(can_run(case, Isolation(level)) for case in CASES)
    wrong = [row for row in rows if row["seen"] != row["stated"] or not row["intact"] or row["escaped"]]
    assert not wrong
