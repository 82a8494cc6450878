"""Where a replay runs: a fresh folder outside of the project, in one of a few shapes."""

from __future__ import annotations

import shutil
import tempfile
from enum import StrEnum
from pathlib import Path

__all__ = ["PathProfile", "new_place", "remove_place"]

_PREFIX = "kfm-repro-"


class PathProfile(StrEnum):
    """The shape of the path that a replay runs in. Replays of one run take turns, lest a path shape the outputs."""

    PLAIN = "plain"
    SPACED = "deeper, with a space"

    @classmethod
    def of(cls, number: int) -> PathProfile:
        """Return the profile of the replay with this number, counted from 0."""
        return (cls.PLAIN, cls.SPACED)[number % 2]

    @property
    def setting(self) -> dict[str, str]:
        """What the record of a replay says of it: nothing when it is plain."""
        return {} if self is PathProfile.PLAIN else {"build-path": str(self)}


def new_place(profile: PathProfile, base: Path) -> Path:
    """Return a new empty folder in ``base`` that no one else uses.

    Outside of the project, lest a pipeline that looks upwards for its root finds the original.
    """
    place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base)).resolve()
    if profile is PathProfile.SPACED:
        place = place / "another place" / "one deeper"
        place.mkdir(parents=True)
    return place


def remove_place(place: Path) -> None:
    """Remove what ``new_place`` made, and all in it; never raises."""
    for folder in (place, *place.parents):
        if folder.name.startswith(_PREFIX):
            shutil.rmtree(folder, ignore_errors=True)
            return
