"""Features of music whose values can be counted by hand."""

import math

import numpy as np
import pytest

from music_vae.configs import get_config
from music_vae.music import features
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.features import Metre
from music_vae.music.symbols import Beat, Line

COMMON = Metre(steps_per_quarter=4, quarters_per_bar=4)


def line(*notes, steps=32):
    """A line of notes (start, end, pitch)."""
    starts, ends, pitches = np.array(sorted(notes)).reshape(-1, 3).T.astype(int)
    return Line(starts, ends, pitches, steps)


def beat(*rows, velocities=None, delays=None):
    """Bass drum, snare, closed hi-hat and low tom, each a text of hits; a bar has 16 steps."""
    hits = np.array([[step != "." for step in row.replace(" ", "")] for row in rows]).T
    return Beat(hits, (36, 38, 42, 45)[: hits.shape[1]], velocities, delays)


def test_a_melody_is_counted_note_by_note():
    # C D E' in the first bar, C D A in the second; E' is 14 semitones up, then down to C again.
    own = line((0, 4, 60), (4, 8, 62), (8, 16, 76), (16, 20, 60), (20, 24, 62), (26, 30, 69))
    found = features.line_features(own, COMMON)
    assert found["notes per bar"] == 3
    assert found["rests"] == pytest.approx(4 / 32)
    assert found["repeated notes"] == 0
    assert found["steps"] == pytest.approx(2 / 5)  # C to D, twice
    assert found["leaps over a fifth"] == pytest.approx(2 / 5)  # 14 and 16; 7 is a fifth
    assert found["leap over an octave"] == 1
    assert found["mean interval"] == pytest.approx((2 + 14 + 16 + 2 + 7) / 5)
    assert found["in key"] == 1
    assert found["mean pitch"] == pytest.approx((60 + 62 + 76 + 60 + 62 + 69) / 6)
    assert (found["range"], found["pitches"]) == (16, 4)
    assert found["mean length"] == pytest.approx((1 + 1 + 2 + 1 + 1 + 1) / 6)
    assert found["spread of lengths"] == pytest.approx(np.std([1, 1, 2, 1, 1, 1]))
    assert found["bars alike"] == pytest.approx(2 / 4)  # of C, D, E' and A
    assert found["rhythms alike"] == pytest.approx(2 / 4)  # of steps 0, 4, 8 and 10
    assert found["on beats"] == pytest.approx(5 / 6)
    assert found["on eighths"] == pytest.approx(1 / 6)
    assert found["on sixteenths"] == 0


@pytest.mark.parametrize(
    ("pitches", "share"),
    [
        ((60, 62, 64, 65, 67, 69, 71), 1),  # C major
        ((69, 71, 72, 74, 76, 77, 80), 1),  # A minor with its leading note
        ((60, 61, 62, 63), 3 / 4),  # C, C#, D, Eb: three of them are in C minor
        ((60,) * 3 + (61, 62), 4 / 5),
    ],
)
def test_the_best_fitting_key_counts(pitches, share):
    own = line(*((n, n + 1, pitch) for n, pitch in enumerate(pitches)))
    assert features.line_features(own, COMMON)["in key"] == pytest.approx(share)


def test_the_highest_of_notes_at_once_make_the_intervals():
    chords = line((0, 4, 48), (0, 4, 64), (4, 8, 50), (4, 8, 65))
    found = features.line_features(chords, COMMON)
    assert found["mean interval"] == 1
    assert found["notes per bar"] == 2


def test_a_single_note_has_no_interval_and_silence_has_hardly_anything():
    found = features.line_features(line((0, 4, 60)), COMMON)
    assert math.isnan(found["steps"])
    assert found["leap over an octave"] == 0
    found = features.line_features(line(), COMMON)
    assert (found["rests"], found["notes per bar"]) == (1, 0)
    assert math.isnan(found["in key"])
    assert math.isnan(found["bars alike"])


def test_drums_are_counted_hit_by_hit():
    own = beat(
        "x...x.......x... x.......x.......",
        "....x.......x... ....x..x........",
        "x.x.x.x.x.x.x.x. x.x.x.x.x.x.x.x.",
        "................ ..............x.",
    )
    found = features.beat_features(own, COMMON)
    assert found["hits per bar"] == pytest.approx((5 + 4 + 16 + 1) / 2)
    # In both bars: a bass drum, a snare and eight hi-hats, of 10 + 2 + 1 + 1 + 1.
    in_common, either = 10, 10 + 2 + 1 + 1 + 1 + 1
    assert found["bars alike"] == pytest.approx(in_common / either)
    assert found["on beats"] == pytest.approx((5 + 3 + 8) / 26)
    assert found["on eighths"] == pytest.approx((8 + 1) / 26)
    assert found["on sixteenths"] == pytest.approx(1 / 26)
    assert found["kick on 1"] == 1
    assert found["snare on 2 and 4"] == pytest.approx(3 / 4)
    assert found["kinds of drums"] == 4
    assert found["hits at once"] == pytest.approx(26 / 17)
    assert found["hi-hats"] == pytest.approx(16 / 26)
    assert found["toms"] == 1
    assert found["longest gap"] == pytest.approx(1 / 4)


