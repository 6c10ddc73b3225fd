"""Multitrack MIDI of games: the Debian packages freedoom, freedm and simutrans-data.

python scripts/corpora/games.py --output_dir=corpora/games
python scripts/corpora/games.py --input=freedoom_midi.zip,simutrans_midi.zip --output_dir=...
python scripts/corpora/games.py --git_history=freedoom --output_dir=corpora/freedoom
"""

import fnmatch
import io
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import common
import history
from absl import flags

from music_vae.commands import cli
from music_vae.common.errors import UserError
from music_vae.music import notes_io

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

PROGRAM = "games.py"
USAGE = """Makes TFRecords of the multitrack MIDI of games, split by song.

  python scripts/corpora/games.py --output_dir=corpora/games
  python scripts/corpora/games.py --output_dir=corpora/leads --leads_as_piano
  python scripts/corpora/games.py --git_history=freedoom --output_dir=corpora/freedoom
  python scripts/corpora/games.py --input=free-music/midi --exclude='Carol*,*arrangement*' \\
    --output_dir=corpora/tanner

--git_history takes all music that Freedoom ever had, from a clone of its repository:
git clone https://github.com/freedoom/freedoom

Without --input and --git_history, apt-get downloads the Debian packages (a system with Debian's
sources is needed). Freedoom is BSD-licensed; Simutrans's music is under the Artistic License: see
their notices."""

COLLECTION = "games"
HISTORY_COLLECTION = "freedoom"
# What was removed from Freedoom for its rights ("Doom soundalikes") or on the wish of its author
# lay in these folders.
REMOVED = ("musics/nb_nmare", "musics/ralphis", "musics/hyena", "musics/csabo")
PACKAGES = ("freedoom", "freedm", "simutrans-data")
_SUFFIXES = (*notes_io.MIDI_SUFFIXES, ".wad", ".deb")

# General MIDI's instruments that play one line, counted from 0: violin, viola and cello, brass,
# reeds, pipes, synthesizer leads, and those of other traditions that carry tunes.
LEAD_PROGRAMS = frozenset((40, 41, 42, *range(56, 88), *range(104, 112)))
PIANO_PROGRAM = 0

