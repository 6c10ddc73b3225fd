"""Downloads from a server that breaks off, changes its files, or knows nothing of parts."""

import json
import threading
import time

import pytest

from music_vae.common import locks
from music_vae.common.errors import UserError
from music_vae.weights import downloads

CONTENT = bytes(range(256)) * 40_000  # about 10 MB


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(downloads, "RETRY_DELAYS_S", (0.0, 0.0))


@pytest.fixture
def server(http_server):
    http_server.files["a.tar"] = CONTENT
    return http_server


@pytest.fixture
def fetch(server, tmp_path):
    target = tmp_path / "cache" / "a.tar"

    def run(**options):
        downloads.download(f"{server.url}/a.tar", target, **options)
        return target.read_bytes()

    run.target = target
    run.part = target.with_name("a.tar.part")
    return run


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_arrives_whole_and_leaves_nothing_else(fetch, server):
    assert fetch() == CONTENT
    assert visible(fetch.target.parent) == ["a.tar"]
    assert server.names() == ["a.tar"]


def test_a_file_that_is_there_is_not_asked_for(fetch, server):
    fetch.target.parent.mkdir()
    fetch.target.write_bytes(b"mine")
    assert fetch() == b"mine"
    assert not server.requests


def test_a_broken_connection_is_gone_on_with(fetch, server):
    server.break_after = [3_000_000, 2_000_000]
    assert fetch() == CONTENT
    ranges = [headers.get("Range") for _, headers in server.requests]
    assert ranges == [None, "bytes=3000000-", "bytes=5000000-"]
    assert server.requests[1][1]["If-Range"].startswith('"')


def test_a_later_command_goes_on_where_one_gave_up(fetch, server):
    server.break_after = [3_000_000, 0, 0, 0]
    with pytest.raises(UserError, match=r"the connection was lost; 3,000,000 bytes are kept"):
        fetch()
    assert visible(fetch.target.parent) == ["a.tar.part", "a.tar.part.json"]
    assert fetch() == CONTENT
    assert server.requests[-1][1]["Range"] == "bytes=3000000-"


def test_attempts_that_bring_something_are_not_counted(fetch, server):
    server.break_after = [1_100_000] * 8
    assert fetch() == CONTENT


def test_a_server_that_always_breaks_off_is_given_up_in_one_line(fetch, server):
    server.break_after = [10] * 100
    with pytest.raises(UserError) as caught:
        fetch()
    assert "\n" not in str(caught.value)
    assert len(server.requests) == 3
    assert not fetch.target.exists()


@pytest.mark.parametrize("honours", [True, False])
def test_a_file_that_has_changed_is_not_glued_to_its_old_beginning(fetch, server, honours):
    server.honours_if_range = honours
    server.break_after = [3_000_000, 0, 0, 0]
    with pytest.raises(UserError):
        fetch()
    server.files["a.tar"] = CONTENT[::-1]
    assert fetch() == CONTENT[::-1]


def test_without_a_mark_a_change_of_length_is_seen(fetch, server):
    server.marks = False
    server.break_after = [3_000_000, 0, 0, 0]
    with pytest.raises(UserError):
        fetch()
    server.files["a.tar"] = CONTENT[:-1]
    assert fetch() == CONTENT[:-1]


def test_a_file_that_is_shorter_than_its_part_is_begun_anew(fetch, server):
    server.marks = False
    server.break_after = [3_000_000, 0, 0, 0]
    with pytest.raises(UserError):
        fetch()
    server.files["a.tar"] = b"short"
    assert fetch() == b"short"


def test_a_server_that_gives_no_parts_begins_again(fetch, server):
    server.ranges = False
    server.break_after = [3_000_000]
    assert fetch() == CONTENT
    assert len(server.requests) == 2


def test_a_part_of_another_address_is_not_used(fetch, server):
    fetch.target.parent.mkdir()
    fetch.part.write_bytes(b"other")
    note = {"url": f"{server.url}/b.tar", "total": len(CONTENT), "validator": None}
    fetch.part.with_name("a.tar.part.json").write_text(json.dumps(note))
    assert fetch() == CONTENT
    assert "Range" not in server.requests[0][1]


def test_a_part_whose_note_is_lost_or_spoilt_is_not_used(fetch, server):
    fetch.target.parent.mkdir()
    fetch.part.write_bytes(b"other")
    fetch.part.with_name("a.tar.part.json").write_text('["')
    assert fetch() == CONTENT


def test_a_part_that_is_the_whole_only_needs_its_name(fetch, server):
    fetch.target.parent.mkdir()
    fetch.part.write_bytes(CONTENT)
    note = {"url": f"{server.url}/a.tar", "total": len(CONTENT), "validator": None}
    fetch.part.with_name("a.tar.part.json").write_text(json.dumps(note))
    assert fetch() == CONTENT
    assert not server.requests


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there_is_said_at_once(fetch, server, status):
    server.status = status
    with pytest.raises(downloads.NotThereError, match=f"is not there .status {status}"):
        fetch()
    assert len(server.requests) == 1
    assert visible(fetch.target.parent) == []


