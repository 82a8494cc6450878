"""Statements of a schema as tokens: what may be spelt otherwise without meaning anything else, and no more.

The lexical rules are those of SQLite (https://www.sqlite.org/lang_keywords.html, sqlite3 tokenize.c as
documented): quoted names and literals are whole, keywords have no case, white space and comments are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["Shape", "shape", "tokens"]

Tokens = tuple[str, ...]
Shape = tuple[Tokens, tuple[Tokens, ...], Tokens]
"""What stands before the body of CREATE TABLE, its definitions and constraints sorted, what follows it."""

_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?(?:\*/|\Z)|\s+
    |[xX]?'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]
    |(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[\w$]+|.""",
    re.VERBOSE | re.DOTALL,
)
_NOTHING = ("--", "/*")
_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """abort action add after all alter always analyze and as asc attach autoincrement before begin between by
    cascade case cast check collate column commit conflict constraint create cross current current_date
    current_time current_timestamp database default deferrable deferred delete desc detach distinct do drop
    each else end escape except exclude exclusive exists explain fail filter first following for foreign from
    full generated glob group groups having if ignore immediate in index indexed initially inner insert
    instead intersect into is isnull join last left like limit match materialized natural no not nothing
    notnull null nulls of offset on or order others outer over partition plan pragma preceding primary query
    raise range recursive references regexp reindex release rename replace restrict returning right rollback
    row rows savepoint select set stored strict table temp temporary then ties to transaction trigger
    unbounded union unique update using vacuum values view virtual when where window with without
    rowid""",
    )
)
_BEFORE_A_TABLE = ("table", "references", "from", "into", "update", "join")


def tokens(sql: str, renamed: Mapping[str, str] | None = None) -> Tokens:
    """Return the tokens of a statement; ``renamed`` gives tables another name where they are referred to."""
    found = tuple(
        word.lower() if word.lower() in _KEYWORDS else word
        for word in _TOKEN.findall(sql)
        if not word.isspace() and not word.startswith(_NOTHING)
    )
    return _called(found, renamed) if renamed else found


def shape(sql: str, renamed: Mapping[str, str] | None = None) -> Shape:
    """Return CREATE TABLE in its parts; the name of the table is left out.

    Definitions and constraints are compared as a multiset, since the order of columns shows in the rows; each
    is an ordered list of tokens. A statement of another form is all head.
    """
    words = tokens(sql, renamed)
    opened = words.index("(") if "(" in words else len(words)
    items: list[Tokens] = []
    depth = start = 0
    for at in range(opened, len(words)):
        depth += (words[at] == "(") - (words[at] == ")")
        if (words[at] == "," and depth == 1) or (at > opened and depth == 0):
            items.append(words[start + 1 if items else opened + 1 : at])
            start = at
        if depth == 0:
            return words[: max(opened - 1, 0)], tuple(sorted(items)), words[at + 1 :]
    return words, (), ()


def _called(words: Tokens, renamed: Mapping[str, str]) -> Tokens:
    """Replace names of tables where only a table can stand, and not the columns that are called alike."""
    names = {form: new for old, new in renamed.items() for form in (old, _quoted(old))}
    attached = "on" in words and ("index" in words[:3] or "trigger" in words[:3])
    first_on = words.index("on") if attached else -1
    result = list(words)
    for at in range(1, len(words)):
        if (words[at - 1] in _BEFORE_A_TABLE or at - 1 == first_on) and words[at] in names:
            result[at] = _quoted(names[words[at]])
    return tuple(result)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
