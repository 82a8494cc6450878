"""What this machine is called."""

from __future__ import annotations

import platform
import socket

__all__ = ["host_names"]


def host_names() -> tuple[str, ...]:
    """Return the names of this machine that could be embedded in an output."""
    return tuple(sorted({platform.node(), socket.gethostname()} - {"", "localhost"}))