def test_a_server_in_trouble_is_asked_again_and_then_given_up(fetch, server):
    server.status = 503
    with pytest.raises(UserError, match="cannot be downloaded: status 503"):
        fetch()
    assert len(server.requests) == 3


def test_another_status_is_one_line(fetch, server):
    server.status = 401
    with pytest.raises(UserError, match="status 401"):
        fetch()
    assert len(server.requests) == 1


def test_no_server_is_one_line(tmp_path, http_server):
    http_server.close()
    with pytest.raises(UserError, match="no connection to the server") as caught:
        downloads.download(f"{http_server.url}/a.tar", tmp_path / "a.tar")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://x/a.tar", "x/a.tar", "file:///etc/passwd", "http:///a"])
def test_an_address_that_is_none_is_one_line(tmp_path, url):
    with pytest.raises(UserError):
        downloads.download(url, tmp_path / "cache" / "a.tar")


def test_what_does_not_stand_its_check_is_deleted(fetch, server):
    def check(path):
        assert path.read_bytes() == CONTENT
        raise UserError("it is a web page")

    with pytest.raises(UserError, match=r"what came from .*a\.tar is of no use: it is a web page"):
        fetch(check=check)
    assert visible(fetch.target.parent) == []


def test_a_file_that_is_too_large_is_not_begun(fetch, server, monkeypatch):
    monkeypatch.setattr(downloads, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match=r"has 10,240,000 bytes; .* at most 1,000"):
        fetch()


def test_two_at_once_download_once(fetch, server, caplog):
    """The second waits for the first and finds its file."""
    with caplog.at_level("INFO", "music_vae"):
        with locks.held(fetch.target.with_name(".a.tar.lock")):
            thread = threading.Thread(target=fetch)
            thread.start()
            while "waiting for it" not in caplog.text:
                time.sleep(0.01)
            assert not server.requests
            fetch.target.write_bytes(b"from the first")
        thread.join()
    assert not server.requests
    assert fetch.target.read_bytes() == b"from the first"


def answer(status="200 OK", content=b"", **headers):
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""])
    return head.encode("latin-1") + content


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("file:///etc/passwd", "the server sends on to what is no http:// or https://"),
        ("data:,abc", "the server sends on to what is no http:// or https://"),
        ("http://[", "leads to, no address of a server"),
        ("http://\xe4..com/", "leads to, no address of a server"),
        ("http://x:99999/", "leads to, no address of a server"),
        ("/models/a.tar", "the server sends on from address to address"),
    ],
)
def test_a_server_that_sends_on_to_nowhere_is_left_at_once(fetch, server, target, reason):
    server.raw = answer("302 Found", Location=target, Content_Length=0, Connection="close")
    with pytest.raises(UserError, match=reason):
        fetch()
    assert len(server.requests) <= 31
    assert not visible(fetch.target.parent)


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000, "-1", "x"])
def test_a_length_that_is_no_number_is_not_believed(fetch, server, length):
    server.raw = answer(content=CONTENT[:1000], Content_Length=length, Connection="close")
    assert fetch() == CONTENT[:1000]


@pytest.mark.parametrize("place", ["bytes 1000-1999/" + "9" * 5000, "bytes 0-999/2000", "\xb2"])
def test_another_part_than_was_asked_for_is_not_taken(fetch, server, place):
    server.break_after = [1000, 0, 0, 0]
    with pytest.raises(UserError, match="1,000 bytes are kept"):
        fetch()
    server.raw = answer("206 Partial", b"x" * 1000, Content_Range=place, Content_Length=1000)
    with pytest.raises(UserError, match=r"another part than it was asked for|file has changed"):
        fetch()
    assert not fetch.part.exists()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_without_end_is_given_up_and_deleted(fetch, server, monkeypatch, chunked):
    monkeypatch.setattr(downloads, "MAX_BYTES", 100_000)
    content = (b"10000\r\n" + bytes(2**16) + b"\r\n") * 30 if chunked else CONTENT
    server.raw = answer(content=content, **({"Transfer_Encoding": "chunked"} if chunked else {}))
    with pytest.raises(UserError, match="has more than 100,000 bytes"):
        fetch()
    assert not visible(fetch.target.parent)


@pytest.mark.parametrize(
    "change",
    [{"total": "x"}, {"total": -1}, {"total": True}, {"validator": 3}, {"validator": "a\nb: c"}],
)
def test_a_note_with_other_values_is_not_believed(fetch, server, change):
    server.break_after = [3_000_000, 0, 0, 0]
    with pytest.raises(UserError, match="bytes are kept"):
        fetch()
    note = fetch.part.with_name("a.tar.part.json")
    note.write_text(json.dumps({**json.loads(note.read_text()), **change}))
    assert fetch() == CONTENT
    assert server.requests[-1][1].get("Range") is None
