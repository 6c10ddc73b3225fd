"""Windows of files as musicians export them, and what is said of them."""

import dataclasses

import numpy as np
import pytest

from music_vae.common.errors import NoExtractedExamplesError
from music_vae.configs import get_config
from music_vae.music import hearing, notes_io
from music_vae.music.drum_part import drum_part
from music_vae.music.tempo_map import TempoMap
from support import exported
from support.daw_files import KINDS
from support.paths import TUNES

MELODIES = get_config("cat-mel_2bar_mini").data_converter
DRUMS = get_config("cat-drums_2bar_mini_hikl").data_converter
GROOVES = get_config("groovae_2bar_humanize_mini").data_converter.for_inference()
LOUDNESS = ("not in this model: loudness",)


def heard(folder, name, converter=MELODIES):
    (piece,) = notes_io.read_music_file(exported.write(folder, name))
    return hearing.hear(drum_part(piece).piece if converter.has_hits else piece, converter)


def steps_and_pitches(window, converter=MELODIES):
    """The notes of a window: quarter notes and pitches."""
    melody = converter.melody(window.tensors.outputs[0])
    return list(zip((melody.steps / 4).tolist(), melody.pitches.tolist(), strict=True))


ONE_WINDOW = [
    ("loop", "bars 1-2", ()),
    ("pickup", "bars 2-3", ()),
    ("pickup_of_two", "bars 2-3", ()),
    ("ringing_last_note", "bars 1-2", ()),
    ("trailing_tick", "bars 1-2", ()),
    ("late_release", "bars 1-2", ()),
    ("early_start", "bars 2-3", ("timing moved to the grid of sixteenths, by up to 5 ms",)),
    ("one_bar_late", "bars 2-3", ()),
    ("three_tracks", "bars 1-2", ()),
    ("chords", "bars 1-2", ("chords: top notes kept",)),
    ("swing", "bars 1-2", ("swing moved to the grid of sixteenths",)),
    ("light_swing", "bars 1-2", ("swing moved to the grid of sixteenths",)),
    ("loose", "bars 1-2", ("timing moved to the grid of sixteenths, by up to 30 ms",)),
    ("synth_lead", "bars 1-2", ()),
    ("tempo_93_5", "bars 1-2", ()),
]


@pytest.mark.parametrize(("name", "bars", "clauses"), ONE_WINDOW)
def test_two_bars_are_one_window_whatever_else_is_usual(tmp_path, name, bars, clauses):
    found = heard(tmp_path, name)
    (window,) = found.main.windows
    assert (window.bars, window.remarks) == (bars, clauses)
    assert found.remarks == LOUDNESS
    assert found.main.name == ("Keys" if name == "chords" else "Lead")
    assert [pitch for _, pitch in steps_and_pitches(window)] == exported.TUNE_PITCHES
    assert window.qpm == pytest.approx(93.5 if name == "tempo_93_5" else 120)


def test_triplets_are_said_to_move(tmp_path):
    (window,) = heard(tmp_path, "triplets").main.windows
    assert window.remarks == ("triplets moved to the grid of sixteenths",)
    assert len(steps_and_pitches(window)) == 24


def daw_file(folder, kind, converter=MELODIES):
    (folder / "daw.mid").write_bytes(KINDS[kind]())
    (piece,) = notes_io.read_music_file(folder / "daw.mid")
    return hearing.hear(drum_part(piece).piece if converter.has_hits else piece, converter)


def test_a_note_just_before_the_last_bar_line_is_on_the_last_step(tmp_path):
    (window,) = daw_file(tmp_path, "late last note").main.windows
    assert window.bars == "bars 1-2"
    assert steps_and_pitches(window)[-2:] == [(7, 62), (7.75, 64)]
    assert window.remarks == ("timing moved to the grid of sixteenths, by up to 75 ms",)


@pytest.mark.parametrize("kind", ["roll to the end", "late ghost note"])
@pytest.mark.parametrize("converter", [DRUMS, GROOVES])
def test_a_hit_just_before_the_last_bar_line_is_on_the_last_step(tmp_path, kind, converter):
    (window,) = daw_file(tmp_path, kind, converter).main.windows
    assert window.bars == "bars 1-2"
    hits = converter.hits(window.tensors.outputs[0])
    assert len(hits) == 32
    assert hits[31].sum() == 1
    moved = "1 hit just before the end played up to half a step earlier"
    assert (moved in window.remarks) == (converter is GROOVES)