def test_a_gap_counts_from_the_beginning_and_to_the_end():
    assert features.beat_features(beat("....x..........." * 2), COMMON)["longest gap"] == 15 / 4
    assert features.beat_features(beat("x" + "." * 31), COMMON)["longest gap"] == 31 / 4
    assert features.beat_features(beat("." * 32), COMMON)["longest gap"] == 8


def test_silent_bars_are_not_alike():
    assert math.isnan(features.beat_features(beat("." * 32), COMMON)["bars alike"])
    four = beat("x..............." + "." * 32 + "x...............")
    assert features.beat_features(four, COMMON)["bars alike"] == 0


def test_three_beats_have_their_own_bar():
    waltz = features.beat_features(beat("x..........." * 2, "....x......." * 2), Metre(4, 3))
    assert (waltz["kick on 1"], waltz["bars alike"], waltz["hits per bar"]) == (1, 1, 2)


def test_places_do_not_depend_on_how_many_steps_a_quarter_has():
    fine = line((0, 6, 60), (12, 18, 60), (18, 24, 60), (32, 38, 60), steps=96)
    found = features.line_features(fine, Metre(24, 4))
    assert [found[f"on {place}"] for place in ("beats", "eighths", "sixteenths")] == [
        1 / 4,
        1 / 4,
        2 / 4,
    ]


def test_playing_is_measured_at_hits_alone():
    hits = "x.x.x..x........"
    velocities = np.zeros((16, 1))
    delays = np.full((16, 1), 9.0)
    velocities[[0, 2, 4, 7], 0] = 100, 60, 110, 50
    delays[[0, 2, 4, 7], 0] = 0, 0.1, -0.2, 0.3
    found = features.of_voice(beat(hits, velocities=velocities, delays=delays), COMMON)
    assert found["velocity"] == 80
    assert found["velocity spread"] == pytest.approx(np.std([100, 60, 110, 50]))
    by_place = [found[f"velocity on {place}"] for place in ("beats", "eighths", "sixteenths")]
    assert by_place == [105, 60, 50]
    assert found["delay"] == pytest.approx(0.05)
    assert found["delay on beats"] == pytest.approx(-0.1)
    assert "velocity" not in features.of_voice(beat(hits), COMMON)


# -- From a model's outputs -----------------------------------------------------------------------


def test_a_note_lasts_to_the_next_or_to_its_end():
    converter = get_config("cat-mel_2bar_small").data_converter
    tokens = np.array([41, 0, 43, 0, 0, 1, 0, 0] + [0] * 23 + [45])
    ((name, own),) = converter.voices(converter.dense_outputs(tokens))
    assert name == "melody"
    assert own.starts.tolist() == [0, 2, 31]
    assert own.ends.tolist() == [2, 5, 32]
    assert own.pitches.tolist() == [60, 62, 64]


def test_a_melody_ends_with_its_end_token():
    converter = OneHotMelodyConverter(slice_bars=1, add_end_token=True)
    tokens = np.zeros(17, int)
    tokens[[0, 8]] = 41, converter.end_token
    ((_, own),) = converter.voices(converter.dense_outputs(tokens))
    assert (own.num_steps, own.starts.tolist(), own.ends.tolist()) == (8, [0], [8])


def test_a_trio_has_features_of_each_part():
    converter = get_config("flat-trio_16bar").data_converter
    tokens = np.zeros((256, 3), int)
    tokens[0] = 62, 38, 5  # bass drum and hi-hat
    tokens[4] = 64, 0, 2  # snare
    found = features.measure(converter, converter.dense_outputs(tokens))
    assert found["voices"] == 3
    assert (found["melody: mean pitch"], found["bass: mean pitch"]) == (82, 57)
    assert found["drums: kick on 1"] == 1 / 16
    assert found["drums: hits per bar"] == 3 / 16


def test_instruments_are_measured_together_and_counted():
    converter = MultiInstrumentPerformanceConverter(
        max_num_instruments=3, max_events_per_instrument=8, min_total_events=1
    )
    words = converter.vocabulary
    tokens = np.full((3, 8), -1)
    whole, end, first = words.first_shift + 95, converter.end_token, words.first_program
    tokens[0, :5] = first, 60, whole, 128 + 60, end
    tokens[1, :7] = first + 33, 40, 43, whole, 128 + 40, 128 + 43, end
    tokens[2, :5] = words.drums, 36, words.first_shift + 5, 128 + 36, end
    found = features.measure(converter, converter.dense_outputs(tokens.reshape(-1)))
    assert found["voices"] == 3
    assert found["instrument: notes per bar"] == (1 + 2) / 2
    assert found["instrument: mean length"] == 4
    assert (found["drums: kick on 1"], found["drums: hits per bar"]) == (1, 1)


@pytest.mark.parametrize("name", ["groovae_2bar_humanize", "groovae_2bar_add_closed_hh"])
def test_grooves_have_hits_velocities_and_delays(name):
    converter = get_config(name).data_converter
    grid = np.zeros((32, 27))
    grid[8, [1, 10, 19]] = 1, 1, 0.5  # a loud snare, a quarter of a step early
    ((_, own),) = converter.voices(grid)
    assert np.argwhere(own.hits).tolist() == [[8, 1]]
    assert (own.velocities[8, 1], own.delays[8, 1]) == (127, -0.25)
    assert own.pitches[1] == 38
