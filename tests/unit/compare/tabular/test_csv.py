from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.tabular import dialect
from kfm_repro.compare.tabular.csv import compare
from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.model.finding import Finding, Kind, OutputVerdict, Rung

PLAIN = "fips,name,people\n20001,Allen,13\n20003,Élk,8\n20005,,\n"


def compared(
    folder: Path, a: str | bytes, b: str | bytes, context: Context | None = None
) -> tuple[Finding, ...]:
    paths = folder / "a.csv", folder / "b.csv"
    for path, content in zip(paths, (a, b), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return compare(*paths, context or Context())


def verdict(folder: Path, a: str | bytes, b: str | bytes) -> tuple[OutputVerdict, list[str]]:
    paths = folder / "a.csv", folder / "b.csv"
    for path, content in zip(paths, (a, b), strict=True):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    output = compare_files(*paths, name="x.csv", context=Context())
    return output.verdict, [str(finding.kind) for finding in output.findings]


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ("\ufeff" + PLAIN, "byte order mark no against yes"),
        (PLAIN.replace("\n", "\r\n"), "line ending LF against CRLF"),
        (PLAIN.replace(",", ";"), "delimiter comma against semicolon"),
        (PLAIN.replace(",", "\t"), "delimiter comma against tab"),
        (PLAIN.replace("Allen", '"Allen"'), "quote characters 0 against 2"),
        (PLAIN.encode("latin-1"), "encoding utf-8 against latin-1"),
        (PLAIN.encode("utf-16"), "encoding utf-8 against utf-16-le"),
        (PLAIN + "\n", "blank lines 0 against 1"),
        (PLAIN.rstrip("\n"), "newline at the end yes against no"),
        (PLAIN.replace("Allen,13\n", "Allen,13\r\n"), "CR 0 against 1"),
    ],
    ids=lambda value: value if isinstance(value, str) and " against " in value else "",
)
def test_another_spelling_of_the_same_cells_is_equivalent_and_named(
    tmp_path: Path, other: str | bytes, named: str
) -> None:
    (finding,) = compared(tmp_path, PLAIN, other)
    assert (finding.kind, finding.rung) == (Kind.ENCODING, Rung.CONTAINER)
    assert named in finding.evidence


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        ("x,y\n1,2\n", "x,y\n1,3\n", {"value"}),
        ("x,y\n1,2\n", "x,y\n01,2\n", {"value"}),
        ("x,y\n1,2.50\n", "x,y\n1,2.5\n", {"encoding"}),
        ("x,y\n1,2\n", "x,y\n1,2.0\n", {"type"}),
        ("x,y\n1,\n", "x,y\n1,NaN\n", {"null-form"}),
        ("x,y\n1,\n2,3\n", "x,y\n1\n2,3\n", {"null-form"}),
        ("x,y\n1,2\n", "x,y\n1,2,\n", {"schema"}),
        ("x,y\n1,a\n", 'x,y\n1,"a\n"\n', {"value"}),
        ("x,y\n1, a\n", "x,y\n1,a\n", {"value"}),
        ("x\na\n", "x\na\n\n", {"rows-added"}),
        ("x,x\n1,2\n", "x,x\n1,3\n", {"value"}),
        ("x,y\n", "x,y\n1,2\n", {"rows-added"}),
        ("x,y\n1,é\n", "x,y\n1,e\u0301\n", {"encoding"}),
        ("x,y\n1,2\n3,4\n", "x,y\n3,4\n1,2\n", {"row-order"}),
        ("x,y\n1,2\n", "y,x\n2,1\n", {"column-order"}),
    ],
)
def test_cells_are_compared_as_texts(tmp_path: Path, a: str, b: str, kinds: set[str]) -> None:
    assert {str(finding.kind) for finding in compared(tmp_path, a, b)} == kinds


def test_a_line_end_inside_a_field_is_content_not_spelling(tmp_path: Path) -> None:
    a, b = 'x,y\n1,"a\nb"\n2,c\n', 'x,y\n1,"a\r\nb"\n2,c\n'
    (finding,) = compared(tmp_path, a, b)
    assert (finding.kind, finding.rung) == (Kind.VALUE, Rung.VALUE)


