"""Tables from formats whose values carry their own types: JSON lines, cells of SQLite and of workbooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfm_repro.compare.vector.columns import typed_columns

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from kfm_repro.compare.tabular.diff import PairClassifier

__all__ = ["typed_tables"]


def typed_tables(
    a: Mapping[str, list[Any]], b: Mapping[str, list[Any]], *, some: bool = False
) -> tuple[pa.Table, pa.Table, dict[str, PairClassifier]]:
    """Return both sides as tables, and by column how differing pairs are told apart; see `typed_columns`.

    ``some`` says that these are not all rows of the two tables.
    """
    import pyarrow as pa

    sides: tuple[dict[str, pa.Array], dict[str, pa.Array]] = ({}, {})
    classifiers: dict[str, PairClassifier] = {}
    for name in dict.fromkeys((*a, *b)):
        *arrays, classifier = typed_columns(a.get(name, []), b.get(name, []), some=some)
        for side, source, array in zip(sides, (a, b), arrays, strict=True):
            if name in source:
                side[name] = array
        if classifier is not None:
            classifiers[name] = classifier
    return pa.table(sides[0]), pa.table({name: sides[1][name] for name in b}), classifiers
