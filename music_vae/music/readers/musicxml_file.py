"""Reads MusicXML files, compressed or not, as NoteSequences."""

from __future__ import annotations

import io
import zipfile
from collections import Counter
from pathlib import Path

from music_vae.music.readers.musicxml_score import read_score
from music_vae.music.readers.musicxml_structure import root_files
from music_vae.music.readers.reading import (
    MAX_TEXT_BYTES,
    Reading,
    log_ignored,
    parsing,
    sequence_of,
)
from music_vae.music.unreadable import UnreadableMusicError

_MXL_CONTAINER = "META-INF/container.xml"
_MXL_SCORE_TYPES = (None, "application/vnd.recordare.musicxml+xml")


def read_musicxml(data: bytes, source: Path) -> Reading:
    """Reads the one sequence of an uncompressed MusicXML file; logs what it ignores in `source`.

    >>> read_musicxml(b"<html></html>", Path("a.xml"))
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: not MusicXML: its root is <html>, not ...

    Raises:
      UnreadableMusicError: If it is no MusicXML, or gives no notes.
    """
    with parsing("MusicXML"):
        score = read_score(data)
        sequence = sequence_of(score)
    sequence.source_info.encoding_type = sequence.source_info.MUSIC_XML
    log_ignored(source, score.ignored)
    return Reading([sequence], Counter())


def read_mxl(data: bytes, source: Path) -> Reading:
    """Reads the one sequence of a compressed MusicXML file.

    >>> read_mxl(b"PK", Path("a.mxl"))
    Traceback (most recent call last):
    music_vae.music.unreadable.UnreadableMusicError: cannot be read as compressed MusicXML: File ...

    Raises:
      UnreadableMusicError: If it is no archive, or holds no score that can be read.
    """
    with parsing("compressed MusicXML"), zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = root_files(_read_member(archive, _MXL_CONTAINER))
        names = [name for name, kind in files if kind in _MXL_SCORE_TYPES]
        if not names:
            raise UnreadableMusicError("compressed MusicXML without a score")
        return read_musicxml(_read_member(archive, names[0]), source)


def _read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Returns the contents of one file of an archive; never more than `MAX_TEXT_BYTES`."""
    try:
        info = archive.getinfo(name)
    except KeyError as error:
        raise UnreadableMusicError("compressed MusicXML without a score", f"no {name}") from error
    # The other methods unpack without a bound on their output.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnreadableMusicError("compressed MusicXML with an unknown compression method")
    if info.file_size > MAX_TEXT_BYTES:
        raise UnreadableMusicError(f"larger than {MAX_TEXT_BYTES >> 20} MiB when unpacked")
    with archive.open(info) as file:
        # With a size to read, zipfile unpacks no more than that, whatever the data holds; what
        # was declared too small then fails its checksum.
        return file.read(info.file_size)
