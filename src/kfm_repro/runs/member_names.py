"""Names of members of a pack: each names one file, the same one on every system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from kfm_repro.errors import UnsafePath

__all__ = ["check_clashes", "check_spelling"]

_HINT = "in a pack of your own: rename the file; in another's: do not trust it"
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?\Z", re.IGNORECASE)
_MAX_NAME, _MAX_PART = 1_000, 200


def check_spelling(name: str) -> None:
    """Refuse a name that some system reads as another file, a device or none. Raises UnsafePath."""
    bad = [char for char in name if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]
    parts = PurePosixPath(name).parts
    odd = any(
        _DEVICES.match(part) or part.endswith((".", " ")) or len(part.encode()) > _MAX_PART for part in parts
    )
    if bad or odd or "\\" in name or ":" in name or len(name) > _MAX_NAME:
        raise UnsafePath(
            f"a member of the pack has a name that is no file name everywhere: {name!r}", hint=_HINT
        )


def check_clashes(names: Iterable[str]) -> None:
    """Refuse names that are one file: the same, the same but for case or accents, a file that is a folder, too.

    Raises UnsafePath.
    """
    seen: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())
        if key in seen:
            raise UnsafePath(f"two members of the pack are one file: {seen[key]!r} and {name!r}", hint=_HINT)
        seen[key] = name
    for key, name in seen.items():
        clash = next((str(folder) for folder in PurePosixPath(key).parents if str(folder) in seen), None)
        if clash is not None:
            raise UnsafePath(
                f"a member of the pack is a file and a folder: {seen[clash]!r}, {name!r}", hint=_HINT
            )
