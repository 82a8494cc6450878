"""Secrets in run records: found, named by file, line and kind, and never shown (rule 24).

What we write ourselves (logs, run.yaml) is redacted. A config snapshot is not: a replay needs its very bytes.
There a secret is reported, ``verify`` fails, and what leaves the machine leaves it out.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from kfm_repro.model.verification import SecretHit
from kfm_repro.runs.detectors import PLACEHOLDER, Detectors, detectors
from kfm_repro.runs.spellings import readings, spellings
from kfm_repro.runs.structured import MAX_BYTES, is_structured, leaves

__all__ = [
    "Scan",
    "redact",
    "redact_arguments",
    "redact_file",
    "redact_folder",
    "redact_variables",
    "scan",
    "scan_text",
    "was_redacted",
]

MAX_FILE_BYTES = 256 << 20
"""Of one file no more than this is read; a larger one is named as not read to its end."""
MAX_HITS = 200
"""Most hits that are listed of one file."""
_MAX_FILES = 10_000
_BLOCK = 1 << 18
_PLACES = (b"pass", b"pwd", b"secret", b"token", b"key", b"credential", b"contrase")
"""What a document has at least, in lower case, when its structure makes something a secret."""
_LONG, _WINDOW, _OVERLAP = 4_096, 1_024, 256
_NAMED_BUDGET = 50_000
_CONFIG = frozenset({".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".env", ".properties"})
_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|PuTTY-User-Key-File-\d")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----|Private-MAC:")
_PEM_BODY = re.compile(r"[A-Za-z0-9+/=]{16,}")
_PEM_LINES = 400
_MARK = re.compile(re.escape(PLACEHOLDER).replace(re.escape("{kind}"), "[a-z0-9-]+"))
_OPTION = re.compile(
    r"--?[\w-]*(?:password|passwd|pwd|passphrase|token|secret|api[_-]?key|access[_-]?key|private[_-]?key|credentials?)\Z",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(?:-u|--user)\Z")


@dataclass(frozen=True)
class Scan:
    """What was found in a record: hits by file and line, and the files that were not read to their end."""

    hits: tuple[SecretHit, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether everything was read and nothing was found."""
        return not self.hits and not self.unread


def scan(run: Path) -> Scan:
    """Return the secrets in the record at ``run``: every file of it but ``scratch/``.

    Files with binary parts are read for the text that is in them. Links are not followed: what they lead to is
    unread, and so is a folder that cannot be opened.
    """
    hits: list[SecretHit] = []
    unread: list[str] = []
    for count, (path, regular) in enumerate(_entries(run)):
        name = path.relative_to(run).as_posix()
        if count >= _MAX_FILES:
            unread.append(name)
            break
        try:
            found, whole = _scan_file(path, name) if regular else ([], False)
        except OSError:
            found, whole = [], False
        hits += found
        if not whole:
            unread.append(name)
    return Scan(tuple(sorted(hits, key=lambda hit: (hit.file, hit.line, hit.kind))), tuple(unread))


def redact(text: str, *, name: str = "") -> str:
    """Return ``text`` with every secret replaced; ``name`` (of the file) tells config from other text."""
    return _Redactor(name).text(text.splitlines(keepends=True))


def redact_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command line with its secrets replaced: also ``--password VALUE`` in two words."""
    redacted: list[str] = []
    for argument in arguments:
        if redacted and _OPTION.match(redacted[-1]) and not argument.startswith("-"):
            redacted.append(PLACEHOLDER.format(kind="command-line"))
        elif redacted and _LOGIN.match(redacted[-1]) and _calls_curl(arguments):
            login = argument.partition(":")
            redacted.append(f"{login[0]}:{PLACEHOLDER.format(kind='command-line')}" if login[2] else argument)
        else:
            redacted.append(redact(argument))
    return tuple(redacted)


def _calls_curl(arguments: Sequence[str]) -> bool:
    return any(PurePosixPath(argument).name == "curl" for argument in arguments)


def redact_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables with the values replaced that are secrets by form or by name."""
    known = detectors()
    redacted = {}
    for name, value in variables.items():
        named = (
            next(known.named(f'{name}="{value}"', config=False), None) if known.has_keyword(name) else None
        )
        redacted[name] = PLACEHOLDER.format(kind=named[0]) if named else redact(value)
    return redacted


