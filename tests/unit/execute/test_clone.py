"""The code of a replay: laid out from local objects as any machine would, and sharing nothing with its source."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from workshop import Workshop

from kfm_repro.errors import CodeNotAvailable, InvalidRecord, UnsafePath
from kfm_repro.execute import clone as clone_module
from kfm_repro.execute.capture import code_state
from kfm_repro.execute.checkout import Code, check_code, check_out, left_pointers
from kfm_repro.execute.clone import clone_at, copy_history
from kfm_repro.execute.git import find_repository
from kfm_repro.execute.refs import read_refs, recorded_refs
from kfm_repro.model.run import CodeVersion
from kfm_repro.runs.layout import RunDir

IDENTITY = ("-c", "user.name=KFM", "-c", "user.email=kfm@example.org", "-c", "protocol.file.allow=always")


@pytest.fixture
def shop(workshop: Workshop) -> Workshop:
    workshop.write("code.py", "one = 1\n")
    workshop.write("bin/run.sh", "#!/bin/sh\n").chmod(0o700)
    workshop.commit()
    return workshop


def head(shop: Workshop) -> str:
    return shop.git("rev-parse", "HEAD")


def lay(shop: Workshop, target: Path) -> Path:
    return clone_at(find_repository(shop.root), head(shop), target).top


def said(folder: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip()


def tree_of(folder: Path) -> dict[str, tuple[str, int, int]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not name.startswith(".git/") and name != ".git":
            content = path.read_bytes() if path.is_file() else b""
            found[name] = hashlib.sha256(content).hexdigest(), path.lstat().st_mode, path.lstat().st_mtime_ns
    return found


def test_modes_and_times_of_a_clone_are_those_of_the_commit_whatever_the_umask(
    shop: Workshop, tmp_path: Path
) -> None:
    for number, mask in enumerate((0o022, 0o077, 0o000)):
        previous = os.umask(mask)
        try:
            lay(shop, tmp_path / str(number))
        finally:
            os.umask(previous)
    first, *others = (tree_of(tmp_path / str(number)) for number in range(3))
    assert others == [first, first]
    moment = int(shop.git("show", "-s", "--format=%ct"))
    assert {name: (oct(mode & 0o777), ns / 1e9) for name, (_, mode, ns) in first.items()} == {
        ".gitignore": ("0o644", moment),
        "bin": ("0o755", moment),
        "bin/run.sh": ("0o755", moment),
        "code.py": ("0o644", moment),
    }
    assert said(tmp_path / "0", "status", "--porcelain") == ""
    assert said(tmp_path / "0", "diff-index", "HEAD") == ""


def test_export_attributes_do_not_count(shop: Workshop, tmp_path: Path) -> None:
    shop.write(".gitattributes", "secret.py export-ignore\ncode.py export-subst\n")
    shop.write("secret.py", "x = 1\n")
    shop.write("code.py", "commit = '$Format:%H$'\n")
    shop.commit()
    top = lay(shop, tmp_path / "clone")
    assert (top / "secret.py").read_text(encoding="utf-8") == "x = 1\n"
    assert (top / "code.py").read_text(encoding="utf-8") == "commit = '$Format:%H$'\n"


def test_configuration_and_attributes_of_user_and_repository_do_not_count(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    (home / ".gitconfig").write_text(
        f'[core]\nautocrlf = true\neol = crlf\n[filter "mad"]\nsmudge = touch {tmp_path}/ran\n'
        "[init]\ntemplateDir = /nowhere\ndefaultObjectFormat = sha256\n",
        encoding="utf-8",
    )  # fmt: skip
    (home / ".config/git/attributes").write_text("*.py text eol=crlf filter=mad ident\n", encoding="utf-8")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    shop.write(".gitattributes", "bin/* filter=mad\n")
    shop.commit()
    shop.write(".git/info/attributes", "*.py eol=crlf filter=mad\n")
    top = lay(shop, tmp_path / "clone")
    assert (top / "code.py").read_bytes() == b"one = 1\n"
    assert not (tmp_path / "ran").exists()


def test_line_endings_that_the_commit_asks_for_are_part_of_the_code(shop: Workshop, tmp_path: Path) -> None:
    shop.write(".gitattributes", "*.bat text eol=crlf\n")
    shop.write("run.bat", "echo\n")
    shop.commit()
    assert (lay(shop, tmp_path / "clone") / "run.bat").read_bytes() == b"echo\r\n"


def test_a_clone_describes_itself_as_the_source_does(shop: Workshop, tmp_path: Path) -> None:
    shop.git("tag", "v1")
    shop.git("tag", "-a", "v2", "-m", "two")
    shop.write("code.py", "one = 2\n")
    shop.commit()
    described = shop.git("describe", "--tags", "--dirty"), shop.git("describe")
    commit = head(shop)
    shop.write("code.py", "one = 3\n")
    shop.commit()
    shop.git("tag", "v3")
    top = clone_at(find_repository(shop.root), commit, tmp_path / "clone").top
    assert (said(top, "describe", "--tags", "--dirty"), said(top, "describe")) == described
    assert said(top, "tag").split() == ["v1", "v2"]
    assert said(top, "rev-list", "--count", "HEAD") == "2"


@pytest.mark.parametrize("limit", [clone_module._COPIED_KIB, -1])
def test_nothing_is_shared_whichever_way_the_objects_come(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    shop.git("gc", "-q")
    shop.write("code.py", "one = 2\n")
    shop.commit()
    monkeypatch.setattr(clone_module, "_COPIED_KIB", limit)
    top = lay(shop, tmp_path / "clone")
    assert (top / "code.py").read_text(encoding="utf-8") == "one = 2\n"
    assert said(top, "rev-list", "--count", "HEAD") == "2"
    objects = top / ".git/objects"
    assert not (objects / "info/alternates").exists()
    assert all(path.stat().st_nlink == 1 for path in objects.rglob("*") if path.is_file())


def test_of_a_large_repository_only_what_the_commit_needs_is_copied(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = shop.git("rev-parse", "HEAD:code.py")
    shop.write("code.py", "one = 2\n")
    shop.commit()
    shop.git("checkout", "-q", "-b", "other")
    shop.write("other.py", "elsewhere\n")
    shop.commit()
    elsewhere = shop.git("rev-parse", "HEAD:other.py")
    shop.git("checkout", "-q", "main")
    monkeypatch.setattr(clone_module, "_COPIED_KIB", -1)
    top = lay(shop, tmp_path / "clone")
    there = said(top, "cat-file", "--batch-all-objects", "--batch-check")
    assert old not in there
    assert elsewhere not in there
    assert said(top, "log", "--format=%s", "--", "code.py") == "work\nwork"
    assert said(top, "status", "--porcelain") == ""
    assert "missing" not in said(top, "fsck", "--connectivity-only")
    assert "origin" in said(top, "cat-file", "-p", old)


def test_a_shallow_repository_is_cloned_as_shallow_as_it_is(shop: Workshop, tmp_path: Path) -> None:
    for number in range(3):
        shop.write("code.py", f"one = {number}\n")
        shop.commit()
    shallow = tmp_path / "shallow"
    said(tmp_path, *IDENTITY, "clone", "-q", "--depth=2", f"file://{shop.root}", str(shallow))
    top = lay(Workshop(shallow), tmp_path / "clone")
    assert said(top, "rev-list", "--count", "HEAD") == "2"
    assert said(top, "fsck") == ""
    with pytest.raises(CodeNotAvailable, match="not in this repository") as caught:
        find_repository(shallow).resolve_commit(shop.git("rev-list", "--max-parents=0", "HEAD"))
    assert "--unshallow" in caught.value.hint


def test_a_partial_clone_replays_what_it_has_and_names_what_it_lacks(shop: Workshop, tmp_path: Path) -> None:
    first = head(shop)
    shop.write("code.py", "one = 2\n")
    shop.commit()
    shop.git("config", "uploadpack.allowFilter", "true")
    part = tmp_path / "part"
    said(tmp_path, *IDENTITY, "clone", "-q", "--filter=blob:none", f"file://{shop.root}", str(part))
    top = lay(Workshop(part), tmp_path / "clone")
    assert (top / "code.py").read_text(encoding="utf-8") == "one = 2\n"
    assert said(top, "rev-list", "--count", "HEAD") == "2"
    with pytest.raises(CodeNotAvailable, match=r"partial clone without all files of commit .*: code\.py"):
        clone_at(find_repository(part), first, tmp_path / "old")
    # Nothing was fetched to find that out.
    assert said(part, "rev-list", "--objects", "--missing=print", "--all").count("?") == 1


def test_objects_that_another_repository_lends_are_copied(shop: Workshop, tmp_path: Path) -> None:
    borrower = tmp_path / "borrower"
    said(tmp_path, "clone", "-q", "--shared", str(shop.root), str(borrower))
    assert (borrower / ".git/objects/info/alternates").is_file()
    top = lay(Workshop(borrower), tmp_path / "clone")
    shutil.rmtree(shop.root)
    shutil.rmtree(borrower)
    assert said(top, "fsck") == ""
    assert (top / "code.py").is_file()


def test_a_linked_worktree_is_a_source_like_any_other(shop: Workshop, tmp_path: Path) -> None:
    shop.git("worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    side = Workshop(tmp_path / "tree")
    side.write("code.py", "one = 'side'\n")
    side.git("commit", "-qam", "side")
    assert (lay(side, tmp_path / "clone") / "code.py").read_text(encoding="utf-8") == "one = 'side'\n"


def test_repositories_with_sha256_names(workshop: Workshop, tmp_path: Path) -> None:
    workshop.git("init", "-q", "-b", "main", "--object-format=sha256")
    workshop.write("code.py", "one = 1\n")
    assert len(workshop.commit()) == 64
    top = lay(workshop, tmp_path / "clone")
    assert said(top, "rev-parse", "HEAD") == head(workshop)
    assert said(top, "status", "--porcelain") == ""


def test_names_that_need_care(shop: Workshop, tmp_path: Path) -> None:
    names = [
        "new\nline.py",
        "Readme",
        "README",
        "-rf",
        "tab\tname",
        'quote".py',
        "ümlaut \u202e.py",
        ":colon",
    ]
    for name in names:
        shop.write(name, name)
    (shop.root / os.fsdecode(b"not-\xff-utf8")).write_text("x", encoding="utf-8")
    shop.commit()
    top = lay(shop, tmp_path / "clone")
    assert {name: (top / name).read_text(encoding="utf-8") for name in names} == {n: n for n in names}
    assert (top / os.fsdecode(b"not-\xff-utf8")).is_file()
    assert said(top, "status", "--porcelain") == ""


def test_a_replaced_object_is_not_the_recorded_code(shop: Workshop, tmp_path: Path) -> None:
    commit = head(shop)
    shop.write("code.py", "one = 'replaced'\n")
    shop.commit()
    shop.git("replace", commit, "HEAD")
    top = clone_at(find_repository(shop.root), commit, tmp_path / "clone").top
    assert (top / "code.py").read_text(encoding="utf-8") == "one = 1\n"
    assert find_repository(shop.root).blob(commit, "code.py", tmp_path / "blob")
    assert (tmp_path / "blob").read_text(encoding="utf-8") == "one = 1\n"


def test_a_patch_on_files_with_converted_line_endings_leads_to_the_recorded_tree(
    shop: Workshop, tmp_path: Path
) -> None:
    shop.write(".gitattributes", "*.bat text eol=crlf\n")
    shop.write("run.bat", "echo one\n")
    shop.commit()
    (shop.root / "run.bat").write_bytes(b"echo two\r\n")
    shop.write("new.py", "x = 1\n").chmod(0o755)
    repository = find_repository(shop.root)
    state = code_state(repository, ["data"])
    clone = check_out(Code(repository, state.commit, state.patch, state.tree), tmp_path / "clone")
    assert (clone.top / "run.bat").read_bytes() == b"echo two\r\n"
    assert (clone.top / "new.py").stat().st_mode & 0o777 == 0o755
    assert said(clone.top, "status", "--porcelain").split("\n") == ["M run.bat", "?? new.py"]
    other = Code(repository, state.commit, state.patch, "0" * 40)
    with pytest.raises(CodeNotAvailable, match="not to the recorded 000"):
        check_out(other, tmp_path / "other")


@pytest.fixture
def nested(shop: Workshop, tmp_path: Path) -> Workshop:
    """Return a project with a submodule that has a submodule."""
    inner, outer = Workshop(tmp_path / "inner"), Workshop(tmp_path / "outer")
    for library, name in ((inner, "inner.py"), (outer, "outer.py")):
        library.root.mkdir()
        library.write(name, f"'{name}'\n")
        library.commit()
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.root), "deep")
    outer.commit()
    add = ("submodule", "--quiet", "add", "--name", "a tool")
    shop.git("-c", "protocol.file.allow=always", *add, str(outer.root), "lib/tool")
    shop.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive")
    shop.commit()
    shutil.rmtree(inner.root)
    shutil.rmtree(outer.root)
    return shop


def code_of(shop: Workshop, *submodules: dict[str, object]) -> Code:
    version = CodeVersion(git_commit=head(shop), repo_dirty=False, submodules=submodules)
    return check_code(shop.root, RunDir(shop.root / "run"), version)


def test_submodules_come_from_this_machine_nested_ones_too(nested: Workshop, tmp_path: Path) -> None:
    top = check_out(code_of(nested), tmp_path / "clone").top
    assert (top / "lib/tool/outer.py").is_file()
    assert (top / "lib/tool/deep/inner.py").is_file()
    assert said(top, "status", "--porcelain") == ""
    status = nested.git("submodule", "status", "--recursive").splitlines()
    assert [line.split()[:2] for line in said(top, "submodule", "status", "--recursive").splitlines()] == [
        line.split()[:2] for line in status
    ]
    assert said(top / "lib/tool", "remote") == ""


def test_submodules_come_from_gits_own_folder_when_they_are_not_checked_out_any_more(
    nested: Workshop, tmp_path: Path
) -> None:
    nested.git("submodule", "--quiet", "deinit", "--all", "--force")
    shutil.rmtree(nested.root / "lib")
    assert (check_out(code_of(nested), tmp_path / "clone").top / "lib/tool/deep/inner.py").is_file()


def test_a_submodule_is_taken_at_the_recorded_commit_not_at_todays(nested: Workshop, tmp_path: Path) -> None:
    code = code_of(nested)
    tool = Workshop(nested.root / "lib/tool")
    tool.write("outer.py", "'changed'\n")
    tool.commit()
    nested.commit()
    top = check_out(code, tmp_path / "clone").top
    assert (top / "lib/tool/outer.py").read_text(encoding="utf-8") == "'outer.py'\n"


def test_a_submodule_that_is_nowhere_is_named_before_anything_is_written(
    nested: Workshop, tmp_path: Path
) -> None:
    nested.git("submodule", "--quiet", "deinit", "--all", "--force")
    shutil.rmtree(nested.root / ".git/modules")
    with pytest.raises(CodeNotAvailable, match="submodule lib/tool is not on this machine") as caught:
        code_of(nested)
    assert "git submodule update --init" in caught.value.hint
    # One that was not checked out when the run was recorded stays as empty as it was.
    top = check_out(code_of(nested, {"path": "lib/tool", "present": False}), tmp_path / "clone").top
    assert list((top / "lib/tool").iterdir()) == []


def test_a_submodule_name_cannot_lead_out_of_gits_folder(nested: Workshop) -> None:
    nested.git("config", "-f", ".gitmodules", "--rename-section", "submodule.a tool", "submodule.../../x")
    nested.commit()
    shutil.rmtree(nested.root / "lib")
    with pytest.raises(UnsafePath, match="climbs out"):
        code_of(nested)


def lfs_pointer(content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"


def lfs_store(shop: Workshop, named: bytes, content: bytes) -> None:
    digest = hashlib.sha256(named).hexdigest()
    shop.write(f".git/lfs/objects/{digest[:2]}/{digest[2:4]}/{digest}", content.decode())


def test_pointers_of_git_lfs_become_the_data_that_this_machine_has(shop: Workshop, tmp_path: Path) -> None:
    shop.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for name in ("here.bin", "gone.bin", "forged.bin", "text.txt"):
        shop.write(f"assets/{name}", lfs_pointer(name.encode()))
    shop.commit()
    lfs_store(shop, b"here.bin", b"here.bin")
    lfs_store(shop, b"forged.bin", b"forged!!!!")
    code = code_of(shop)
    clone = check_out(code, tmp_path / "clone")
    assert (clone.top / "assets/here.bin").read_bytes() == b"here.bin"
    assert (clone.top / "assets/here.bin").stat().st_mtime == int(shop.git("show", "-s", "--format=%ct"))
    assert left_pointers(clone, code) == ("assets/forged.bin", "assets/gone.bin")
    assert said(clone.top, "status", "--porcelain") == ""


def test_data_of_git_lfs_is_found_from_a_commit(shop: Workshop, tmp_path: Path) -> None:
    shop.write("data/raw/in.bin", lfs_pointer(b"the data"))
    shop.commit()
    repository, target = find_repository(shop.root), tmp_path / "in.bin"
    assert repository.blob(head(shop), "data/raw/in.bin", target)
    assert target.read_text(encoding="utf-8") == lfs_pointer(b"the data")
    lfs_store(shop, b"the data", b"the data")
    assert repository.blob(head(shop), "data/raw/in.bin", target)
    assert target.read_bytes() == b"the data"


def test_branch_and_tags_are_those_of_the_record_not_todays(shop: Workshop, tmp_path: Path) -> None:
    shop.git("tag", "v1")
    shop.git("tag", "-a", "v2", "-m", "two")
    source, commit = find_repository(shop.root), head(shop)
    recorded = read_refs(source, commit)
    described = shop.git("describe")
    shop.git("tag", "-d", "v2")
    shop.git("tag", "-a", "v3", "-m", "three")
    shop.git("checkout", "-q", "-b", "other")
    clone = copy_history(source, commit, tmp_path / "clone", recorded)
    assert said(clone.top, "describe") == described == "v2"
    assert said(clone.top, "tag").split() == ["v1", "v2"]
    assert said(clone.top, "rev-parse", "--abbrev-ref", "HEAD") == "main"


def test_a_clone_shortens_commits_as_the_recorded_repository_did(shop: Workshop, tmp_path: Path) -> None:
    shop.git("config", "core.abbrev", "12")
    source, commit = find_repository(shop.root), head(shop)
    recorded = read_refs(source, commit)
    shop.git("config", "core.abbrev", "5")
    clone = copy_history(source, commit, tmp_path / "clone", recorded)
    assert said(clone.top, "rev-parse", "--short", "HEAD") == commit[:12]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("limit", [clone_module._COPIED_KIB, -1])
def test_a_clone_has_no_object_that_the_commit_does_not_lead_to(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, *, packed: bool
) -> None:
    monkeypatch.setattr(clone_module, "_COPIED_KIB", limit)
    commit = head(shop)
    shop.write("code.py", "later = 1\n")
    shop.commit()
    shop.write("left.txt", "of an earlier run")
    left = shop.git("hash-object", "-w", "left.txt").split()
    if packed:
        shop.git("repack", "-a", "-d", "-q", "--keep-unreachable")
    clone = copy_history(find_repository(shop.root), commit, tmp_path / "clone")
    listed = "--batch-all-objects", "--batch-check=%(objectname)"
    assert not {*said(clone.top, "cat-file", *listed).split()} & {*left, head(shop)}
    assert not (clone.top / ".git/objects/info/alternates").exists()


def test_a_tag_whose_object_is_gone_is_named_and_a_wrong_one_is_refused(shop: Workshop) -> None:
    commit = head(shop)
    version = CodeVersion(git_commit=commit, tags={"here": commit, "gone": "1" * 40})
    found = recorded_refs(find_repository(shop.root), version)
    assert (found.tags, found.lost) == ({"here": commit}, ("gone",))
    with pytest.raises(InvalidRecord, match="tags: bad"):
        recorded_refs(find_repository(shop.root), CodeVersion(tags={"bad": "v1; rm"}))