def test_a_note_just_before_a_bar_line_is_on_it_if_that_bar_exists(tmp_path):
    _, held = daw_file(tmp_path, "early held last note").main.windows
    assert held.bars == "bar 3"
    assert steps_and_pitches(held) == [(0, 62)]
    *_, last = daw_file(tmp_path, "late notes of two bars", DRUMS).main.windows
    assert last.bars == "bar 3"
    assert DRUMS.hits(last.tensors.outputs[0])[0].sum() == 3


def test_a_silent_bar_is_part_of_a_window(tmp_path):
    (window,) = heard(tmp_path, "second_bar_rests").main.windows
    assert steps_and_pitches(window) == [(start, p) for start, _, p in exported.TUNE[:8]]
    assert window.tensors.lengths == [32]


def test_a_pickup_has_a_window_of_its_own_that_ends_where_the_others_begin(tmp_path):
    part = heard(tmp_path, "pickup").main
    assert part.pickup.bars == "the pick-up to bar 2"
    assert steps_and_pitches(part.pickup) == [(7.5, 55)]
    assert [w.start_quarter for w in hearing.each_window(part)] == [-4, 4]


@pytest.mark.parametrize(("name", "octaves"), [("three_octaves_up", 2), ("out_of_range", 3)])
def test_a_melody_that_is_too_high_is_read_octaves_lower(tmp_path, name, octaves):
    part = heard(tmp_path, name).main
    assert part.remarks == (f"read {octaves} octaves lower, where the model knows melodies",)
    (window,) = part.windows
    assert window.semitones == -12 * octaves
    lowest = min(pitch for _, pitch in steps_and_pitches(window))
    assert lowest == 60 + (36 if name == "three_octaves_up" else 48) - 12 * octaves


def test_windows_follow_each_other_and_hold_all_of_a_part(tmp_path):
    found = heard(tmp_path, "song")
    assert [(part.name, w.bars) for part, w in found.windows] == [
        *(("Lead", bars) for bars in ("bars 5-6", "bars 7-8", "bars 9-10")),
        *(("Bass", f"bars {bar}-{bar + 1}") for bar in range(1, 10, 2)),
    ]
    assert found.main.text == "track 'Lead' (program 0)"
    five = heard(tmp_path, "five_bars").main.windows
    assert [window.bars for window in five] == ["bars 1-2", "bars 3-4", "bar 5"]
    assert steps_and_pitches(five[2]) == [(0, 60)]


@pytest.mark.parametrize("name", ["bach_bwv10_7", "devils_dream", "fishers_hornpipe"])
def test_full_windows_of_a_tune_are_those_that_training_would_have(name):
    (tune,) = notes_io.read_music_file(TUNES / f"{name}.mid")
    known = {example.outputs.tobytes() for example in MELODIES.extract(tune).examples}
    *windows, last = hearing.hear(tune, MELODIES).main.windows
    if name != "devils_dream":  # of nine bars, so that its last window ends in a silent one
        windows.append(last)
    own = [window.tensors.outputs[0].argmax(axis=-1).astype(np.int16) for window in windows]
    assert len(own) >= 4
    assert all(array.tobytes() in known for array in own)


def test_a_name_says_which_track_is_the_melody_else_it_is_the_highest(tmp_path):
    found = heard(tmp_path, "three_tracks")
    assert found.main.name == "Lead"
    unnamed = [part._replace(name="") for part in found.parts]
    assert dataclasses.replace(found, parts=unnamed).main.number == 2
    solo = [part._replace(name="Vocals" if part.name == "Bass" else "") for part in found.parts]
    assert dataclasses.replace(found, parts=solo).main.name == "Vocals"


@pytest.mark.parametrize(
    ("converter", "reason"), [(MELODIES, "only drums"), (DRUMS, None), (GROOVES, None)]
)
def test_drums_are_heard_by_models_of_drums(tmp_path, converter, reason):
    if reason is not None:
        with pytest.raises(NoExtractedExamplesError, match=reason):
            heard(tmp_path, "beat", converter)
        return
    (window,) = heard(tmp_path, "beat", converter).main.windows
    assert window.bars == "bars 1-2"
    assert converter.hits(window.tensors.outputs[0]).sum() == len(exported.BEAT)
    assert len(window.tensors.outputs[0]) == 32


GROOVE_CONFIGS = ["groovae_2bar_humanize", "groovae_2bar_hits_control", "groovae_4bar"]


