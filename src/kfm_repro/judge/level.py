"""How far apart two runs were executed: levels R1, R2 and R3 of rule 25, never more than was exercised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["exercised_level"]

_SPELLINGS = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"}
_OF_MACHINE = ("kernel", "libc", "cpu.model", "cpu.flags_sha256")
"""What tells two machines apart; packages do not, for an image may change on one machine."""


def exercised_level(
    a: Mapping[str, Any], b: Mapping[str, Any], hosts: tuple[str | None, str | None]
) -> tuple[str, str]:
    """Return the level that two fingerprints and host names can show at most, and why.

    Another host alone is no other machine (containers are named anew each time), nor is a new kernel on the same
    host: both must differ.
    """
    machines = [_architecture(side) for side in (a, b)]
    if not all(machines):
        return "R1", "on which machine it was recorded is not known, so that no more than R1 can be claimed"
    if machines[0] != machines[1]:
        return "R3", f"recorded on {machines[0]}, compared with a run on {machines[1]}"
    other = [name for name in _OF_MACHINE if _differs(_at(a, name), _at(b, name))]
    if _differs(*hosts) and other and _at(a, "system") == _at(b, "system") == "Linux":
        return "R2", f"another Linux machine: {', '.join(other)} differ"
    return "R1", "the same machine image, as far as the fingerprints tell"


def _architecture(side: Mapping[str, Any]) -> str:
    name = str(_at(side, "machine") or "").lower()
    return _SPELLINGS.get(name, name)


def _differs(a: object, b: object) -> bool:
    return bool(a) and bool(b) and a != b


def _at(document: Mapping[str, Any], place: str) -> object:
    value: object = document
    for part in place.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
