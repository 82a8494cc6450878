"""What a comparator is told besides the two files: who wrote them, when, and what the settings allow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from kfm_repro.errors import KfmReproError, Unreadable
from kfm_repro.model.figures import Figures
from kfm_repro.model.finding import Finding

__all__ = ["Classified", "Context", "Limits", "Options", "Side", "reading"]


@dataclass(frozen=True)
class Side:
    """Who wrote one of the two sets of outputs.

    ``window`` is the wall-clock window of the run in seconds since 1970 (UTC), None for bare files. ``machine_window``
    is that of the machine where the run was shown another clock: times of files come from the kernel.
    ``offsets`` are the seconds by which the run's local time may lie ahead of UTC, from its recorded zone.
    ``paths`` are the absolute folders that belong to this run only or to its machine (workspace, run
    directory, project root, home, temporary folder), longest first; ``hosts`` the machine's names.
    """

    run_id: str = ""
    window: tuple[float, float] | None = None
    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    offsets: tuple[float, ...] = ()
    machine_window: tuple[float, float] | None = None

    @property
    def windows(self) -> tuple[tuple[float, float], ...]:
        """Every window in which a reading of a clock by this run may lie."""
        return tuple(window for window in (self.window, self.machine_window) if window is not None)


@dataclass(frozen=True)
class Options:
    """What the settings or the command line say of one output.

    ``key`` are the columns that name a row; ``tolerance`` the largest absolute difference allowed per
    column (``*`` for every float column); ``ignore`` the columns that may differ, with the reason. ``memory_bytes`` is
    the most memory that comparing two tables may take, None for half of what is available.
    """

    key: tuple[str, ...] = ()
    tolerance: Mapping[str, float] = field(default_factory=dict)
    ignore: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Limits:
    """Bounds that keep a hostile or huge file from taking this machine down."""

    document_bytes: int = 64 << 20
    """Largest JSON or YAML document that is parsed."""
    document_nodes: int = 20_000
    """Most nodes for which the slow document differ is asked; beyond it only places are counted."""
    yaml_nodes: int = 2_000_000
    """Most nodes of a YAML document after its aliases are followed."""
    member_bytes: int = 2 << 30
    """Most bytes that one compressed member may expand to."""
    ratio: int = 1_000
    """Largest expansion ratio of a compressed member beyond the first 16 MiB."""
    raster_bytes: int = 16 << 30
    """Largest band or array that is read, decoded."""
    depth: int = 4
    """Deepest nesting of containers."""
    text_bytes: int = 64 << 20
    """Largest text that is compared line by line."""
    whole_bytes: int = 64 << 20
    """Smallest table, decoded, that is compared in pieces instead of being read whole."""
    whole_text_bytes: int = 4 << 20
    """Smallest delimited text that is compared by its records instead of being read whole."""
    pairs: int = 200_000
    """Most distinct pairs of differing values that are looked at one by one."""


Inner = Callable[[Path, Path, str, "Context"], tuple[Finding, ...]]

_PROGRAM_BYTES = 96 << 20
"""What Python and the libraries take besides."""


@dataclass(frozen=True)
class Context:
    """Everything that a comparator may know beyond its two files.

    ``name`` is what the two files are called among the outputs: files from the object store bear none.
    ``inner`` compares two files found inside a container under the given member name, by whatever format
    they have; the engine sets it. ``siblings`` are all outputs of A and of B by their names: some formats are
    several files. They are empty where nobody knows what lies beside. ``members`` is what a container tells of its
    own: they are the siblings of each other.
    """

    a: Side = field(default_factory=Side)
    b: Side = field(default_factory=Side)
    name: str = ""
    options: Options = field(default_factory=Options)
    limits: Limits = field(default_factory=Limits)
    depth: int = 0
    inner: Inner | None = None
    siblings: tuple[Mapping[str, Path], Mapping[str, Path]] = field(default_factory=lambda: ({}, {}))
    members: tuple[Mapping[str, Path], Mapping[str, Path]] = field(default_factory=lambda: ({}, {}))

    @property
    def memory(self) -> int:
        """Most memory that the rows of two tables may take, in bytes: a given bound is for the whole program."""
        from kfm_repro.compare.memory import available

        given = self.options.memory_bytes
        return available() if given is None else given - min(_PROGRAM_BYTES, given // 2)

    def deeper(self) -> Context:
        """Return this context one container further in."""
        return replace(self, depth=self.depth + 1, siblings=self.members, members=({}, {}))

    def beside(self, name: str) -> tuple[Path | None, Path | None]:
        """Return the file of A and that of B which is another output of this name; None where a side has none."""
        return self.siblings[0].get(name), self.siblings[1].get(name)


@dataclass(frozen=True)
class Classified:
    """Some of the differing pairs of one place, all of one kind.

    ``indexes`` point into the list of pairs that was classified, ascending; every pair belongs to exactly
    one ``Classified``. ``detail`` holds numbers of the kind (``max_ulp``, ``encoding``…), ``figures``
    what can be drawn.
    """

    kind: str
    rung: str
    indexes: tuple[int, ...]
    evidence: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    metres: Mapping[str, float] | None = None
    figures: Figures | None = None


_READING: tuple[type[BaseException], ...] = (OSError, ValueError, EOFError, KeyError, IndexError, TypeError)


@contextmanager
def reading(path: Path, what: str, *expected: type[BaseException]) -> Iterator[None]:
    """Turn what a library raises while it reads ``path`` into `Unreadable`, which names file and format."""
    try:
        yield
    except KfmReproError:
        raise
    except _READING + expected as exc:
        error = Unreadable(f"cannot be read as {what}: {exc}".splitlines()[0][:300])
        error.path = path
        raise error from exc
