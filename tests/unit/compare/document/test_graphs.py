"""Graphs are the same exactly when some renaming of blank nodes makes them so, and saying so takes a bounded time."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import BNode, Literal, URIRef

from kfm_repro.compare.document.graphs import are_told_apart, same_graph
from kfm_repro.errors import LimitExceeded

NODES = [BNode(f"n{i}") for i in range(5)]
PREDICATES = [URIRef("u:p"), URIRef("u:q")]
Graph = frozenset[tuple[Any, Any, Any]]

ends = st.sampled_from([*NODES, URIRef("u:s"), Literal("x")])
graphs = st.frozensets(
    st.tuples(st.sampled_from([*NODES, URIRef("u:s")]), st.sampled_from(PREDICATES), ends), max_size=8
)


def renamed(graph: Graph, names: dict[BNode, BNode]) -> Graph:
    return frozenset((names.get(s, s), p, names.get(o, o)) for s, p, o in graph)


def isomorphic(a: Graph, b: Graph) -> bool:
    return any(renamed(a, dict(zip(NODES, order, strict=True))) == b for order in permutations(NODES))


@settings(max_examples=300, deadline=None)
@given(graphs, graphs, st.permutations(NODES), st.data())
def test_it_is_what_trying_all_names_says(
    a: Graph, other: Graph, order: list[BNode], data: st.DataObject
) -> None:
    b = renamed(a, dict(zip(NODES, order, strict=True)))
    assert same_graph(a, b)
    assert same_graph(a, other) == isomorphic(a, other)
    if b:
        near = b - {data.draw(st.sampled_from(sorted(b)))} | data.draw(graphs.filter(bool))
        assert same_graph(a, near) == isomorphic(a, near)


def cycles(count: int, length: int, name: str) -> Graph:
    nodes = [[BNode(f"{name}{i}_{j}") for j in range(length)] for i in range(count)]
    return frozenset((ring[j], PREDICATES[0], ring[j - 1]) for ring in nodes for j in range(length))


def test_many_parts_that_nothing_tells_apart_take_no_longer_than_others() -> None:
    a, b = cycles(100, 4, "a"), cycles(100, 4, "b")
    assert same_graph(a, b)
    assert not are_told_apart(a, b)
    assert not same_graph(a, cycles(50, 8, "b"))
    lone = {(BNode(f"c{i}"), PREDICATES[1], Literal("x")) for i in range(500)}
    assert same_graph(a | lone, b | lone)
    assert not same_graph(a | lone, b | {*list(lone)[1:], (BNode("d"), PREDICATES[1], Literal("y"))})


def test_a_large_part_that_nothing_tells_apart_is_not_decided() -> None:
    with pytest.raises(LimitExceeded, match="hang together"):
        same_graph(cycles(1, 100, "a"), cycles(1, 100, "b"))