FLAGS = common.new_flags()
common.define_shares(FLAGS)
flags.DEFINE_string(
    "input",
    None,
    "Folders, zips, .deb packages or .wad files, with commas; the Debian packages by default.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "git_history",
    None,
    "A clone of Freedoom's repository, with its history; one version of each song is taken.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "exclude",
    "",
    "Patterns of names of files of --input that are left out, such as '*remix*', with commas.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "leads_as_piano",
    False,
    "Gives flutes, violins, brass and other instruments of one line the program of the piano: the "
    "2-bar melody and the trio configs read no melody above program 31.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the script; returns its exit code."""
    return cli.Command(PROGRAM, USAGE, FLAGS, _run).main(argv)


def _run(values: flags.FlagValues) -> None:
    output_dir, shares = common.output_dir_of(values), common.shares_of(values)
    skipped: Counter[str] = Counter()
    if values.exclude and values.git_history and not values.input:
        raise UserError("`exclude` is about the files of `input`, and none is given")
    sequences: list[NoteSequence] = []
    if values.git_history:
        sequences += read_history(cli.expand(values.git_history), skipped)
    if values.input or not values.git_history:
        sequences += read_sources(values.input, common.listed(values.exclude), skipped)
    if values.leads_as_piano:
        for sequence in sequences:
            leads_as_piano(sequence)
    common.write_tunes(sequences, output_dir, shares, skipped)


def read_sources(
    names: str | None, exclude: Sequence[str], skipped: Counter[str]
) -> "list[NoteSequence]":
    """The sequences of folders, archives and packages; without names those of `PACKAGES`.

    Files whose names match one of the patterns of `exclude` are left out. A pattern that matches
    none is an error: it is likely misspelt, and what it is to keep out may be under rights.
    """
    with tempfile.TemporaryDirectory() as directory:
        midi_dir = Path(directory) / "midi"
        midi_dir.mkdir()
        if names:
            sources = [cli.expand(name) for name in common.listed(names)]
        else:
            sources = download(PACKAGES, Path(directory))
        for source in sources:
            gather(source, midi_dir)
        for pattern in exclude:
            matching = fnmatch.filter((path.name for path in midi_dir.iterdir()), pattern)
            if not matching:
                raise UserError(f"no file has a name that matches {pattern!r} of `exclude`")
            for name in matching:
                (midi_dir / name).unlink()
                skipped["file that was excluded"] += 1
        return common.read_midi_files(midi_dir, COLLECTION, skipped)


def read_history(clone: Path, skipped: Counter[str]) -> "list[NoteSequence]":
    """One version of each song that ever lay in a clone of Freedoom."""
    with tempfile.TemporaryDirectory() as directory:
        paths = history.midi_history(clone, REMOVED, Path(directory), skipped)
        sequences = common.read_midi_files(Path(directory), HISTORY_COLLECTION, skipped)
    history.label(sequences, paths, HISTORY_COLLECTION)
    return history.one_version(sequences, skipped)


def leads_as_piano(sequence: "NoteSequence") -> None:
    """Gives the notes of lead instruments program 0, in place; each stays an instrument."""
    for note in sequence.notes:
        if not note.is_drum and note.program in LEAD_PROGRAMS:
            note.program = PIANO_PROGRAM


# -- Packages to MIDI files -----------------------------------------------------------------------


def download(packages: Sequence[str], directory: Path) -> list[Path]:
    """The .deb files of Debian packages, fetched into `directory` by apt-get."""
    if not shutil.which("apt-get"):
        raise UserError(
            "no apt-get here to download Debian packages with; give --input: a folder or zip of "
            f"their MIDI, or the .deb files of {', '.join(packages)}"
        )
    command = ["apt-get", "download", *packages]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{' '.join(command)} failed: {done.stderr.strip()}; or give --input")
    return sorted(directory.glob("*.deb"))


def gather(source: Path, midi_dir: Path) -> None:
    """Copies the MIDI files of a folder, a zip, a .deb or a .wad to `midi_dir`, by their own names.

    A name that is there already with other contents gets a number.
    """
    for name, data in midi_files(source):
        target = common.safe_path(midi_dir, name)
        number = 2
        while target.exists() and target.read_bytes() != data:
            target = target.with_stem(f"{Path(name).stem}_{number}")
            number += 1
        target.write_bytes(data)


def midi_files(source: Path) -> Iterator[tuple[str, bytes]]:
    """The MIDI files in a folder, a zip, a .deb or a .wad: (name without folders, contents)."""
    if source.suffix.lower() == ".deb":
        for name, data in _package_files(source):
            yield from _midi_of(name, data)
    elif source.is_file() and source.suffix.lower() in _SUFFIXES:
        yield from _midi_of(source.name, source.read_bytes())
    else:
        with common.unpacked(source, _SUFFIXES) as folder:
            found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
            if not found:
                raise UserError(f"{source} holds no MIDI and no WAD files")
            for path in found:
                if path.suffix.lower() == ".deb":
                    yield from midi_files(path)
                elif path.is_file():
                    yield from _midi_of(path.name, path.read_bytes())


def _midi_of(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The file itself if it is MIDI, or the MIDI lumps of a WAD as WAD_LUMP.mid."""
    if name.lower().endswith(".wad"):
        for lump, contents in wad_lumps(data):
            if contents.startswith(common.MIDI_MAGIC):
                yield f"{Path(name).stem}_{lump}.mid", contents
    else:
        yield name, data


def wad_lumps(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The lumps of a WAD file, Doom's archive: (name, contents).

    A WAD is a header (IWAD or PWAD, number of lumps, place of the directory), lumps, and the
    directory: place, size and name (8 bytes, zeros after it) of each.

    Raises:
      UserError: If it is not one, or a lump lies outside it.
    """
    if len(data) < 12 or data[:4] not in (b"IWAD", b"PWAD"):
        raise UserError("a .wad file that is no WAD: it starts with neither IWAD nor PWAD")
    count, directory = struct.unpack_from("<ii", data, 4)
    if count < 0 or directory < 0 or directory + 16 * count > len(data):
        raise UserError("a damaged WAD: its directory lies outside the file")
    for place, size, raw in struct.iter_unpack("<ii8s", data[directory : directory + 16 * count]):
        if place < 0 or size < 0 or place + size > len(data):
            raise UserError("a damaged WAD: a lump lies outside the file")
        name = raw.split(b"\0")[0].decode("ascii", "replace")
        yield "".join(c if c.isalnum() else "_" for c in name), data[place : place + size]


def _package_files(package: Path) -> Iterator[tuple[str, bytes]]:
    """The MIDI and WAD files in a .deb, unpacked by dpkg-deb."""
    if not shutil.which("dpkg-deb"):
        raise UserError(f"no dpkg-deb here to read {package}; unpack it and give the folder")
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise UserError(f"{package}: {done.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        wanted = [
            member
            for member in archive
            if member.isfile() and member.name.lower().endswith(_SUFFIXES[:-1])
        ]
        common.check_sizes(package, [member.size for member in wanted])
        for member in wanted:
            file = archive.extractfile(member)
            if file is not None:
                yield Path(member.name).name, file.read()


if __name__ == "__main__":
    sys.exit(main())
