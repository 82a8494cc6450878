from __future__ import annotations

from pathlib import Path

import pytest
from compared import RUNS, brief, compared

from kfm_repro.compare.context import Context
from kfm_repro.model.finding import OutputVerdict

CORE = (
    '<?xml version="1.0"?><cp:coreProperties xmlns:cp="urn:c" xmlns:dcterms="urn:d">'
    "<dcterms:created>{0}</dcterms:created><title>{1}</title></cp:coreProperties>"
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg"><metadata><date>{0}</date></metadata>'
    '<clipPath id="{1}"/><path id="{2}" clip-path="url(#{1})" d="{3}"/><use href="#{2}"/></svg>'
)
PRESERVED = '<a xml:space="preserve"><b{1}>{0}<c/></b></a>'
KML = (
    '<kml><Document><Placemark id="out.1">{0}</Placemark><Placemark id="{2}">{1}</Placemark></Document></kml>'
)


def xml(text: str, *values: str) -> bytes:
    return text.format(*values).encode()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("<a x='1' y='2'/>", "<a y='2'  x='1'></a>", {"encoding:container"}),
        ("<a><b>1</b></a>", "<a>\n  <b>1</b>\n</a>", {"encoding:container"}),
        ("<a><!-- one --></a>", "<a><!-- two --></a>", {"encoding:container"}),
        ("<a><b>1</b></a>", "<a><b>2</b></a>", {"value:value@/a/b"}),
        ("<a><b x='1'/></a>", "<a><b x='2'/></a>", {"value:value@/a/b/@x"}),
        ("<a><b/><b>1</b></a>", "<a><b/><b>2</b></a>", {"value:value@/a/b[2]"}),
        ("<a>x <b/> y</a>", "<a>x <b/>y</a>", {"value:value@/a"}),
        ("<a><b/><c/></a>", "<a><c/><b/></a>", {"value:value@/a"}),
        ("<?s x?><a/>", "<?s y?><a/>", {"value:value@/a/@?s"}),
        ("<a xmlns:p='urn:1' t='p:b'/>", "<a xmlns:p='urn:2' t='p:b'/>", {"value:value@/a/@xmlns:p"}),
        ("<a xmlns:p='urn:1'>x p:b</a>", "<a xmlns:p='urn:2'>x p:b</a>", {"value:value@/a/@xmlns:p"}),
        ("<p:a xmlns:p='urn:1'/>", "<q:a xmlns:q='urn:1'/>", {"encoding:container"}),
        (
            "<p:a xmlns:p='urn:1' xmlns='urn:2'/>",
            "<p:a xmlns:p='urn:1' xmlns='urn:3'/>",
            {"value:value@/a/@xmlns"},
        ),
        ("<!DOCTYPE a SYSTEM 'x'><a/>", "<!DOCTYPE a SYSTEM 'y'><a/>", {"value:value@/a/@!DOCTYPE"}),
        ("<a xmlns='urn:1'/>", "<a xmlns='urn:2'/>", {"value:value@/a"}),
        ("<!DOCTYPE a SYSTEM 'x'><a>&c;</a>", "<!DOCTYPE a SYSTEM 'x'><a>&d;</a>", {"value:value@/a/&c"}),
        ("<!DOCTYPE a SYSTEM 'x'><a x='&c;'/>", "<!DOCTYPE a SYSTEM 'x'><a x='&d;'/>", {"bytes:unknown"}),
        (
            "<!DOCTYPE a SYSTEM 'x'><a>&c;<b/></a>",
            "<!DOCTYPE a SYSTEM 'x'><a>&c;<b></b></a>",
            {"encoding:container"},
        ),
        (PRESERVED.format("\n", ""), PRESERVED.format("\n\n", ""), {"value:value@/a/b"}),
        (
            PRESERVED.format("\n", ' xml:space="default"'),
            PRESERVED.format("\n\n", ' xml:space="default"'),
            {"encoding:container"},
        ),
    ],
)
def test_xml_by_what_it_says(tmp_path: Path, a: str, b: str, expected: set[str]) -> None:
    assert brief(compared(tmp_path, a.encode(), b.encode(), "x.xml")) == expected


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_xml_in_another_encoding_says_what_it_says(tmp_path: Path, encoding: str) -> None:
    text = '<?xml version="1.0" encoding="{}"?><a><b>é</b></a>'
    other = f"\ufeff{text.format('utf-16')}".encode(encoding)
    assert brief(compared(tmp_path, xml(text, "utf-8"), other, "x.xml")) == {"encoding:container"}
    changed = other.replace("é".encode(encoding), "è".encode(encoding))
    assert brief(compared(tmp_path, xml(text, "utf-8"), changed, "x.xml")) == {"value:value@/a/b"}


