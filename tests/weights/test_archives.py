"""Archives: an honest one gives its checkpoint; a hostile one is refused with nothing written."""

import io
import stat
import struct
import tarfile
import zipfile

import pytest

from music_vae.common.errors import UserError
from music_vae.weights import archives

INDEX, DATA = "model.ckpt.index", "model.ckpt.data-00000-of-00001"
LONG = "x" * 50_000
CONTENT = {INDEX: b"index", DATA: b"data" * 1000}


def entry(name, size=0, **fields):
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def write_tar(path, contents, *entries, mode="w"):
    """A tar of `contents` by name, then bare entries without content."""
    with tarfile.open(path, mode) as tar:
        for name, content in contents.items():
            tar.addfile(entry(name, len(content)), io.BytesIO(content))
        for info in entries:  # Python 3.13 adds none that claims a size and has no content
            header = info.tobuf(tar.format, tar.encoding, tar.errors)
            tar.fileobj.write(header)
            tar.offset += len(header)
    return path


def write_zip(path, contents):
    """A zip of `contents` by name or ZipInfo."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def unix_entry(name, mode):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


@pytest.fixture
def unpacked(tmp_path):
    """Unpacks into a folder of its own, and checks that nothing but that folder changes."""
    folder = tmp_path / "work" / "folder"
    folder.mkdir(parents=True)

    def run(archive):
        before = sorted(path for path in tmp_path.rglob("*") if folder not in path.parents)
        try:
            return archives.unpack(archive, folder)
        finally:
            assert before == sorted(p for p in tmp_path.rglob("*") if folder not in p.parents)

    run.folder = folder
    return run


def refusal(unpacked, archive):
    """The message with which an archive is refused: one line, and nothing written at all."""
    with pytest.raises(UserError) as caught:
        unpacked(archive)
    assert not list(unpacked.folder.iterdir())
    with pytest.raises(UserError):
        archives.check(archive)
    assert "\n" not in str(caught.value)
    return str(caught.value)


WRITERS = {"a.tar": ("w", write_tar), "a.tgz": ("w:gz", write_tar), "a.zip": (None, write_zip)}


@pytest.mark.parametrize("name", WRITERS)
def test_the_checkpoint_comes_out_wherever_it_lies_and_nothing_else(name, tmp_path, unpacked):
    mode, write = WRITERS[name]
    contents = {f"./deep/down/{key}": content for key, content in CONTENT.items()}
    contents |= {"deep/readme.txt": b"?", "deep/checkpoint": b"?", "deep/model.ckpt.meta": b"?"}
    contents |= {f"deep/down/._{key}": b"of macOS" for key in CONTENT}
    contents |= {"config.json": b"{}"}
    if mode:
        path = write_tar(tmp_path / name, contents, entry("deep", type=tarfile.DIRTYPE), mode=mode)
    else:
        path = write(tmp_path / name, contents | {"empty/": b""})
    assert unpacked(path) == unpacked.folder / "model.ckpt"
    found = {file.name: file.read_bytes() for file in unpacked.folder.iterdir()}
    assert found == CONTENT
    archives.check(path)
    assert archives.read_json(path, "config.json", 10) == b"{}"
    assert archives.read_json(path, "other.json", 10) is None
    with archives.open_member(path, DATA) as content:
        assert b"".join(content) == CONTENT[DATA]
    with archives.open_member(path, "readme.txt") as content:
        assert content is None


def test_the_content_decides_what_an_archive_is_and_not_its_name(tmp_path, unpacked):
    assert unpacked(write_zip(tmp_path / "a.tar", CONTENT)).name == "model.ckpt"
    assert archives.is_archive(tmp_path / "a.tar")
    assert not archives.is_archive(tmp_path / "b.tar")
    assert not archives.is_archive(unpacked.folder / INDEX)


PATHS = ["../x", "a/../../x.index", "/etc/x.index", "..\\x", "C:\\x.index", "C:x", "..", "a\\..\\b"]
SPECIAL = {
    "a symbolic link": entry("x.index", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a hard link": entry("x.index", type=tarfile.LNKTYPE, linkname=INDEX),
    "a link that nobody asked for": entry("x.txt", type=tarfile.SYMTYPE, linkname=INDEX),
    "a character device": entry("x.index", type=tarfile.CHRTYPE),
    "a block device": entry("x", type=tarfile.BLKTYPE),
    "a pipe": entry("x.index", type=tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_leads_outside_is_refused(path, tmp_path, unpacked):
    for archive in (
        write_tar(tmp_path / "a.tar", CONTENT | {path: b"x"}),
        write_tar(tmp_path / "a.tar.gz", CONTENT | {path: b"x"}, mode="w:gz"),
        write_zip(tmp_path / "a.zip", CONTENT | {path: b"x"}),
    ):
        assert "is not a path within it" in refusal(unpacked, archive)


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_refused(kind, tmp_path, unpacked):
    archive = write_tar(tmp_path / "a.tar", CONTENT, SPECIAL[kind])
    expected = "is a link" if "link" in kind else "is a device"
    assert expected in refusal(unpacked, archive)


@pytest.mark.parametrize(("mode", "word"), [(stat.S_IFLNK, "link"), (stat.S_IFCHR, "device")])
def test_what_is_no_file_in_a_zip_is_refused(mode, word, tmp_path, unpacked):
    odd = unix_entry("x.index", mode | 0o644)
    archive = write_zip(tmp_path / "a.zip", CONTENT | {odd: b"/etc/passwd"})
    assert f"is a {word}" in refusal(unpacked, archive)


def test_a_sparse_file_of_10_gigabytes_is_refused(tmp_path, unpacked):
    """By hand, as GNU tar writes it: one block of content, and the size that it stands for."""
    header = bytearray(entry("x.index", 512, type=tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"00000000000\0" + b"00000001000\0"  # content at 0, 512 bytes
    header[483:495] = b"%011o\0" % (10 * 2**30)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = write_tar(tmp_path / "a.tar", CONTENT)
    content = path.read_bytes()
    end = len(content.rstrip(b"\0")) // 512 * 512 + 512
    path.write_bytes(content[:end] + bytes(header) + bytes(512 + 1024))
    with tarfile.open(path) as tar:
        assert (tar.getmembers()[-1].issparse(), tar.getmembers()[-1].size) == (True, 10 * 2**30)
    assert "'x.index' is a sparse file" in refusal(unpacked, path)


def test_sizes_are_limited_before_anything_is_read(tmp_path, unpacked, monkeypatch):
    path = tmp_path / "a.tar"
    write_tar(path, {INDEX: b"index"}, entry(DATA, 10 * 2**30))
    assert "claims 10,737,418,240 bytes; expected at most" in refusal(unpacked, path)
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 4000)
    for archive in (write_tar(path, CONTENT), write_zip(tmp_path / "a.zip", CONTENT)):
        assert "its members claim more than 4,000 bytes" in refusal(unpacked, archive)
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 3999)
    for archive in (path, tmp_path / "a.zip"):
        assert f"'{DATA}' claims 4,000 bytes" in refusal(unpacked, archive)
    monkeypatch.setattr(archives, "MAX_MEMBERS", 1)
    assert "more than 1 members" in refusal(unpacked, path)


def test_a_json_file_has_a_limit_of_its_own(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"config.json": b"{" * 11})
    with pytest.raises(UserError, match="claims 11 bytes; expected at most 10"):
        archives.read_json(path, "config.json", 10)


@pytest.mark.parametrize("claim", [10, 3000])
def test_a_zip_that_lies_about_a_length_is_refused(claim, tmp_path, unpacked):
    """It gives no more than it claims, whatever it unpacks to."""
    path = write_zip(tmp_path / "a.zip", CONTENT)
    content = path.read_bytes()
    lied = content.replace(struct.pack("<I", 4000), struct.pack("<I", claim))
    assert lied != content
    path.write_bytes(lied)
    with pytest.raises(UserError, match="cannot be read as a zip archive"):
        unpacked(path)
    assert (unpacked.folder / DATA).stat().st_size <= claim


def test_a_header_of_a_tar_cannot_ask_for_gigabytes(tmp_path, unpacked):
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        archive = write_tar(tmp_path / "a.tar", CONTENT, entry("x", 4 * 2**30, type=kind))
        assert "a header claims a length of 4,29" in refusal(unpacked, archive)


def test_a_negative_length_is_refused(tmp_path, unpacked):
    header = bytearray(entry("x.index").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 11 + b"\x00"  # -256 in base 256
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(header) + bytes(1024))
    refusal(unpacked, path)


def test_an_archive_must_hold_one_whole_checkpoint(tmp_path, unpacked):
    path = tmp_path / "a.tar"
    two = CONTENT | {name.replace("model", "other"): b"" for name in CONTENT}
    for contents, message in (
        ({"readme.txt": b""}, "must hold one checkpoint; found none"),
        (two, "must hold one checkpoint; found model.ckpt, other.ckpt"),
        ({INDEX: b""}, "holds model.ckpt.index, but not all of its data files"),
        ({INDEX: b"", DATA.replace("1", "2"): b""}, "not all of its data files"),
        ({**CONTENT, f"other/{INDEX}": b""}, f"it holds two files named '{INDEX}'"),
    ):
        assert message in refusal(unpacked, write_tar(path, contents))
        assert message in refusal(unpacked, write_zip(tmp_path / "a.zip", contents))


def test_a_checkpoint_in_several_data_files_comes_out_whole(tmp_path, unpacked):
    shards = {f"model.ckpt.data-0000{n}-of-00002": b"x" for n in range(2)}
    unpacked(write_tar(tmp_path / "a.tar", {INDEX: b""} | shards))
    assert len(list(unpacked.folder.iterdir())) == 3


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9])
def test_an_archive_that_is_cut_off_is_one_line(name, share, tmp_path, unpacked):
    mode, write = WRITERS[name]
    path = write(tmp_path / name, CONTENT, **({"mode": mode} if mode else {}))
    size = sum(map(len, CONTENT.values())) + 1024 if name == "a.tar" else path.stat().st_size
    path.write_bytes(path.read_bytes()[: int(share * size)])
    with pytest.raises(UserError) as caught:
        unpacked(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WRITERS)
def test_damage_is_one_line(name, tmp_path, unpacked):
    """Every byte of a small archive in turn: either it does not matter, or it is said."""
    mode, write = WRITERS[name]
    small = {INDEX: b"index", DATA: b"data"}
    path = write(tmp_path / name, small, **({"mode": mode} if mode else {}))
    content = path.read_bytes().rstrip(b"\0")
    for position in range(0, len(content), 3):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 0xA5]) + content[position + 1 :]
        )
        for file in unpacked.folder.iterdir():
            file.unlink()
        try:
            unpacked(path)
        except UserError as error:
            assert "\n" not in str(error)


def test_an_encrypted_member_and_an_unusual_compression_are_refused(tmp_path, unpacked):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    assert "is a file of an unusual compression" in refusal(unpacked, path)
    write_zip(path, {INDEX: b"index"})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 8
    content[at] |= 1
    path.write_bytes(content)
    assert "is an encrypted file" in refusal(unpacked, path)


@pytest.mark.parametrize(
    "contents",
    [
        {f"../{LONG}": b""},
        {f"{LONG}.json": b""},
        {f"a/{LONG[:150]}.json": b"", f"b/{LONG[:150]}.json": b""},
        {f"{number}{LONG[:150]}.index": b"" for number in range(9)},
        {f"{LONG[:150]}.index": b"index"},
    ],
)
def test_messages_are_short_whatever_the_names(tmp_path, contents):
    path = write_tar(tmp_path / "a.tar", contents)
    with pytest.raises(UserError) as caught:
        archives.check(path)
    assert len(str(caught.value)) < 600


def test_a_zip_that_says_two_names_of_a_file_is_one_short_line(tmp_path):
    folder = LONG + "/"
    path = write_zip(tmp_path / "a.zip", {folder + INDEX: b"index", folder + DATA: b"data"})
    path.write_bytes(path.read_bytes().replace(b"x", b"y", 1))
    with pytest.raises(UserError, match="File name in directory") as caught:
        archives.unpack(path, tmp_path)
    assert len(str(caught.value)) < 600


def test_a_zip_with_a_file_of_no_name_is_refused(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"x" * 9: b"", INDEX: b"index"})
    path.write_bytes(path.read_bytes().replace(b"x" * 9, bytes(9)))  # names end at a zero
    # zipfile cannot read it, or from Python 3.13 on passes over that file.
    unreadable, incomplete = r"a\.zip' cannot be read as a zip archive", "not all of its data files"
    with pytest.raises(UserError, match=f"{unreadable}|{incomplete}"):
        archives.check(path)