def test_a_spelling_difference_is_told_beside_a_value(tmp_path: Path) -> None:
    other = "\ufeff" + PLAIN.replace("13", "14").replace("\n", "\r\n")
    findings = compared(tmp_path, PLAIN, other)
    assert [str(finding.kind) for finding in findings] == ["value", "encoding"]
    assert findings[0].examples[0].key == {"fips": "20001"}
    assert "byte order mark" in findings[1].evidence
    assert "CRLF" in findings[1].evidence


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("station,reading\nKS-01,5\nKS-02,7\n", "KS-01,5\nKS-02,7\nstation,reading\n"),
        ("county,2019,2020\nAllen,5,6\n", "Allen,5,6\ncounty,2019,2020\n"),
        ("0,1\n-2.5,3.5\n", "-2.5,3.5\n0,1\n"),
    ],
)
def test_a_header_that_was_sorted_into_the_rows_is_different(tmp_path: Path, a: str, b: str) -> None:
    schema, order = compared(tmp_path, a, b)
    assert (schema.kind, schema.rung) == (Kind.SCHEMA, Rung.VALUE)
    assert "first records are exchanged with rows" in schema.evidence
    assert order.kind is Kind.ROW_ORDER
    assert verdict(tmp_path, a, b)[0] is OutputVerdict.DIFFERENT


def test_headless_files_in_another_order_say_that_only_the_order_may_differ(tmp_path: Path) -> None:
    # Nothing proves that a first record is no header, and readers take it for one.
    schema, order = compared(tmp_path, "3,c\n1,a\n2,b\n", "1,a\n2,b\n3,c\n")
    assert "if the files have no header" in schema.evidence
    assert (order.kind, order.count, order.of) == (Kind.ROW_ORDER, 3, 3)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("12345678901234567.89", "12345678901234567.90"),
        ("10000000000000000.01", "10000000000000000.99"),
        ("0.0", "1e-400"),
        ("0.0", "5e-324"),
        ("1e400", "2e400"),
    ],
)
def test_decimals_beyond_binary64_are_values_not_noise(tmp_path: Path, a: str, b: str) -> None:
    (finding,) = compared(tmp_path, f"x,y\n1,{a}\n2,0.5\n", f"x,y\n1,{b}\n2,0.5\n")
    assert (finding.kind, finding.rung) == (Kind.VALUE, Rung.VALUE)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["3.1", "3.10", "3.9"], ["3.10", "3.1", "3.9"]),
        (["3.1", "beta"], ["3.10", "beta"]),
        (["3.1", "3.2"], ["3.10", "3.1"]),
        (["1E5"], ["10E4"]),
        (["2.0", "2.00", "5.5"], ["2.0", "2.00", "5.50"]),
        (["3.9", "3.10", "3.11"], ["3.9", "3.1", "3.11"]),
        (["101.10", "102.00"], ["101.1", "102.00"]),
        (["1.5", "2.5", "3.0"], ["1.5", "2.50", "3.0"]),
        (["+1.5", "2.5"], ["1.5", "2.5"]),
    ],
)
def test_labels_that_read_as_numbers_are_values(tmp_path: Path, a: list[str], b: list[str]) -> None:
    left, right = ("\n".join(["k,x", *(f"r{i},{cell}" for i, cell in enumerate(cells))]) for cells in (a, b))
    assert {finding.rung for finding in compared(tmp_path, left, right)} == {Rung.VALUE}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["3.10", "2.50", "", "NaN", "-0.00", "0.00"], ["3.1", "2.5", "", "NaN", "-0.0", "0.0"]),
        (["3.10", "2.50"], ["3.100", "2.500"]),
        (["1.5e+00", "2.0e-05"], ["1.5", "0.00002"]),
        (["+1.50", "-2.25"], ["1.5", "-2.25"]),
        (["100000.5", "1e+16"], ["1.000005e+05", "10000000000000000.0"]),
    ],
)
def test_numbers_spelled_otherwise_throughout_are_equivalent(
    tmp_path: Path, a: list[str], b: list[str]
) -> None:
    left, right = ("\n".join(["k,x", *(f"r{i},{cell}" for i, cell in enumerate(cells))]) for cells in (a, b))
    (finding,) = compared(tmp_path, left, right)
    assert (finding.kind, finding.rung) == (Kind.ENCODING, Rung.CONTAINER)


def test_numbers_in_text_explain_a_numeric_sort(tmp_path: Path) -> None:
    lines = [f"{i},{'ab'[i % 2]}" for i in (8, 9, 10, 11)]
    a, b = ("\n".join(["n,x", *order]) + "\n" for order in (lines, lines[::-1][:2] + lines[:2]))
    (finding,) = compared(tmp_path, a, b)
    assert finding.detail == {"key": ["n"], "direction": "ascending"}


