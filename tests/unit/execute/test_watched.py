"""What the agent's log comes to: which reads are no matter, which are drift, and which leave no verdict."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kfm_repro.execute.perturb.agent import Event, Kind, Mechanism, Prepared
from kfm_repro.execute.watched import Scene, Watched, watched
from kfm_repro.runs.project import Project, Settings


@dataclass(frozen=True)
class Agent(Prepared):
    seen: tuple[Event, ...] = ()

    def events(self) -> tuple[Event, ...]:
        return self.seen


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    root, workspace = tmp_path / "project", tmp_path / "place/work"
    for name in ("data/raw/in.csv", "data/raw/other.csv", "data/out/a.csv", "job.py", ".venv/lib/mod.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    workspace.mkdir(parents=True)
    return Scene(
        workspace, workspace, Project(root, root / "data/work/runs", Settings()),
        inputs={"data/raw/in.csv"}, outputs={"data/out/a.csv"}, made=(), launched=(workspace, "/usr/bin"),
        shared=(root / ".venv",),
    )  # fmt: skip


def look(scene: Scene, *paths: object, error: int = 0, how: str = "r", kind: Kind = Kind.OPEN) -> Watched:
    events = tuple(Event(1, "p", kind, how, text=str(path), error=error) for path in paths)
    return watched(Agent(scene.workspace, scene.workspace, Mechanism.LIBRARY, seen=events), scene)


@pytest.mark.parametrize("name", ["data/raw/other.csv", "data/out/a.csv"])
def test_undeclared_data_and_old_outputs_read_from_the_project_are_taken(scene: Scene, name: str) -> None:
    root = scene.project.root
    assert look(scene, root / name).taken == (name,)
    assert look(scene, root / name, error=errno.EACCES).taken == ()
    assert look(scene, root / name, how="wct").taken == ()
    assert look(scene, name).taken == ()
    root.with_name("alias").symlink_to(root)
    alias = replace(scene, project=replace(scene.project, root=root.with_name("alias")))
    assert look(alias, root / name).taken == look(alias, alias.project.root / name).taken == (name,)


def test_code_and_declared_inputs_read_from_the_project_have_strayed_and_the_interpreter_has_not(
    scene: Scene,
) -> None:
    root = scene.project.root
    seen = look(
        scene, *(root / name for name in ("job.py", "data/raw/in.csv", ".venv/lib/mod.py", "data/raw"))
    )
    assert (seen.taken, seen.strayed) == ((), ("data/raw/in.csv", "job.py"))


def test_what_the_replay_made_itself_was_not_wanted(scene: Scene) -> None:
    (scene.project.root / "data/out/b.csv").touch()
    gone = {"error": errno.ENOENT, "how": "lexists", "kind": Kind.MISSING}
    assert look(scene, "data/out/b.csv", "job.py", **gone).undeclared == ("data/out/b.csv", "job.py")
    made = replace(scene, made={"data/out/b.csv", "job.py"})
    assert look(made, "data/out/b.csv", "job.py", **gone).undeclared == ("job.py",)


def test_state_of_shared_places_that_the_recorded_run_or_a_later_one_wrote_is_stale(
    scene: Scene, tmp_path: Path
) -> None:
    shared, outside = tmp_path / "shared", tmp_path / "outside"
    for folder in (shared, outside):
        (folder / "lib/site-packages/x-1.dist-info").mkdir(parents=True)
        (folder / "lib/site-packages/x-1.dist-info/RECORD").write_text("x/data.json,,\n", encoding="utf-8")
        for name in ("cache.txt", "mod.pyc", "mod.py", "tool", "lib/site-packages/x/data.json"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).touch()
        (folder / "tool").chmod(0o755)
    names = [
        p for folder in (shared, outside) for p in sorted(folder.rglob("*")) if p.suffix or p.name == "tool"
    ]
    now = (shared / "cache.txt").stat().st_ctime

    def stale(*window: float) -> list[str]:
        seen = look(replace(scene, shared=(shared,), window=(window[0], window[1])), *names).stale
        return [str(Path(name).relative_to(shared)) for name in seen]

    written = {"cache.txt", "mod.py", "tool", "lib/site-packages/x/data.json"}
    assert set(stale(now - 5, now + 5)) == written
    assert stale(now - 9, now - 5) == ["cache.txt"]
    assert stale(now + 5, now + 9) == []
    os.utime(shared / "cache.txt", (now - 50, now - 50))
    assert stale(now - 9, now - 5) == []
    assert "cache.txt" in stale(now - 5, now + 5)
    assert look(replace(scene, shared=(shared,), window=None), *names).stale == ()
