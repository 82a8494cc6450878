"""Texts as other texts hold them: with the escapes of JSON, and percent-encoded in a URL."""

from __future__ import annotations

import re

__all__ = ["readings", "spellings"]

_JSON = re.compile(r"\\u00([2-7][0-9A-Fa-f])")
_PERCENT = re.compile(r"%(?:25)*(3F|26|3D|23|3B)", re.IGNORECASE)
_GAP = re.compile(r"(?<=[\"'])[ \t]+(?=[:=])")


def readings(text: str) -> tuple[str, ...]:
    """Return what a text says: with the escapes of JSON resolved, and also with URLs within URLs taken apart.

    Only what separates the parts of a URL is decoded there, so that a value stays as it is spelled.
    """
    plain = text.replace('\\"', '"')
    if "\\u00" in plain:
        plain = _JSON.sub(lambda match: chr(int(match[1], 16)), plain)
    plain = _GAP.sub("", plain)
    if "%" not in plain or not _PERCENT.search(plain):
        return (plain,)
    return plain, _PERCENT.sub(lambda match: chr(int(match[1], 16)), plain)


def spellings(value: str) -> str:
    """Return the pattern of a value in any of the spellings that ``readings`` resolves."""
    return "".join(_one_of(character) for character in value)


def _one_of(character: str) -> str:
    code = ord(character)
    plain = re.escape(character)
    if code > 0x7E:  # noqa: PLR2004 - the last printable one of ASCII
        return plain
    return rf"(?:\\?{plain}|\\u(?i:{code:04x})|%(?:25)*(?i:{code:02x}))"