def test_the_tolerance_of_a_column_reaches_numbers_in_text(tmp_path: Path) -> None:
    context = Context(options=Options(tolerance={"y": 0.1}))
    (finding,) = compared(tmp_path, "x,y\n1,0.30\n2,5\n", "x,y\n1,0.40\n2,5\n", context)
    assert finding.rung is Rung.TOLERANCE


@pytest.mark.parametrize(
    "broken",
    ["", "\n\n", "\ufeff", "x,y\n1,\x00\n", 'x,y\n1,"2\n', 'x,y\n1,"2"3\n', b"\xff\xfe\x00\xd8\x00\x00"],
)
def test_a_broken_file_is_unreadable(tmp_path: Path, broken: str | bytes) -> None:
    with pytest.raises(Unreadable):
        compared(tmp_path, PLAIN, broken)


def test_a_file_cut_off_inside_a_quoted_field_is_different(tmp_path: Path) -> None:
    whole = 'x,y\n1,"two\n"\n'
    found, kinds = verdict(tmp_path, whole, whole[:-2])
    assert found is OutputVerdict.DIFFERENT
    assert kinds == ["truncated"]


def test_a_file_cut_off_inside_a_row_is_different(tmp_path: Path) -> None:
    found, _ = verdict(tmp_path, PLAIN, PLAIN[:-2])
    assert found is OutputVerdict.DIFFERENT


def test_one_overlong_record_does_not_blow_up_the_others(tmp_path: Path) -> None:
    bomb = "x,y\n" + "1,2\n" * 30_000 + "," * 1_000_000 + "\n"
    with pytest.raises(LimitExceeded):
        compared(tmp_path, PLAIN, bomb)


def test_a_very_long_field_is_read(tmp_path: Path) -> None:
    long = "q" * 300_000
    (finding,) = compared(tmp_path, f'x,y\n"{long}",1\n', f'x,y\n"{long}",2\n')
    assert finding.kind is Kind.VALUE
    assert csv.field_size_limit() < len(long)