def was_redacted(texts: Iterable[str]) -> bool:
    """Return whether one of these texts (a recorded command line) lost a secret when it was written."""
    return any(_MARK.search(text) for text in texts)


def redact_folder(folder: Path) -> tuple[SecretHit, ...]:
    """Redact every file directly in a folder of ours (the logs) in place, and return what was found.

    The files of the hits are relative to the folder above: ``logs/stderr.log``. Links are not touched.
    """
    hits = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.is_symlink():
            found = redact_file(path)
            hits += [msgspec.structs.replace(hit, file=f"{folder.name}/{path.name}") for hit in found]
    return tuple(hits)


def redact_file(path: Path) -> tuple[SecretHit, ...]:
    """Redact a text file of ours in place, and return what was found. Untouched when that is nothing."""
    redactor = _Redactor(path.name)
    part = path.with_name(f".{path.name}.part")
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as source:
        try:
            with part.open("w", encoding="utf-8", errors="surrogateescape", newline="") as target:
                while lines := source.readlines(_BLOCK):
                    target.write(redactor.text(lines))
                if redactor.hits:
                    target.flush()
                    os.fsync(target.fileno())
            if redactor.hits:
                part.chmod(path.stat().st_mode & 0o777)
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return tuple(redactor.hits)


class _Finder:
    """Finds secrets line by line; a private key spans lines, so that the finder remembers being in one."""

    def __init__(self, name: str, known: Detectors) -> None:
        self._known = known
        suffix = PurePosixPath(name).suffix.lower()
        self._config = suffix in _CONFIG or name.startswith(".env")
        self._key_lines = 0
        self._budget = _NAMED_BUDGET
        self.exhausted = False
        self._named = lru_cache(maxsize=4_096)(self._look_named)

    @property
    def in_key(self) -> bool:
        """Whether the lines before began a private key that has not ended."""
        return self._key_lines > 0

    def find(self, line: str) -> list[tuple[str, str]]:
        """Return ``(kind, secret)`` of one line, each once."""
        found: dict[tuple[str, str], None] = {}
        if self._key_lines:
            self._key_lines = 0 if _PEM_END.search(line) else self._key_lines - 1
            found.update({("private-key", match): None for match in _PEM_BODY.findall(line)})
        elif (begin := _PEM_BEGIN.search(line)) is not None:
            rest = line[begin.end() :]
            if not _PEM_END.search(rest):
                self._key_lines = _PEM_LINES
            found.update({("private-key", match): None for match in _PEM_BODY.findall(rest)})
        for plain in readings(line):
            for window in _windows(plain, _LONG):
                found.update(dict.fromkeys(self._known.formats(window)))
            if self._known.has_keyword(plain):
                for window in _windows(plain, _WINDOW):
                    found.update(dict.fromkeys(self._named(window)))
        return list(found)

    def _look_named(self, window: str) -> tuple[tuple[str, str], ...]:
        if self._budget <= 0:
            self.exhausted = True
            return ()
        self._budget -= 1
        return tuple(self._known.named(window, config=self._config))


