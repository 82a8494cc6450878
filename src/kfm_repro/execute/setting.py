"""What a replay was asked to pin, to vary, and to let be natural."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from kfm_repro.execute.isolate import Isolation
from kfm_repro.execute.perturb.agent import AgentSetting
from kfm_repro.execute.perturb.axes import AXES, Level, Shape, all_at, shape_of
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.runs.write import aware, stamp

__all__ = ["clock_told", "is_fixed", "replay_shape", "setting_of", "shown_window"]

_OTHER_DAY_S = 90_061.0
"""A day, an hour, a minute and a second: another date, hour, minute and second than now."""
_FAR_S = 90_000.0
_STANDS = "stands at "
_FOLDERS = frozenset(("build-path", "tmp-dir", "home-user"))


def setting_of(request: Request, agent: AgentSetting | None = None) -> dict[str, str]:
    """Return which axes a replay was asked to pin and to vary, in words, for its record and report.

    ``agent`` is what the pipeline was told, once that is known: its clock is written so that `clock_told` reads it.
    """
    pinned = {name: AXES[name].pinned for name in request.pin}
    setting = request.paths.setting | pinned | {name: AXES[name].varied for name in request.vary}
    if agent is not None and agent.clock_frozen_at is not None:
        setting["clock"] = _STANDS + stamp(agent.clock_frozen_at)
    elif agent is not None and agent.clock_shift:
        setting["clock"] = f"{agent.clock_shift.total_seconds():+.3f}".rstrip("0").rstrip(".")
    return setting


def clock_told(setting: Mapping[str, str]) -> AgentSetting:
    """Return what a replay told its pipeline of the time, as its record has it; the true time where it has nothing."""
    told = setting.get("clock", "")
    try:
        if told.startswith(_STANDS):
            return AgentSetting(clock_frozen_at=datetime.fromisoformat(told.removeprefix(_STANDS)))
        return AgentSetting(clock_shift=timedelta(seconds=float(told)) if told else None)
    except (ValueError, OverflowError):
        return AgentSetting()


def shown_window(agent: AgentSetting, machine: tuple[float, float]) -> tuple[float, float]:
    """Return when a pipeline took itself to run, which its agent may have told it; seconds since 1970."""
    if agent.clock_frozen_at is not None:
        frozen = aware(agent.clock_frozen_at).timestamp()
        return (frozen, frozen + machine[1] - machine[0])
    shift = agent.clock_shift.total_seconds() if agent.clock_shift else 0.0
    return (machine[0] + shift, machine[1] + shift)


def replay_shape(plan: Plan, request: Request) -> Shape:
    """Return what a plain replay varies: its wall clock goes on another day, and the axes that were asked for.

    That day is at least one day and one hour from the recorded start, and later than today, lest files that the
    pipeline just wrote lie in its future.
    """
    recorded = plan.run.runtime.started_at
    start = aware(recorded) if recorded is not None else datetime.now(UTC)
    shift = request.clock_shift_s
    if shift is None:
        away = (datetime.now(UTC) + timedelta(seconds=_OTHER_DAY_S) - start).total_seconds()
        shift = _OTHER_DAY_S if abs(away) >= _FAR_S else 3 * _OTHER_DAY_S
    agent = AgentSetting(clock_shift=timedelta(seconds=shift) if shift else None)
    setting = all_at(Level.PIN, request.pin) | all_at(Level.VARY, request.vary)
    return shape_of(setting, start, Shape(agent=agent))


def is_fixed(plan: Plan, request: Request) -> bool:
    """Return whether folders are shown at paths that are always the same, as pinning them takes."""
    return plan.isolation.level is Isolation.NAMESPACE and not _FOLDERS.isdisjoint(request.pin)
