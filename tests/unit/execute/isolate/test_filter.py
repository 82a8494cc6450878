"""The filter of system calls says what it should for every call, on every machine that is known."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from kfm_repro.execute.isolate.confine.seccomp import MACHINES, NUMBERS, program

KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
ABSENT = {"clone3", "io_uring_setup", "io_uring_enter", "io_uring_register"}
BY_ARGUMENT = {"socket", "clone", "ioctl"}


def ask(code: bytes, arch: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would and return its answer."""
    words = [argument & 0xFFFFFFFFFFFFFFFF for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("=IIQ6Q", number, arch, 0, *words)
    held, at = 0, 0
    for _ in range(len(code)):
        what, then, otherwise, value = struct.unpack_from("=HBBI", code, at * 8)
        at += 1
        if what == 0x06:
            return value
        if what == 0x20:
            (held,) = struct.unpack_from("=I", data, value)
        else:
            holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[what]
            at += then if holds else otherwise
    raise AssertionError("the filter has no end")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("network", [True, False])
def test_every_refused_call_is_refused_and_every_other_passes(machine: str, *, network: bool) -> None:
    code, arch, column = program(machine, network=network), MACHINES[machine], list(MACHINES).index(machine)
    refused = {pair[column]: name for name, pair in NUMBERS.items() if name not in BY_ARGUMENT}
    for number in range(500):
        answer = ask(code, arch, number)
        if number in refused:
            assert answer == ERRNO | (errno.ENOSYS if refused[number] in ABSENT else errno.EPERM), number
        elif number != NUMBERS["socket"][column]:
            assert answer == ALLOW, number


@pytest.mark.parametrize("machine", MACHINES)
def test_sockets_namespaces_and_typing_for_others_are_told_by_their_arguments(machine: str) -> None:
    arch, column = MACHINES[machine], list(MACHINES).index(machine)
    off, on = program(machine, network=False), program(machine, network=True)
    socket, clone, ioctl = (NUMBERS[name][column] for name in ("socket", "clone", "ioctl"))
    for family in range(60):
        expected = {1: ALLOW, 2: ERRNO | errno.ENETUNREACH, 10: ERRNO | errno.ENETUNREACH}
        assert ask(off, arch, socket, family) == expected.get(family, ERRNO | errno.EAFNOSUPPORT)
        assert ask(on, arch, socket, family) == ALLOW
    for code in (on, off):
        for flag in (
            0x00000080,
            0x00020000,
            0x02000000,
            0x04000000,
            0x08000000,
            0x10000000,
            0x20000000,
            0x40000000,
        ):
            assert ask(code, arch, clone, flag | 17) == ERRNO | errno.EPERM
        assert ask(code, arch, clone, 0x003D0F00) == ALLOW, "a thread"
        assert ask(code, arch, clone, 17) == ALLOW, "a fork"
        assert ask(code, arch, ioctl, 1, 0x5412) == ERRNO | errno.EPERM
        assert ask(code, arch, ioctl, 1, 0x5401) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_a_program_of_another_architecture_is_killed_and_x32_is_not_there(machine: str) -> None:
    code = program(machine, network=True)
    for arch in (0x40000003, 0x40000028, 0xC00000F3, *(set(MACHINES.values()) - {MACHINES[machine]})):
        assert ask(code, arch, 1) == KILL
    if machine == "x86_64":
        assert ask(code, MACHINES[machine], 0x40000000 | 1) == ERRNO | errno.ENOSYS


@pytest.mark.parametrize(
    ("column", "header", "pattern"),
    [
        (0, "/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+)\s+(\d+)"),
        (1, "/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+)\s+(\d+)"),
    ],
)
def test_the_numbers_are_those_of_the_kernel_headers(column: int, header: str, pattern: str) -> None:
    if not Path(header).is_file():
        pytest.skip(f"no {header} here")
    known = {
        name: int(number) for name, number in re.findall(pattern, Path(header).read_text(encoding="utf-8"))
    }
    stated = {name: pair[column] for name, pair in NUMBERS.items()}
    assert stated == {name: known.get(name, -1) for name in NUMBERS}
