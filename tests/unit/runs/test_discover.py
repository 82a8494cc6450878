"""What a user calls a run, and what kfm-repro takes it for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kfm_repro.errors import AmbiguousRun, RootNotFound, RunNotFound, UsageError
from kfm_repro.runs.discover import iterate_runs, resolve_run
from kfm_repro.runs.project import Project, find_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "data/work/runs").mkdir(parents=True)
    return find_project(tmp_path)


def add(
    project: Project, pipeline: str, run_id: str, *, state: str = "success", started: str = "", of: str = ""
) -> None:
    path = project.runs / pipeline / run_id
    path.mkdir(parents=True)
    replay = f"replay: {{of: {of}}}\n" if of else ""
    time = f"runtime: {{started_at: '{started}'}}\n" if started else ""
    (path / "run.yaml").write_text(f'run_id: "{run_id}"\n{time}{replay}', encoding="utf-8")
    (path / "status.json").write_text(json.dumps({"state": state}), encoding="utf-8")
    (path / {"success": "_SUCCESS", "failed": "_FAILED"}[state]).touch()


def test_rule_1_every_safe_directory_name_is_a_run_id(project: Project) -> None:
    for name in ("01K9ABCDEFGHJKMNPQRSTVWXYZ", "2026-02-03T21-14-08Z__p__a1b2c3d", "friday run"):
        add(project, "p", name)
        assert resolve_run(project, name).name == name


def test_rule_2_unique_prefix_without_naming_the_pipeline(project: Project) -> None:
    add(project, "p", "01K9AAAA")
    add(project, "q", "01K9BBBB")
    assert resolve_run(project, "01K9B").pipeline == "q"


def test_rule_2_an_exact_id_wins_over_longer_ones(project: Project) -> None:
    add(project, "p", "run1")
    add(project, "p", "run12")
    assert resolve_run(project, "run1").name == "run1"


def test_rule_2_two_matches_list_both(project: Project) -> None:
    add(project, "p", "01K9AAAA")
    add(project, "q", "01K9BBBB")
    with pytest.raises(AmbiguousRun, match=r"p/01K9AAAA\n  q/01K9BBBB"):
        resolve_run(project, "01K9")


def test_no_such_run_names_the_nearest(project: Project) -> None:
    add(project, "p", "01K9AAAA")
    with pytest.raises(RunNotFound, match="1 runs") as caught:
        resolve_run(project, "01K9AAAB")
    assert "01K9AAAA" in caught.value.hint


def test_rule_15_latest_is_the_newest_success_that_is_no_replay(project: Project) -> None:
    add(project, "p", "a", started="2026-02-03T21:14:08Z")
    add(project, "p", "b", started="2026-02-04T21:14:08Z")
    add(project, "p", "c", started="2026-02-05T21:14:08Z", state="failed")
    add(project, "p", "d", started="2026-02-06T21:14:08Z", of="b")
    assert resolve_run(project, "latest:p").name == "b"


def test_latest_says_how_the_runs_ended_when_none_succeeded(project: Project) -> None:
    add(project, "p", "a", state="failed")
    add(project, "p", "b", of="a")
    with pytest.raises(RunNotFound, match=r"1 failed, 1 replay") as caught:
        resolve_run(project, "latest:p")
    assert "kfm-repro list --pipeline p" in caught.value.hint


def test_latest_of_nothing_is_bad_usage(project: Project) -> None:
    add(project, "p", "a")
    with pytest.raises(UsageError, match="names no pipeline"):
        resolve_run(project, "latest:")


def test_rule_18_latest_is_a_strangers_run_only_when_there_is_no_other(project: Project) -> None:
    add(project, "p", "stranger", started="2096-02-03T21:14:08Z")
    (project.runs / "p/stranger/foreign.json").write_text("{}", encoding="utf-8")
    assert resolve_run(project, "latest:p").name == "stranger"
    add(project, "p", "ours", started="2026-02-03T21:14:08Z")
    assert resolve_run(project, "latest:p").name == "ours"


def test_rule_2_the_folder_of_a_run_is_one_of_this_project(project: Project, tmp_path: Path) -> None:
    add(project, "p", "a")
    other = tmp_path / "other"
    (other / "data/work/runs").mkdir(parents=True)
    there = find_project(other)
    add(there, "p", "a")
    link = tmp_path / "link"
    link.symlink_to(project.runs / "p/a")
    for spec in (project.runs / "p/a", f"{project.runs}/p/../p/a/", link):
        assert resolve_run(project, str(spec)).path == project.runs / "p/a"
    with pytest.raises(UsageError, match="no run of this project") as caught:
        resolve_run(project, str(there.runs / "p/a"))
    assert "--root" in caught.value.hint


def test_latest_of_an_unknown_pipeline_names_the_known_ones(project: Project) -> None:
    add(project, "import_census", "a")
    with pytest.raises(RunNotFound) as caught:
        resolve_run(project, "latest:import_cencus")
    assert "import_census" in caught.value.hint


def test_rule_9_a_foreign_layout_is_named_not_half_read(project: Project) -> None:
    foreign = project.runs / "2026-02-03__p__first"
    foreign.mkdir()
    (foreign / "manifest.yml").write_text("x: 1\n", encoding="utf-8")
    assert list(iterate_runs(project.runs)) == []
    with pytest.raises(RunNotFound, match="not in this layout"):
        resolve_run(project, "2026-02-03__p__first")


def test_hidden_folders_hold_no_runs(project: Project) -> None:
    add(project, ".objects", "aa")
    assert list(iterate_runs(project.runs)) == []


def test_settings_with_an_unknown_key_are_refused(tmp_path: Path) -> None:
    (tmp_path / "kfm-repro.toml").write_text('acept = "equivalent"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="acept"):
        find_project(tmp_path)


def test_settings_of_an_output_are_those_of_every_matching_pattern(tmp_path: Path) -> None:
    (tmp_path / "kfm-repro.toml").write_text(
        '[outputs."*.gpkg"]\naccept = "equivalent"\n[outputs."data/processed/**"]\nkey = ["geoid"]\n',
        encoding="utf-8",
    )
    settings = find_project(tmp_path).settings.for_output("data/processed/a/b.gpkg")
    assert (settings.accept, settings.key) == ("equivalent", ("geoid",))
    assert find_project(tmp_path).settings.for_output("out/b.csv").accept == "identical"


@pytest.mark.parametrize("environ", [{}, {"KFM_RUNS_ROOT": "/no/such/runs"}])
def test_what_looks_at_all_runs_wants_the_project_and_the_runs_that_are_named(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with pytest.raises(RootNotFound) as caught:
        find_project(tmp_path, environ=environ, there=True)
    assert caught.value.hint
    (tmp_path / "data/work/runs").mkdir(parents=True)
    assert find_project(tmp_path, environ={}, there=True).runs == tmp_path / "data/work/runs"


def test_settings_that_cannot_be_read_are_not_called_bad_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kfm-repro.toml").touch()

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied", str(tmp_path / "kfm-repro.toml"))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UsageError, match=r"kfm-repro\.toml cannot be read: Permission denied"):
        find_project(tmp_path)
