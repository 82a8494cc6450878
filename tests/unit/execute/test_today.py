"""What a replay has in the place of paths into today's checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kfm_repro.execute.today import Today


@pytest.fixture
def today(tmp_path: Path) -> Today:
    for name in (
        "mono/pipe/scripts",
        "mono/tools",
        "mono/.venv/bin",
        "home",
        "clone/pipe/scripts",
        "clone/tools",
    ):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mono/.venv/pyvenv.cfg").touch()
    (tmp_path / "home/tools").symlink_to(tmp_path / "mono/tools")
    return Today(tmp_path / "mono", tmp_path / "mono/pipe", tmp_path / "clone", ("/spelled/mono",))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("{0}/mono/pipe/scripts", "{0}/clone/pipe/scripts"),
        ("{0}/mono/tools/", "{0}/clone/tools"),
        ("{0}/home/tools", "{0}/clone/tools"),
        ("{0}/mono/pipe/ignored", "{0}/clone/pipe/ignored"),
        ("{0}/mono/.venv/bin", "{0}/mono/.venv/bin"),
        ("{0}/mono/.cargo/bin", "{0}/mono/.cargo/bin"),
        ("{0}/monolith", "{0}/monolith"),
        ("scripts", "scripts"),
        ("", ""),
    ],
)
def test_a_folder_of_path_in_the_repository_is_that_of_the_clone(
    today: Today, tmp_path: Path, entry: str, expected: str
) -> None:
    path = os.pathsep.join(["/usr/bin", entry.format(tmp_path), "/bin"])
    assert today.search(path) == os.pathsep.join(["/usr/bin", expected.format(tmp_path), "/bin"])


def test_a_variable_with_a_path_into_the_repository_leads_to_the_clone(today: Today, tmp_path: Path) -> None:
    value = (
        f"{tmp_path}/mono/tools:/spelled/mono/pipe/x:{tmp_path}/mono:{tmp_path}/mono/.venv/lib/x:/srv/mono"
    )
    assert today.text(value).split(":") == [
        f"{tmp_path}/clone/tools", f"{tmp_path}/clone/pipe/x", f"{tmp_path}/clone", f"{tmp_path}/mono/.venv/lib/x",
        "/srv/mono",
    ]  # fmt: skip
