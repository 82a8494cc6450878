"""The files of a commit are listed, read and searched as they are in git."""

from __future__ import annotations

import pytest
from workshop import Workshop

from kfm_repro.execute import tracked
from kfm_repro.execute.git import find_repository
from kfm_repro.execute.tracked import scan_tracked, tracked_files


@pytest.mark.parametrize("batch", [1, 1 << 20])
def test_secrets_are_found_in_the_commit_and_not_in_the_working_tree(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    monkeypatch.setattr(tracked, "_BATCH_BYTES", batch)
    workshop.write("a.env", "PGPASSWORD=Zq8Lw3Rt9Kd7\n")
    workshop.write("copy/a.env", "PGPASSWORD=Zq8Lw3Rt9Kd7\n")
    workshop.write("é.py", "\nTOKEN = 'abcdef1234567890'\n")
    workshop.write("harmless.py", "print(1)\n")
    (workshop.root / "link").symlink_to("a.env")
    commit = workshop.commit()
    workshop.write("a.env", "")
    repository = find_repository(workshop.root)
    files = tracked_files(repository, commit)
    assert {file.path for file in files} - {".gitignore"} == {"a.env", "copy/a.env", "harmless.py", "é.py"}
    found = scan_tracked(repository, files)
    assert {(hit.file, hit.line) for hit in found.hits} == {("a.env", 1), ("é.py", 2)}
    assert found.unread == ()


def test_what_is_too_large_to_be_searched_is_named(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracked, "MAX_FILE_BYTES", 64)
    workshop.write("large.txt", "1" * 65)
    commit = workshop.commit()
    repository = find_repository(workshop.root)
    assert scan_tracked(repository, tracked_files(repository, commit)).unread == ("large.txt",)