texts = st.text(alphabet='a1,;\n\r" é', max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(texts, min_size=2, max_size=2), max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_cells_survive_any_spelling(tmp_path: Path, rows: list[list[str]], newline: str) -> None:
    def spelled(delimiter: str, quoting: int, ending: str) -> str:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ending)
        writer.writerows([["first", "second"], *rows])
        return out.getvalue()

    findings = compared(
        tmp_path, spelled(",", csv.QUOTE_MINIMAL, "\r\n"), spelled(";", csv.QUOTE_ALL, newline)
    )
    # Where one side quotes its empty cells and the other does not, readers that tell them apart see null.
    if any(cell == "" for row in rows for cell in row):
        assert Rung.VALUE in {finding.rung for finding in findings}
    else:
        assert {finding.kind for finding in findings} == {Kind.ENCODING}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(texts, texts, st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.sampled_from([",", ";", "|"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_empty_cells_are_told_apart_by_their_quotes_alone(
    tmp_path: Path, rows: list[tuple[str, str, bool, bool]], delimiter: str, newline: str
) -> None:
    def spelled(cell: str, *, quoted: bool) -> str:
        needs = quoted or any(mark in cell for mark in ',;|\r\n"')
        return '"' + cell.replace('"', '""') + '"' if needs else cell

    def told(cell: str, *, quoted: bool) -> str:
        if not cell:
            return '""' if quoted else ""
        return cell + '"' if len(cell) > 1 and set(cell) == {'"'} else cell

    lines = [f"x{delimiter}y"]
    lines += [f"{spelled(a, quoted=p)}{delimiter}{spelled(b, quoted=q)}" for a, b, p, q in rows]
    (tmp_path / "x.csv").write_text(newline.join(lines), newline="", encoding="utf-8")
    table, _ = dialect.cells(dialect.load(tmp_path / "x.csv"), delimiter, quoted_empty=True)
    assert table.to_pylist() == [{"x": told(a, quoted=p), "y": told(b, quoted=q)} for a, b, p, q in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.text(alphabet='ab,\n\r" ', min_size=1, max_size=14))
def test_the_fast_reader_reads_what_the_strict_one_reads(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, newline="")
    try:
        source = dialect.load(path)
        names, _ = dialect.header(source.text, ",")
    except (Unreadable, csv.Error):
        return
    fast = dialect._with_arrow(source.text, ",", len(names))
    if fast is not None:
        strict, _ = dialect._with_stdlib(source.text, ",")
        assert fast.slice(1).rename_columns(names).to_pydict() == strict.to_pydict()
        assert fast.num_rows == strict.num_rows + 1


EMPTIES = [
    ('k,x\n1,""\n2,x\n', "k,x\n1,\n2,x\n", 1),
    ('k,x\n1,""\n2,\n', 'k,x\n1,\n2,""\n', 2),
    ('"k","x"\n"1",""\n"2","x"\n', "k,x\n1,\n2,x\n", 1),
    ('k,x\n1,""\n2,"a""b"\n', 'k,x\n1,\n2,"a""b"\n', 1),
    ('k,x\n1,""\n\n2,"a,""""\n,"\n', 'k,x\n1,\n\n2,"a,""""\n,"\n', 1),
    ('k,x\r\n1,""\r\n2,x\r\n', "k;x\n1;\n2;x\n", 1),
    ('x,k\n"",1\nx,2', "x,k\n,1\nx,2", 1),
]


@pytest.mark.parametrize(("a", "b", "count"), EMPTIES)
@pytest.mark.parametrize("swap", [False, True])
def test_a_quoted_empty_cell_is_no_bare_one(
    tmp_path: Path, a: str, b: str, count: int, *, swap: bool
) -> None:
    found = [f for f in compared(tmp_path, *((b, a) if swap else (a, b))) if f.kind != Kind.ENCODING]
    assert [(f.kind, f.rung, f.where, f.count) for f in found] == [
        (Kind.NULL_FORM, Rung.VALUE, {"column": "x"}, count)
    ]
    assert {f.examples[0].a for f in found} | {f.examples[0].b for f in found} == {"", '""'}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ('k,x\n1,""\n2,x\n', 'k,x\n1,""\n2,"x"\n'),
        ('k,x,z\n1,"",\n2,x,"y"\n', 'k,x,z\n1,"",\n2,x,y\n'),
        ('k,x\n1,""""""\n2,""""""""\n3,\n4,""\n', 'k,x\n"1",""""""\n2,""""""""\n3,\n4,""\n'),
        ('k,x\n1,"a"\n2,\n', "k,x\n1,a\n2,\n"),
    ],
)
def test_quotes_around_other_cells_are_spelling(tmp_path: Path, a: str, b: str) -> None:
    (found,) = compared(tmp_path, a, b)
    assert (found.kind, found.rung) == (Kind.ENCODING, Rung.CONTAINER)


def test_a_quoted_empty_line_is_no_blank_one(tmp_path: Path) -> None:
    assert {found.rung for found in compared(tmp_path, 'x\n""\nb\n', "x\n\nb\n")} == {Rung.VALUE}


def test_a_header_may_hold_quoted_empty_cells(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, '"",x\n1,""\n\n2,\n', '"",x\n1,\n\n2,\n')
    assert (found.kind, found.where, found.examples[0].key) == (Kind.NULL_FORM, {"column": "x"}, {"": "1"})


def test_a_cell_of_two_quotes_is_no_quoted_empty_cell(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, 'k,x\n1,""""""\n2,""\n3,\n', 'k,x\n1,""\n2,""\n3,\n')
    assert found.rung is Rung.VALUE


def test_rows_in_another_order_keep_their_quoted_empty_cells(tmp_path: Path) -> None:
    (found,) = compared(tmp_path, 'k,x\n1,""\n2,\n3,c\n', 'k,x\n3,c\n2,\n1,""\n')
    assert found.kind == Kind.ROW_ORDER


@pytest.mark.parametrize(
    ("a", "b", "kinds"),
    [
        ("c0,c1\n1,x\n", '"c1";c0\n"x";1\n', {"column-order", "encoding"}),
        ('"c0","c1"\n1,"l\nm"\n', '"c1"\tc0\n"l\nm"\t1\n', {"column-order", "encoding"}),
        ("c0,c1\n1,x\n", '"c1";c0;d\n"x";1;2\n', {"schema", "column-order", "encoding"}),
    ],
)
def test_another_delimiter_and_other_columns_are_told_together(
    tmp_path: Path, a: str, b: str, kinds: set[str]
) -> None:
    assert {str(finding.kind) for finding in compared(tmp_path, a, b)} == kinds
