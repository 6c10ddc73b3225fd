"""Archives come from anywhere: their checkpoint is unpacked, or one line says why not."""

import gzip
import io
import tarfile
import zipfile
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_vae.weights import archives
from support.bounds import refused_at_most
from support.mutations import damaged

_FILES = {
    "model.ckpt.index": b"index",
    "model.ckpt.data-00000-of-00001": b"data" * 100,
    "config.json": b"{}",
    "weights.safetensors": b"weights" * 30,
}
_LIMIT = 10_000


def _tar(format, name="folder/{}"):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=format) as tar:
        for file, data in _FILES.items():
            entry = tarfile.TarInfo(name.format(file))
            entry.size = len(data)
            entry.pax_headers = (
                {"comment": "x", "mtime": "1.5"} if format == tarfile.PAX_FORMAT else {}
            )
            tar.addfile(entry, io.BytesIO(data))
    return content.getvalue()


def _zip(compression):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for file, data in _FILES.items():
            archive.writestr(f"folder/{file}", data)
    return content.getvalue()


_ARCHIVES = {
    "ustar": _tar(tarfile.USTAR_FORMAT),
    "gnu": _tar(tarfile.GNU_FORMAT, "x" * 200 + "/{}"),
    "pax": _tar(tarfile.PAX_FORMAT, "\xfc" * 200 + "/{}"),
    "gzip": gzip.compress(_tar(tarfile.GNU_FORMAT)),
    "stored": _zip(zipfile.ZIP_STORED),
    "deflated": _zip(zipfile.ZIP_DEFLATED),
}


def _unpack(folder, content):
    archive, work = folder / "model.archive", folder / "work"
    work.mkdir()
    archive.write_bytes(content)
    with mock.patch.multiple(archives, MAX_MEMBER_BYTES=_LIMIT, MAX_TOTAL_BYTES=2 * _LIMIT):
        with refused_at_most():
            archives.unpack(archive, work)
        with refused_at_most():
            archives.read_json(archive, "config.json", _LIMIT)
        with refused_at_most(), archives.open_member(archive, "weights.safetensors") as pieces:
            assert sum(map(len, pieces or ())) <= _LIMIT
    assert {path.name for path in folder.iterdir()} == {"model.archive", "work"}
    assert all(path.is_file() and path.stat().st_size <= _LIMIT for path in work.iterdir())


@pytest.mark.parametrize("kind", _ARCHIVES)
@given(data=st.data())
def test_damaged_archives(tmp_path_factory, kind, data):
    _unpack(tmp_path_factory.mktemp("archive"), data.draw(damaged(_ARCHIVES[kind])))


def _with_checksums(content):
    """Gives every header of a tar the checksum that it should have, so that it is believed."""
    blocks = [content[start : start + 512] for start in range(0, len(content), 512)]
    for number, block in enumerate(blocks):
        if block[257:262] == b"ustar":
            blank = block[:148] + b" " * 8 + block[156:]
            blocks[number] = block[:148] + b"%06o\0 " % sum(blank) + block[156:]
    return b"".join(blocks)


@pytest.mark.parametrize("kind", ["ustar", "gnu", "pax"])
@given(data=st.data())
def test_tars_whose_headers_are_believed(tmp_path_factory, kind, data):
    content = data.draw(damaged(_ARCHIVES[kind]))
    if data.draw(st.booleans()):  # a number in a header that is larger than any file
        header = 512 * data.draw(st.integers(0, len(content) // 512))
        field = data.draw(st.sampled_from(((124, 12), (136, 12), (100, 8), (108, 8))))
        number = data.draw(st.sampled_from((b"\x80", b"\xff"))) + data.draw(
            st.binary(min_size=field[1] - 1, max_size=field[1] - 1)
        )
        start = header + field[0]
        content = content[:start] + number + content[start + field[1] :]
    _unpack(tmp_path_factory.mktemp("archive"), _with_checksums(content))


_PAX_KEYS = (
    *("size", "mtime", "uid", "path", "linkpath", "hdrcharset", "charset", "comment"),
    *("GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.map", "GNU.sparse.name"),
    *("GNU.sparse.realsize", "GNU.sparse.size", "GNU.sparse.numblocks", "GNU.sparse.offset"),
)
_PAX_VALUES = (
    *("", "0", "1", "-1", "5", "999999999999", "9" * 40, "9" * 5000, "1e400", "nan", "0,1,2", "x"),
    *("../x", "/etc/x", "BINARY", "model.ckpt.index", "\x1b[31m"),
)


@given(
    entries=st.lists(
        st.dictionaries(st.sampled_from(_PAX_KEYS), st.sampled_from(_PAX_VALUES), max_size=4),
        min_size=len(_FILES),
        max_size=len(_FILES),
    )
)
def test_tars_with_extended_headers(tmp_path_factory, entries):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for (file, data), headers in zip(_FILES.items(), entries, strict=True):
            entry = tarfile.TarInfo(file)
            entry.size, entry.pax_headers = len(data), headers
            tar.addfile(entry, io.BytesIO(data))
    _unpack(tmp_path_factory.mktemp("archive"), content.getvalue())
