"""What a replay sees of the environment."""

from __future__ import annotations

import sys
from pathlib import Path

from kfm_repro.execute.environment import (
    ASSUMED,
    Interpreter,
    recorded_variables,
    replay_environment,
)
from kfm_repro.execute.fingerprint import fingerprint
from kfm_repro.model.run import RecordedEnvironment, Run

OURS = Interpreter(sys.executable, "test")


def environ_of(run: Run, tmp_path: Path) -> tuple[dict[str, str], str]:
    environ, precondition = replay_environment(
        run, OURS, home=tmp_path / "h", temporary=tmp_path / "t", given={"KFM_RUN_ID": "r2"}
    )
    return environ, precondition.state


def test_rule_20_a_record_without_a_block_gets_kfms_own_variables_as_assumed(tmp_path: Path) -> None:
    environ, state = environ_of(Run(run_id="r1"), tmp_path)
    assert state == "assumed"
    assert environ.items() >= ASSUMED.items()
    assert set(environ) - set(ASSUMED) == {"PATH", "HOME", "TMPDIR", "KFM_RUN_ID"}


def test_rule_20_where_the_block_exists_an_absent_variable_stays_unset(tmp_path: Path) -> None:
    environ, state = environ_of(
        Run(run_id="r1", environment=RecordedEnvironment(env={"TZ": "UTC"})), tmp_path
    )
    assert (state, environ["TZ"]) == ("ok", "UTC")
    assert "PYTHONHASHSEED" not in environ


def test_only_variables_that_can_change_a_result_are_recorded() -> None:
    given = {
        "TZ": "UTC",
        "GDAL_CACHEMAX": "64",
        "AWS_SECRET_ACCESS_KEY": "x",
        "GDAL_HTTP_AUTH": "u:p",
        "GDAL_HTTP_USERPWD": "u:p",
        "GDAL_HTTP_HEADERS": "Authorization: Bearer x",
        "PROJ_NETWORK_ENDPOINT": "https://u:p@example.org",
        "GDAL_HTTP_REFERER": "https://example.org/?token=x",
        "EDITOR": "vi",
    }
    assert recorded_variables(given) == {"GDAL_CACHEMAX": "64", "TZ": "UTC"}


def test_the_fingerprint_is_what_the_interpreter_says_of_itself(tmp_path: Path) -> None:
    answer = fingerprint(sys.executable, tmp_path)
    assert answer["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "pyarrow" in answer["packages"]
    assert "python" not in fingerprint("/no/such/python", tmp_path)
