"""Every error that kfm-repro raises on purpose.

The tree::

    KfmReproError                 what happened, where, and what to do next (``hint``)
    ├── UsageError                the command line or the settings make no sense
    ├── RootNotFound              no project here
    ├── RunError                  something about a recorded run
    │   ├── RunNotFound
    │   ├── AmbiguousRun
    │   ├── InvalidRecord         a file of the record cannot be read as what it should be
    │   ├── InconsistentRun       status and sentinel disagree, or the run never succeeded
    │   ├── UnsafePath            a path leaves its root
    │   ├── BadPack               a file is no pack, or not a whole one
    │   └── NotDisclosed          secrets or restricted data would leave the project
    ├── NotReplayable             the record does not say enough to run it again
    │   ├── CodeNotAvailable
    │   │   └── NotARepository    no git repository here
    │   ├── EnvironmentNotAvailable   the recorded packages cannot be had again
    │   └── InputUnavailable      recorded input bytes are nowhere
    ├── PipelineFailed
    ├── Unreadable                a file to compare cannot be read as its format
    ├── LimitExceeded             reading on would pass a stated limit
    └── NotWritable

``code`` is the machine-readable name in ``error.code`` of the JSON report; ``docs/errors.md`` lists them all.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "AmbiguousRun",
    "BadPack",
    "CodeNotAvailable",
    "EnvironmentNotAvailable",
    "InconsistentRun",
    "InputUnavailable",
    "InvalidRecord",
    "KfmReproError",
    "LimitExceeded",
    "NotARepository",
    "NotDisclosed",
    "NotReplayable",
    "NotWritable",
    "PipelineFailed",
    "RootNotFound",
    "RunError",
    "RunNotFound",
    "Unreadable",
    "UnsafePath",
    "UsageError",
]


class KfmReproError(Exception):
    """Base of all: a message for people, a hint that says what to do, a code for machines."""

    code = "error"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code:
            self.code = code

    def __str__(self) -> str:
        return self.message


class UsageError(KfmReproError):
    """The command line, an argument or the settings make no sense."""

    code = "usage"


class RootNotFound(KfmReproError):
    """No project root was found from here upwards."""

    code = "root-not-found"


class RunError(KfmReproError):
    """Something about a recorded run is not as it should be."""

    code = "run"


class RunNotFound(RunError):
    """No run has this id, prefix or pipeline."""

    code = "run-not-found"


class AmbiguousRun(RunError):
    """More than one run fits what was asked for."""

    code = "run-ambiguous"


class InvalidRecord(RunError):
    """A file of the run record cannot be read as what it should be."""

    code = "record-invalid"


class InconsistentRun(RunError):
    """Status and sentinel disagree, or the run never ended well: it is no baseline."""

    code = "run-inconsistent"


class UnsafePath(RunError):
    """A path of a manifest or of an archive leaves its root."""

    code = "path-unsafe"


class BadPack(RunError):
    """A file is no pack of a run, or not a whole one."""

    code = "pack-invalid"


class NotDisclosed(RunError):
    """Secrets or restricted data would leave the project."""

    code = "not-disclosed"


class NotReplayable(KfmReproError):
    """The record does not say enough to run it again, or this machine cannot."""

    code = "not-replayable"


class CodeNotAvailable(NotReplayable):
    """The recorded commit, tree or patch cannot be restored."""

    code = "code-unavailable"


class NotARepository(CodeNotAvailable):
    """A folder lies in no git repository."""


class EnvironmentNotAvailable(NotReplayable):
    """The recorded packages, or an interpreter for them, cannot be had again."""

    code = "environment-unavailable"


class InputUnavailable(NotReplayable):
    """The recorded bytes of an input are nowhere to be found."""

    code = "input-changed"


class PipelineFailed(KfmReproError):
    """The pipeline ended with an error."""

    code = "pipeline-failed"


class Unreadable(KfmReproError):
    """A file cannot be read as the format that it should have; ``path`` says which."""

    code = "unreadable"
    path: Path | None = None


class LimitExceeded(KfmReproError):
    """Reading on would pass a limit that protects this machine."""

    code = "limit-exceeded"


class NotInstalled(KfmReproError):
    """A library that comes with an extra is needed and not there; the message says what installs it."""

    code = "not-installed"


class NotWritable(KfmReproError):
    """Something of ours cannot be written where it belongs."""

    code = "not-writable"
