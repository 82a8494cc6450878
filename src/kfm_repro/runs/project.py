"""The project around the runs: its root, its settings, where its runs lie."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from kfm_repro.errors import RootNotFound, UsageError
from kfm_repro.model.verdict import Accept
from kfm_repro.model.waiver import Waiver

__all__ = ["LABELS", "InputSettings", "OutputSettings", "Policy", "Project", "Settings", "find_project"]

_RUNS = "data/work/runs"
_NO_PROJECT = f"no {_RUNS}, kfm-repro.toml or [tool.kfm-repro]"
_MAKE_ONE = "go to the project, name it with --root DIR, or make it one: an empty kfm-repro.toml will do"
_IN_GIT = (
    "go to the project, or put it under git (git init, git commit): a run records the commit of its code"
)
LABELS = ("public", "generalized", "internal", "restricted", "sensitive")
"""Labels of data from least to most restricted, where the settings declare no others."""


class OutputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the settings say of the outputs that match one pattern; ``docs/settings.md``."""

    accept: Accept | None = None
    key: tuple[str, ...] | str = ()
    tolerance: dict[str, float] | float = {}
    ignore: dict[str, str] = {}
    label: str | None = None
    license: str | None = None
    count: int | tuple[int, int] | None = None

    def __post_init__(self) -> None:
        values = self.tolerance.values() if isinstance(self.tolerance, dict) else (self.tolerance,)
        if any(not 0 <= value < math.inf for value in values):
            raise ValueError("a tolerance is a number of at least 0")
        if any(not reason.strip() for reason in self.ignore.values()):
            raise ValueError("an ignored column needs its reason")


class InputSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the settings say of the inputs that match one pattern."""

    label: str | None = None
    license: str | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rules the policy gate applies; none is on by itself, except that a declared ``count`` is checked."""

    secrets: bool = False
    labels: bool = False
    counts: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """``[tool.kfm-repro]`` of pyproject.toml, or ``kfm-repro.toml``; ``docs/settings.md``."""

    runs: str = _RUNS
    objects: str | None = None
    python: str | None = None
    data_roots: tuple[str, ...] = ("data",)
    accept: Accept = Accept.IDENTICAL
    outputs: dict[str, OutputSettings] = {}
    keep: int = 20
    objects_max: str = "20 GiB"
    environments_max: str = "20 GiB"
    compare_memory: str | None = None
    inputs: dict[str, InputSettings] = {}
    policy: Policy = Policy()
    labels: tuple[str, ...] = LABELS
    disclose: str | None = None
    waivers: tuple[Waiver, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an order of labels that is none, and labels that are not in it."""
        if not self.labels or len({label.casefold() for label in self.labels}) != len(self.labels):
            raise ValueError("labels is empty or names a label twice")
        named = [("disclose", self.disclose)]
        named += [(f"outputs.{glob!r}.label", settings.label) for glob, settings in self.outputs.items()]
        named += [(f"inputs.{glob!r}.label", settings.label) for glob, settings in self.inputs.items()]
        known = {label.casefold() for label in self.labels}
        for where, label in named:
            if label is not None and label.casefold() not in known:
                raise ValueError(
                    f"{where} is {label!r}, which is not one of labels: {', '.join(self.labels)}"
                )

    def for_output(self, path: str) -> OutputSettings:
        """Return what holds for one output: every matching pattern, later ones over earlier ones."""
        merged: dict[str, Any] = {"accept": self.accept}
        for pattern, settings in self.outputs.items():
            if _matches(path, pattern):
                given = msgspec.structs.asdict(settings)
                merged |= {name: value for name, value in given.items() if value not in (None, (), {})}
        return OutputSettings(**merged)

    def input_label(self, path: str) -> str | None:
        """Return the label of one input: that of the last matching pattern that has one."""
        fits = [item.label for pattern, item in self.inputs.items() if _matches(path, pattern) and item.label]
        return fits[-1] if fits else None

    def input_license(self, path: str) -> str | None:
        """Return the licence of one input: that of the last matching pattern that has one."""
        fits = [item.license for glob, item in self.inputs.items() if _matches(path, glob) and item.license]
        return fits[-1] if fits else None


@dataclass(frozen=True)
class Project:
    """A project root, its settings, and the folder that holds its runs (both absolute)."""

    root: Path
    runs: Path
    settings: Settings

    def relative(self, path: Path) -> str:
        """Return ``path`` relative to the root where it lies inside, else as it is."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    @property
    def objects(self) -> Path:
        """The folder of the object store: the setting ``objects``, else ``.objects`` in the runs folder."""
        given = self.settings.objects
        return self.root / given if given else self.runs / ".objects"

    @property
    def ephemeral(self) -> PurePosixPath:
        """The folder of run records and working files, which are no outputs: ``data/work``, else the runs."""
        return (
            PurePosixPath("data/work")
            if self.runs_relative.is_relative_to("data/work")
            else self.runs_relative
        )

    @property
    def runs_relative(self) -> PurePosixPath:
        """The runs folder relative to the root; the default layout when it lies outside."""
        inside = self.runs.is_relative_to(self.root)
        return PurePosixPath(self.runs.relative_to(self.root)) if inside else PurePosixPath(_RUNS)


def find_project(
    root: Path | None = None,
    runs: Path | None = None,
    *,
    new: bool = False,
    there: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Project:
    """Return the project at ``root``, or the nearest one from here upwards.

    A folder is a project when it has ``data/work/runs``, ``kfm-repro.toml`` or ``[tool.kfm-repro]`` in its
    pyproject.toml; for a ``new`` one the top of the git repository will do. ``runs`` or KFM_RUNS_ROOT say where
    the runs lie, and KFM_OBJECTS_ROOT where the object store does, from the current folder. For what looks at all
    runs, what is named has to be ``there``, lest a name that is wrong read as a project without runs. Raises
    RootNotFound, UsageError.
    """
    runs_text = environ.get("KFM_RUNS_ROOT")
    runs = runs or (Path(runs_text) if runs_text else None)
    if root is not None:
        base = root.resolve()
        if not base.is_dir():
            raise RootNotFound(f"no such folder: {root}", hint="name the project with --root DIR")
    else:
        here = Path.cwd()
        upwards = (here, *here.parents)
        found = next((folder for folder in upwards if _is_project(folder)), None)
        if found is None and new:
            found = next((folder for folder in upwards if (folder / ".git").exists()), None)
        if found is None:
            raise RootNotFound(
                f"no project from {here} upwards: {_NO_PROJECT}",
                hint=_IN_GIT if new else _MAKE_ONE,
            )
        base = found
    settings = _read_settings(base)
    if objects := environ.get("KFM_OBJECTS_ROOT"):
        settings = msgspec.structs.replace(settings, objects=str(Path(objects).absolute()))
    project = Project(base, (runs.absolute() if runs else base / settings.runs), settings)
    if there and runs is not None and not project.runs.is_dir():
        raise RootNotFound(
            f"no such folder: {runs}", hint="name the folder of the runs with --runs DIR or KFM_RUNS_ROOT"
        )
    if there and runs is None and not _is_project(base):
        raise RootNotFound(f"no project in {base}: {_NO_PROJECT}", hint="name the project with --root DIR")
    _refuse_objects_among_data(project)
    return project


def _refuse_objects_among_data(project: Project) -> None:
    """Refuse a store inside the project where its objects would be taken for outputs, inputs or code."""
    place = Path(os.path.normpath(project.objects))
    allowed = (Path(os.path.normpath(project.runs)), project.root / project.ephemeral)
    if place.is_relative_to(project.root) and not any(place.is_relative_to(folder) for folder in allowed):
        raise UsageError(
            f"the object store cannot lie at {project.relative(place)}: there its objects would count as data or code",
            hint=f"put it below {project.ephemeral}/, or outside of the project",
        )


def _is_project(folder: Path) -> bool:
    if (folder / _RUNS).is_dir() or (folder / "kfm-repro.toml").is_file():
        return True
    try:
        return _tool_table(folder / "pyproject.toml") is not None
    except UsageError:
        return False


def _tool_table(path: Path) -> dict[str, Any] | None:
    """Return ``[tool.kfm-repro]``, None when there is none. Raises UsageError when the file is not TOML."""
    if not path.is_file():
        return None
    tool = _load_toml(path).get("tool")
    table = tool.get("kfm-repro") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _load_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(
            f"{path} cannot be read: {exc.strerror or exc}",
            hint="the settings are in it: make it readable for you",
        ) from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise UsageError(f"{path.name} is not TOML: {exc}", hint="correct the line it names") from exc


def _read_settings(root: Path) -> Settings:
    own = root / "kfm-repro.toml"
    table = _load_toml(own) if own.is_file() else _tool_table(root / "pyproject.toml")
    try:
        return msgspec.convert(table or {}, Settings)
    except msgspec.ValidationError as exc:
        raise UsageError(
            f"unusable setting in {own.name if own.is_file() else 'pyproject.toml'}: {exc}",
            hint="the settings are listed in docs/settings.md"
            + ("; kfm-repro.toml has no [tool.kfm-repro] level" if "`tool`" in str(exc) else ""),
        ) from exc


def _matches(path: str, pattern: str) -> bool:
    """Match a path against a glob; without a slash the pattern is for the file name alone."""
    return fnmatch(path, pattern) or ("/" not in pattern and fnmatch(PurePosixPath(path).name, pattern))
