"""Arrays of records are compared field by field: the fields of a record are columns, each of its own type."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.arrays.blocks import ArrayDiff

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kfm_repro.compare.context import Context
    from kfm_repro.model.finding import Finding, Kind

__all__ = ["FieldDiffs"]


@dataclass
class FieldDiffs:
    """What differs in each field of two arrays; an array of plain elements has one, without a name."""

    kind: Kind
    where: Mapping[str, str | int]
    context: Context
    tolerance: float | None = None
    _diffs: dict[str, ArrayDiff] = field(default_factory=dict)

    def add(self, a: Any, b: Any, origin: Sequence[int]) -> None:  # noqa: ANN401  # arrays of any dtype
        """Compare two blocks of one dtype and shape, which begin at ``origin``."""
        for name in a.dtype.names or ("",):
            where = {**self.where, **({"column": name} if name else {})}
            diff = self._diffs.setdefault(name, ArrayDiff(self.kind, where, self.context, self.tolerance))
            left, right = (a[name], b[name]) if name else (a, b)
            diff.add(left, right, [*origin, *[0] * (left.ndim - len(origin))])

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found, field by field."""
        return tuple(finding for diff in self._diffs.values() for finding in diff.findings())