@pytest.mark.parametrize("context", [RUNS, Context()])
def test_dates_of_office_files_are_packaging_and_titles_are_not(tmp_path: Path, context: Context) -> None:
    a = xml(CORE, "2026-02-03T21:14:08Z", "t")
    dated, titled = xml(CORE, "2026-11-22T10:00:01Z", "t"), xml(CORE, "2026-02-03T21:14:08Z", "u")
    assert brief(compared(tmp_path, a, dated, "core.xml", context)) == {
        "timestamp:container@/coreProperties/created"
    }
    assert brief(compared(tmp_path, a, titled, "core.xml", context)) == {"value:value@/coreProperties/title"}


def test_svg_ids_are_renamed_one_to_one_with_what_refers_to_them(tmp_path: Path) -> None:
    a = xml(SVG, "2026-02-03T21:14:08Z", "p0123456789", "m0123456789", "M 0 0")
    renamed = xml(SVG, "2026-11-22T10:00:01Z", "pabcdef0123", "mabcdef0123", "M 0 0")
    drawn = xml(SVG, "2026-11-22T10:00:01Z", "pabcdef0123", "mabcdef0123", "M 1 0")
    swapped = renamed.replace(b'href="#m', b'href="#p')
    assert brief(compared(tmp_path, a, renamed, "x.svg")) == {
        "identifier:container",
        "timestamp:container@/svg/metadata/date",
    }
    assert "value:value@/svg/path/@d" in brief(compared(tmp_path, a, drawn, "x.svg"))
    assert compared(tmp_path, a, swapped, "x.svg").verdict is OutputVerdict.DIFFERENT


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (
            '<path id="20001001" d="M 1"/><path id="20003001"/>',
            '<path id="20003001" d="M 1"/><path id="20001001"/>',
        ),
        (
            '<path id="a1b2c3d4" d="M 1"/><path id="b1b2c3d4"/>',
            '<path id="b1b2c3d4" d="M 1"/><path id="a1b2c3d4"/>',
        ),
        ('<path id="tract20001001"/>', '<path id="tract20009999"/>'),
        *(
            (f'<path id="pf123456789"/>{said}', f'<path id="pabcdef0123"/>{said}')
            for said in (
                "<style>#pf123456789 {fill: red}</style>",
                "<script>draw('pf123456789')</script>",
                '<g aria-labelledby="pf123456789"/>',
                '<animate begin="pf123456789.click"/>',
                "<style>#pabcdef0123 {fill: red}</style>",
            )
        ),
        (
            "<text>\n<tspan>a</tspan>\n<tspan>b</tspan>\n</text>",
            "<text><tspan>a</tspan><tspan>b</tspan></text>",
        ),
    ],
)
def test_svg_ids_that_mean_something_and_words_that_lie_apart_are_data(
    tmp_path: Path, a: str, b: str
) -> None:
    sides = (f'<svg xmlns="http://www.w3.org/2000/svg">{side}</svg>'.encode() for side in (a, b))
    assert compared(tmp_path, *sides, "x.svg").verdict is OutputVerdict.DIFFERENT


def test_svg_styles_follow_the_ids(tmp_path: Path) -> None:
    a, b = (
        f'<svg xmlns="http://www.w3.org/2000/svg"><style>#{name} {{fill: red}}</style><path id="{name}"/></svg>'
        for name in ("pf123456789", "pabcdef0123")
    )
    assert brief(compared(tmp_path, a.encode(), b.encode(), "x.svg")) == {"identifier:container"}


def test_features_are_a_set_and_ids_that_are_keys_are_data(tmp_path: Path) -> None:
    a, b = xml(KML, "x", "y", "out.2"), xml(KML, "y", "x", "out.2")
    assert brief(compared(tmp_path, a, b, "x.xml")) == {"feature-order:order@/kml/Document"}
    keyed = [xml(KML.replace("out.1", "first"), *names, "second") for names in (("x", "y"), ("y", "x"))]
    assert compared(tmp_path, keyed[0], keyed[1], "x.xml").verdict is OutputVerdict.DIFFERENT


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    "broken",
    [
        b"<?xml version='1.0'?><a><b></a>",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'yyyy'>]><a>&x;</a>",
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM '/etc/passwd'>]><a>&x;</a>",
        b"<?xml version='1.0'?>" + b"<a>" * 300 + b"</a>" * 300,
        b"<?xml",
        b"",
    ],
)
def test_xml_that_means_harm_is_never_equal(tmp_path: Path, broken: bytes, *, swapped: bool) -> None:
    whole = b"<?xml version='1.0'?><a/>"
    sides = (broken, whole) if swapped else (whole, broken)
    assert compared(tmp_path, *sides, "x.xml").verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)
