"""What looks like a secret: the detectors of detect-secrets, and those that run records need besides.

No detector asks a server whether a secret is valid: texts are only matched.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import filterfalse
from types import ModuleType

__all__ = ["PLACEHOLDER", "Detectors", "detectors"]

PLACEHOLDER = "[redacted: {kind}]"
"""What stands where a secret stood."""

_FORMATS = (
    "artifactory", "aws", "azure_storage_key", "basic_auth", "cloudant", "discord", "github_token",
    "gitlab_token", "ibm_cloud_iam", "ibm_cos_hmac", "jwt", "mailchimp", "npm", "openai", "private_key",
    "pypi_token", "sendgrid", "slack", "softlayer", "square_oauth", "stripe", "telegram_token", "twilio",
)  # fmt: skip
"""Modules of detect-secrets that know a format. Public addresses are no secrets, and digests are all hex:
its detectors of both are left out."""

_GATES = {
    **dict.fromkeys(
        ("cloudant", "ibm_cloud_iam", "ibm_cos_hmac", "softlayer"),
        ("key", "pwd", "pw", "pass", "token", "secret"),
    ),
    "artifactory": ("akc", "ap"),
    "aws": ("aws", "a3t", "abia", "acca", "akia", "asia"),
    "mailchimp": ("-us",),
    "slack": ("xox", "slack"),
    "stripe": ("k_live_",),
    "telegram_token": (":",),
}
"""Patterns that are slow to try, and what each of them needs in a lower-case text."""
_KEYWORDS = ("pass", "pwd", "secret", "key", "contrase")

_VALUE = r"[A-Za-z0-9._~+/=%-]"
_OWN = (
    ("url-token", ("?", "&", "#"), re.compile(
        r"[?&;#](?:access_?token|auth_?token|refresh_?token|id_?token|token|api[_-]?key|auth|pass(?:word|wd)?|"
        r"pwd|secret|client_?secret|sig|signature|x-amz-signature|x-amz-security-token|x-amz-credential|"
        r"x-goog-signature|subscription-key|app_?key|private_?key)=([A-Za-z0-9._~+/=%!*:@-]{4,})",
        re.IGNORECASE)),
    ("url-token", ("?key", "&key"), re.compile(
        r"[?&]key=((?=[A-Za-z_%-]*\d)[A-Za-z0-9._~%-]{16,})", re.IGNORECASE)),
    ("authorization", ("bearer", "basic"), re.compile(
        r"\b(?:bearer|basic)\s+((?=[A-Za-z._~+/=-]*\d)[A-Za-z0-9._~+/-]{12,}=*)", re.IGNORECASE)),
    ("authorization", ("authorization",), re.compile(
        rf"\bauthorization[\"']?\s*[:=]\s*[\"']?(?:token\s+|basic\s+|bearer\s+)?({_VALUE}{{8,}})",
        re.IGNORECASE)),
    ("token", ("token",), re.compile(
        r"token[\"']?\s*[:=]\s*[\"']?((?=[A-Za-z._~+/=-]*\d)(?:[A-Za-z0-9._~+/=-]{12,}|"
        r"(?=[0-9._~+/=-]*[A-Za-z])[A-Za-z0-9._~+/=-]{8,}))", re.IGNORECASE)),
    ("authorization", ("x-",), re.compile(
        rf"\bx-(?:[a-z]+-)?(?:key|token)[\"']?\s*[:=]\s*[\"']?({_VALUE}{{8,}})", re.IGNORECASE)),
    ("command-line", ("curl",), re.compile(
        r"\bcurl\b[^\n|;]{0,400}?\s(?:-u|--user)[\"']?[\s=,]+[\"']?[^\s:\"']+:([^\s\"']{4,})")),
    ("command-line", ("--", "-p", "-t", "-s", "-a", "-k", "-c"), re.compile(
        r"-[a-z-]{0,40}(?:password|passwd|pwd|passphrase|token|secret|api-?key|access-?key|private-?key|credentials?)"
        r"[\"'],\s*[\"']([^\s\"'-][^\s\"']{3,})[\"']", re.IGNORECASE)),
    ("command-line", (" -", "-p", "-t", "-s", "-a", "-k", "-c"), re.compile(
        r"-[a-z-]{0,40}(?:password|passwd|pwd|passphrase|token|secret|api-?key|access-?key|private-?key|credentials?)"
        r"(?:=|\s+)[\"']?([^\s\"'-][^\s\"']{3,})", re.IGNORECASE)),
)  # fmt: skip
"""Kind, what a lower-case text needs for the pattern to be worth a try, and the pattern: group 1 is the secret."""

_RANDOM = re.compile(r"""(?<=["'])(?!sha\d{1,3}[=:-])[A-Za-z0-9+/_=-]{24,200}(?=["'])""")
_ENTROPY = 4.5
"""Bits per character above which detect-secrets calls a base64 text random."""
_SECRET_WORD, _SECRET_GROUP, _RANDOM_LENGTH = 4, 6, 24
_IDENTIFIER = re.compile(r"(?:[0-9a-fA-F]{7,128}|[0-7][0-9A-HJKMNP-TV-Z]{25})\Z")
"""Digests, commits, ULIDs, as parts of a longer name too."""
_RUN_ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ__[\w.-]+__[0-9a-f]{4,64}")
"""A run id of ours: long, and of letters and digits like a key."""
_PERCENT = re.compile(r"%(?:[A-Za-z_]\w*%\Z|[({]|[sdr](?![0-9A-Za-z]))")
"""What a shell or a format fills in; a token may well begin with ``%2F``."""
_TOKEN_KEY = re.compile(r"(?:.*[_.-])?token\Z", re.IGNORECASE)
_TOKEN = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[\x21-\x7e]{8,}")
_WORDS = frozenset({
    "none", "null", "true", "false", "required", "optional", "missing", "empty", "hidden", "masked", "redacted",
    "removed", "withheld", "changeme", "example", "placeholder", "unset", "string", "password", "secret", "token",
    "your-token", "ask", "prompt",
})  # fmt: skip
"""What stands after ``password:`` without being one."""


@dataclass(frozen=True)
class _Format:
    kind: str
    patterns: tuple[re.Pattern[str], ...]
    gates: tuple[str, ...]


class _Uncalled(ModuleType):
    """Stands for a library that is only named: in annotations, and in functions that nobody calls."""

    def __getattr__(self, name: str) -> type:
        del name
        return object


@contextmanager
def _without_requests() -> Iterator[None]:
    """Let detect-secrets be imported without requests, which takes longer than all the rest of it.

    It would ask servers whether a secret is valid. We never do, and in this process it now cannot.
    """
    if "requests" in sys.modules:
        yield
        return
    sys.modules["requests"] = _Uncalled("requests")
    try:
        yield
    finally:
        del sys.modules["requests"]


class Detectors:
    """All detectors, loaded once: that takes a while."""

    def __init__(self) -> None:
        with _without_requests():
            self._load()

    def _load(self) -> None:
        self._formats = tuple(_formats())
        module = importlib.import_module("detect_secrets.plugins.keyword")
        self._keyword = module.KeywordDetector()
        self._quoted = module.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
        self._config = module.CONFIG_DENYLIST_REGEX_TO_GROUP
        equals = module.FOLLOWED_BY_EQUAL_SIGNS_REGEX
        self._text = {**self._quoted, equals: self._config[equals]}
        self._word = re.compile("|".join(module.DENYLIST), re.IGNORECASE)
        self._heuristic = importlib.import_module("detect_secrets.filters.heuristic")
        entropy = importlib.import_module("detect_secrets.plugins.high_entropy_strings")
        self._entropy = entropy.Base64HighEntropyString(limit=_ENTROPY)

    def suspicious(self, block: str) -> bool:
        """Return whether a text of many lines can hold anything: False is certain, True is not."""
        lower = block.lower()
        if any(word in lower for word in _KEYWORDS) and self._word.search(lower):
            return True
        if any(_open(gates, lower) and pattern.search(block) for _, gates, pattern in _OWN):
            return True
        for item in self._formats:
            if _open(item.gates, lower) and any(pattern.search(block) for pattern in item.patterns):
                return True
        return any(self._is_random(match.group()) for match in _RANDOM.finditer(block))

    def has_keyword(self, line: str) -> bool:
        """Return whether a line has a word such as ``password``, so that ``named`` has to look at it."""
        return self._word.search(line) is not None

    def formats(self, line: str) -> Iterator[tuple[str, str]]:
        """Yield ``(kind, secret)`` of what is a secret by its form or its place."""
        lower = line.lower()
        for item in self._formats:
            if not _open(item.gates, lower):
                continue
            matches = (match for pattern in item.patterns for match in pattern.finditer(line))
            for match in filterfalse(_in_identifier, matches):
                found = _secret_of(match)
                if item.kind == "private-key" or not self._is_placeholder(found, line):
                    yield item.kind, found
        yield from self._own(line, lower)
        for match in _RANDOM.finditer(line):
            if self._is_random(match.group()):
                yield "random-text", match.group()

    def _own(self, line: str, lower: str) -> Iterator[tuple[str, str]]:
        """Yield what our own patterns find, each value as the first kind that it is."""
        seen = set()
        for kind, gates, pattern in _OWN:
            for match in pattern.finditer(line) if _open(gates, lower) else ():
                value = match.group(1)
                if value not in seen and not self._is_placeholder(value, line):
                    seen.add(value)
                    yield kind, value

    def named(self, line: str, *, config: bool) -> Iterator[tuple[str, str]]:
        """Yield what is assigned to a name such as ``password``; in ``config`` texts quotes are not needed."""
        for value in self._keyword.analyze_string(line, self._config if config else self._text):
            found = value.strip().rstrip("\\}],;")
            if len(found) >= _SECRET_WORD and not self._is_placeholder(found, line):
                yield "secret-keyword", found

    def under(self, key: str, value: str) -> Iterator[tuple[str, str]]:
        """Yield what is a secret because of the key that it is under in a document."""
        if _TOKEN_KEY.match(key) and _TOKEN.fullmatch(value) and not self._is_placeholder(value, value):
            yield "token", value
        elif self.has_keyword(key) and not value.isdigit() and value.isprintable() and " " not in value:
            for kind, found in self.named(f'{key}: "{value}"', config=False):
                yield kind, found if found in value else value

    def may_be_secret(self, value: str) -> bool:
        """Return whether a value whose place says secret is one: not a short or empty one, nor a placeholder."""
        return len(value) >= _SECRET_WORD and not self._is_placeholder(value, value)

    def _is_placeholder(self, value: str, line: str) -> bool:
        text = value.strip("\"'` ")
        check = self._heuristic
        return (
            not text
            or "[redacted" in text
            or text.startswith(("$", "<", "{", "…", "..."))
            or _PERCENT.match(text) is not None
            or _RUN_ID.fullmatch(text) is not None
            or text.lower().rstrip(".,;") in _WORDS
            or check.is_templated_secret(text)
            or (check.is_not_alphanumeric_string(text) and not re.search(r"\d{6}", text))
            or (check.is_indirect_reference(line) and re.search(r"[\w.-]+[\[(]", text) is not None)
        )

    def _is_random(self, text: str) -> bool:
        """Return whether a quoted text, or one part of a path, is random letters of both cases and digits.

        Digests, commits, ULIDs and UUIDs are not, also as parts of a longer name.
        """
        for segment in text.split("/"):
            rest = "".join(part for part in re.split("[_=-]", segment) if not _IDENTIFIER.match(part))
            kinds = [sum(map(test, rest)) for test in (str.isupper, str.islower, str.isdigit)]
            random = min(kinds) > 1 and len(rest) >= _RANDOM_LENGTH
            if random and self._entropy.calculate_shannon_entropy(rest) > _ENTROPY:
                return True
        return False


@lru_cache(maxsize=1)
def detectors() -> Detectors:
    """Return the detectors."""
    return Detectors()


def _formats() -> Iterator[_Format]:
    base = importlib.import_module("detect_secrets.plugins.base").RegexBasedDetector
    for name in _FORMATS:
        module = importlib.import_module(f"detect_secrets.plugins.{name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__:
                plugin = value()
                kind = re.sub(r"[^a-z0-9]+", "-", plugin.secret_type.lower()).strip("-")
                patterns = tuple(re.compile(p.pattern, p.flags | re.MULTILINE) for p in plugin.denylist)
                yield _Format(kind, patterns, _GATES.get(name, ()))


def _open(gates: tuple[str, ...], lower: str) -> bool:
    return not gates or any(gate in lower for gate in gates)


def _in_identifier(match: re.Match[str]) -> bool:
    """Return whether a match is only a part of a digest, commit or ULID: chance, no secret."""
    line, start, end = match.string, match.start(), match.end()
    while start and line[start - 1].isalnum():
        start -= 1
    while end < len(line) and line[end].isalnum():
        end += 1
    return end - start > len(match.group()) and _IDENTIFIER.match(line[start:end]) is not None


def _secret_of(match: re.Match[str]) -> str:
    """Return the secret in a match: its longest group, the whole where the groups are prefixes only."""
    longest = max((group for group in match.groups() if group), key=len, default="")
    return longest if len(longest) >= _SECRET_GROUP else match.group()
