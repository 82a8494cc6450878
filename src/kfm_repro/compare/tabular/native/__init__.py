"""The inner loops over rows and pages in C; a wheel has them compiled where it was built with a C compiler."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

__all__ = ["library"]

_LIBRARY = Path(__file__).parent / "librows.so"


_ADDRESS, _COUNT, _HALF, _INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64, ctypes.c_int
_NUMBERS = (_ADDRESS, _ADDRESS, _HALF, _HALF)
"""Both lanes, and the halves of the seed."""
_SIDE = (_ADDRESS,) * 4
"""Both lanes of one side, the order of its rows by partitions, and where these begin."""
_TEXTS = (_ADDRESS,) * 4
"""Bytes and places of the records of A, and of B."""
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "mix_fixed": (None, (_ADDRESS, _ADDRESS, _ADDRESS, _COUNT, _ADDRESS, _COUNT, _COUNT)),
    "mix_bytes": (None, (*_NUMBERS, _ADDRESS, _COUNT, _ADDRESS, _ADDRESS, _COUNT, _COUNT)),
    "mix_places": (None, (_ADDRESS,) * 5 + (_COUNT,)),
    "mix_lines": (None, (*_NUMBERS, _ADDRESS, _ADDRESS, _COUNT, _COUNT)),
    "number_bytes": (None, (_ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS, _COUNT, _COUNT)),
    "partition": (None, (_ADDRESS, _COUNT, _INT, _ADDRESS, _ADDRESS)),
    "pair": (_INT, (*_SIDE, *_SIDE, _COUNT, _COUNT, _ADDRESS, _ADDRESS)),
    "sieve_add": (None, (_ADDRESS, _HALF, _ADDRESS, _ADDRESS, _COUNT)),
    "sieve_lacks": (_COUNT, (_ADDRESS, _HALF, _ADDRESS, _ADDRESS, _COUNT, _ADDRESS)),
    "find_lines": (_COUNT, (_ADDRESS, _COUNT, _INT, _INT, _ADDRESS, _COUNT)),
    "follow_lines": (_INT, (_ADDRESS, _ADDRESS, _COUNT, _ADDRESS, _COUNT, _INT, _ADDRESS, _ADDRESS)),
    "lines_differ": (_COUNT, (*_TEXTS, _COUNT, _COUNT, _ADDRESS)),
    "cells_differ": (_INT, (*_TEXTS, _ADDRESS, _COUNT, _INT, _COUNT, _ADDRESS)),
    "gather_lines": (_COUNT, (_ADDRESS, _ADDRESS, _ADDRESS, _COUNT, _ADDRESS)),
    "column_rises": (_INT, (_ADDRESS, _ADDRESS, _COUNT, _COUNT, _INT, _COUNT)),
    "scan_pages": (_INT, (_INT, _COUNT, _COUNT, _COUNT, _COUNT, _ADDRESS)),
    "sqlite_rows": (
        _COUNT,
        (
            *(_INT, _COUNT, _COUNT, _ADDRESS, _COUNT, _COUNT, _HALF, _HALF, _ADDRESS, _COUNT),
            *((_ADDRESS,) * 5),
            *(_COUNT, _ADDRESS, _ADDRESS),
        ),
    ),
    "rings_turned": (None, (_ADDRESS, _ADDRESS, _ADDRESS, _COUNT, _ADDRESS)),
}
"""What each loop returns and takes; see the files in C beside this one."""


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled loops, None where there are none."""
    try:
        loops = ctypes.CDLL(str(_LIBRARY))
    except OSError:
        return None
    for name, (returned, taken) in _SIGNATURES.items():
        loop = getattr(loops, f"kfm_{name}")
        loop.restype, loop.argtypes = returned, taken
    return loops
