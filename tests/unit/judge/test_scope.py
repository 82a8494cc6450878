"""What a replay says that it varied."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from kfm_repro.execute.isolate.levels import Chosen, Isolation
from kfm_repro.execute.perturb.agent import AgentSetting, Mechanism
from kfm_repro.execute.perturb.axes import Shape
from kfm_repro.execute.perturb.canary import Effect
from kfm_repro.execute.watched import Watched
from kfm_repro.judge.scope import moved_axes, replay_scope
from kfm_repro.model.report import Scope

AGENT = ("clock", "cpu-count", "directory-order", "entropy")


def scope_of(*uncovered: str) -> Scope:
    shape = Shape().with_agent(AgentSetting(clock_shift=timedelta(days=1)))
    watched = Watched(Mechanism.LIBRARY, present=True, uncovered=uncovered)
    replayed: Any = SimpleNamespace(shape=shape, watched=watched, held={})
    wanted = ("cpu-count", "directory-order", "entropy", "umask")
    proofs = {name: Effect(effective=True) for name in wanted}
    moved = moved_axes(replayed, wanted, proofs)
    return replay_scope({}, (), Chosen(Isolation.AGENT), moved=moved)


def test_what_the_agent_varies_is_varied_where_it_was_in_every_program() -> None:
    scope = scope_of()
    assert set(scope.varied) == {*AGENT, "umask"}
    assert any("times of files" in note for note in scope.notes)


def test_an_axis_of_the_agent_is_not_exercised_when_a_program_ran_without_it() -> None:
    scope = scope_of("day is linked statically")
    assert set(scope.varied) == {"umask"}
    assert set(scope.not_exercised) >= {*AGENT}
    assert not {*AGENT} & {*scope.natural}
    assert "clock was not varied: not in every program: day is linked statically" in scope.notes
