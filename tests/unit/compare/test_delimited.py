"""Geometries in delimited texts mean the same however large the texts are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.delimited import compare
from kfm_repro.model.finding import Kind, Rung

_RING = ["0 0", "4 0", "4 3", "0 3"]


def _text(rings: list[list[str]]) -> str:
    rows = (f'{n},"POLYGON (({", ".join([*ring, ring[0]])}))"\n' for n, ring in enumerate(rings))
    return "id,WKT\n" + "".join(rows)


@pytest.mark.parametrize("memory", [None, 1_000], ids=["records", "spooled"])
@pytest.mark.parametrize("moved", [False, True])
def test_geometries_of_a_large_text_are_compared_as_geometries(
    tmp_path: Path,
    memory: int | None,
    moved: bool,  # noqa: FBT001
) -> None:
    other = [*_RING[1:], "0 0.5" if moved else _RING[0]]
    paths = tmp_path / "a.csv", tmp_path / "b.csv"
    for path, last in zip(paths, (_RING, other), strict=True):
        path.write_text(_text([*[_RING] * 50, last]))
    whole = compare(*paths, Context())
    assert [f.rung for f in whole] == [Rung.VALUE if moved else Rung.NOISE]
    assert moved or whole[0].kind is Kind.RING_START
    small = Context(options=Options(memory_bytes=memory))
    assert compare(*paths, replace(small, limits=replace(small.limits, whole_text_bytes=1))) == whole
