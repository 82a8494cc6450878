"""PDF files of our own making, byte by byte: what readers see is compared, and bookkeeping told from it."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from compared import RUNS, brief, compared

from kfm_repro.compare.context import Context

TIMES = ("20260203211408", "20261122100001")
PAGE = b"BT (hi) Tj ET % /Producer (never read)"
XMP = (
    '<?xpacket begin="" id="W5M0"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r"><rdf:Description'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="d" xmp:CreateDate="{0}"><xmp:ModifyDate>{0}</xmp:ModifyDate>'
    '<xmpMM:DocumentID xmlns:xmpMM="m">uuid:{0}</xmpMM:DocumentID><dc:title>{1}</dc:title></rdf:Description></rdf:RDF>'
    '</x:xmpmeta><?xpacket end="w"?>'
)
Objects = dict[int, bytes]


def stream(data: bytes, said: bytes = b"") -> bytes:
    return b"<< /Length %d %s>>\nstream\n%s\nendstream" % (len(data), said, data)


def packed(data: bytes, level: int) -> bytes:
    return stream(zlib.compress(data, level), b"/Filter /FlateDecode ")


def info(date: str = TIMES[0], program: str = "x", title: str = "Wells") -> bytes:
    return f"<< /CreationDate (D:{date}Z) /Producer ({program}) /Title ({title}) >>".encode()


def objects(**changed: bytes) -> Objects:
    """Return a catalogue, pages, a page, its content, information and a note with dates of its own."""
    known = {
        "catalogue": b"<< /Type /Catalog /Pages 2 0 R >>",
        "pages": b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "page": b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Annots [6 0 R] >>",
        "content": stream(PAGE),
        "info": info(),
        "note": b"<< /Type /Annot /Contents (see /Producer \\(x\\) (and /Creator (y))) /CreationDate (D:2020) >>",
        "metadata": stream(XMP.format("2020-01-01", "t").encode(), b"/Type /Metadata /Subtype /XML "),
    }
    return dict(enumerate((known | changed).values(), start=1))


def revision(before: bytes, said: Objects, order: list[int], previous: int | None, own: str) -> bytes:
    made, places = bytearray(before), {}
    for number in order:
        places[number] = len(made)
        made += b"%d 0 obj\n%s\nendobj\n" % (number, said[number])
    start = len(made)
    made += b"xref\n0 1\n0000000000 65535 f \n"
    for number, place in sorted(places.items()):
        made += b"%d 1\n%010d 00000 n \n" % (number, place)
    prev = b"" if previous is None else b"/Prev %d " % previous
    made += b"trailer\n<< /Size 8 /Root 1 0 R /Info 5 0 R %s/ID [<%s> <%s>] >>\n" % (
        prev,
        own.encode() * 16,
        own.encode() * 16,
    )
    return bytes(made + b"startxref\n%d\n%%%%EOF\n" % start)


def pdf(order: list[int] | None = None, own: str = "00", **changed: bytes) -> bytes:
    said = objects(**changed)
    return revision(b"%PDF-1.4\n", said, order or [*said], None, own)


def updated(data: bytes, number: int, new: bytes) -> bytes:
    """Append a revision that replaces one object."""
    at = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    return revision(data, {number: new}, [number], at, "00")


def metadata(date: str = "2020-01-01", title: str = "t") -> bytes:
    return stream(XMP.format(date, title).encode(), b"/Type /Metadata /Subtype /XML ")


def moved_table(data: bytes) -> bytes:
    """Have the table lead from the page's content to the bytes of another stream."""
    decoy = data.index(b"4 0 obj", data.index(b"4 0 obj") + 1)
    return data.replace(b"%010d" % data.index(b"4 0 obj"), b"%010d" % decoy)


