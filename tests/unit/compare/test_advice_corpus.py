"""The advice on packaging, tried: written with the options that it names, files do not follow the clock."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.perturb import brief, compare, write
from corpus.steady import STEADY

from kfm_repro.compare.advice import advice_for
from kfm_repro.execute.perturb.agent import build_agent
from kfm_repro.model.finding import Finding, Kind, Rung


@pytest.mark.slow
def test_what_the_advice_names_gives_the_same_bytes_ten_years_later(tmp_path: Path) -> None:
    built = build_agent(tmp_path / "agent")
    if built.library is None:
        pytest.skip(f"no clock but the real one: {built.reason}")
    base = write(tmp_path, built, "", ("steady",))
    later = write(tmp_path, built, "decade", ("steady",))
    assert not base.errors | later.errors
    found = {name: brief(compare(base, later, name, "decade")) for name in base.windows}
    assert {name for names in STEADY.values() for name in names} == found.keys()
    assert {name: said for name, said in found.items() if said} == {}


@pytest.mark.parametrize(
    ("kind", "where", "evidence", "part"),
    [
        ("timestamp", {"column": "last_change"}, "", "OGR_CURRENT_DATE="),
        ("timestamp", {"member": "gzip header"}, "", "'mtime': 0"),
        (
            "timestamp",
            {"member": "docProps/core.xml", "pointer": "/a/created"},
            "",
            "set_properties({'created'",
        ),
        ("timestamp", {}, "date of the entry (DOS, read as UTC): …", "ZipInfo(name, (1980"),
        ("timestamp", {}, "mtime: …", "--sort=name --mtime=@0"),
        ("timestamp", {"pointer": "/CreationDate"}, "", "metadata={'CreationDate': None}"),
        ("identifier", {"pointer": "/ID"}, "", "invariant=1"),
        ("identifier", {}, "ids of elements, renamed", "svg.hashsalt"),
        ("identifier", {}, "the same graph: …", "Turtle"),
        ("timestamp", {}, "modification times in the headers of objects", "track_times=False"),
        ("timestamp", {"pointer": "/header"}, "date of the last update", "DBF_DATE_LAST_UPDATE=2000-01-01"),
        ("layout", {}, "every value of the hdf5 is equal", ".load()"),
        ("garbage", {"pointer": "/header"}, "free pages 0 against 1", "VACUUM INTO"),
    ],
)
def test_packaging_has_the_option_that_keeps_it(
    kind: str, where: dict[str, str], evidence: str, part: str
) -> None:
    finding = Finding(kind=Kind(kind), rung=Rung.CONTAINER, where={**where}, evidence=evidence)
    assert part in advice_for(finding)
