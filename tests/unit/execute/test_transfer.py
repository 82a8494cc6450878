"""Code out of packs: what a repository lacks of a history is brought in, and no more."""

from __future__ import annotations

from pathlib import Path

from workshop import Workshop

from kfm_repro.execute.git import Repository, find_repository
from kfm_repro.execute.transfer import fetch_code, write_bundle


def head(shop: Workshop) -> str:
    return shop.git("rev-parse", "HEAD").strip()


def bundled(shop: Workshop, folder: Path) -> tuple[Path, str]:
    """Return the history of the last commit as it is in packs."""
    write_bundle(find_repository(shop.root), head(shop), folder / "code.bundle")
    return folder / "code.bundle", head(shop)


def objects(repository: Repository) -> set[str]:
    listed = repository.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)")
    return set(listed.decode().split())


def in_packs(repository: Repository) -> int:
    said = repository.git("count-objects", "-v").decode()
    return int(said.partition("in-pack: ")[2].split()[0])


def test_a_repository_that_has_the_history_gets_only_the_ref(workshop: Workshop, tmp_path: Path) -> None:
    workshop.commit()
    bundle, commit = bundled(workshop, tmp_path)
    repository = find_repository(workshop.root)
    before = objects(repository)
    assert fetch_code(repository, bundle, commit) is True
    assert (objects(repository), in_packs(repository)) == (before, 0)
    assert repository.git("for-each-ref", f"--contains={commit}", "refs/kfm-repro").decode().count("\n") == 1
    assert fetch_code(repository, bundle, commit) is False


def test_what_is_missing_is_brought_in_whoever_holds_the_rest(workshop: Workshop, tmp_path: Path) -> None:
    workshop.write("kept.txt", "kept\n")
    workshop.commit()
    older = Workshop(tmp_path / "older")
    Workshop(tmp_path).git("clone", "-q", f"file://{workshop.root}", str(older.root))
    workshop.write("new.txt", "new\n")
    workshop.commit()
    bundle, commit = bundled(workshop, tmp_path)
    repository = find_repository(older.root)
    before, packed = objects(repository), in_packs(repository)
    assert fetch_code(repository, bundle, commit) is True
    # A commit, its tree and the new file; the file that both have is not stored twice.
    assert len(objects(repository) - before) == in_packs(repository) - packed == 3
    assert repository.git("cat-file", "blob", f"{commit}:new.txt") == b"new\n"
    older.git("fsck", "--connectivity-only", commit)
