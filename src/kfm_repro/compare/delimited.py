"""CSV and TSV: tables of texts, in which columns of well-known text are geometries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.tabular import csv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.tabular.diff import PairClassifier
    from kfm_repro.model.finding import Finding

__all__ = ["compare"]


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two CSV or TSV files. Raises Unreadable as `tabular.csv.compare` does."""
    return csv.compare(a, b, context, classifiers=_geometries)


def _geometries(names: Sequence[str]) -> Mapping[str, PairClassifier]:
    from kfm_repro.compare.vector.wkt import wkt_classifiers

    return wkt_classifiers(names)
