"""The inner loops over rows in C; a wheel has them compiled where it was built with a C compiler."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

__all__ = ["library"]

_LIBRARY = Path(__file__).parent / "librows.so"


@cache
def library() -> ctypes.CDLL | None:
    """Return the compiled loops, None where there are none."""
    try:
        loops = ctypes.CDLL(str(_LIBRARY))
    except OSError:
        return None
    address, count, half = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64
    loops.kfm_mix_fixed.argtypes = [address, address, address, count, address, count, count]
    loops.kfm_mix_bytes.argtypes = [address, address, half, half, address, address, address, count, count]
    loops.kfm_mix_places.argtypes = [address, address, address, address, address, count]
    loops.kfm_number_bytes.argtypes = [address, address, address, address, count, count]
    loops.kfm_partition.argtypes = [address, count, ctypes.c_int, address, address]
    side = (address, address, address, count)
    loops.kfm_pair.argtypes = [*side, *side, address, address]
    for name in ("mix_fixed", "mix_bytes", "mix_places", "number_bytes", "partition"):
        getattr(loops, f"kfm_{name}").restype = None
    loops.kfm_pair.restype = ctypes.c_int
    loops.kfm_count_lines.argtypes = [address, count]
    loops.kfm_find_lines.argtypes = [address, count, ctypes.c_int, address]
    loops.kfm_lines_differ.argtypes = [address, address, address, address, count, count, address]
    loops.kfm_cells_differ.argtypes = [*(address,) * 5, count, ctypes.c_int, count, address]
    loops.kfm_cells_differ.restype = ctypes.c_int
    loops.kfm_gather_lines.argtypes = [address, address, address, count, address]
    loops.kfm_mix_lines.argtypes = [address, address, half, half, address, address, count, count]
    loops.kfm_column_rises.argtypes = [address, address, count, count, ctypes.c_int, count]
    for name in ("count_lines", "find_lines", "lines_differ", "gather_lines"):
        getattr(loops, f"kfm_{name}").restype = count
    loops.kfm_mix_lines.restype = None
    loops.kfm_column_rises.restype = ctypes.c_int
    return loops
