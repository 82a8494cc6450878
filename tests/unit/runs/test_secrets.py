"""Secrets are found by place and kind, redacted in what we write, and never shown (rule 24)."""

from __future__ import annotations

import hashlib
import json
import os
import string
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ulid import ULID

from kfm_repro.runs.secrets import (
    MAX_HITS,
    redact,
    redact_arguments,
    redact_file,
    redact_folder,
    redact_variables,
    scan,
    was_redacted,
)

# Put together here, so that no scanner of this repository takes them for real ones.
GITHUB = "gh" + "p_" + "a1B2" * 9
AWS = "AK" + "IA" + "IOSFODNN7" + "ABCDEFG"
JWT = "ey" + "JhbGciOiJIUzI1NiJ9" + "." + "eyJzdWIiOiIxMjM0In0" + "." + "dozjgNryP4J3jVmNHl0w5N"
RANDOM = "aB3dE5gH7jK9mN1p" + "Q4sT6vW8yZ0xRcUf"
KEY_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEA"

SECRETS = {
    "github-token": (f"cloning with {GITHUB}", GITHUB),
    "aws-access-key": (f"id {AWS} used", AWS),
    "json-web-token": (f"sent {JWT}", JWT),
    "basic-auth-credentials": ("GET https://user:pa55-word@example.org/x", "pa55-word"),
    "url-token": ("GET https://example.org/x.csv?a=1&token=abcd1234 200", "abcd1234"),
    "authorization": ("authorization: Bearer abcdef0123456789", "abcdef0123456789"),
    "secret-keyword": ('db_password = "hunter2-and-more"', "hunter2-and-more"),
    "command-line": ("run.py --api-key abcdefgh", "abcdefgh"),
    "random-text": (f'"salt": "{RANDOM}"', RANDOM),
}

HARMLESS = (
    '"sha256": "' + "ab12" * 16 + '"',
    '"sha256": "sha256:' + "AB12" * 16 + '"',
    '"integrity": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="',
    'run_id: "01K9ABCDEFGHJKMNPQRSTVWXYZ"',
    'path: "/data/work/runs/county_profile/01K9ABCDEFGHJKMNPQRSTVWXYZ/scratch/HOME2"',
    'git_commit: "89611ff74b92d69bba96e8c63431dff69f3288ad"',
    'id: "7f0c1b52-3b0c-4b6e-9d0e-0f5a3d6f9d11"',
    "password: required",
    "password = ${DB_PASSWORD}",
    'secret: "<your secret>"',
    "tokens: 1200 per document",
    "GET https://example.org/x?key=geoid&year=2020",
    "key: geoid",
    "monkey = 'banana'",
    "https://example.org/x?token=[redacted: url-token]",
)


def write(run: Path, name: str, text: str | bytes) -> Path:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize("kind", SECRETS)
def test_rule_24_a_secret_is_named_by_file_line_and_kind_and_never_shown(kind: str, tmp_path: Path) -> None:
    line, value = SECRETS[kind]
    write(tmp_path, "logs/pipeline.jsonl", f"all well\nstill well\n{line}\n")
    found = scan(tmp_path)
    assert ("logs/pipeline.jsonl", 3, kind) in [(hit.file, hit.line, hit.kind) for hit in found.hits]
    assert {hit.line for hit in found.hits} == {3}
    assert value not in repr(found)


@pytest.mark.parametrize("kind", SECRETS)
def test_rule_24_what_is_redacted_is_gone_and_the_rest_stays(kind: str, tmp_path: Path) -> None:
    line, value = SECRETS[kind]
    redacted = redact(f"before\n{line}\nafter\n")
    assert value not in redacted
    assert "[redacted: " in redacted
    assert (redacted.splitlines()[0], redacted.splitlines()[-1]) == ("before", "after")
    assert redact(redacted) == redacted
    write(tmp_path, "a.log", redacted)
    assert scan(tmp_path).clean


@pytest.mark.parametrize("kind", SECRETS)
def test_rule_24_a_secret_inside_a_json_line_is_redacted_and_the_line_is_still_json(kind: str) -> None:
    line, value = SECRETS[kind]
    redacted = redact(json.dumps({"stream": "stdout", "text": line}) + "\n")
    assert value not in redacted
    assert json.loads(redacted)