DECOYS = [b"%%PDF-1.4\n4 0 obj\n%s\nendobj\n" % stream(text) for text in (b"(one) Tj", b"(two) Tj")]
TWICE = revision(DECOYS[0], objects(info=info()), [*objects()], None, "00")


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        (pdf(info=info(TIMES[1])), {"timestamp:container@/CreationDate"}),
        (pdf(info=info(program="a longer one")), {"library-version:container@/Producer"}),
        (pdf(own="11"), {"identifier:container@/ID"}),
        (pdf([7, 1, 4, 2, 3, 6, 5]), {"layout:container"}),
        (pdf(content=packed(PAGE, 9)), {"bytes:value"}),
        (updated(pdf(content=stream(b"old")), 4, stream(PAGE)), {"layout:container"}),
        (pdf(metadata=metadata("2021-01-01")),
         {"timestamp:container@/CreateDate", "timestamp:container@/ModifyDate", "identifier:container@/DocumentID"}),
        (pdf(metadata=metadata(title="u")), {"bytes:value"}),
        (pdf(metadata=metadata("2021-01-01", "u")), {"bytes:value"}),
        (pdf(content=stream(PAGE.replace(b"hi", b"ho"))), {"bytes:value"}),
        (pdf(content=stream(PAGE.replace(b"never", b"always"))), {"bytes:value"}),
        (pdf(info=info(TIMES[1]), content=stream(PAGE.replace(b"hi", b"ho"))), {"bytes:value"}),
        (pdf(info=info(TIMES[1], title="Springs")), {"bytes:value"}),
        (updated(pdf(), 4, stream(b"BT (new) Tj ET")), {"bytes:value"}),
        (pdf(note=objects()[6].replace(b"\\(x\\)", b"\\(z\\)")), {"bytes:value"}),
        (pdf(note=objects()[6].replace(b"Creator (y)", b"Creator (z)")), {"bytes:value"}),
        (pdf(note=objects()[6].replace(b"D:2020", b"D:2021")), {"bytes:value"}),
        (pdf(info=info() + b" % no more"), {"layout:container"}),
        (pdf()[:-8], {"truncated:value"}),
        (b"", {"truncated:value"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("context", [RUNS, Context()])
def test_what_readers_see_is_told_from_bookkeeping(
    tmp_path: Path, b: bytes, expected: set[str], context: Context
) -> None:
    assert brief(compared(tmp_path, pdf(), b, "x.pdf", context)) == expected


def test_streams_packed_otherwise_are_the_same(tmp_path: Path) -> None:
    a, b = (
        pdf(content=packed(PAGE * 50, level), info=info(date))
        for level, date in ((1, TIMES[0]), (9, TIMES[1]))
    )
    assert brief(compared(tmp_path, a, b, "x.pdf")) == {"timestamp:container@/CreationDate"}
    a, b = (pdf(content=packed(PAGE * 50, level)) for level in (1, 9))
    assert brief(compared(tmp_path, a, b, "x.pdf")) == {"layout:container"}
    hidden = pdf(content=stream(zlib.compress(PAGE) + b"more", b"/Filter /FlateDecode "))
    assert compared(tmp_path, pdf(content=packed(PAGE, 6)), hidden, "x.pdf").verdict == "different"


def test_a_table_that_leads_to_another_object_shows_another_page(tmp_path: Path) -> None:
    """Both hold the same bytes, but for the date and for where the table leads."""
    dated = TWICE.replace(TIMES[0].encode(), TIMES[1].encode())
    old = b"%010d" % TWICE.index(b"4 0 obj", TWICE.index(b"2 0 obj"))
    assert old in TWICE
    other = dated.replace(old, b"%010d" % TWICE.index(b"4 0 obj"))
    assert brief(compared(tmp_path, TWICE, dated, "x.pdf")) == {"timestamp:container@/CreationDate"}
    assert compared(tmp_path, TWICE, other, "x.pdf").verdict == "different"
    astray = dated.replace(old, b"%010d" % (TWICE.index(b"4 0 obj") + 1))
    assert compared(tmp_path, TWICE, astray, "x.pdf").verdict == "different"


@pytest.mark.parametrize("mark", [b"/Encrypt 9 0 R", b"/ByteRange [0 1 2 3]"])
def test_what_hangs_on_the_bytes_of_the_file_is_content(tmp_path: Path, mark: bytes) -> None:
    a, b = (pdf(own=own).replace(b"/Root", mark + b" /Root") for own in ("00", "11"))
    assert compared(tmp_path, a, b, "x.pdf").verdict == "different"


def with_streamed_table(information: bytes, page: bytes = PAGE, own: str = "00") -> bytes:
    said = b"/Type /XRef /Info 5 0 R /Root 1 0 R /ID [<%s> <%s>] " % ((own * 8).encode(), (own * 8).encode())
    body = b"%%PDF-1.5\n5 0 obj\n%s\nendobj\n4 0 obj\n%s\nendobj\n" % (information, stream(page))
    table = stream(b"\0\1", said)
    return body + b"9 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (table, len(body))


def test_files_with_streams_for_tables_are_compared_in_place(tmp_path: Path) -> None:
    made = with_streamed_table
    first, dated = made(info()), made(info(TIMES[1]))
    assert brief(compared(tmp_path, first, dated, "x.pdf")) == {"timestamp:container@/CreationDate"}
    assert brief(compared(tmp_path, first, made(info(), own="11"), "x.pdf")) == {"identifier:container@/ID"}
    assert compared(tmp_path, first, made(info(TIMES[1], title="Wills")), "x.pdf").verdict == "different"
    assert compared(tmp_path, first, made(info(program="longer")), "x.pdf").verdict == "different"


def test_what_a_page_says_of_an_id_is_content(tmp_path: Path) -> None:
    """The first file has its table in a stream; the lines of the second end with carriage returns."""
    a, b = (b"BT (seen: /ID [<%s> <%s>]) Tj ET" % (own * 8, own * 8) for own in (b"00", b"11"))
    assert (
        compared(tmp_path, *(with_streamed_table(info(), page) for page in (a, b)), "x.pdf").verdict
        == "different"
    )
    returned = (pdf(content=stream(page)).replace(b"\nxref\n", b"\rxref\n") for page in (a, b))
    assert compared(tmp_path, *returned, "x.pdf").verdict == "different"


@pytest.mark.parametrize(
    "hostile",
    [
        b"xref\n0 9999999999\n",
        b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Prev 9 >>\n",
        b"xref\n0 1\n0000000000 65535 f \ntrailer\n" + b"[" * 5000,
        b"xref\n0 1\n0000000000 65535 f \ntrailer\n<< /A ((( >>\n",
        b"xref\n1 1\n0000000009 00000 n \ntrailer\n<< >>\n",
    ],
)
def test_a_hostile_table_is_no_more_than_bytes(tmp_path: Path, hostile: bytes) -> None:
    a, b = (b"%%PDF-1.4\n%sstartxref\n9\n%%%%EOF\n%s" % (hostile, end) for end in (b"", b"\n"))
    result = compared(tmp_path, a, b, "x.pdf")
    assert result.verdict == "different"
    assert all("failed on" not in finding.evidence for finding in result.findings)


def test_a_stream_that_unpacks_without_end_is_no_more_than_bytes(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(130 << 20), 9)
    a, b = (pdf(content=stream(bomb, b"/Filter /FlateDecode "), info=info(date)) for date in TIMES)
    assert compared(tmp_path, a, b, "x.pdf").verdict in ("different", "equivalent")
