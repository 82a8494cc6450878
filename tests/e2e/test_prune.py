"""``kfm-repro prune`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from keeping import Shelf, shelf
from workshop import REPOSITORY, Workshop


@pytest.fixture
def kept(tmp_path: Path) -> Shelf:
    return shelf(tmp_path)


def test_rule_23_prune_only_says_what_it_would_do_until_it_is_told_yes(kept: Shelf) -> None:
    shop = Workshop(kept.project.root)
    for number in range(4):
        kept.run(number)
    kept.age()
    done = shop.kfm("prune", "--keep", "3")
    assert done.code == 0, done.err
    assert "run000" in done.out
    assert done.out.splitlines()[-1] == "1 run would be deleted, 3 kept.  Nothing was deleted: add --yes"
    assert len(kept.names()) == 4
    done = shop.kfm("prune", "--keep", "3", "--yes", "--json")
    assert done.code == 0, done.err
    jsonschema.validate(done.json, json.loads((REPOSITORY / "docs/schema/report-1.json").read_text()))
    assert done.json["counts"] == {"keep": 3, "delete": 1, "blocked": 0, "failed": 0}
    assert (done.json["dry_run"], done.json["objects"]["removed"], done.json["objects"]["left"]) == (
        False,
        1,
        3,
    )
    assert kept.names() == ["job/run001", "job/run002", "job/run003"]


def test_rule_23_twenty_are_kept_unless_the_settings_say_otherwise(kept: Shelf) -> None:
    shop = Workshop(kept.project.root)
    for number in range(22):
        kept.run(number, prov=number < 3)
    assert shop.kfm("prune", "--json").json["counts"]["delete"] == 2
    shop.write("kfm-repro.toml", "keep = 19\n")
    assert shop.kfm("prune", "--json").json["counts"]["delete"] == 3


def test_a_damaged_object_is_named(kept: Shelf) -> None:
    kept.run(0)
    (item,) = kept.store.objects()
    path = kept.object_path(item.sha256)
    path.chmod(0o644)
    path.write_bytes(b"damage")
    assert kept.store.find(item.sha256) is None
    assert f"damaged object, moved aside: {item.sha256}" in Workshop(kept.project.root).kfm("prune").out


@pytest.mark.parametrize("args", [["--keep", "0"], ["--yes", "--dry-run"], ["--keep", "many"]])
def test_bad_usage_deletes_nothing(kept: Shelf, args: list[str]) -> None:
    kept.run(0)
    kept.run(1)
    done = Workshop(kept.project.root).kfm("prune", "--yes", *args)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert len(kept.names()) == 2
