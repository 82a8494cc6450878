"""What a replay was asked to pin, to vary, and to let be natural."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kfm_repro.execute.isolate import Isolation
from kfm_repro.execute.perturb.agent import AgentSetting
from kfm_repro.execute.perturb.axes import AXES, Level, Shape, all_at, shape_of
from kfm_repro.execute.plan import Plan, Request
from kfm_repro.runs.write import aware

__all__ = ["is_fixed", "replay_shape", "setting_of"]

_OTHER_DAY_S = 90_061.0
"""A day, an hour, a minute and a second: another date, hour, minute and second than now."""
_FAR_S = 90_000.0
_FOLDERS = frozenset(("build-path", "tmp-dir", "home-user"))


def setting_of(request: Request) -> dict[str, str]:
    """Return which axes a replay was asked to pin and to vary, in words, for its record and report."""
    pinned = {name: AXES[name].pinned for name in request.pin}
    return request.paths.setting | pinned | {name: AXES[name].varied for name in request.vary}


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
