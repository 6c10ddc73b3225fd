"""MIDI files that are written: their layout, event by event, and that they say the same notes."""

import io
import itertools

import mido
import numpy as np
import pytest
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.common.errors import UserError
from music_vae.music import notes_io
from music_vae.music.midi_writer import midi_bytes
from support.paths import MIDI, TUNES

BAR = 4 * 480
"""Ticks of a bar of 4/4."""


def piece(*notes, qpm=120.0, **fields):
    """A piece of notes (pitch, start and end in quarter notes, and fields of the note)."""
    sequence = NoteSequence(tempos=[{"qpm": qpm}], **fields)
    for pitch, start, end, *more in notes:
        times = {"start_time": start * 60 / qpm, "end_time": end * 60 / qpm}
        sequence.notes.add(pitch=pitch, velocity=80, **times, **dict(*more))
    return sequence


def drums(*notes, **fields):
    return piece(*((*note, {"instrument": 9, "is_drum": True}) for note in notes), **fields)


def written(sequence, text=""):
    return mido.MidiFile(file=io.BytesIO(midi_bytes(sequence, text)))


def at_ticks(track):
    """The events of a track, each with its tick."""
    return zip(itertools.accumulate(event.time for event in track), track, strict=True)


def ends(file):
    """The tick at which each track ends."""
    assert all(track[-1].type == "end_of_track" for track in file.tracks)
    return [sum(event.time for event in track) for track in file.tracks]


def spans(track):
    """Start and end in ticks, and pitch, of the notes of a track."""
    sounding, found = {}, []
    for tick, event in at_ticks(track):
        if event.type == "note_on":
            sounding[event.note] = tick
        elif event.type == "note_off":
            found.append((sounding.pop(event.note), tick, event.note))
    assert not sounding
    return sorted(found)


def of_kind(track, kind):
    return [(tick, event) for tick, event in at_ticks(track) if event.type == kind]


def notes_of(sequence):
    return sorted(
        (n.is_drum, n.program, n.pitch, n.start_time, n.end_time, n.velocity)
        for n in sequence.notes
    )


# -- Layout ---------------------------------------------------------------------------------------


def test_a_drum_file_has_a_tempo_track_and_the_drums_alone():
    file = written(drums((36, 0, 0.25)))
    assert (file.type, file.ticks_per_beat) == (1, 480)
    assert [track.name for track in file.tracks] == ["Tempo", "Drums"]
    assert {event.channel for event in file.tracks[1] if not event.is_meta} == {9}


def test_every_instrument_has_a_track_with_a_name():
    sequence = piece(
        (60, 0, 1),
        (36, 0, 1, {"instrument": 1, "program": 33}),
        (72, 0, 1, {"instrument": 2, "program": 81}),
        (38, 0, 1, {"instrument": 9, "is_drum": True}),
    )
    sequence.instrument_infos.add(instrument=2, name="Léad\n")
    sequence.sequence_metadata.title = "My song"
    names = [track.name for track in written(sequence).tracks]
    named = ["Acoustic Grand Piano", "Electric Bass (finger)", "Léad\\n", "Drums"]
    assert names == ["My song", *named]


@pytest.mark.parametrize(
    ("name", "charset"), [("Über Baß", "latin1"), ("メロディ", "utf-8"), ("Stück – 🎹", "utf-8")]
)
def test_names_and_texts_are_read_as_they_were_written(tmp_path, name, charset):
    sequence = piece((60, 0, 1))
    sequence.instrument_infos.add(instrument=0, name=name)
    content = midi_bytes(sequence, f"of {name}.mid")
    assert name.encode(charset) in content
    assert f"of {name}.mid".encode(charset) in content
    (tmp_path / "a.mid").write_bytes(content)
    (again,) = notes_io.read_music_file(tmp_path / "a.mid")
    assert [info.name for info in again.instrument_infos] == [name]


def test_tempo_metre_and_text_are_at_tick_0():
    first, second = written(piece((60, 0, 1), qpm=93.5), "made\nby hand").tracks
    assert [(tick, event.type) for tick, event in at_ticks(first)] == [
        *((0, kind) for kind in ("track_name", "text", "set_tempo", "time_signature")),
        (BAR, "end_of_track"),
    ]
    assert first[1].text == "made\\nby hand"
    assert first[2].tempo == 641711  # of 641711.23
    assert (first[3].numerator, first[3].denominator) == (4, 4)
    assert not [event for event in second if event.type in ("set_tempo", "time_signature")]


