"""How much memory a comparison may take when nobody says."""

from __future__ import annotations

from pathlib import Path

__all__ = ["available"]

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_MEMINFO = Path("/proc/meminfo")
_UNKNOWN = 4 << 30


def available() -> int:
    """Return half of the memory that is free for this process, in bytes: of the machine, or of its container."""
    free = _UNKNOWN
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
        limit = _CGROUP.read_text().strip()
        free = min(free, int(limit)) if limit.isdigit() else free
    except (OSError, ValueError, IndexError):
        pass
    return free // 2
