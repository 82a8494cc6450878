from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kfm_repro.compare.context import Context
from kfm_repro.compare.outputs import Output, compare_outputs
from kfm_repro.model.finding import FileFacts, OutputComparison


def results(folder: Path, a: dict[str, bytes], b: dict[str, bytes]) -> dict[str, OutputComparison]:
    sides: list[dict[str, Output]] = []
    for side, files in (("a", a), ("b", b)):
        (folder / side).mkdir()
        outputs = {}
        for name, data in files.items():
            (folder / side / name).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            outputs[name] = Output(FileFacts(sha256=digest, size_bytes=len(data)), folder / side / name)
        sides.append(outputs)
    return {result.path: result for result in compare_outputs(sides[0], sides[1], Context()).outputs}


def side(table: bytes, algorithm: str) -> dict[str, bytes]:
    digest = hashlib.new(algorithm, table).hexdigest()
    manifest = json.dumps({"files": [{"path": "t.csv", "digest": digest}]}).encode()
    sums = f"{hashlib.sha256(manifest).hexdigest()}  m.json\n".encode()
    return {"t.csv": table, "m.json": manifest, "sums.txt": sums}


@pytest.mark.parametrize("algorithm", ["sha256", "md5", "sha512"])
def test_digests_follow_the_file_that_caused_them_through_files_of_digests(
    tmp_path: Path, algorithm: str
) -> None:
    found = results(tmp_path, side(b"a,b\n1,2\n3,4\n", algorithm), side(b"a,b\n1,2\n3,5\n", algorithm))
    kinds = {name: [(str(f.kind), str(f.rung)) for f in result.findings] for name, result in found.items()}
    assert kinds == {
        "t.csv": [("value", "value")],
        "m.json": [("digest-cascade", "value")],
        "sums.txt": [("digest-cascade", "value")],
    }
    assert found["m.json"].findings[0].detail["caused_by"] == ["t.csv"]
    assert found["sums.txt"].findings[0].detail["caused_by"] == ["m.json"]


def test_what_follows_from_another_order_is_no_worse_than_that(tmp_path: Path) -> None:
    found = results(tmp_path, side(b"a,b\n1,2\n3,4\n", "sha256"), side(b"a,b\n3,4\n1,2\n", "sha256"))
    assert {str(result.verdict) for result in found.values()} == {"equivalent"}


@pytest.mark.parametrize("other", ["0" * 64, hashlib.sha256(b"other").hexdigest()])
def test_a_digest_of_nothing_here_and_a_changed_value_beside_it_stay_values(
    tmp_path: Path, other: str
) -> None:
    a, b = side(b"a,b\n1,2\n", "sha256"), side(b"a,b\n1,3\n", "sha256")
    b["m.json"] = json.dumps({"files": [{"path": "t.csv", "digest": other}]}).encode()
    b["sums.txt"] = b["sums.txt"].replace(b"m.json", b"n.json")
    found = results(tmp_path, a, b)
    assert [str(f.kind) for f in found["m.json"].findings] == ["value"]
    assert [str(f.kind) for f in found["sums.txt"].findings] == ["value"]


@pytest.mark.parametrize("name", ["m.json", "m.csv", "m.txt"])
def test_a_digest_in_a_text_that_is_not_shown_whole_explains_nothing(name: str, tmp_path: Path) -> None:
    tables, sides = (b"a,b\n1,2\n3,4\n", b"a,b\n3,4\n1,2\n"), []
    for table, end in zip(tables, "xy", strict=True):
        said = f"{hashlib.sha256(table).hexdigest()} {'z' * 200}{end}"
        spelled = {"m.json": json.dumps({"said": said}), "m.csv": f"id,said\n1,{said}\n", "m.txt": said}
        sides.append({"t.csv": table, name: spelled[name].encode()})
    found = results(tmp_path, *sides)
    assert {path: str(result.verdict) for path, result in found.items()} == {
        name: "different",
        "t.csv": "equivalent",
    }


def test_files_that_name_each_other_do_not_excuse_each_other(tmp_path: Path) -> None:
    """Each was written when the other was as it was before: only one of the digests is that of a file here."""

    def pair(value: int) -> dict[str, bytes]:
        before = json.dumps({"value": value}).encode()
        b = json.dumps({"of": hashlib.sha256(before).hexdigest()}).encode()
        a = json.dumps({"of": hashlib.sha256(b).hexdigest()}).encode()
        return {"a.json": a, "b.json": b}

    found = results(tmp_path, pair(1), pair(2))
    assert {str(result.verdict) for result in found.values()} == {"different"}
    assert [(str(f.kind), str(f.rung)) for f in found["b.json"].findings] == [("value", "value")]
    assert [(str(f.kind), str(f.rung)) for f in found["a.json"].findings] == [("digest-cascade", "value")]
