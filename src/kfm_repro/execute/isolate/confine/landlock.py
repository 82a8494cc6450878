"""Landlock: from here on this process and its children open only what is named. No privilege is needed.

Landlock cannot hide that a path exists, and lets ``stat`` and UNIX sockets with a path through.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable, Mapping

from .kernel import syscall

__all__ = ["abi", "restrict"]

# The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_FIRST = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_NET_BIND_AND_CONNECT, _SCOPE_SOCKETS_AND_SIGNALS = 3, 3
_ABI_REFER, _ABI_TRUNCATE, _ABI_NET, _ABI_IOCTL, _ABI_SCOPE = 2, 3, 4, 5, 6


def abi() -> int:
    """Return the version of Landlock in this kernel. Raises OSError: none, or turned off at boot."""
    return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))


def restrict(paths: Mapping[str, Iterable[str]], *, network: bool) -> None:
    """Open nothing but ``paths["read"]``, ``paths["write"]`` and ``paths["device"]`` from now on.

    Paths that do not exist are passed over. Needs no_new_privileges before. Raises OSError.
    """
    version = abi()
    handled = _FIRST
    for since, right in ((_ABI_REFER, _REFER), (_ABI_TRUNCATE, _TRUNCATE), (_ABI_IOCTL, _IOCTL_DEV)):
        handled |= right if version >= since else 0
    words = [handled]
    if version >= _ABI_NET:
        words.append(0 if network else _NET_BIND_AND_CONNECT)
    if version >= _ABI_SCOPE:
        words.append(_SCOPE_SOCKETS_AND_SIGNALS)
    attributes = struct.pack(f"={len(words)}Q", *words)
    ruleset = syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        rights = {
            "read": _READ,
            "write": handled & ~(_MAKE_CHAR | _MAKE_BLOCK),
            "device": _READ_FILE | _WRITE_FILE | _IOCTL_DEV,
        }
        for kind, right in rights.items():
            for path in paths.get(kind, ()):
                _allow(ruleset, path, right & handled)
        syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, handle)
        syscall(
            _ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_int(_PATH_BENEATH),
            ctypes.c_char_p(rule),
            ctypes.c_uint(0),
        )
    finally:
        os.close(handle)
