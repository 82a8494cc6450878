"""Try Landlock, the filter of system calls and the loss of capabilities in a child, and look whether they hold."""

from __future__ import annotations

import errno
import os
import socket
import sys

from . import kernel, landlock, seccomp

__all__ = ["probe"]

_STEPS = ("Landlock", "seccomp", "what was set")


def probe() -> dict[str, object]:
    """Return ``abi``, 0 for none, and ``error``: why it cannot be used, empty when it was seen to hold."""
    try:
        version = landlock.abi()
    except OSError as exc:
        if exc.errno == errno.ENOSYS:
            return {"abi": 0, "error": "this kernel has no Landlock (Linux 5.13 has it)", "boot": False}
        turned_off = exc.errno == errno.EOPNOTSUPP
        why = "Landlock is turned off at boot" if turned_off else f"Landlock: {exc.strerror}"
        return {"abi": 0, "error": why, "boot": turned_off}
    child = os.fork()
    if child == 0:
        os._exit(_try())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    error = "" if code == 0 else f"{_STEPS[min(abs(code), len(_STEPS)) - 1]} does not hold here"
    return {"abi": version, "error": error, "boot": False}


def _try() -> int:
    """Return 0 when all of it holds, else the number of the step that does not."""
    step = 1
    try:
        kernel.no_new_privileges()
        landlock.restrict({"read": ["/proc"], "device": ["/dev/null"]}, network=False)
        step = 2
        kernel.drop_capabilities(0)
        seccomp.restrict(network=False)
        step = 3
        held = _refused(lambda: os.listdir("/")) and _refused(lambda: os.open("/etc/passwd", os.O_RDONLY))
        held = held and _refused(lambda: socket.socket(socket.AF_INET)) and _clock_is_safe()
        os.close(os.open("/dev/null", os.O_RDWR))
    except Exception:  # noqa: BLE001 - whatever it is, this level cannot be had
        return step
    return 0 if held else step


def _refused(attempt: object) -> bool:
    try:
        attempt()  # type: ignore[operator]
    except OSError:
        return True
    return False


def _clock_is_safe() -> bool:
    import time

    return _refused(lambda: time.clock_settime(time.CLOCK_REALTIME, time.time())) or sys.platform != "linux"
