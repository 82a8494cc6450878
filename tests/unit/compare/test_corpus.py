"""Every writer of the corpus: what it writes again, a decade later, with other seeds, threads and row order."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus.expected import EXPECTED, is_right, is_wrongly_equal
from corpus.perturb import PERTURBATIONS, Written, brief, compare, write

from kfm_repro.execute.perturb.agent import Built, build_agent

LEAST_RIGHT = 95 / 105
SAMPLE = (
    "ogr_gpkg", "ogr_kml", "pd_csvgz", "pd_xlsx_xlsxwriter", "csv_of_today", "json_set", "rdf_ntriples", "zip_write",
    "tar_gz", "reportlab_pdf", "rio_block_order", "h5py_track_times", "zarr3_zip", "pyshp_shp",
)  # fmt: skip


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Built:
    built = build_agent(tmp_path_factory.mktemp("agent"))
    if built.library is None:
        pytest.skip(f"no clock but the real one: {built.reason}")
    return built


@pytest.fixture(scope="module")
def sample(agent: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    place = tmp_path_factory.mktemp("sample")
    return {name: write(place, agent, name, SAMPLE) for name in ("", "decade", "seed")}


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("perturbation", ["decade", "seed"])
def test_a_writer_of_the_sample_gets_the_right_kinds_at_the_right_places(
    sample: dict[str, Written], name: str, perturbation: str
) -> None:
    base, other = sample[""], sample[perturbation]
    assert not base.errors | other.errors
    found = brief(compare(base, other, name, perturbation))
    assert is_right(EXPECTED[name], perturbation, found), found


def test_the_genuine_times_beside_a_now_are_no_finding(sample: dict[str, Written]) -> None:
    found = brief(compare(sample[""], sample["decade"], "csv_of_today", "decade"))
    assert found == {"timestamp:value@made"}


@pytest.mark.full
def test_of_all_writers_nearly_all_are_right_and_none_wrongly_equal(agent: Built, tmp_path: Path) -> None:
    base = write(tmp_path, agent)
    wrong: dict[str, dict[str, list[str]]] = {}
    equal: list[tuple[str, str]] = []
    verdicts: dict[str, list[str]] = {name: [] for name in EXPECTED}
    for perturbation in PERTURBATIONS:
        other = write(tmp_path, agent, perturbation)
        assert not base.errors | other.errors
        for name, expected in EXPECTED.items():
            results = compare(base, other, name, perturbation)
            found = brief(results)
            verdicts[name].append("/".join(sorted({str(result.verdict) for result in results})))
            if not is_right(expected, perturbation, found):
                wrong.setdefault(name, {})[perturbation] = sorted(found)
            if is_wrongly_equal(expected, perturbation, found):
                equal.append((name, perturbation))
    print(_table(verdicts, wrong))  # noqa: T201  # the table is what the campaign is for
    assert base.windows.keys() == EXPECTED.keys()
    assert equal == []
    assert len(EXPECTED) - len(wrong) >= LEAST_RIGHT * len(EXPECTED), wrong


def _table(verdicts: dict[str, list[str]], wrong: dict[str, dict[str, list[str]]]) -> str:
    widths = [max(len(row[column]) for row in verdicts.values()) for column in range(len(PERTURBATIONS))]
    lines = [f"{len(verdicts) - len(wrong)} of {len(verdicts)} writers are right under all perturbations"]
    lines.append("  ".join(["".ljust(26), *(p.ljust(w) for p, w in zip(PERTURBATIONS, widths, strict=True))]))
    for name, row in verdicts.items():
        cells = (verdict.ljust(width) for verdict, width in zip(row, widths, strict=True))
        lines.append("  ".join([name.ljust(26), *cells, "; ".join(wrong.get(name, ()))]).rstrip())
    return "\n".join(lines)
