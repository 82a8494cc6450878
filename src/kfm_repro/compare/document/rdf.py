"""RDF: two graphs are one if they are the same but for the names of blank nodes (RDF 1.1 Concepts, 3.6)."""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import structs

from kfm_repro.compare import text
from kfm_repro.compare.context import reading
from kfm_repro.compare.document import compare_json
from kfm_repro.compare.document.graphs import are_told_apart, is_blank, same_graph
from kfm_repro.compare.document.parse import DuplicateKey, read_json
from kfm_repro.compare.extras import need
from kfm_repro.compare.samples import scalar
from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from kfm_repro.compare.context import Context

__all__ = ["compare_jsonld", "compare_ntriples", "compare_turtle"]

_MOST_BYTES = 16 << 20
_ORDERED = (b'"@list"', b'"@json"')
"""What makes the order of an array data in whatever term is declared so (JSON-LD 1.1, 4.3.1 and 4.2.2)."""
_MOST_BLANK = 20_000
"""Blank nodes beyond which their names are not settled: it may take forever."""


def compare_ntriples(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare N-Triples: by lines, and as graphs where lines differ and there are blank nodes.

    Raises Unreadable, LimitExceeded, NotInstalled.
    """
    return _compare(a, b, context, "nt", text.compare(a, b, context))


def compare_turtle(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare Turtle: by lines, and as graphs where lines differ. Raises as `compare_ntriples`."""
    return _compare(a, b, context, "turtle", text.compare(a, b, context), blank=b"")


def compare_jsonld(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare JSON-LD: as JSON, and as graphs where that differs and there are blank nodes.

    A context of another document is never fetched: such a document stays JSON. Raises as `compare_ntriples`.
    """
    found = compare_json(a, b, context)
    try:
        mapped = _objects(a, context) == _objects(b, context)
    except DuplicateKey:
        mapped = False
    elsewhere = _refers_to_context(a) or _refers_to_context(b)
    if elsewhere or any(word in path.read_bytes() for path in (a, b) for word in _ORDERED):
        meant = tuple(map(_meant, found))
        mapped, found = mapped and meant == found, meant
    if not mapped or elsewhere:
        return found
    return _compare(a, b, context, "json-ld", found)


def _meant(found: Finding) -> Finding:
    """Return a finding with the order of an array as data: a context may make a list of what JSON has as an array."""
    if found.kind is not Kind.ARRAY_ORDER:
        return found
    evidence = f"{found.evidence}; a context says, or may say where it lies elsewhere, that the order is data"
    return structs.replace(found, kind=Kind.VALUE, rung=Rung.VALUE, evidence=evidence)


def _compare(
    a: Path, b: Path, context: Context, form: str, found: tuple[Finding, ...], *, blank: bytes = b"_:"
) -> tuple[Finding, ...]:
    """Return what was found, or what the graphs say where data seems to differ."""
    del context
    if not any(finding.rung is Rung.VALUE for finding in found):
        return found
    raw = a.read_bytes(), b.read_bytes()
    if any(len(data) > _MOST_BYTES for data in raw) or not all(blank in data for data in raw):
        return found
    graphs = [_graph(path, form) for path in (a, b)]
    try:
        same = same_graph(*graphs)
        lone = () if same else _lone(graphs)
    except LimitExceeded:
        raise
    except Exception:  # noqa: BLE001  # rdflib reads names that it refuses to compare
        return found
    return (_respelled(graphs, raw),) if same else lone or found


def _respelled(graphs: list[Any], raw: tuple[bytes, bytes]) -> Finding:
    evidence = "the same graph: blank nodes bear other names, or statements stand in another order"
    count = len({term for triple in graphs[0] for term in triple if is_blank(term)})
    if count and all(b"_:" in data for data in raw):
        return Finding(kind=Kind.IDENTIFIER, rung=Rung.CONTAINER, count=count, of=count, evidence=evidence)
    return Finding(kind=Kind.ENCODING, rung=Rung.CONTAINER, evidence=evidence)


def _lone(graphs: list[Any]) -> tuple[Finding, ...]:
    """Return the statements that only one graph has; nothing where many blank nodes are alike: they might be any."""
    if not are_told_apart(*graphs):
        return ()
    _, only_a, only_b = need("rdflib.compare", "rdf", "RDF with blank nodes").graph_diff(*graphs)
    return tuple(
        Finding(
            kind=Kind.VALUE,
            rung=Rung.VALUE,
            count=len(only),
            of=len(whole),
            examples=_examples(only, side),
            evidence=f"statements only in {side.upper()}, whatever blank nodes are called",
            detail={"missing": "b" if side == "a" else "a"},
        )
        for only, whole, side in ((only_a, graphs[0], "a"), (only_b, graphs[1], "b"))
        if len(only)
    )


def _graph(path: Path, form: str) -> Any:  # noqa: ANN401  # rdflib is untyped here
    rdflib = need("rdflib", "rdf", "RDF with blank nodes")
    graph = rdflib.Graph()
    # What rdflib thinks of names goes to its log, which is not ours to show.
    logging.getLogger("rdflib.term").addHandler(logging.NullHandler())
    logging.getLogger("rdflib.term").propagate = False
    with reading(path, "RDF"), warnings.catch_warnings(), _literals_as_written(rdflib):
        warnings.simplefilter("ignore")  # of other libraries' futures
        try:
            graph.parse(data=path.read_bytes(), format=form)
        except Exception as exc:
            raise Unreadable(f"cannot be read as RDF: {exc}".splitlines()[0][:300]) from exc
    blank = sum(is_blank(term) for triple in graph for term in triple)
    if blank > _MOST_BLANK:
        raise LimitExceeded(f"blank nodes at more than {_MOST_BLANK} places")
    return graph


@contextmanager
def _literals_as_written(rdflib: Any) -> Iterator[None]:  # noqa: ANN401  # as above
    """Keep rdflib from spelling literals anew, which makes 1e400 and 1e500 one.

    Literals are compared by their characters (RDF 1.1 Concepts, 3.3).
    """
    before = rdflib.NORMALIZE_LITERALS
    rdflib.NORMALIZE_LITERALS = False
    try:
        yield
    finally:
        rdflib.NORMALIZE_LITERALS = before


def _examples(graph: Any, side: str) -> tuple[Example, ...]:  # noqa: ANN401  # as above
    lines = sorted(" ".join(_shown(term) for term in triple) for triple in graph)[:MAX_EXAMPLES]
    return tuple(
        Example(a=scalar(line) if side == "a" else None, b=scalar(line) if side == "b" else None)
        for line in lines
    )


def _shown(term: Any) -> str:  # noqa: ANN401  # as above
    try:
        return str(term.n3())
    except Exception:  # noqa: BLE001  # rdflib reads names that it refuses to write
        return f"<{term}>"


def _objects(path: Path, context: Context) -> Counter[tuple[str, ...]]:
    """Count the objects of a document by what they say themselves, whatever blank nodes are called in it.

    A graph leaves out the members that no context maps, and holds numbers as doubles.
    """
    found: Counter[tuple[str, ...]] = Counter()
    pending: list[Any] = [[read_json(path.read_bytes(), context)]]
    while pending:
        value = pending.pop()
        members = value.items() if isinstance(value, dict) else enumerate(value)
        said = []
        for key, member in members:
            if isinstance(member, dict | list):
                pending.append(member)
            blank = isinstance(member, str) and member.startswith("_:")
            shown = "" if isinstance(member, dict | list) else "_:" if blank else repr(member)
            said.append(f"{key if isinstance(value, dict) else ''}={shown}")
        found[tuple(sorted(said))] += 1
    return found


def _refers_to_context(path: Path) -> bool:
    """Return whether a JSON-LD document would have another one fetched (JSON-LD 1.1, 3.1)."""
    pending: list[Any] = [json.loads(path.read_bytes())]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "@import" in value or _names_one(value.get("@context")):
                return True
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False


def _names_one(context: object) -> bool:
    return isinstance(context, str) or (isinstance(context, list) and any(map(_names_one, context)))
