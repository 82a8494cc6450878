"""Proof that an axis can be moved here: canaries run in cells of the same kind as a replay, and are compared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kfm_repro.errors import NotReplayable
from kfm_repro.execute.isolate import (
    Cell,
    Confinement,
    Isolation,
    Limits,
    interpreter_places,
    new_place,
    variable_places,
    writable,
)
from kfm_repro.execute.perturb.agent import prepare
from kfm_repro.execute.perturb.axes import (
    AXES,
    Level,
    Shape,
    all_at,
    shape_of,
    temporary_name,
    workspace_name,
)
from kfm_repro.execute.perturb.canary import CANARY, NO_LOCALE, SLOW_START_S, Effect, Seen, parse
from kfm_repro.execute.perturb.locales import OTHER_LOCALE
from kfm_repro.execute.perturb.shaped import shaped
from kfm_repro.execute.process import Process, run_command

__all__ = ["Proof", "Stage", "prove", "prove_varied"]

_TIMEOUT_S = 120.0
_SEEDED = frozenset(("clock", "entropy", "directory-order"))
"""Axes whose varied level is one certain value: two canaries have to see the same."""


@dataclass(frozen=True)
class Proof:
    """What was seen of one axis: whether it can be pinned, and whether it can be varied."""

    pinned: Effect
    varied: Effect


@dataclass(frozen=True)
class Stage:
    """Where canaries run: the level of isolation, the interpreter, the variables that a pipeline would have."""

    level: Isolation
    python: str
    environ: Mapping[str, str] = field(default_factory=dict)
    fixed: bool = True
    """Whether folders are shown at paths that are always the same, where the level can do that."""

    def look(self, shape: Shape, axes: Sequence[str]) -> Seen:
        """Run one canary under ``shape`` that looks at ``axes``. Raises NotReplayable when it fails."""
        place = new_place()
        try:
            workspace = place.path / "seen from" / workspace_name(shape)
            home, temporary = place.path / (shape.home or "home"), place.path / temporary_name(shape)
            for folder in (
                workspace / "inputs",
                home,
                temporary,
                place.path / "scratch",
                place.path / "logs",
            ):
                folder.mkdir(parents=True)
            given = workspace / "inputs" / "given.csv"
            given.write_text("n\n", encoding="ascii")
            if shape.inputs_mtime is not None:
                os.utime(given, (shape.inputs_mtime, shape.inputs_mtime))
            shutil.copyfile(CANARY, workspace / "canary.py")
            known = {name: value for name, value in shape.environ.items() if value is not None}
            at = {folder: self._seen(folder, name) for folder, name in (
                (workspace, workspace_name(shape)), (home, shape.home or "home"), (temporary, temporary_name(shape)),
            )}  # fmt: skip
            cell = Cell(
                places=(
                    *(writable(folder, seen) for folder, seen in at.items()),
                    *interpreter_places(Path(self.python)),
                    *variable_places({**self.environ, **known}, (place.path,)),
                ),
                scratch=place.path / "scratch", home=at[home],
            )  # fmt: skip
            environ = {**self.environ, "HOME": str(at[home]), "TMPDIR": str(at[temporary])}
            agent = None
            if self.level is not Isolation.NONE:
                path = environ.get("PYTHONPATH", "")
                agent = prepare(place.path, shape.agent, python_path=path)
            script = 'folder=$1; shift; exec "$0" canary.py "$folder" "$@" > "$folder/seen.json"'
            process = Process(
                argv=["/bin/sh", "-c", script, self.python, str(at[workspace]), *axes],
                cwd=at[workspace], env=environ, logs=place.path / "logs",
                confinement=Confinement(cell, self.level, Limits(timeout_s=_TIMEOUT_S), place),
            )  # fmt: skip
            outcome = run_command(shaped(process, shape, agent))
            if outcome.outcome != "success":
                said = outcome.last_lines[-1] if outcome.last_lines else outcome.evidence
                raise NotReplayable(
                    f"the canary did not come to its end ({outcome.outcome}, exit code {outcome.exit_code}): {said}",
                    hint="look with kfm-repro doctor --debug",
                )
            return parse((workspace / "seen.json").read_text(encoding="utf-8"))
        finally:
            place.remove()

    def _seen(self, folder: Path, name: str) -> Path:
        fixed = self.fixed and self.level is Isolation.NAMESPACE
        return Path("/kfm") / name if fixed else folder


def prove(stage: Stage, start: datetime) -> dict[str, Proof]:
    """Return for each axis whether it can be pinned and varied on ``stage``, by four canaries.

    Two with everything pinned must agree, two with everything varied must agree where the varied level is one certain
    value, and pinned and varied must differ. ``start`` is the recorded start of the run in question.
    """
    return _prove(stage, start, tuple(AXES), twice_pinned=True)


def prove_varied(stage: Stage, start: datetime, axes: Sequence[str]) -> dict[str, Effect]:
    """Return for each of ``axes`` whether it can be varied on ``stage``, by as few canaries as that takes."""
    return {axis: proof.varied for axis, proof in _prove(stage, start, axes, twice_pinned=False).items()}


def _prove(stage: Stage, start: datetime, axes: Sequence[str], *, twice_pinned: bool) -> dict[str, Proof]:
    shapes = {level: shape_of(all_at(level, axes), start) for level in (Level.PIN, Level.VARY)}
    pinned = [stage.look(shapes[Level.PIN], axes) for _ in range(1 + twice_pinned)]
    varied = [stage.look(shapes[Level.VARY], axes) for _ in range(1 + (not _SEEDED.isdisjoint(axes)))]
    return {
        axis: Proof(_same(axis, pinned[0], pinned[-1]), _moved(axis, pinned[0], varied))
        for axis in axes or all_at(Level.PIN)
    }


def _places(axis: str, seen: Seen) -> dict[str, Any]:
    """Return what each place saw of an axis; an axis that is looked at once has one place, without a name."""
    if axis == "affinity":
        return {"": seen["cpu-count"]["affinity"]}
    if axis == "cpu-count":
        return {place: value for place, value in seen[axis].items() if place != "affinity"}
    value = seen.get(axis)
    if axis == "cpu-features" and isinstance(value, dict) and "numpy" in value:
        # That a variable is set does not say that anybody heeds it.
        return {"numpy": value["numpy"]}
    places = (
        value
        if isinstance(value, dict) and axis not in ("cpu-features", "threads", "input-mtime")
        else {"": value}
    )
    return {place: what for place, what in places.items() if what is not None}


def _same(axis: str, a: Seen, b: Seen) -> Effect:
    if axis == "schedule":
        return Effect(
            effective=True
        )  # no delays are ours; how late a thread starts by itself is nobody's to say
    left, right = _places(axis, a), _places(axis, b)
    failed = [place or "it" for place in left if left[place] != right.get(place)]
    return Effect(not failed, f"not the same twice: {', '.join(failed)}" if failed else "")


def _moved(axis: str, pinned: Seen, varied: list[Seen]) -> Effect:
    if axis == "schedule":
        # What is delayed never begins early: this holds on a loaded machine, where all begins late.
        starts = _places(axis, varied[0])
        early = [place for place, seconds in starts.items() if seconds <= SLOW_START_S]
        late = not early and any(varied[0]["agent"].values())
        return Effect(late, "" if late else f"not late: {', '.join(early or starts)}")
    if axis in _SEEDED:
        again = _same(axis, *varied)
        if not again.effective:
            return again
    if axis == "locale" and varied[0][axis][0] == NO_LOCALE:
        return Effect(effective=False, reason=f"{OTHER_LOCALE} is not installed and cannot be compiled")
    before, after = _places(axis, pinned), _places(axis, varied[0])
    unmoved = [place or "it" for place in after if after[place] == before.get(place)]
    return Effect(not unmoved, f"the same as pinned: {', '.join(unmoved)}" if unmoved else "")
