"""Time in frames of film is read as it sounds, and as beats where the file says a tempo."""

import logging
import struct

import pytest

from music_vae.music.notes_io import UnreadableMusicError, read_music_file, tempo_of
from support.midi_bytes import END_OF_TRACK, chunk, header
from support.paths import MIDI


def tempo(microseconds):
    return b"\x00\xff\x51\x03" + struct.pack(">L", microseconds)[1:]


def note(ticks):
    size = bytes([0x80 | ticks >> 7, ticks & 0x7F])
    return b"\x00\x90\x3c\x50" + size + b"\x80\x3c\x00"


def read(tmp_path, frames, ticks, *events):
    path = tmp_path / "a.mid"
    head = header(kind=0, division=-frames << 8 | ticks)
    path.write_bytes(head + chunk(b"".join(events) + END_OF_TRACK))
    (sequence,) = read_music_file(path)
    return sequence


def ends(sequence):
    return [note.end_time for note in sequence.notes]


@pytest.mark.parametrize(
    ("frames", "ticks", "seconds"),
    [(24, 80, 250 / 1920), (25, 40, 0.25), (30, 100, 250 / 3000), (29, 100, 250 * 1001 / 3e6)],
)
def test_notes_are_at_their_seconds(tmp_path, caplog, frames, ticks, seconds):
    with caplog.at_level(logging.WARNING):
        sequence = read(tmp_path, frames, ticks, *[note(250)] * 400)
    expected = [seconds * (number + 1) for number in range(400)]
    assert ends(sequence) == pytest.approx(expected, abs=0.0003)  # half of 960 ticks a quarter
    assert tempo_of(sequence) == 120
    (message,) = caplog.messages
    expected = (
        "its time counts frames of film and says no tempo; read as 120 quarter notes a minute"
    )
    assert message.endswith(f"a.mid: {expected}")


def test_a_tempo_says_which_beats_the_seconds_are(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        sequence = read(tmp_path, 25, 40, tempo(600_000), note(600), tempo(400_000), note(400))
    assert ends(sequence) == pytest.approx([0.6, 1.0])
    assert [(t.time, t.qpm) for t in sequence.tempos] == [
        (0, pytest.approx(100)),
        (pytest.approx(0.6), pytest.approx(150)),
    ]
    assert sequence.ticks_per_quarter == 960
    assert not caplog.messages


def test_a_tempo_that_no_ticks_fit_does_not_drift(tmp_path):
    sequence = read(tmp_path, 25, 40, tempo(666_667), *[note(333)] * 1000)
    assert ends(sequence)[-1] == pytest.approx(333, abs=0.0004)
    assert tempo_of(sequence) == pytest.approx(90, abs=1e-3)


def test_the_tune_is_read():
    (sequence,) = read_music_file(MIDI / "kinds" / "smpte.mid")
    assert ends(sequence) == pytest.approx([0.24 * (number + 1) for number in range(16)])
    assert sequence.ticks_per_quarter == 500


@pytest.mark.parametrize(("frames", "ticks"), [(17, 40), (25, 0)])
def test_unknown_frames_are_refused_with_those_that_are_known(tmp_path, frames, ticks):
    expected = (
        f"unknown time: {frames} frames a second with {ticks} ticks each; expected 24, 25, 29"
    )
    with pytest.raises(UnreadableMusicError, match=expected):
        read(tmp_path, frames, ticks, note(250))


def test_more_beats_than_any_music_has_are_refused(tmp_path):
    with pytest.raises(UnreadableMusicError, match="longer than 100,000 quarter notes"):
        read(tmp_path, 25, 40, tempo(1), *[note(250)] * 100)
