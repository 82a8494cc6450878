"""Where in its place a replay runs: paths of a few shapes, lest a path shape the outputs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

__all__ = ["PathProfile"]


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

    def below(self, place: Path) -> Path:
        """Return the folder of this shape in ``place``, made if need be."""
        if self is PathProfile.PLAIN:
            return place
        room = place / "another place" / "one deeper"
        room.mkdir(parents=True)
        return room
