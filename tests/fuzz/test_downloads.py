"""Whatever a server answers, a file arrives, or one line says why not; nothing wrong is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_vae.common.errors import UserError
from music_vae.weights import downloads
from support.bounds import bounded

_STATUSES = (
    "200 OK",
    "206 Partial",
    "301 Moved",
    "302 Found",
    "304 Same",
    "416 Range",
    "500 No",
    "",
)
_NUMBERS = (
    "",
    "0",
    "5",
    "7",
    "1000",
    "-1",
    "1e3",
    "0x7",
    "\xb2",
    "9" * 30,
    "9" * 5000,
    "7, 7",
    "7, 8",
)
_VALUES = st.one_of(
    st.sampled_from(_NUMBERS),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20),
)
_HEADERS = {
    "Content-Length": _VALUES,
    "Content-Range": st.tuples(*[st.sampled_from(_NUMBERS)] * 3).map(
        "bytes {0[0]}-{0[1]}/{0[2]}".format
    ),
    "Transfer-Encoding": st.sampled_from(("chunked", "gzip", "x")),
    "Content-Encoding": st.sampled_from(("gzip", "br", "identity")),
    "Location": st.one_of(
        st.sampled_from(("/models/a.tar", "file:///etc/passwd", "http://[", "//", "ftp://x/", "")),
        _VALUES,
    ),
    "ETag": _VALUES,
    "Last-Modified": _VALUES,
}
_BODIES = st.one_of(
    st.sampled_from(
        (b"content", b"<html>no</html>", b"5\r\nab", b"f" * 99, b"3\r\nabc\r\n0\r\n\r\n")
    ),
    st.binary(max_size=40),
)


@pytest.fixture
def server(http_server, monkeypatch):
    monkeypatch.setattr(downloads, "RETRY_DELAYS_S", (0.0,))
    monkeypatch.setattr(downloads, "_TIMEOUTS_S", (2.0, 2.0))
    return http_server


@given(
    status=st.sampled_from(_STATUSES),
    headers=st.fixed_dictionaries({}, optional=_HEADERS),
    body=_BODIES,
    begun=st.booleans(),
)
def test_answers(server, tmp_path_factory, status, headers, body, begun):
    target = tmp_path_factory.mktemp("download") / "a.tar"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    server.files["a.tar"], server.raw = b"content", None
    if begun:
        server.break_after = [3, 0]
        with pytest.raises(UserError):
            downloads.download(f"{server.url}/a.tar", target)
    server.raw = f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body
    with bounded():
        try:
            downloads.download(f"{server.url}/a.tar", target)
        except UserError as error:
            assert len(str(error)) < 500
            assert not target.exists()
    if not target.exists():
        # What is kept of it does not spoil the next download of the true file.
        server.raw = None
        downloads.download(f"{server.url}/a.tar", target)
        kept = target.read_bytes()
        assert kept == b"content" or status[:3] in ("200", "206"), kept