def test_a_first_tempo_and_metre_that_come_later_follow_those_of_midi():
    sequence = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 5.0}])
    sequence.tempos.add(time=2.0, qpm=60)
    sequence.time_signatures.add(time=2.0, numerator=3, denominator=4)
    first, second = written(sequence).tracks
    tempos = [(tick, event.tempo) for tick, event in of_kind(first, "set_tempo")]
    assert tempos == [(0, 500_000), (BAR, 1_000_000)]
    metres = [(tick, event.numerator) for tick, event in of_kind(first, "time_signature")]
    assert metres == [(0, 4), (BAR, 3)]
    assert spans(second) == [(0, BAR + 3 * 480, 60)]


def test_the_order_of_tempos_in_a_piece_does_not_matter():
    sequence = piece((60, 0, 1))
    for time, qpm in ((3.0, 90), (1.0, 60), (2.0, 240)):
        sequence.tempos.add(time=time, qpm=qpm)
    (first, *_) = written(sequence).tracks
    tempos = [(tick, event.tempo) for tick, event in of_kind(first, "set_tempo")]
    assert tempos == [(0, 500_000), (960, 1_000_000), (1440, 250_000), (3360, 666_667)]


@pytest.mark.parametrize(
    ("key", "minor", "name"),
    [(0, False, "C"), (10, False, "Bb"), (9, True, "Am"), (3, True, "D#m")],
)
def test_keys_are_written_and_read(tmp_path, key, minor, name):
    sequence = piece((60, 0, 1))
    mode = NoteSequence.KeySignature.MINOR if minor else NoteSequence.KeySignature.MAJOR
    sequence.key_signatures.add(key=key, mode=mode)
    (first, *_) = written(sequence).tracks
    assert [(tick, event.key) for tick, event in of_kind(first, "key_signature")] == [(0, name)]
    notes_io.write_midi(sequence, tmp_path / "a.mid")
    (again,) = notes_io.read_music_file(tmp_path / "a.mid")
    assert [(k.key, k.mode) for k in again.key_signatures] == [(key, mode)]


def test_more_instruments_than_channels_share_them_and_never_that_of_drums(tmp_path):
    sequence = piece(*((60, 0, 1, {"instrument": n, "program": n}) for n in range(40)))
    channels = [track[1].channel for track in written(sequence).tracks[1:]]
    assert len(channels) == 40
    assert set(channels) == set(range(16)) - {9}
    notes_io.write_midi(sequence, tmp_path / "a.mid")
    (again,) = notes_io.read_music_file(tmp_path / "a.mid")
    assert [note.program for note in again.notes] == list(range(40))


# -- The end --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sequence", "bars"),
    [
        (piece((60, 0, 4)), 1),
        (piece((60, 0, 8)), 2),
        (piece((60, 0, 0.1)), 1),
        (piece((60, 0, 0.1), total_time=4.0), 2),  # a rest at the end
        (piece((60, 0, 4.0005)), 1),  # off by a rounding error
        (piece((60, 4, 4)), 2),  # without a length
        (piece(total_time=2.0), 1),
        (piece((60, 0, 8), qpm=93.5), 2),
    ],
)
def test_all_tracks_end_on_the_bar_line_at_the_end(sequence, bars):
    assert set(ends(written(sequence))) == {bars * BAR}


def test_bars_are_those_of_the_metres():
    sequence = piece((60, 0, 9.5))
    for quarter, numerator, denominator in ((0, 3, 4), (6, 7, 8)):
        metre = {"numerator": numerator, "denominator": denominator}
        sequence.time_signatures.add(time=quarter / 2, **metre)
    assert set(ends(written(sequence))) == {(6 + 3.5) * 480}
    sequence.notes[0].end_time = 9.6 / 2
    assert set(ends(written(sequence))) == {(6 + 7) * 480}


def test_a_piece_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(UserError, match="a piece of 2,000,000 quarter notes is too long"):
        notes_io.write_midi(piece((60, 0, 1), total_time=1e6), tmp_path / "a.mid")
    assert not list(tmp_path.iterdir())