class _Redactor:
    """Replaces secrets line by line, and keeps where they were."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0
        self.hits: list[SecretHit] = []

    @cached_property
    def _finder(self) -> _Finder:
        # Many a log is empty, and the detectors take long to load.
        return _Finder(self._name, detectors())

    def text(self, lines: Sequence[str]) -> str:
        """Return the next lines without their secrets."""
        text = "".join(lines)
        if not text or (not self._finder.in_key and not _suspicious(detectors(), text)):
            self._number += len(lines)
            return text
        return "".join(self._line(line) for line in lines)

    def _line(self, line: str) -> str:
        self._number += 1
        for kind, value in sorted(self._finder.find(line), key=lambda found: -len(found[1])):
            hit = SecretHit(file=self._name, line=self._number, kind=kind)
            if hit not in self.hits[-8:]:
                self.hits.append(hit)
            line = _without(line, value, kind)
        return line


def _without(line: str, value: str, kind: str) -> str:
    """Replace a secret where it stands alone; where it cannot be found as it is, the line goes."""
    mark = PLACEHOLDER.format(kind=kind)
    pattern = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(value)}(?![A-Za-z0-9_])")
    alone = pattern.sub(lambda _: mark, line)
    if alone != line:
        return alone
    if value in line:
        return line.replace(value, mark)
    spelled = re.sub(spellings(value), lambda _: mark, line)
    if spelled != line:
        return spelled
    if "[redacted: " in line:
        return line
    return f'"{mark}"' + line[len(line.rstrip("\r\n")) :]


def _suspicious(known: Detectors, text: str) -> bool:
    return any(known.suspicious(reading) for reading in readings(text))


def _scan_file(path: Path, name: str) -> tuple[list[SecretHit], bool]:
    with path.open("rb") as file:
        return scan_text(file, name)


def scan_text(file: BinaryIO, name: str) -> tuple[list[SecretHit], bool]:
    """Return the secrets in one open file, and whether it was read to its end."""
    known = detectors()
    finder = _Finder(PurePosixPath(name).name, known)
    placed = _placed(file, name, known)
    seen: dict[tuple[int, str], None] = {}
    for first, lines in _blocks(file):
        text = "".join(lines)
        if not finder.in_key and not _suspicious(known, text):
            continue
        for offset, line in enumerate(lines):
            for kind, _ in finder.find(line):
                seen[first + offset, kind] = None
        if len(seen) > MAX_HITS:
            break
    lines_hit = {line for line, _ in seen}
    seen.update(dict.fromkeys(hit for hit in placed if hit[0] not in lines_hit))
    whole = not file.read(1) and len(seen) <= MAX_HITS and not finder.exhausted
    hits = [SecretHit(file=name, line=line, kind=kind) for line, kind in list(seen)[:MAX_HITS]]
    return hits, whole


def _placed(file: BinaryIO, name: str, known: Detectors) -> list[tuple[int, str]]:
    """Return line and kind of what the structure of a document makes a secret, however its lines are broken.

    That is what is under a key such as ``password``, and what follows an option in a list of arguments.
    """
    if not is_structured(name):
        return []
    content = file.read(MAX_BYTES + 1)
    file.seek(0)
    lower = content.lower()
    if len(content) > MAX_BYTES or not any(word in lower for word in _PLACES):
        return []
    text = content.decode("utf-8", errors="replace")
    hits = []
    for leaf in leaves(text, name):
        found = list(known.under(leaf.key, leaf.value)) if leaf.key else []
        option = _OPTION.match(leaf.before) and not leaf.value.startswith("-")
        if option and known.may_be_secret(leaf.value):
            found.append(("command-line", leaf.value))
        hits += [(leaf.line or _line_of(text, value), kind) for kind, value in found]
    return hits


def _line_of(text: str, value: str) -> int:
    """Return the first line that has a value, 1 where it is spelled in a way that is not known."""
    at = re.search(spellings(value), text)
    return text.count("\n", 0, at.start()) + 1 if at else 1


def _blocks(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of a first line and some lines from it, to the limit; a huge line comes in pieces.

    A piece that goes on in the next one keeps its number.
    """
    number, lines, size, total = 1, [], 0, 0
    first = 1
    while total < MAX_FILE_BYTES and (raw := file.readline(_BLOCK)):
        total += len(raw)
        size += len(raw)
        lines.append(raw.replace(b"\0", b"").decode("utf-8", errors="replace"))
        if raw.endswith(b"\n"):
            number += 1
        else:
            yield first, lines
            first, lines, size = number, [], 0
        if size >= _BLOCK:
            yield first, lines
            first, lines, size = number, [], 0
    if lines:
        yield first, lines


def _windows(line: str, size: int) -> Iterator[str]:
    """Yield a line in overlapping pieces, so that no pattern works on a huge one."""
    step = size - _OVERLAP
    for start in range(0, max(len(line) - _OVERLAP, 1), step):
        yield line[start : start + size]


def _entries(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield what is in a record and whether it can be searched: no link, special file or closed folder can."""
    faults: list[OSError] = []
    for base, folders, names in os.walk(folder, onerror=faults.append, followlinks=False):
        top = Path(base) == folder
        folders[:] = sorted(name for name in folders if not (top and name == "scratch"))
        linked = [name for name in folders if Path(base, name).is_symlink()]
        for name in sorted([*names, *linked]):
            path = Path(base) / name
            yield path, stat.S_ISREG(path.lstat().st_mode)
    yield from ((Path(os.fsdecode(fault.filename)), False) for fault in faults)
