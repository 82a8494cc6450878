"""Uv runs with the index that the user configured, and never says where that is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from wheels import uv_program

from kfm_repro.execute.rebuild.tool import Uv, UvFailed, find_uv

ADDRESS = "https://robot:hunter2@packages.corp.example/simple"


def program(tmp_path: Path, body: str) -> str:
    path = tmp_path / "bin" / "uv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def seen(tmp_path: Path, environ: dict[str, str]) -> dict[str, str]:
    """Return the variables that uv gets."""
    text = Uv(program(tmp_path, "env"), {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environ}).run(
        cwd=tmp_path
    )
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_what_uv_says_is_freed_of_addresses_hosts_and_passwords(tmp_path: Path) -> None:
    body = (
        f"echo 'error: Failed to fetch: {ADDRESS}/x/' >&2; echo '  caused by: packages.corp.example is down' >&2\n"
        "exit 2"
    )
    uv = Uv(program(tmp_path, body), {"PATH": os.environ["PATH"], "UV_DEFAULT_INDEX": ADDRESS})
    with pytest.raises(UvFailed) as caught:
        uv.run("pip", cwd=tmp_path)
    for word in ("hunter2", "robot", "corp.example", "https:"):
        assert word not in caught.value.said
    assert "Failed to fetch" in caught.value.said
    assert caught.value.unreachable


def test_a_named_index_in_the_users_variables_is_hidden_as_well(tmp_path: Path) -> None:
    uv = Uv(
        program(tmp_path, "echo 'packages.corp.example says no' >&2; exit 1"),
        {"PATH": os.environ["PATH"], "UV_INDEX": f"corp={ADDRESS}"},
    )
    with pytest.raises(UvFailed, match="the index says no"):
        uv.run(cwd=tmp_path)


def test_pips_settings_count_where_uv_has_none(tmp_path: Path) -> None:
    config = tmp_path / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"[global]\nindex-url = {ADDRESS}\nextra-index-url =\n  https://a.example/simple\n  file:///no/such/folder\n",
        encoding="utf-8",
    )
    found = seen(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / ".config")})
    assert found["UV_DEFAULT_INDEX"] == ADDRESS
    assert found["UV_INDEX"] == "https://a.example/simple"
    found = seen(
        tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / ".config"), "PIP_INDEX_URL": "https://b.example/simple"}
    )
    assert found["UV_DEFAULT_INDEX"] == "https://b.example/simple"
    found = seen(
        tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / ".config"), "UV_INDEX_URL": "https://c.example/simple"}
    )
    assert found["UV_INDEX_URL"] == "https://c.example/simple"
    assert "UV_DEFAULT_INDEX" not in found


def test_settings_that_would_bend_what_is_installed_do_not_reach_uv(tmp_path: Path) -> None:
    bent = {
        "UV_CONSTRAINT": "x", "UV_LINK_MODE": "hardlink", "UV_EXCLUDE_NEWER": "2020-01-01", "UV_PYTHON": "2.7",
        "VIRTUAL_ENV": "/x", "PYTHONPATH": "/x", "UV_REQUIRE_HASHES": "0", "CONDA_PREFIX": "/x",
    }  # fmt: skip
    found = seen(tmp_path, bent | {"UV_CACHE_DIR": "/c"})
    assert not set(bent) & set(found)
    assert found["UV_CACHE_DIR"] == "/c"
    assert found["UV_PYTHON_DOWNLOADS"] == "never"


def test_uv_is_taken_from_the_path_else_from_the_extra(tmp_path: Path) -> None:
    own = program(tmp_path, "exit 0")
    assert find_uv({"PATH": str(Path(own).parent)}).program == own
    assert find_uv({"PATH": "/nowhere"}).program == uv_program()


def test_without_uv_the_error_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['uv'] = None\n"
        "from kfm_repro.errors import EnvironmentNotAvailable\n"
        "from kfm_repro.execute.rebuild.tool import find_uv\n"
        "try:\n    find_uv({'PATH': '/nowhere'})\n"
        "except EnvironmentNotAvailable as exc:\n    print(exc.message, exc.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs uv" in done.stdout
    assert "pip install 'kfm-repro[rebuild]'" in done.stdout