# -- Notes ----------------------------------------------------------------------------------------


def test_notes_are_on_the_ticks_of_their_steps_at_any_tempo():
    for qpm in (33.3, 93.5, 119.99, 187.123):
        sixteenths = [(60, n / 4, n / 4 + 0.25) for n in range(64)]
        (_, track) = written(piece(*sixteenths, qpm=qpm)).tracks
        assert spans(track) == [(120 * n, 120 * n + 120, 60) for n in range(64)]


def test_an_end_comes_before_a_beginning_at_the_same_tick():
    (_, track) = written(piece((60, 1, 2), (60, 0, 1), (62, 1, 1.0001))).tracks
    assert spans(track) == [(0, 480, 60), (480, 481, 62), (480, 960, 60)]


def test_controls_and_bends_are_written_and_an_instrument_of_them_alone_stays():
    sequence = piece((60, 0, 1))
    sequence.control_changes.add(time=0.5, control_number=64, control_value=127)
    sequence.pitch_bends.add(time=0.5, bend=-100, instrument=3, program=7)
    _, first, second = written(sequence).tracks
    assert [(tick, e.control, e.value) for tick, e in of_kind(first, "control_change")] == [
        (480, 64, 127)
    ]
    assert [(tick, e.pitch) for tick, e in of_kind(second, "pitchwheel")] == [(480, -100)]
    assert second[1].program == 7


def random_piece(rng):
    """A piece of several instruments whose tempo changes."""
    sequence = NoteSequence()
    for time in (0.0, *rng.uniform(0, 60, rng.integers(0, 30))):
        sequence.tempos.add(time=time, qpm=rng.uniform(30, 240))
    for instrument in range(rng.integers(1, 6)):
        is_drum = bool(rng.integers(2))
        program = 0 if is_drum else int(rng.integers(128))
        for pitch in rng.choice(np.arange(30, 90), 20, replace=False).tolist():
            times = np.sort(rng.uniform(0, 60, 8)).tolist()
            for start, end in zip(times[::2], times[1::2], strict=True):
                sequence.notes.add(
                    instrument=instrument,
                    program=program,
                    is_drum=is_drum,
                    pitch=pitch,
                    velocity=int(rng.integers(1, 128)),
                    start_time=start,
                    end_time=max(end, start + 0.01),
                )
    return sequence


@pytest.mark.parametrize("seed", range(10))
def test_what_is_written_is_read_back(tmp_path, seed):
    sequence = random_piece(np.random.default_rng(seed))
    before = sequence.SerializeToString()
    notes_io.write_midi(sequence, tmp_path / "a.mid")
    assert sequence.SerializeToString() == before
    (again,) = notes_io.read_music_file(tmp_path / "a.mid")
    slowest = min(tempo.qpm for tempo in sequence.tempos)
    half_a_tick_s = 30 / slowest / 480
    assert len(again.notes) == len(sequence.notes)
    for expected, found in zip(notes_of(sequence), notes_of(again), strict=True):
        assert found[:3] == expected[:3]
        assert found[3:5] == pytest.approx(expected[3:5], abs=half_a_tick_s + 2e-4)
        assert found[5] == expected[5]


NOT_MIDI = ("mac_resource_fork", "html_404")
FILES = sorted(
    path for path in (*TUNES.glob("*.mid"), *MIDI.rglob("*.mid")) if path.stem not in NOT_MIDI
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_all_kinds_are_the_same_when_they_are_written_again(tmp_path, path):
    for sequence in notes_io.read_music_file(path):
        notes_io.write_midi(sequence, tmp_path / "a.mid")
        (once,) = notes_io.read_music_file(tmp_path / "a.mid")
        assert len(once.notes) == len(sequence.notes)
        notes_io.write_midi(once, tmp_path / "b.mid")
        (twice,) = notes_io.read_music_file(tmp_path / "b.mid")
        assert [n[:3] for n in notes_of(once)] == [n[:3] for n in notes_of(sequence)]
        np.testing.assert_allclose(
            [n[3:] for n in notes_of(twice)], [n[3:] for n in notes_of(once)], atol=1e-9
        )