@pytest.mark.parametrize("name", GROOVE_CONFIGS)
def test_a_groove_with_a_silent_bar_is_a_window_too(tmp_path, name):
    converter = get_config(name).data_converter.for_inference()
    (piece,) = notes_io.read_music_file(exported.write(tmp_path, "beat"))
    for note in [note for note in piece.notes if note.start_time >= 2]:
        piece.notes.remove(note)
    (window,) = hearing.hear(piece, converter).main.windows
    (controls,), (outputs,) = window.tensors.controls, window.tensors.outputs
    assert len(outputs) == len(controls) == converter.window_steps
    assert converter.hits(outputs).sum() == len(exported.BEAT) / 2


def test_drums_that_are_others_in_the_kit_are_named(tmp_path):
    found = heard(tmp_path, "percussion", DRUMS)
    assert found.remarks == (
        "2 of 5 drum sounds are played as others: tambourine as closed hi hat, cowbell as "
        "acoustic snare",
        *LOUDNESS,
    )


def test_a_melody_is_no_drums(tmp_path):
    with pytest.raises(NoExtractedExamplesError, match=r"^no drums$"):
        heard(tmp_path, "loop", DRUMS)


def test_drums_that_no_kit_has_are_no_drums_of_it(tmp_path):
    cymbals = dataclasses.replace(DRUMS, pitch_classes=((49,),))
    with pytest.raises(NoExtractedExamplesError, match=r"^no drums of its kit$"):
        heard(tmp_path, "beat", cymbals)


def test_another_metre_is_a_reason(tmp_path):
    with pytest.raises(NoExtractedExamplesError, match="time signature 2/4"):
        heard(tmp_path, "two_four")


def test_a_part_in_another_metre_is_left_out_and_counted_as_bars(tmp_path):
    (piece,) = notes_io.read_music_file(exported.write(tmp_path, "four_bars"))
    piece.time_signatures.add(time=4.0, numerator=3, denominator=4)
    found = hearing.hear(piece, MELODIES)
    assert [window.bars for _, window in found.windows] == ["bars 1-2"]
    assert found.remarks[0] == "bars 3-5 left out (time signature 3/4)"


def test_windows_have_the_tempo_at_which_they_begin(tmp_path):
    found = heard(tmp_path, "slowing_down")
    assert [window.qpm for window in found.main.windows] == pytest.approx([120, 120])
    assert [window.has_tempo_changes for window in found.main.windows] == [False, True]
    assert [window.start_quarter for window in found.main.windows] == [0, 8]
    assert found.tempo_map.qpms == pytest.approx((120, 60))


def test_a_tempo_a_tick_late_is_that_of_the_whole_window(tmp_path):
    (piece,) = notes_io.read_music_file(exported.write(tmp_path, "loop"))
    piece.tempos[0].qpm = 90
    piece.tempos[0].time = 0.002
    (window,) = hearing.hear(piece, MELODIES).main.windows
    assert window.qpm == 90


def test_a_note_without_length_is_heard_also_if_the_tempo_changes(tmp_path):
    (piece,) = notes_io.read_music_file(exported.write(tmp_path, "slowing_down"))
    for note in piece.notes:
        note.end_time = note.start_time
    windows = hearing.hear(piece, MELODIES).main.windows
    assert [len(steps_and_pitches(window)) for window in windows] == [16, 16]


def test_tempos_between_two_quarter_notes():
    tempos = TempoMap((0.0, 2.0, 3.0), (120.0, 60.0, 60.0))
    assert tempos.between(0, 3.9) == [120]
    assert tempos.between(4, 40) == [60]
    assert tempos.between(-4, 4.5) == [120, 60]


def test_music_without_places_is_heard_as_training_hears_it():
    converter = get_config("flat-mel_16bar").data_converter
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    whole = dataclasses.replace(converter, slice_bars=None)
    found = hearing.hear(tune, whole)
    assert len(found.windows) == len(whole.extract(tune).examples)
    assert found.windows[0][1].bars == ""
    assert found.tempo_map is None
    short = dataclasses.replace(whole, max_bars=4)
    assert hearing.hear(tune, short).main.remarks == (
        "left out (the rest of a track after 4 bars)",
    )


def test_notes_that_no_octave_brings_into_the_range_are_counted(tmp_path):
    narrow = dataclasses.replace(MELODIES, min_pitch=60, max_pitch=66)
    part = heard(tmp_path, "loop", narrow).main
    assert part.remarks == ("5 notes outside the model's range left out",)


def test_a_track_with_chords_is_a_reason_where_chords_are_none(tmp_path):
    strict = dataclasses.replace(MELODIES, skip_polyphony=True)
    with pytest.raises(NoExtractedExamplesError, match="polyphonic track"):
        heard(tmp_path, "chords", strict)
