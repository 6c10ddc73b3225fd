"""Reads SoundFont 2 files: the samples that an instrument plays for a note (SoundFont 2.04, 1998).

A soundfont may come from anywhere, so it is not trusted: all sizes and indices are checked when it
is read. Modulators are ignored, as they do nothing for notes without controllers.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from music_vae.common.errors import UserError

DRUM_BANK = 128

# Generators by their numbers (section 8.1.2).
START_OFFSET, END_OFFSET, LOOP_START_OFFSET, LOOP_END_OFFSET = 0, 1, 2, 3
START_COARSE, END_COARSE, LOOP_START_COARSE, LOOP_END_COARSE = 4, 12, 45, 50
MOD_LFO_TO_PITCH, VIBRATO_TO_PITCH, MOD_ENVELOPE_TO_PITCH = 5, 6, 7
FILTER_CUTOFF, FILTER_Q, MOD_ENVELOPE_TO_FILTER = 8, 9, 11
PAN = 17
MOD_LFO_DELAY, MOD_LFO_FREQUENCY, VIBRATO_DELAY, VIBRATO_FREQUENCY = 21, 22, 23, 24
MOD_ENVELOPE = 25  # delay, attack, hold, decay, sustain, release, key to hold, key to decay
VOLUME_ENVELOPE = 33  # in the same order
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, FIXED_KEY, FIXED_VELOCITY = 41, 43, 44, 46, 47
ATTENUATION, COARSE_TUNE, FINE_TUNE, SAMPLE, LOOP_MODE = 48, 51, 52, 53, 54
SCALE_TUNING, EXCLUSIVE_CLASS, ROOT_KEY = 56, 57, 58
NUM_GENERATORS = 61

NO_TIME = -12000  # timecents that stand for no time at all

_DEFAULTS = np.zeros(NUM_GENERATORS, np.int64)
_DEFAULTS[FILTER_CUTOFF] = 13500
_DEFAULTS[[MOD_LFO_DELAY, VIBRATO_DELAY]] = NO_TIME
_DEFAULTS[[e + n for e in (MOD_ENVELOPE, VOLUME_ENVELOPE) for n in (0, 1, 2, 3, 5)]] = NO_TIME
_DEFAULTS[[FIXED_KEY, FIXED_VELOCITY, ROOT_KEY]] = -1
_DEFAULTS[SCALE_TUNING] = 100

# A preset adds to the generators of its instruments, except for these (section 8.5).
_OF_INSTRUMENTS_ONLY = (
    *(START_OFFSET, END_OFFSET, LOOP_START_OFFSET, LOOP_END_OFFSET, START_COARSE, END_COARSE),
    *(LOOP_START_COARSE, LOOP_END_COARSE, FIXED_KEY, FIXED_VELOCITY, LOOP_MODE),
    *(EXCLUSIVE_CLASS, ROOT_KEY, KEY_RANGE, VELOCITY_RANGE, INSTRUMENT, SAMPLE),
)
_COARSE = 32768  # samples in a step of a coarse offset
_MAX_REGIONS = 64  # most regions that play for one note; real instruments have a few
_COMPRESSED = 0x10  # bit of a sample's type: Ogg Vorbis, as in .sf3 files

_HEADER = [("name", "S20"), ("first", "<u2")]
_RECORDS = {
    b"phdr": np.dtype(
        [("name", "S20"), ("program", "<u2"), ("bank", "<u2"), ("first", "<u2"), ("rest", "<u4", 3)]
    ),
    b"pbag": np.dtype([("first", "<u2"), ("modulator", "<u2")]),
    b"pgen": np.dtype([("generator", "<u2"), ("amount", "<i2")]),
    b"inst": np.dtype(_HEADER),
    b"ibag": np.dtype([("first", "<u2"), ("modulator", "<u2")]),
    b"igen": np.dtype([("generator", "<u2"), ("amount", "<i2")]),
    b"shdr": np.dtype(
        [
            ("name", "S20"),
            *((name, "<u4") for name in ("start", "end", "loop_start", "loop_end", "rate")),
            *(("key", "u1"), ("correction", "i1"), ("link", "<u2"), ("type", "<u2")),
        ]
    ),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Region:
    """A recording that sounds for a note, and the settings to play it with.

    >>> from music_vae.render import audio
    >>> font = audio.open_soundfont(None)
    >>> snare, *_ = font.regions(program=0, key=38, velocity=100, is_drum=True)
    >>> snare.rate, len(snare.samples) > snare.rate // 10  # longer than a tenth of a second
    (44100, True)

    Attributes:
      samples: The recording, `[N]`, int16.
      loop: Start and end of the loop in the recording; `(0, 0)` if there is none.
      rate: Samples a second.
      root_key: MIDI key at which the recording sounds as it is.
      correction: Cents to add to the pitch.
      generators: Amounts of the generators, `[NUM_GENERATORS]`, by their numbers above.
    """

    samples: np.ndarray
    loop: tuple[int, int]
    rate: int
    root_key: int
    correction: int
    generators: np.ndarray


class _Zone(NamedTuple):
    """The generators that a preset or an instrument has for some keys and velocities.

    Attributes:
      generators: Amounts by number.
      target: Number of the instrument or of the sample that plays.
    """

    generators: dict[int, int]
    target: int

    def holds(self, key: int, velocity: int) -> bool:
        """Returns True if the zone is for this key and velocity."""
        return all(
            (self.generators.get(kind, 0x7F00) & 0xFF)
            <= value
            <= (self.generators.get(kind, 0x7F00) >> 8 & 0xFF)
            for kind, value in ((KEY_RANGE, key), (VELOCITY_RANGE, velocity))
        )


class SoundFont:
    """The instruments of a soundfont file.

    >>> from music_vae.render import audio
    >>> font = audio.open_soundfont(None)  # the one that comes with pretty_midi
    >>> flute, *_ = font.regions(program=73, key=72, velocity=80, is_drum=False)
    >>> flute.root_key, flute.samples.dtype.name
    (73, 'int16')
    """

    def __init__(self, path: str | Path) -> None:
        """Reads and checks a file.

        Raises:
          UserError: If it is not a SoundFont 2 file, or a damaged one.
        """
        try:
            if not Path(path).stat().st_size:
                raise ValueError("it is empty")
            data = np.memmap(path, np.uint8, "r")
            chunks = dict(_sound_chunks(data))
            self._tables = {name: _table(chunks, name) for name in _RECORDS}
            if b"smpl" not in chunks:
                raise ValueError("it has no samples")
            whole = len(chunks[b"smpl"]) // 2 * 2
            self._samples = chunks[b"smpl"][:whole].view("<i2")
            self._check()
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"the soundfont {path} cannot be read: {reason}") from error
        except ValueError as error:
            raise UserError(f"{path} is not a SoundFont 2 file (.sf2): {error}") from error
        self._presets = {
            (int(preset["bank"]), int(preset["program"])): number
            for number, preset in reversed(list(enumerate(self._tables[b"phdr"][:-1])))
        }
        self._zones: dict[tuple[bytes, int], list[_Zone]] = {}
        self._regions: dict[tuple[int, int, int, bool], list[Region]] = {}

    def regions(self, program: int, key: int, velocity: int, *, is_drum: bool) -> list[Region]:
        """Returns the recordings that sound for a note; none if the file has nothing for it.

        If the file does not have the program, the first program of the bank plays. The same
        arguments give the same objects.
        """
        asked = (program, key, velocity, is_drum)
        if asked not in self._regions:
            self._regions[asked] = list(itertools.islice(self._find(*asked), _MAX_REGIONS))
        return self._regions[asked]

    def _find(self, program: int, key: int, velocity: int, is_drum: bool) -> Iterator[Region]:
        """Yields the recordings for a note, in the order of the file."""
        bank = DRUM_BANK if is_drum else 0
        preset = self._presets.get((bank, program), self._presets.get((bank, 0)))
        found: dict[int, list[_Zone]] = {}  # by instrument, as many zones may play the same one
        for outer in self._zones_of(b"phdr", preset) if preset is not None else ():
            if outer.holds(key, velocity):
                if outer.target not in found:
                    zones = self._zones_of(b"inst", outer.target)
                    found[outer.target] = [zone for zone in zones if zone.holds(key, velocity)]
                for inner in found[outer.target]:
                    yield self._region(outer, inner)

    def _region(self, outer: _Zone, inner: _Zone) -> Region:
        """Returns the recording of an instrument's zone, as a preset's zone changes it."""
        amounts = _DEFAULTS.copy()
        for kind, amount in inner.generators.items():
            amounts[kind] = amount
        for kind, amount in outer.generators.items():
            if kind not in _OF_INSTRUMENTS_ONLY:
                amounts[kind] += amount
        header = self._tables[b"shdr"][inner.target]

        def place(name: str, fine: int, coarse: int) -> int:
            moved = int(header[name]) + int(amounts[fine]) + _COARSE * int(amounts[coarse])
            return min(max(moved, 0), len(self._samples))

        start = place("start", START_OFFSET, START_COARSE)
        end = max(place("end", END_OFFSET, END_COARSE), start)
        loop = (
            min(max(place("loop_start", LOOP_START_OFFSET, LOOP_START_COARSE), start), end) - start,
            min(max(place("loop_end", LOOP_END_OFFSET, LOOP_END_COARSE), start), end) - start,
        )
        key = int(amounts[ROOT_KEY] if amounts[ROOT_KEY] >= 0 else header["key"])
        return Region(
            self._samples[start:end],
            loop if loop[0] < loop[1] else (0, 0),
            int(header["rate"]),
            key if key <= 127 else 60,  # 255 stands for sounds without a pitch
            int(header["correction"]),
            amounts,
        )

    def _zones_of(self, table: bytes, number: int) -> list[_Zone]:
        """Returns the zones of a preset or an instrument, with the generators that all share."""
        if (table, number) not in self._zones:
            self._zones[table, number] = list(self._read_zones(table, number))
        return self._zones[table, number]

    def _read_zones(self, table: bytes, number: int) -> Iterator[_Zone]:
        letter, target = (b"p", INSTRUMENT) if table == b"phdr" else (b"i", SAMPLE)
        headers, bags = self._tables[table], self._tables[letter + b"bag"]
        first, last = int(headers[number]["first"]), int(headers[number + 1]["first"])
        shared: dict[int, int] = {}
        for index in range(first, last):
            part = slice(int(bags[index]["first"]), int(bags[index + 1]["first"]))
            own = {
                int(kind): int(amount)
                for kind, amount in self._tables[letter + b"gen"][part]
                if kind < NUM_GENERATORS
            }
            if target in own:
                yield _Zone({**shared, **own}, own[target] & 0xFFFF)
            elif index == first:
                shared = own

    def _check(self) -> None:
        """Raises `ValueError` for indices that point outside their tables."""
        for headers, bags, generators, target, targets in (
            (b"phdr", b"pbag", b"pgen", INSTRUMENT, b"inst"),
            (b"inst", b"ibag", b"igen", SAMPLE, b"shdr"),
        ):
            for outer, inner in ((headers, bags), (bags, generators)):
                first = self._tables[outer]["first"].astype(np.int64)
                # The last bag is a terminal one, and so is the last generator of some writers.
                if np.any(np.diff(first) < 0) or first[-1] >= len(self._tables[inner]) + 1:
                    raise ValueError(f"an index of {outer.decode()} is wrong")
            if self._tables[headers]["first"][-1] >= len(self._tables[bags]):
                raise ValueError(f"an index of {headers.decode()} is wrong")
            table = self._tables[generators]
            used = table["amount"][table["generator"] == target].view("<u2")
            if np.any(used >= len(self._tables[targets]) - 1):
                raise ValueError(f"an index of {generators.decode()} is wrong")
        samples = self._tables[b"shdr"][:-1]
        if np.any(samples["type"] & _COMPRESSED):
            raise ValueError("its samples are compressed (.sf3)")
        if np.any((samples["rate"] == 0) & (samples["end"] > samples["start"])):
            raise ValueError("a sample has no rate")


def _sound_chunks(data: np.ndarray) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yields names and contents of the chunks inside the lists of a RIFF file."""
    if bytes(data[:4]) != b"RIFF" or bytes(data[8:12]) != b"sfbk":
        raise ValueError("it does not start with RIFF and sfbk")
    size = int(data[4:8].view("<u4")[0])
    if size + 8 > len(data):
        raise ValueError("it is cut off")
    for name, chunk in _chunks(data[12 : size + 8]):
        if name == b"LIST":
            yield from _chunks(chunk[4:])


def _chunks(data: np.ndarray) -> Iterator[tuple[bytes, np.ndarray]]:
    """Yields names and contents of the chunks of RIFF data, each padded to an even size."""
    position = 0
    while position + 8 <= len(data):
        size = int(data[position + 4 : position + 8].copy().view("<u4")[0])
        start = position + 8
        if start + size > len(data):
            raise ValueError("it is cut off")
        yield bytes(data[position : position + 4]), data[start : start + size]
        position = start + size + size % 2


def _table(chunks: dict[bytes, np.ndarray], name: bytes) -> np.ndarray:
    """Returns the records of a chunk."""
    record = _RECORDS[name]
    data = chunks.get(name)
    if data is None or not len(data) or len(data) % record.itemsize:
        raise ValueError(f"its chunk {name.decode()} is missing or cut off")
    return np.frombuffer(data.tobytes(), record)
