"""The axes: what can differ between two runs of the same code on the same data, and how a replay pins or varies it.

Every axis has two levels besides being left alone: *pin*, as deterministic as can be, and *vary*, another value that is
as legitimate. A `Shape` is what a setting of axes makes of one replay: variables, the agent's setting, a prefix of the
command, places and names. Which of it takes effect is not promised here: the canary of the same shape tells.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from kfm_repro.errors import UsageError
from kfm_repro.execute.perturb.agent import AgentSetting, Order
from kfm_repro.execute.perturb.locales import OTHER_LOCALE, other_locale

__all__ = [
    "AXES",
    "Axis",
    "Level",
    "Setting",
    "Shape",
    "all_at",
    "parse_axes",
    "shape_of",
    "temporary_name",
    "workspace_name",
]


class Level(StrEnum):
    """What is done about one axis. An axis that a setting does not name is natural."""

    NATURAL = "natural"
    PIN = "pin"
    VARY = "vary"


Setting = Mapping[str, Level]
"""The level of each axis by its name."""


@dataclass(frozen=True)
class Shape:
    """What a setting makes of one replay. None, or empty, leaves things as they are.

    ``environ`` sets variables, or takes away those that are None; ``environ_order`` is sorted or reversed. ``prefix``
    goes before the command. ``folders`` are names of folders below the replay's place: of the workspace and of
    temporary files. ``user``, ``home`` and ``host`` are told as far as the isolation can. ``forks`` processes are
    started and ended first. ``inputs_mtime`` is in seconds since 1970.
    """

    environ: Mapping[str, str | None] = field(default_factory=dict)
    environ_order: str = ""
    agent: AgentSetting = field(default_factory=AgentSetting)
    prefix: tuple[str, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    home: str = ""
    host: str = ""
    umask: int | None = None
    inputs_mtime: float | None = None
    forks: int = 0
    network: bool = False

    def with_environ(self, **variables: str | None) -> Shape:
        """Return this shape with variables set, or taken away by None."""
        return replace(self, environ={**self.environ, **variables})

    def with_agent(self, agent: AgentSetting) -> Shape:
        """Return this shape with another setting of the agent."""
        return replace(self, agent=agent)


Change = Callable[[Shape, datetime], Shape]
"""Makes a shape another one; the moment is the recorded start of the run (UTC)."""


@dataclass(frozen=True)
class Axis:
    """One axis. ``pinned`` and ``varied`` say in words what its levels are; reports show them."""

    name: str
    pinned: str
    varied: str
    pin: Change
    vary: Change

    def words(self, level: Level) -> str:
        """Return in words what a level of this axis is."""
        return {Level.PIN: self.pinned, Level.VARY: self.varied, Level.NATURAL: "natural"}[level]


_LATER = timedelta(days=464, hours=5)
"""Another year, month, weekday and hour."""
_MORE_CPUS, _CPUS = 7, 4
_SEEDS = {Level.PIN: 11, Level.VARY: 22}
_FORKS = 6
_OTHER_MTIME_S = 12_345_678.0

_ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
        "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "GDAL_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_IO_THREADS",
    ),
    "1",
)  # fmt: skip
_MANY_THREADS = dict.fromkeys(_ONE_THREAD, "3")
_OLD_CPU = {
    "OPENBLAS_CORETYPE": "Haswell",
    # NumPy before and since 2.4 calls them differently; what it does not know it only warns of.
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA",
}


def _environ(**variables: str | None) -> Change:
    return lambda shape, _: shape.with_environ(**variables)


def _agent(**settings: object) -> Change:
    return lambda shape, _: shape.with_agent(replace(shape.agent, **settings))  # type: ignore[arg-type]


def _shape(**fields: object) -> Change:
    return lambda shape, _: replace(shape, **fields)  # type: ignore[arg-type]


def _folder(which: str, name: str) -> Change:
    return lambda shape, _: replace(shape, folders={**shape.folders, which: name})


def _prefixed(*words: str) -> Change:
    return lambda shape, _: replace(shape, prefix=(*shape.prefix, *words))


def _one_processor(shape: Shape, _: datetime) -> Shape:
    # The recorded run had all of them, as a rule: only fewer can differ.
    ours = min(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return replace(shape, prefix=(*shape.prefix, "taskset", "--cpu-list", str(ours)))


def _frozen(later: timedelta) -> Change:
    def change(shape: Shape, start: datetime) -> Shape:
        return shape.with_agent(replace(shape.agent, clock_frozen_at=start + later, clock_shift=None))

    return change


def _mtime(later: float) -> Change:
    return lambda shape, start: replace(shape, inputs_mtime=float(int(start.timestamp())) - 86_400.0 + later)


def _host(name: str) -> Change:
    return lambda shape, _: replace(shape, host=name, agent=replace(shape.agent, host=name))


def _home(user: str, home: str) -> Change:
    return lambda shape, _: replace(shape, user=user, home=home).with_environ(USER=user, LOGNAME=user)


def _extra_variable(shape: Shape, _: datetime) -> Shape:
    return replace(shape, environ_order="reversed").with_environ(KFM_VARIED="1")


def _other_locale(shape: Shape, _: datetime) -> Shape:
    compiled = other_locale()
    place = {"LOCPATH": str(compiled)} if compiled else {}
    return shape.with_environ(LC_ALL=OTHER_LOCALE, LANG=OTHER_LOCALE, **place)


_NATURAL: Change = lambda shape, _: shape  # noqa: E731 - a level that changes nothing

AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("affinity", "all processors", "one processor", _NATURAL, _one_processor),
        Axis("aslr", "addresses not randomised", "addresses randomised", _prefixed("setarch", "--addr-no-randomize"),
             _NATURAL),
        Axis("build-path", "one folder", "a folder with a space, deeper down", _folder("workspace", "workspace"),
             _folder("workspace", "another place/build folder")),
        Axis("clock", "stands at the recorded start", "stands 464 days and 5 hours later", _frozen(timedelta(0)),
             _frozen(_LATER)),
        Axis("cpu-count", f"{_CPUS} processors", f"{_MORE_CPUS} processors", _agent(cpus=_CPUS),
             _agent(cpus=_MORE_CPUS)),
        Axis("cpu-features", "those of this machine", "without AVX2, AVX-512 and FMA", _NATURAL, _environ(**_OLD_CPU)),
        Axis("directory-order", "sorted", "reversed", _agent(order=Order.SORTED), _agent(order=Order.REVERSED)),
        Axis("entropy", "seeded", "another seed", _agent(entropy_seed=_SEEDS[Level.PIN]),
             _agent(entropy_seed=_SEEDS[Level.VARY])),
        Axis("env-order", "sorted", "reversed, with one variable more", _shape(environ_order="sorted"),
             _extra_variable),
        Axis("hash-seed", "0", "1", _environ(PYTHONHASHSEED="0"), _environ(PYTHONHASHSEED="1")),
        Axis("home-user", "kfm", "visitor, another home", _home("kfm", "home"), _home("visitor", "second home")),
        Axis("hostname", "kfm-repro", "elsewhere", _host("kfm-repro"), _host("elsewhere")),
        Axis("input-mtime", "the day before the run", "143 days later", _mtime(0.0), _mtime(_OTHER_MTIME_S)),
        Axis("locale", "C.UTF-8", "et_EE.UTF-8", _environ(LC_ALL="C.UTF-8", LANG="C.UTF-8"), _other_locale),
        Axis("network", "none", "as on this machine", _shape(network=False), _shape(network=True)),
        Axis("pid", "as they come", f"{_FORKS} processes further on", _NATURAL, _shape(forks=_FORKS)),
        Axis("schedule", "no delays", "threads and tasks of Python's pools start after random delays",
             _agent(thread_seed=None), _agent(thread_seed=_SEEDS[Level.VARY])),
        Axis("threads", "one in each library", "three in each library", _environ(**_ONE_THREAD),
             _environ(**_MANY_THREADS)),
        Axis("timezone", "UTC", "Pacific/Kiritimati, 14 hours ahead", _environ(TZ="UTC"),
             _environ(TZ="Pacific/Kiritimati")),
        Axis("tmp-dir", "one folder", "another folder", _folder("temporary", "tmp"),
             _folder("temporary", "other temporary files")),
        Axis("umask", "022", "077", _shape(umask=0o022), _shape(umask=0o077)),
    )
}  # fmt: skip
"""Every axis by its name, sorted."""


def parse_axes(text: str) -> tuple[str, ...]:
    """Return the names in a list such as ``clock,locale``; ``all`` is every axis. Raises UsageError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == ["all"]:
        return tuple(AXES)
    unknown = [name for name in names if name not in AXES]
    if unknown or not names:
        raise UsageError(
            f"there is no axis {unknown[0]!r}" if unknown else "no axis is named",
            hint=f"axes: all, {', '.join(AXES)}",
        )
    return tuple(sorted(set(names)))


def shape_of(setting: Setting, start: datetime, base: Shape | None = None) -> Shape:
    """Return what ``setting`` makes of a replay of a run that started at ``start``; axes change ``base`` by name order.

    A clock that stands or was moved by ``base`` gives way to the axis.
    """
    shape = base or Shape()
    moment = start if start.tzinfo else start.replace(tzinfo=UTC)
    for name in sorted(setting):
        axis, level = AXES[name], setting[name]
        if level is not Level.NATURAL:
            shape = (axis.pin if level is Level.PIN else axis.vary)(shape, moment)
    return shape


def all_at(level: Level, names: Iterable[str] | None = None) -> dict[str, Level]:
    """Return the setting that has every axis, or those named, at one level."""
    return dict.fromkeys(AXES if names is None else names, level)


def workspace_name(shape: Shape) -> str:
    """Return the folder of the workspace, below the place of a replay."""
    return shape.folders.get("workspace", "workspace")


def temporary_name(shape: Shape) -> str:
    """Return the folder of temporary files, below the place of a replay."""
    return shape.folders.get("temporary", "tmp")
