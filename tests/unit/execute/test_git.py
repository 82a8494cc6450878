"""What we ask git, and that asking changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from workshop import Workshop

from kfm_repro.errors import CodeNotAvailable
from kfm_repro.execute import capture
from kfm_repro.execute.capture import code_state
from kfm_repro.execute.clone import clone_at
from kfm_repro.execute.git import find_repository


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.write("code.py", "one = 1\n")
    workshop.write("gone.py", "x = 1\n")
    workshop.write("data/raw/in.csv", "id\n")
    workshop.commit()
    return workshop


def test_a_clean_tree_has_no_patch(shop: Workshop) -> None:
    state = code_state(find_repository(shop.root), ["data"])
    assert (state.dirty, state.patch, state.commit) == (False, b"", shop.git("rev-parse", "HEAD"))
    assert state.tree == shop.git("rev-parse", "HEAD^{tree}")


def test_changed_data_is_not_dirty_code(shop: Workshop) -> None:
    shop.write("data/raw/in.csv", "changed\n")
    shop.write("data/raw/new.csv", "new\n")
    assert not code_state(find_repository(shop.root), ["data"]).dirty


def test_the_patch_holds_changes_deletions_new_and_binary_files_and_leaves_the_index_alone(
    shop: Workshop, tmp_path: Path
) -> None:
    shop.write("code.py", "one = 2\n")
    (shop.root / "gone.py").unlink()
    (shop.root / "new.bin").write_bytes(bytes(range(256)))
    shop.write("ignored.tmp", "x")
    shop.write(".git/info/exclude", "*.tmp\n")
    shop.git("add", "code.py")
    before = shop.git("status", "--porcelain"), (shop.root / ".git/index").read_bytes()
    repository = find_repository(shop.root)
    state = code_state(repository, ["data"])
    assert (shop.git("status", "--porcelain"), (shop.root / ".git/index").read_bytes()) == before
    clone = clone_at(repository, state.commit, tmp_path / "clone")
    clone.git("apply", "--index", "--binary", "-", data=state.patch)
    assert clone.git("write-tree").decode().strip() == state.tree
    assert (clone.top / "new.bin").read_bytes() == bytes(range(256))
    assert sorted(path.name for path in clone.top.glob("[!.]*.*")) == ["code.py", "new.bin"]


def test_a_clone_shares_nothing_and_has_no_remote(shop: Workshop, tmp_path: Path) -> None:
    repository = find_repository(shop.root)
    clone = clone_at(repository, repository.resolve_commit(shop.git("rev-parse", "HEAD")), tmp_path / "clone")
    assert clone.git("remote") == b""
    assert not (clone.top / ".git/objects/info/alternates").exists()
    for path in (clone.top / ".git/objects").rglob("*"):
        if path.is_file():
            assert path.stat().st_nlink == 1


def test_a_commit_on_no_branch_can_still_be_cloned(shop: Workshop, tmp_path: Path) -> None:
    lost = shop.git("commit-tree", "HEAD^{tree}", "-m", "lost")
    clone = clone_at(find_repository(shop.root), lost, tmp_path / "clone")
    assert clone.git("rev-parse", "HEAD").decode().strip() == lost


def test_hooks_of_the_project_do_not_run(shop: Workshop, tmp_path: Path) -> None:
    for name in ("post-checkout", "pre-commit", "post-index-change"):
        hook = shop.write(f".git/hooks/{name}", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    shop.git("config", "core.fsmonitor", f"touch {tmp_path}/ran")
    repository = find_repository(shop.root)
    code_state(repository, ["data"])
    clone_at(repository, repository.resolve_commit(shop.git("rev-parse", "HEAD")), tmp_path / "clone")
    assert not (tmp_path / "ran").exists()


def test_unknown_commits_and_missing_repositories_are_clear_errors(shop: Workshop, tmp_path: Path) -> None:
    with pytest.raises(CodeNotAvailable, match="deadbee"):
        find_repository(shop.root).resolve_commit("deadbee")
    for name in ("--help", "HEAD", "main", "@", "main~1", ""):
        with pytest.raises(CodeNotAvailable, match="not a commit"):
            find_repository(shop.root).resolve_commit(name)
    outside = tmp_path / "outside"
    outside.mkdir()
    with pytest.raises(CodeNotAvailable, match="not a git repository"):
        find_repository(outside)


def test_a_repository_without_a_commit_is_a_clear_error(workshop: Workshop) -> None:
    workshop.git("init", "-q")
    with pytest.raises(CodeNotAvailable, match="no commit yet"):
        code_state(find_repository(workshop.root), ["data"])


def test_a_whole_environment_is_not_taken_for_a_patch(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "_MAX_PATCH_BYTES", 1000)
    shop.write("venv/lib.so", "x" * 2000)
    with pytest.raises(CodeNotAvailable, match=r"venv/lib\.so") as caught:
        code_state(find_repository(shop.root), ["data"])
    assert ".gitignore" in caught.value.hint


def test_variables_of_git_in_our_environment_lead_nowhere_else(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setitem(os.environ, "GIT_INDEX_FILE", str(tmp_path / "index"))
    assert find_repository(shop.root).top == shop.root.resolve()


def test_a_branch_named_like_a_short_commit_does_not_win(shop: Workshop) -> None:
    first = shop.git("rev-parse", "HEAD")
    shop.write("code.py", "one = 2\n")
    shop.commit()
    shop.git("branch", first[:7])
    assert find_repository(shop.root).resolve_commit(first[:7]) == first


def test_a_file_that_became_a_folder_is_captured(shop: Workshop) -> None:
    (shop.root / "gone.py").unlink()
    shop.write("gone.py/inner.py", "x = 2\n")
    state = code_state(find_repository(shop.root), ["data"])
    assert state.dirty
    assert b"gone.py/inner.py" in state.patch
