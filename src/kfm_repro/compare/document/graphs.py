"""Whether two RDF graphs are the same, whatever their blank nodes are called, within bounds.

Blank nodes are told apart by what is said of them and of those around them (colour refinement). What hangs together
by blank nodes is a part; two parts are the same where their statements are, with colours in place of nodes. Only of a
part whose own nodes stay alike rdflib is asked, whose search takes longer with each of them and knows no end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from kfm_repro.errors import LimitExceeded

__all__ = ["are_told_apart", "is_blank", "same_graph"]

Triple = tuple[Any, Any, Any]
Colours = dict[Any, int]

_MOST_ALIKE = 12
"""Blank nodes of one part, or of both graphs, among which rdflib searches."""
_MOST_STEPS = 20_000_000
"""Edges that are looked at while nodes are told apart; nodes that are alike by then stay so."""


def is_blank(term: object) -> bool:
    """Return whether a term of rdflib is a blank node."""
    return type(term).__name__ == "BNode"


def same_graph(a: Iterable[Triple], b: Iterable[Triple]) -> bool:
    """Return whether two graphs are isomorphic (RDF 1.1 Concepts, 3.6).

    Raises LimitExceeded for too many nodes that hang together and that nothing tells apart.
    """
    sides = [_of_blanks(graph) for graph in (a, b)]
    if sides[0][0] != sides[1][0]:
        return False
    said = [blanks for _, blanks in sides]
    colours = _colours(said)
    if Counter(colours[0].values()) != Counter(colours[1].values()):
        return False
    keys = [
        Counter(_key(part, own) for part in _parts(triples))
        for triples, own in zip(said, colours, strict=True)
    ]
    return keys[0] == keys[1]


def are_told_apart(a: Iterable[Triple], b: Iterable[Triple]) -> bool:
    """Return whether hardly any blank node of a graph is like another one of it."""
    counts = [Counter(own.values()) for own in _colours([_of_blanks(graph)[1] for graph in (a, b)])]
    return all(sum(n for n in count.values() if n > 1) <= _MOST_ALIKE for count in counts)


def _of_blanks(graph: Iterable[Triple]) -> tuple[set[Triple], list[Triple]]:
    """Return the statements without and those with blank nodes."""
    triples = list(graph)
    blanks = [triple for triple in triples if any(map(is_blank, triple))]
    return set(triples).difference(blanks), blanks


def _colours(sides: Sequence[list[Triple]]) -> list[Colours]:
    """Return a number per blank node, the same ones for both sides; isomorphic nodes have the same."""
    names: dict[object, int] = {}
    edges = [_edges(triples, names) for triples in sides]
    colours: list[Colours] = [dict.fromkeys(own, 0) for own in edges]
    count, steps = 1, 0
    while steps < _MOST_STEPS:
        numbers: dict[object, int] = {}
        colours = [
            {node: numbers.setdefault(_sign(node, own[node], old), len(numbers)) for node in own}
            for own, old in zip(edges, colours, strict=True)
        ]
        if len(numbers) <= count:
            break
        count = len(numbers)
        steps += 2 * sum(map(len, sides))
    return colours


def _edges(triples: list[Triple], names: dict[object, int]) -> dict[Any, list[tuple[int, Any, int]]]:
    """Return per blank node its edges: direction and predicate, the other end, and its number if that has a name."""
    edges: dict[Any, list[tuple[int, Any, int]]] = defaultdict(list)
    for subject, predicate, value in triples:
        for way, node, other in (("of", subject, value), ("is", value, subject)):
            if is_blank(node):
                label = names.setdefault((way, predicate), len(names))
                named = None if is_blank(other) else names.setdefault(other, len(names))
                edges[node].append((label, other, -1 if named is None else named))
    return edges


def _sign(node: object, edges: list[tuple[int, Any, int]], colours: Colours) -> tuple[object, ...]:
    """Return what tells a node apart by now: its colour, and those of the nodes around it."""
    ends = ((label, named, colours[other] if named < 0 else 0) for label, other, named in edges)
    return colours[node], *sorted(ends)


def _parts(triples: list[Triple]) -> list[list[Triple]]:
    """Return the statements in parts that share no blank node."""
    above: dict[Any, Any] = {}

    def top(node: object) -> object:
        while above.setdefault(node, node) is not node:
            above[node] = node = above[above[node]]
        return node

    for triple in triples:
        first, *others = filter(is_blank, triple)
        for other in others:
            above[top(other)] = top(first)
    parts: dict[Any, list[Triple]] = defaultdict(list)
    for triple in triples:
        parts[top(next(filter(is_blank, triple)))].append(triple)
    return list(parts.values())


def _key(part: list[Triple], colours: Colours) -> frozenset[tuple[Any, ...]]:
    """Return what two parts share exactly when they are the same. Raises LimitExceeded."""
    nodes = {term for triple in part for term in triple if is_blank(term)}
    if len({colours[node] for node in nodes}) == len(nodes):
        return frozenset(tuple((colours[t],) if is_blank(t) else t for t in triple) for triple in part)
    if len(nodes) > _MOST_ALIKE:
        raise LimitExceeded(f"{len(nodes)} blank nodes hang together, and nothing tells some of them apart")
    from rdflib import Graph
    from rdflib.compare import to_canonical_graph

    graph = Graph()
    for triple in part:
        graph.add(triple)
    return frozenset(to_canonical_graph(graph))
