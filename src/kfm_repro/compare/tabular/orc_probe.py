"""A program of its own: whether an ORC file fits into so many bytes once decoded, told by decoding it within them.

``python orc_probe.py FILE BYTES`` ends with 3 where it does not. Its memory is bounded, because ORC's reader
allocates what lengths and dictionaries claim, a stripe at a time, and takes no bound. Every other end leaves
it to the caller to read the file and to say what is wrong with it.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["TOO_LARGE"]

TOO_LARGE = 3
_COPIES = 2
"""A stripe is decoded by the library of ORC, and then copied by Arrow."""
_STATUS = Path("/proc/self/statm")


def _fits(path: str, most: int) -> bool:
    import pyarrow as pa
    from pyarrow import orc

    taken = int(_STATUS.read_text().split()[0]) * resource.getpagesize() if _STATUS.exists() else 1 << 30
    bound = taken + (_COPIES + 1) * most
    resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    pa.set_memory_pool(pa.system_memory_pool())
    file = orc.ORCFile(path)
    found = 0
    for stripe in range(file.nstripes):
        found += file.read_stripe(stripe).nbytes
        if found > most:
            return False
    return True


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        fits = _fits(sys.argv[1], int(sys.argv[2]))
    except MemoryError:
        fits = False
    except Exception:  # noqa: BLE001 - the caller reads the file again and says what is wrong
        fits = True
    sys.exit(0 if fits else TOO_LARGE)
