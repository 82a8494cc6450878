"""Graphs that differ in more than the names of blank nodes, though rdflib reads the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from compared import compared

from kfm_repro.model.finding import Kind, Rung

XSD = "http://www.w3.org/2001/XMLSchema#"


def triples(literal: str, node: str) -> bytes:
    return f'_:{node} <http://x/v> {literal} .\n_:{node} <http://x/n> "k" .\n'.encode()


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ("1e400", "1e400", "equivalent"),
        ("1e400", "1e500", "different"),
        ("01", "1", "different"),
    ],
)
@pytest.mark.parametrize(("suffix", "prefix"), [("nt", ""), ("ttl", "@prefix x: <http://x/> .\n")])
def test_literals_are_compared_as_they_are_written(
    tmp_path: Path, a: str, b: str, verdict: str, suffix: str, prefix: str
) -> None:
    sides = [
        prefix.encode() + triples(f'"{text}"^^<{XSD}double>', node) for text, node in ((a, "p"), (b, "q"))
    ]
    assert compared(tmp_path, *sides, f"x.{suffix}").verdict == verdict


def document(node: str, **said: Any) -> bytes:
    graph = [{"@id": f"_:{node}1", "v": 1, **said}, {"@id": f"_:{node}2", "n": {"@id": f"_:{node}1"}}]
    return json.dumps({"@context": {"v": "http://x/v", "n": "http://x/n"}, "@graph": graph}).encode()


def test_members_that_no_context_maps_are_compared(tmp_path: Path) -> None:
    assert compared(tmp_path, document("p", u=1), document("q", u=1), "x.jsonld").verdict == "equivalent"
    assert compared(tmp_path, document("p", u=1), document("q", u=2), "x.jsonld").verdict == "different"
    assert compared(tmp_path, document("p", v=1), document("q", v=2), "x.jsonld").verdict == "different"


def test_numbers_that_no_double_holds_are_compared(tmp_path: Path) -> None:
    a, b = (
        document(node, v=7).replace(b": 7", number) for node, number in (("p", b": 1e400"), ("q", b": 1e500"))
    )
    assert compared(tmp_path, a, b, "x.jsonld").verdict == "different"


@pytest.mark.parametrize(
    "text", [b"5", b'{"a": "_:x", "a": "_:y"}', b"[]", b'{"@id": "_:p", "v": {"@value": []}}']
)
def test_odd_documents_are_answered(tmp_path: Path, text: bytes) -> None:
    result = compared(tmp_path, text, text.replace(b"_:", b"_:q") + b" ", "x.jsonld")
    assert all("failed on" not in finding.evidence for finding in result.findings)


def test_a_name_that_rdflib_refuses_to_write_is_answered(tmp_path: Path) -> None:
    a, b = (triples('"1"', "p").replace(b"x/n", name) for name in (b"x|y/n", b"x|z/n"))
    result = compared(tmp_path, a, b, "x.nt")
    assert result.verdict == "different"
    assert all("failed on" not in finding.evidence for finding in result.findings)


LIST = b'{"@id": "http://x/p", "@container": "@list"}'


@pytest.mark.parametrize(
    "context",
    [
        b'{"p": ' + LIST + b"}",
        b'{"T": {"@id": "http://x/T", "@context": {"p": ' + LIST + b"}}}",
        b'{"p": {"@id": "http://x/p", "@type": "@json"}}',
        b'"http://example.invalid/context"',
    ],
    ids=["list", "list in a type", "literal", "elsewhere"],
)
def test_an_order_that_a_context_may_make_data_is_no_mere_order(tmp_path: Path, context: bytes) -> None:
    text = b'{"@context": ' + context + b', "@id": "http://x/a", "@type": "T", "p": ["a", "b"]}'
    result = compared(tmp_path, text, text.replace(b'"a", "b"', b'"b", "a"'), "x.jsonld")
    assert [(f.kind, f.rung) for f in result.findings] == [(Kind.VALUE, Rung.VALUE)]


def test_an_order_that_no_context_makes_data_is_one(tmp_path: Path) -> None:
    text = b'{"@context": {"p": "http://x/p"}, "@id": "http://x/a", "p": ["a", "b"]}'
    result = compared(tmp_path, text, text.replace(b'"a", "b"', b'"b", "a"'), "x.jsonld")
    assert [(f.kind, f.rung) for f in result.findings] == [(Kind.ARRAY_ORDER, Rung.ORDER)]