@pytest.mark.parametrize("line", HARMLESS)
def test_rule_24_digests_ids_commits_and_placeholders_are_no_secrets(line: str, tmp_path: Path) -> None:
    write(tmp_path, "logs/pipeline.jsonl", line + "\n")
    write(tmp_path, "run.yaml", line + "\n")
    assert scan(tmp_path).hits == ()
    assert redact(line) == line


@given(st.binary(max_size=64), st.uuids(), st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
@example(b"", UUID(int=0), 0, b"\0" * 10)
@example(b"\x932\t\x8fO", UUID(int=0), 0, b"\0" * 10)  # its digest holds ACCA, as keys of AWS do
@settings(max_examples=150, deadline=None)
def test_rule_24_no_digest_ulid_uuid_or_commit_is_ever_a_secret(
    content: bytes, uuid: UUID, when: int, noise: bytes
) -> None:
    digest = hashlib.sha256(content).hexdigest()
    ulid = str(ULID.from_bytes(when.to_bytes(6, "big") + noise))
    for text in (digest, digest.upper(), digest[:40], digest[:7], f"sha256:{digest}", ulid, str(uuid)):
        for line in (f'"sha256": "{text}"', f"- {text}", f'"path": "data/work/runs/census/{text}/out"'):
            assert redact(line, name="run.yaml") == line


@given(st.text(alphabet=string.ascii_letters + string.digits, min_size=12, max_size=40))
@settings(max_examples=150, deadline=None)
def test_rule_24_whatever_the_token_of_a_url_is_it_does_not_stay(token: str) -> None:
    assert token not in redact(f"GET https://example.org/a.csv?token={token}&n=1")


def test_rule_24_a_private_key_goes_with_all_its_lines(tmp_path: Path) -> None:
    marks = ("-----BEGIN " + "PRIVATE KEY-----", "-----END " + "PRIVATE KEY-----")
    text = f"start\n{marks[0]}\n{KEY_BODY}\n{KEY_BODY[::-1]}\n{marks[1]}\nend of it\n"
    redacted = redact(text)
    assert KEY_BODY not in redacted
    assert KEY_BODY[::-1] not in redacted
    assert redacted.endswith("\nend of it\n")
    write(tmp_path, "config/key.pem", text)
    assert {(hit.line, hit.kind) for hit in scan(tmp_path).hits} >= {(2, "private-key"), (3, "private-key")}


def test_rule_24_a_command_line_loses_its_secrets_and_says_so() -> None:
    given = ["fetch.py", "--password", "hunter2x", "--api-key=abcdefgh", "--n", "5", "--token", "--quiet"]
    redacted = redact_arguments(given)
    assert redacted == (
        "fetch.py", "--password", "[redacted: command-line]", "--api-key=[redacted: command-line]", "--n", "5",
        "--token", "--quiet",
    )  # fmt: skip
    assert was_redacted(redacted)
    assert not was_redacted(given)


def test_rule_24_variables_are_redacted_by_name_and_by_form() -> None:
    redacted = redact_variables(
        {"GDAL_HTTP_USERPWD": "user:pa55word", "TZ": "UTC", "PROJ_DATA": "/usr/share/proj"}
    )
    assert redacted == {
        "GDAL_HTTP_USERPWD": "[redacted: secret-keyword]",
        "TZ": "UTC",
        "PROJ_DATA": "/usr/share/proj",
    }


def test_rule_24_a_log_is_redacted_in_place_and_a_clean_one_is_not_touched(tmp_path: Path) -> None:
    dirty = write(tmp_path, "logs/stderr.log", b"one\r\nGET /x?token=abcd1234\r\n\xff\xfe raw\r\n")
    clean = write(tmp_path, "logs/pipeline.jsonl", b'{"text": "fine \xff"}\n')
    before = clean.stat()
    assert [(hit.file, hit.line, hit.kind) for hit in redact_folder(tmp_path / "logs")] == [
        ("logs/stderr.log", 2, "url-token")
    ]
    assert dirty.read_bytes() == b"one\r\nGET /x?token=[redacted: url-token]\r\n\xff\xfe raw\r\n"
    assert (clean.stat().st_ino, clean.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["pipeline.jsonl", "stderr.log"]


def test_rule_24_scratch_is_not_searched_and_links_are_not_followed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write(run, "scratch/x.txt", GITHUB)
    outside = write(tmp_path, "outside.txt", GITHUB)
    (run / "link.txt").symlink_to(outside)
    (run / "config").symlink_to(outside.parent, target_is_directory=True)
    assert (scan(run).hits, scan(run).unread) == ((), ("config", "link.txt"))


def test_rule_24_a_folder_that_cannot_be_opened_is_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "config/x.txt", GITHUB)
    write(tmp_path, "a.txt", "fine")
    scandir = os.scandir

    def refused(path: str) -> object:
        if Path(path).name == "config":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert (scan(tmp_path).hits, scan(tmp_path).unread) == ((), ("config",))


def test_rule_24_secrets_in_binary_and_utf_16_texts_are_found(tmp_path: Path) -> None:
    write(tmp_path, "config/a.bin", b"\x00\x01\xff" * 50 + AWS.encode() + b"\x00\xfe")
    write(tmp_path, "config/b.txt", f"id {AWS}\n".encode("utf-16"))
    assert {hit.file for hit in scan(tmp_path).hits} == {"config/a.bin", "config/b.txt"}


def test_rule_24_a_huge_line_is_searched_to_its_end(tmp_path: Path) -> None:
    write(tmp_path, "logs/x.log", "a b " * 300_000 + AWS + " end")
    assert [(hit.file, hit.line) for hit in scan(tmp_path).hits] == [("logs/x.log", 1)]


def test_rule_24_many_hits_are_capped_and_the_rest_is_said_to_be_unread(tmp_path: Path) -> None:
    write(tmp_path, "logs/x.log", f"id {AWS}\n" * (MAX_HITS + 50))
    found = scan(tmp_path)
    assert (len(found.hits), found.unread) == (MAX_HITS, ("logs/x.log",))
    assert not found.clean


def test_rule_24_the_last_line_of_a_million_is_searched(tmp_path: Path) -> None:
    path = write(tmp_path, "logs/x.log", "row done\n" * 999_999 + f"id {AWS}\n")
    assert [(hit.line, hit.kind) for hit in scan(tmp_path).hits] == [(1_000_000, "aws-access-key")]
    assert [hit.line for hit in redact_file(path)] == [1_000_000]
    assert path.read_text(encoding="utf-8").endswith("row done\nid [redacted: aws-access-key]\n")


SECRET = "Zq8Lw3" + "Rt9Kd7"
PLACED = {
    "a signature that begins with a percent sign": ("x.jsonl", f"GET https://h/c?sv=1&sig=%2Fx{SECRET}%3D"),
    "an ampersand that Go wrote as an escape": (
        "x.jsonl",
        rf'{{"u": "https://h/x?a=1\u0026token={SECRET}"}}',
    ),
    "a question mark as an escape": ("x.jsonl", rf'{{"u": "https://h/x\u003ftoken={SECRET}"}}'),
    "a fragment": ("x.log", f"https://h/cb#access_token={SECRET}"),
    "a URL in a URL": ("x.log", f"https://h/login?next=https%3A%2F%2Fh%2Fx%3Ftoken%3D{SECRET}"),
    "a URL in a URL in a URL": ("x.log", f"https://h/?u=a%253Fu%253Db%26token%253D{SECRET}"),
    "a list of arguments": ("run.yaml", f'args: ["--db", "census", "--password", "{SECRET}"]'),
    "a list of arguments in a log": ("x.jsonl", f'{{"argv": ["psql", "--password", "{SECRET}"]}}'),
    "a space before the colon": ("x.jsonl", f'{{"password" : "{SECRET}"}}'),
    "a header": ("x.log", f"X-Api-Key: {SECRET}"),
    "a short token": ("x.json", '{"token": "a1b2c3d4e5"}'),
    "a login of curl": ("x.log", f"curl -s -u admin:{SECRET} https://h/"),
}


@pytest.mark.parametrize("name", PLACED)
def test_rule_24_secrets_are_found_and_redacted_in_the_forms_that_tools_write(
    tmp_path: Path, name: str
) -> None:
    file, text = PLACED[name]
    (tmp_path / file).write_text(text)
    assert len(scan(tmp_path).hits) >= 1
    cleaned = redact(text, name=file)
    assert SECRET not in cleaned
    assert "a1b2c3d4e5" not in cleaned
    assert cleaned.startswith(text[:4])


BROKEN = {
    "an argument in a block": ("run.yaml", f"pipeline:\n  args:\n  - --password\n  - {SECRET}\n", 4),
    "an argument in a plain list": ("run.yaml", f"args: [--password, {SECRET}]\n", 1),
    "a folded text": ("a.yaml", f"db:\n  password: >-\n    {SECRET}\n", 2),
    "a value on the next line": ("a.yml", f"db:\n  password:\n    {SECRET}\n", 3),
    "a JSON value on the next line": ("a.json", f'{{"a": 1, "password":\n  "{SECRET}"}}\n', 2),
    "a JSON list over lines": ("a.json", f'{{"args": [\n "--token",\n "{SECRET}"\n]}}\n', 3),
    "a value that is spelled with escapes": ("a.json", '{"password":\n\n "Zq8Lw3R\\u00749Kd7"}', 3),
    "a TOML list over lines": ("a.toml", f'args = [\n "--token",\n "{SECRET}",\n]\n', 3),
}


@pytest.mark.parametrize("name", BROKEN)
def test_rule_24_secrets_are_found_however_the_lines_of_a_document_are_broken(
    tmp_path: Path, name: str
) -> None:
    file, text, number = BROKEN[name]
    (tmp_path / file).write_text(text)
    assert [hit.line for hit in scan(tmp_path).hits] == [number]


RUN_ID = "2026-02-03T21-14-08Z__import_census__a1b2c3d"
NO_SECRETS = (
    ("params.json", f'{{"cache_key": "{RUN_ID}", "key": "{RUN_ID}"}}'),
    ("params.json", '{"primary_key": "geoid_2020", "token_column": "name_token_1234567890", "tokens": 123456789012}'),
    ("pipeline.yaml", "secret_columns:\n- latitude\n- longitude\npassword:\n  from: environment\nmax_token: 1000000\n"),
    ("pipeline.yaml", "password:\n  ${DB_PASSWORD}\nsecret:\n- &a one\n- *a\n"),
    ("pipeline.yaml", "args: [--token, --password, -v]\nkey: [a, b\n"),
    ("pipeline.json", '{"args": ["--password", "%DB_PASSWORD%", "--token", "$TOKEN"], "password":\n "%(password)s"}'),
    ("x.log", "use --token, which is the better one; curl -u and docker run --user 1000:1000"),
    ("x.log", "password=%DB_PASSWORD% password=%s"),
)  # fmt: skip


@pytest.mark.parametrize(("file", "text"), NO_SECRETS)
def test_rule_24_what_only_looks_like_a_place_of_secrets_is_left_alone(
    tmp_path: Path, file: str, text: str
) -> None:
    (tmp_path / file).write_text(text)
    assert scan(tmp_path).clean
    assert redact(text, name=file) == text


def test_rule_24_a_login_of_curl_among_arguments() -> None:
    assert redact_arguments(["curl", "-u", f"admin:{SECRET}", "-H", f"X-Api-Key: {SECRET}"]) == (
        "curl", "-u", "admin:[redacted: command-line]", "-H", "X-Api-Key: [redacted: authorization]",
    )  # fmt: skip
    assert redact_arguments(["docker", "run", "--user", "me:group"])[-1] == "me:group"


def test_loading_the_detectors_takes_no_client_of_any_server_and_leaves_it_to_others() -> None:
    code = (
        "import sys; from kfm_repro.runs.detectors import detectors; detectors()\n"
        "assert not {'requests', 'urllib3'} & set(sys.modules)\n"
        "import requests; assert requests.Response is not object\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
