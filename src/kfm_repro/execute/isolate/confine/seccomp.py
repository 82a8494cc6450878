"""A filter of system calls: no network where it is off, no clock, no mounts, no look into other processes.

The filter is classic BPF over ``struct seccomp_data`` (nr, arch, instruction pointer, six arguments). Numbers are of
x86-64 (unistd_64.h) and of aarch64 (asm-generic/unistd.h); a program for any other architecture is killed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from .kernel import prctl

__all__ = ["MACHINES", "NUMBERS", "program", "restrict"]

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_KILL, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD, _EQUAL, _GREATER_EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARGUMENT = 0, 4, 16
_X32 = 0x40000000
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_NEW_NAMESPACES = 0x7E020080
"""CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
_TIOCSTI = 0x5412

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH of each machine that is known."""

NUMBERS: dict[str, tuple[int, int]] = {
    # the clock
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    # keys, kernel and machine
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "sethostname": (170, 161), "setdomainname": (171, 162), "acct": (163, 89), "quotactl": (179, 60),
    "syslog": (103, 116), "iopl": (172, -1), "ioperm": (173, -1),
    # answered with ENOSYS, so that libraries take their other way
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "clone3": (435, 435),
    # looked at by their arguments
    "socket": (41, 198), "clone": (56, 220), "ioctl": (16, 29),
}  # fmt: skip
"""Every system call that the filter knows: its number on x86-64 and on aarch64, -1 where there is none."""

_ABSENT = ("io_uring_setup", "io_uring_enter", "io_uring_register", "clone3")
_BY_ARGUMENT = ("socket", "clone", "ioctl")


def restrict(*, network: bool) -> None:
    """Set the filter for this process and its children. Needs no_new_privileges before. Raises OSError."""
    machine = os.uname().machine
    if machine not in MACHINES:
        raise OSError(errno.ENOSYS, f"no filter of system calls is known for {machine}")
    code = program(machine, network=network)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    holder = ctypes.create_string_buffer(head, len(head))
    prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(holder))


def program(machine: str, *, network: bool) -> bytes:
    """Return the filter as BPF instructions of eight bytes each."""
    column = list(MACHINES).index(machine)
    numbers = {name: pair[column] for name, pair in NUMBERS.items() if pair[column] >= 0}
    code = [
        _do(_LOAD, _ARCH),
        _if(_EQUAL, MACHINES[machine], 1, 0),
        _do(_RETURN, _KILL),
        _do(_LOAD, _NR),
    ]
    if machine == "x86_64":
        code += [_if(_GREATER_EQUAL, _X32, 0, 1), _do(_RETURN, _ERRNO | errno.ENOSYS)]
    for name, number in numbers.items():
        if name in _BY_ARGUMENT:
            continue
        answer = errno.ENOSYS if name in _ABSENT else errno.EPERM
        code += [_if(_EQUAL, number, 0, 1), _do(_RETURN, _ERRNO | answer)]
    blocks = [
        (numbers["clone"], [_do(_LOAD, _ARGUMENT), *_refuse_if(_ANY_BIT, _NEW_NAMESPACES, errno.EPERM)]),
        (numbers["ioctl"], [_do(_LOAD, _ARGUMENT + 8), *_refuse_if(_EQUAL, _TIOCSTI, errno.EPERM)]),
    ]
    if not network:
        blocks.append((numbers["socket"], _only_local_sockets()))
    for number, block in blocks:
        code += [_if(_EQUAL, number, 0, len(block) + 1), *block, _do(_RETURN, _ALLOW)]
    return b"".join([*code, _do(_RETURN, _ALLOW)])


def _only_local_sockets() -> list[bytes]:
    """AF_UNIX passes; the Internet is unreachable; every other family is not there."""
    return [
        _do(_LOAD, _ARGUMENT),
        _if(_EQUAL, _AF_UNIX, 0, 1),
        _do(_RETURN, _ALLOW),
        *_refuse_if(_EQUAL, _AF_INET, errno.ENETUNREACH),
        *_refuse_if(_EQUAL, _AF_INET6, errno.ENETUNREACH),
        _do(_RETURN, _ERRNO | errno.EAFNOSUPPORT),
    ]


def _refuse_if(test: int, value: int, answer: int) -> list[bytes]:
    return [_if(test, value, 0, 1), _do(_RETURN, _ERRNO | answer)]


def _if(test: int, value: int, then: int, otherwise: int) -> bytes:
    return struct.pack("=HBBI", test, then, otherwise, value)


def _do(what: int, value: int) -> bytes:
    return struct.pack("=HBBI", what, 0, 0, value)
