"""Music that is made from a MIDI file has the tempo and the notes that the file has."""

import mido
import pretty_midi
import pytest

from music_vae.commands import generating
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.generate_request import Request
from music_vae.common.errors import UserError
from support.paths import MIDI

TICKS = 96
MELODIES = ModelChoice(config="cat-mel_2bar_mini")
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
    with pytest.raises(UserError, match="holds 2 pieces"):
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
