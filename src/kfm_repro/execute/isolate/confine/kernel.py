"""The calls to the kernel that Python has no name for. Constants are those of Linux' uapi headers."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from contextlib import suppress

__all__ = [
    "become_subreaper",
    "close_on_exec",
    "die_with_parent",
    "drop_capabilities",
    "hide_memory",
    "lower_limit",
    "no_new_privileges",
    "prctl",
    "syscall",
]

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 36, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = 64
_CLOSE_RANGE, _CLOSE_RANGE_CLOEXEC = 436, 4
HARMLESS = 0b1111_1111_1 | 1 << 31
"""CHOWN … SETPCAP and SETFCAP (bits 0 to 8, 31): they concern files and the process itself, not the machine."""

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *args: object) -> int:
    """Make a raw system call. Raises OSError."""
    result = int(_libc.syscall(ctypes.c_long(number), *args))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, *args: int) -> None:
    """Call prctl with up to four numbers. Raises OSError."""
    words = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    if _libc.prctl(ctypes.c_int(option), *words) < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def die_with_parent(parent: int) -> None:
    """Be killed when the parent ends; for when it has ended already, the caller's number of it is checked."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def hide_memory() -> None:
    """Let no process of the same user look into this one: neither its memory nor its open files."""
    prctl(_PR_SET_DUMPABLE, 0)


def become_subreaper() -> None:
    """Become the parent of every descendant whose own parent ended: daemons, double forks, setsid."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def no_new_privileges() -> None:
    """Gain nothing by executing setuid programs, from here on and for ever."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities(kept: int) -> None:
    """Give up every capability that is not in the bit set ``kept``, and the way back to it, root's included.

    Raises OSError when the kernel refuses; a process without capabilities has none to give up.
    """
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = ctypes.create_string_buffer(24)
    if _libc.capget(header, data) < 0:
        raise OSError(ctypes.get_errno(), "capget")
    words = struct.unpack("=6I", data.raw[:24])
    permitted = words[1] | words[4] << 32
    for number in range(_CAPABILITIES):
        if not kept >> number & 1:
            try:
                prctl(_PR_CAPBSET_DROP, number)
            except OSError:
                # No such capability, or no right to drop: then no_new_privileges keeps exec from bringing it back.
                break
    with suppress(OSError):
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    left = permitted & kept
    low, high = left & 0xFFFFFFFF, left >> 32
    if _libc.capset(header, struct.pack("=6I", low, low, 0, high, high, 0)) < 0:
        raise OSError(ctypes.get_errno(), "capset")


def lower_limit(which: int, value: int) -> None:
    """Set a resource limit to ``value``, or leave it where it is lower already."""
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


def close_on_exec() -> None:
    """Hand no open file to a program that is executed, but for 0, 1 and 2."""
    try:
        syscall(
            _CLOSE_RANGE, ctypes.c_uint(3), ctypes.c_uint(0xFFFFFFFF), ctypes.c_uint(_CLOSE_RANGE_CLOEXEC)
        )
    except OSError:
        for name in os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"):
            if int(name) > 2:  # noqa: PLR2004 - what comes after stderr
                with suppress(OSError):
                    os.set_inheritable(int(name), False)  # noqa: FBT003 - the standard library's own signature
