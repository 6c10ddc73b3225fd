"""Music that is made from a MIDI file has the tempo and the notes that the file has."""

import mido
import pretty_midi
import pytest

from music_vae.commands import generating, piece_files
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.generate_request import InputFile, Request
from music_vae.common.errors import UserError
from support.midi_notes import note_ons
from support.paths import MIDI, TUNES

TICKS = 96
MELODIES = ModelChoice(config="cat-mel_2bar_mini")
GROOVES = ModelChoice(config="groovae_2bar_humanize_mini")
DRUMS = ModelChoice(config="cat-drums_2bar_mini_hikl")
TUNE = [60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 71, 67, 62, 60]


def tempo_and_pitches(path):
    midi = pretty_midi.PrettyMIDI(str(path))
    (qpm,) = midi.get_tempo_changes()[1]
    notes = [note for instrument in midi.instruments for note in instrument.notes]
    return round(qpm, 2), [note.pitch for note in sorted(notes, key=lambda note: note.start)]


def reconstructed(tmp_path, name):
    """The tempo and the pitches of a melody of two bars that passes through a model."""
    request = Request(
        MELODIES,
        tmp_path,
        "reconstruct",
        num_outputs=1,
        input_midi=(MIDI / name,),
        sampling=Sampling(seed=1, temperature=0.01),
    )
    (path,) = generating.generate(request)
    return tempo_and_pitches(path)


@pytest.mark.parametrize(
    ("name", "qpm", "pitches"),
    [
        ("loops/tempo_at_tick_1.mid", 90, TUNE),
        ("loops/long_last_note.mid", 100, [*TUNE[:-1], 72]),
        ("loops/ends_in_rest.mid", 100, TUNE[:9]),
        ("loops/pickup.mid", 100, TUNE),
    ],
)
def test_a_melody_comes_back_at_its_tempo(tmp_path, name, qpm, pitches):
    assert reconstructed(tmp_path, name) == (qpm, pitches)


def test_windows_have_the_tempo_of_their_section(tmp_path):
    with pytest.raises(UserError, match="holds 2 windows"):
        reconstructed(tmp_path, "loops/two_tempos.mid")
    found = [tempo_and_pitches(path)[0] for path in sorted(tmp_path.glob("*-extractions_*.mid"))]
    assert found == [100, 70]


def test_music_after_a_count_in_comes_back_at_its_own_tempo(tmp_path):
    def played(pitches, channel, steps):
        for pitch in pitches:
            note = {"note": pitch, "channel": channel}
            yield mido.Message("note_on", **note)
            yield mido.Message("note_off", time=TICKS // 4 * steps, **note)

    slow, fast = (mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(q)) for q in (60, 140))
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    sticks, tune = played([37] * 4, 9, 4), played(TUNE, 0, 2)
    midi.tracks.append(mido.MidiTrack([slow, *sticks, fast, *tune]))
    midi.save(tmp_path / "song.mid")
    assert reconstructed(tmp_path, tmp_path / "song.mid") == (140, TUNE)


def humanized(tmp_path, name, amount=0.0):
    """Time in quarter notes, pitch and velocity of the hits that come back, and of those given."""
    request = Request(
        GROOVES,
        tmp_path,
        "reconstruct",
        num_outputs=1,
        input_midi=(MIDI / name,),
        sampling=Sampling(seed=1),
        hits="input",
        amount=amount,
    )
    (path,) = generating.generate(request)
    return hits(path), hits(MIDI / name)


def hits(path):
    """Time in quarter notes, pitch and velocity of every note-on."""
    return sorted((quarter, event.note, event.velocity) for quarter, event in note_ons(path))


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


DRUM_FILES = ["gm_kit", "rolls", "sixteenths", "six_bars", "on_channel_1", "two_bars_rest_first"]
DRUM_FILES += ["tempo_change"]


@pytest.mark.parametrize("name", DRUM_FILES)
def test_every_hit_comes_back_with_its_own_pitch_time_and_velocity(tmp_path, name):
    found, given = humanized(tmp_path, f"drum_pitches/{name}.mid")
    tick = 1 / 220
    assert [(round(t, 1), *hit) for t, *hit in found] == [(round(t, 1), *hit) for t, *hit in given]
    assert [time for time, _, _ in found] == pytest.approx([t for t, _, _ in given], abs=tick)


def test_a_groove_comes_back_with_its_changes_of_tempo(tmp_path):
    humanized(tmp_path, "drum_pitches/tempo_change.mid")
    (path,) = tmp_path.glob("*.mid")
    times, qpms = pretty_midi.PrettyMIDI(str(path)).get_tempo_changes()
    assert times.tolist() == pytest.approx([0, 4.8])
    assert qpms.tolist() == pytest.approx([100, 101], abs=0.01)


@pytest.mark.parametrize("name", ["gm_kit", "rolls", "sixteenths"])
def test_played_hits_are_all_there_and_end_at_the_next_of_their_drum(tmp_path, name):
    found, given = humanized(tmp_path, f"drum_pitches/{name}.mid", amount=1.0)
    assert sorted(pitch for _, pitch, _ in found) == sorted(pitch for _, pitch, _ in given)
    (path,) = tmp_path.glob("*.mid")
    (drums,) = pretty_midi.PrettyMIDI(str(path)).instruments
    lengths = [note.end - note.start for note in drums.notes]
    assert len(lengths) == len(given)
    apart = 0.075 if name == "rolls" else 0.15  # seconds between hits of a drum
    assert min(lengths) > apart / 2


@pytest.mark.parametrize("model", [GROOVES, DRUMS], ids=["groove", "drums"])
@pytest.mark.parametrize(
    ("name", "read"),
    [("on_channel_1", "all 24 notes"), ("pads_on_channel_1_with_bass", "24 of 40 notes")],
)
def test_pads_on_another_channel_are_read_as_drums_with_one_line(caplog, model, name, read):
    path = MIDI / "drum_pitches" / f"{name}.mid"
    with caplog.at_level("WARNING"):
        piece, _ = piece_files.read_piece(
            model.read_config(), InputFile("input_midi", "input1", path)
        )
    assert {note.pitch for note in piece.notes if note.is_drum} == {36, 38, 42}
    assert len(piece.notes) == 24
    nothing = "nothing is on channel 10, where MIDI has drums"
    assert warnings(caplog) == [f"{path}: {nothing}; {read} are read as drums"]


@pytest.mark.parametrize("model", [GROOVES, DRUMS], ids=["groove", "drums"])
def test_of_a_song_a_model_of_drums_reads_the_drums_alone(caplog, model):
    song = MIDI / "program_track" / "programs_on_own_tracks.mid"
    piece, _ = piece_files.read_piece(model.read_config(), InputFile("input_midi", "input1", song))
    assert {note.pitch for note in piece.notes} == {36, 38, 42}
    assert len(piece.notes) == 48
    assert not warnings(caplog)


def test_a_tune_is_no_beat(tmp_path):
    with pytest.raises(UserError, match="has no drums: nothing is on channel 10"):
        humanized(tmp_path, TUNES / "soldiers_joy.mid")
