"""The noise catalogue: no row of it, and no general advice, without a pair of real files that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.pairs import IN_DATA as PAIRS_IN_DATA
from corpus.pairs import PAIRS, RUNS, Pair
from corpus.steady import STEADY

from kfm_repro.compare.advice import IN_DATA
from kfm_repro.compare.catalogue import CATALOGUE
from kfm_repro.compare.context import Context
from kfm_repro.compare.outputs import Output, compare_outputs
from kfm_repro.model.finding import FileFacts, Finding, Kind, Rung


def findings(a: Path, b: Path) -> list[Finding]:
    sides = [
        {
            file.relative_to(side).as_posix() if side.is_dir() else f"out{side.suffix}": Output(
                FileFacts(), file
            )
            for file in (sorted(side.rglob("*")) if side.is_dir() else [side])
            if file.is_file()
        }
        for side in (a, b)
    ]
    compared = compare_outputs(sides[0], sides[1], Context(*RUNS))
    return [finding for output in compared.outputs for finding in output.findings]


def test_every_row_has_its_pair_and_what_is_tried_its_writer() -> None:
    names = [row.name for row in CATALOGUE]
    assert len(set(names)) == len(names)
    assert set(names) == PAIRS.keys()
    assert {row.name for row in CATALOGUE if row.tried} == STEADY.keys()
    assert IN_DATA.keys() == PAIRS_IN_DATA.keys()


@pytest.mark.parametrize(("name", "pair"), [(name, pair) for name, pairs in PAIRS.items() for pair in pairs])
def test_a_row_is_found_between_real_files_and_names_its_option(
    tmp_path: Path, name: str, pair: Pair
) -> None:
    (row,) = [row for row in CATALOGUE if row.name == name]
    found = findings(*pair(tmp_path))
    told = [
        finding
        for finding in found
        if finding.kind is row.kind and finding.rung in (Rung.CONTAINER, Rung.ORDER)
    ]
    assert told, found
    assert row.text in {finding.fix.text for finding in told if finding.fix}


@pytest.mark.parametrize("kind", IN_DATA)
def test_general_advice_is_given_where_its_kind_is_found(tmp_path: Path, kind: Kind) -> None:
    found = findings(*PAIRS_IN_DATA[kind](tmp_path))
    told = [finding for finding in found if finding.kind is kind]
    assert told, found
    assert IN_DATA[kind] in {finding.fix.text for finding in told if finding.fix}
