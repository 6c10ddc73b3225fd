"""Converters answer what the rest of the package asks about the music."""

import dataclasses

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP
from music_vae.music.converters.base import Conditioning, Converter
from music_vae.music.converters.compact import bit_masks
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.trio import TrioConverter

MELODY = OneHotMelodyConverter(slice_bars=2)
DRUMS = DrumsConverter(slice_bars=2)
ROLLS = DrumsConverter(slice_bars=2, roll_input=True, roll_output=True)
TRIO = TrioConverter(slice_bars=16)
BAND = MultiInstrumentPerformanceConverter(hop_size_bars=2, chunk_size_bars=1)
GROOVE = GrooveConverter(split_bars=2)
TURNS = dataclasses.replace(GROOVE, split_instruments=True)
BINS = dataclasses.replace(GROOVE, num_velocity_bins=8, num_offset_bins=8)


def ending(converter):
    return dataclasses.replace(converter, add_end_token=True)


def told(converter, **options):
    return dataclasses.replace(converter, **options)


def melody(*tokens):
    return np.array(tokens)


@dataclasses.dataclass(frozen=True)
class Plain(OneHotMelodyConverter):
    """A representation that says nothing about itself."""

    conditioning = Converter.conditioning
    controls_from = Converter.controls_from
    describe = Converter.describe
    groove = Converter.groove
    has_melody = Converter.has_melody
    melody = Converter.melody
    voices = Converter.voices
    window_bars = Converter.window_bars
    without_key = Converter.without_key


# -- Time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("converter", "bars", "steps"),
    [
        (MELODY, 2, 32),
        (told(MELODY, steps_per_quarter=6, quarters_per_bar=3), 2, 36),
        (ending(MELODY), 2, 33),
        (OneHotMelodyConverter(), None, None),
        (OneHotMelodyConverter(add_end_token=True), None, None),
        (ROLLS, 2, 32),
        (ending(DRUMS), 2, 33),
        (ending(ROLLS), 2, 33),
        (TRIO, 16, 256),
        (GROOVE, 2, 32),
        (told(GROOVE, hop_size=16), 2, 32),
        (TURNS, 2, 288),
        (GrooveConverter(split_instruments=True), None, None),
        (BAND, 2, 2 * 8 * 64),
    ],
)
def test_a_window_has_bars_and_steps(converter, bars, steps):
    assert (converter.window_bars, converter.window_steps) == (bars, steps)
    if steps is not None:
        assert converter.bars_of(steps) == bars


@pytest.mark.parametrize("name", CONFIG_MAP)
def test_the_windows_of_every_config_are_as_long_as_its_model_makes_them(name):
    config = CONFIG_MAP[name]
    assert config.data_converter.window_steps == config.hparams.max_seq_len


@pytest.mark.parametrize(
    ("converter", "steps", "bars"),
    [(MELODY, 17, 2), (ending(MELODY), 17, 1), (TURNS, 17 * 9, 2), (BAND, 7, 2)],
)
def test_a_bar_that_has_begun_counts(converter, steps, bars):
    assert converter.bars_of(steps) == bars


def test_windows_are_as_long_as_is_said(piece):
    sequence = piece([(60 + n % 12, 4 * n, 4 * n + 4) for n in range(12)])
    for converter in (MELODY, ending(MELODY)):
        for example in converter.extract(sequence).examples:
            assert len(example.outputs) == converter.window_steps


# -- What is right or wrong at a step -------------------------------------------------------------


def test_the_symbols_of_a_melody_are_its_tokens_also_of_scores():
    tokens = melody(42, 0, 0, 1, 44)
    dense = MELODY.dense_outputs(tokens)
    np.testing.assert_array_equal(MELODY.symbols(dense), tokens)
    np.testing.assert_array_equal(MELODY.symbols(0.1 + 3.0 * dense), tokens)


def test_the_symbols_of_drums_are_the_same_for_classes_and_rolls():
    masks = np.array([0, 5, 256])
    for converter in (DRUMS, ROLLS):
        np.testing.assert_array_equal(converter.symbols(converter.dense_outputs(masks)), masks)


def test_the_symbols_of_a_trio_are_three_side_by_side():
    tokens = np.array([[42, 20, 3], [0, 1, 511]])
    np.testing.assert_array_equal(TRIO.symbols(TRIO.dense_outputs(tokens)), tokens)
    assert TRIO.parts == ("melody", "bass", "drums")


def test_the_symbols_of_a_groove_are_its_hits():
    grid = np.zeros((2, 3, 9))
    grid[0, :, 0] = 1, 0.5, -0.9
    grid[1, :, (1, 3)] = 1, 0.2, 0.9
    grid[1, 1:, 8] = 0.8, 0.3  # no hit
    dense = GROOVE.dense_outputs(grid.reshape(2, -1))
    np.testing.assert_array_equal(GROOVE.symbols(dense), [1, 10])


def test_a_drum_at_a_time_is_hit_or_not():
    rows = np.array([[1, 0.5, 0.1], [0, 0.5, 0.1]])
    np.testing.assert_array_equal(TURNS.symbols(rows), [1, 0])


@pytest.mark.parametrize(
    ("converter", "number"),
    [
        (MELODY, (90,)),
        (ending(MELODY), (91,)),
        (DRUMS, (512,)),
        (ROLLS, (512,)),
        (ending(DRUMS), (513,)),
        (ending(ROLLS), (1024,)),
        (TRIO, (90, 90, 512)),
        (GROOVE, (512,)),
        (BINS, (512,)),
        (TURNS, (2,)),
        (BAND, (BAND.output_depth,)),
    ],
)
def test_there_are_as_many_symbols_as_a_step_can_have(converter, number):
    assert converter.num_symbols == number
    assert len(converter.parts or "1") == len(number)
    noise = np.random.default_rng(0).random((5, 18, converter.output_depth))
    symbols = converter.symbols(noise)
    assert symbols.shape == (5, 18, *((len(number),) if converter.parts else ()))
    assert (symbols >= 0).all()
    assert (symbols < np.array(number)).all()


def test_a_window_has_one_key_in_all_keys():
    window = melody(42, 0, 1, 44, 40, 0)
    key = MELODY.window_key(window)
    assert MELODY.window_key(melody(45, 0, 1, 47, 43, 0)) == key
    assert MELODY.window_key(melody(45, 0, 1, 47, 44, 0)) != key
    assert MELODY.window_key(melody(42, 0, 0, 44, 40, 0)) != key
    np.testing.assert_array_equal(window, melody(42, 0, 1, 44, 40, 0))


def test_an_end_token_is_no_pitch():
    converter = ending(MELODY)
    one, other = (
        converter.window_key(melody(p, p + 2, converter.end_token).astype(np.int16))
        for p in (42, 50)
    )
    assert one == other


def test_a_trio_moves_as_a_whole_and_its_drums_stay():
    window = np.array([[42, 20, 3], [0, 22, 7]])
    key = TRIO.window_key(window)
    assert TRIO.window_key(window + np.array([[2, 2, 0], [0, 2, 0]])) == key
    assert TRIO.window_key(window + np.array([[2, 0, 0], [0, 0, 0]])) != key
    assert TRIO.window_key(window + np.array([[0, 0, 1], [0, 0, 0]])) != key


def test_drums_have_no_keys():
    assert DRUMS.window_key(np.array([3])) != DRUMS.window_key(np.array([6]))


# -- What is played -------------------------------------------------------------------------------


def test_a_melody_is_read_up_to_its_end():
    converter = ending(MELODY)
    tokens = melody(60 - 21 + 2, 0, 1, 61 - 21 + 2, converter.end_token, 64 - 21 + 2)
    found = converter.melody(converter.dense_outputs(tokens))
    assert found.steps.tolist() == [0, 3]
    assert found.pitches.tolist() == [60, 61]
    assert found.num_steps == 4


def test_hits_are_read_up_to_their_end():
    for converter in (ending(DRUMS), ending(ROLLS)):
        masks = np.array([1, 0, 5, 1 << 9, 7])
        hits = converter.hits(converter.dense_outputs(masks))
        assert hits.shape == (3, 9)
        assert np.argwhere(hits).tolist() == [[0, 0], [2, 0], [2, 2]]


@pytest.mark.parametrize("converter", [GROOVE, BINS, TURNS])
def test_a_groove_has_the_hits_of_every_step_and_drum(converter):
    played = np.random.default_rng(0).random((6, 9)) < 0.4
    grid = np.stack([played, np.where(played, 0.5, 0), np.zeros((6, 9))], axis=1)
    rows = grid.reshape(6, -1)
    if converter.split_instruments:
        rows = grid.swapaxes(1, 2).reshape(-1, 3)
    hits = converter.hits(converter.dense_outputs(rows))
    assert hits.dtype == bool
    np.testing.assert_array_equal(hits, played)
    if not converter.split_instruments:
        dense = converter.dense_outputs(rows)
        np.testing.assert_array_equal(bit_masks(hits), converter.symbols(dense))


def test_a_groove_is_the_same_whether_a_row_is_a_step_or_a_drum():
    grid = np.random.default_rng(0).random((6, 3, 9)) - 0.2
    whole = GROOVE.groove(grid.reshape(6, -1))
    by_drum = TURNS.groove(grid.swapaxes(1, 2).reshape(-1, 3))
    for one, other, column in zip(whole, by_drum, grid.swapaxes(0, 1), strict=True):
        assert one.shape == (6, 9)
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, column > 0.5 if one.dtype == bool else column)


def test_a_groove_is_read_from_dense_outputs():
    dense = GROOVE.dense_outputs(np.arange(54, dtype=np.float32).reshape(2, 27) / 100)
    found = GROOVE.groove(dense)
    assert found.hits.shape == found.velocities.shape == found.offsets.shape == (2, 9)
    np.testing.assert_allclose(found.offsets[0], np.arange(18, 27) / 100, rtol=1e-6)


@pytest.mark.parametrize("converter", [GROOVE, TURNS])
def test_outputs_of_a_groove_are_the_inverse(converter):
    rng = np.random.default_rng(0)
    rows = rng.random((18, converter.output_depth))
    hits = converter.output_depth // 3
    rows[:, :hits] = rows[:, :hits] > 0.5
    made = converter.groove_outputs(converter.groove(rows))
    assert made.dtype == np.float64
    np.testing.assert_array_equal(made, rows)


@pytest.mark.parametrize(
    ("converter", "bins", "numbers"),
    [
        (GROOVE, False, True),
        (TURNS, False, True),
        (BINS, True, False),
        (DRUMS, False, False),
        (MELODY, False, False),
        (BAND, False, False),
    ],
)
def test_velocities_are_bins_or_numbers_or_none(converter, bins, numbers):
    assert (converter.has_bins, converter.has_numbers) == (bins, numbers)
    if not numbers:
        with pytest.raises(UserError, match="has no velocities and timing as numbers"):
            converter.groove(np.zeros((18, converter.output_depth)))
        with pytest.raises(UserError, match="has no velocities and timing as numbers"):
            converter.groove_outputs(GROOVE.groove(np.zeros((2, 27))))


@pytest.mark.parametrize("converter", [TRIO, BAND, GROOVE])
def test_what_is_no_single_voice_has_no_melody(converter):
    assert not converter.has_melody
    with pytest.raises(UserError, match=r"this music \(.* bars\) has no single voice"):
        converter.melody(np.zeros((18, converter.output_depth)))


@pytest.mark.parametrize("converter", [TRIO, BAND, MELODY])
def test_what_is_not_drums_alone_has_no_hits(converter):
    assert not converter.has_hits
    with pytest.raises(UserError, match="has no hits of drums alone"):
        converter.hits(np.zeros((18, converter.output_depth)))


def test_grooves_alone_play_any_length():
    assert told(GROOVE, hop_size=16).plays_any_length
    assert told(GROOVE, hop_size=16).whole() == GrooveConverter()
    for converter in (MELODY, DRUMS, TRIO, BAND):
        assert not converter.plays_any_length
        with pytest.raises(UserError, match="has no windows that can simply be joined"):
            converter.whole()


def test_masks_say_of_how_many_drums_they_are():
    assert [c.drums_in_mask for c in (DRUMS, ROLLS, MELODY, TRIO, GROOVE)] == [9, 9, 0, 0, 0]


# -- Conditioning ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("converter", "names"),
    [
        (MELODY, ()),
        (told(MELODY, chord_encoding="triad"), ("chords",)),
        (told(MELODY, condition_on_key=True), ("key",)),
        (told(MELODY, chord_encoding="triad", condition_on_key=True), ("chords", "key")),
        (told(BAND, chord_encoding="triad"), ("chords",)),
        (told(GROOVE, hits_as_controls=True), ("hits",)),
        (TURNS, ()),
        (TRIO, ()),
    ],
)
def test_conditions_are_named(converter, names):
    assert converter.conditioning == Conditioning(**dict.fromkeys(names, True))
    assert converter.conditioning.names == names


@pytest.mark.parametrize("converter", [MELODY, DRUMS, TRIO, BAND, GROOVE])
def test_without_controls_there_are_none(converter):
    assert converter.controls_from(32, chords=np.array([1]), key=3) == []


@pytest.mark.parametrize(
    ("converter", "message"),
    [
        (told(MELODY, chord_encoding="triad"), "no chord was given"),
        (told(BAND, chord_encoding="triad"), "no chord was given"),
        (told(MELODY, condition_on_key=True), "no key was given"),
        (told(GROOVE, hits_as_controls=True), "no hits were given"),
    ],
)
def test_a_condition_that_is_missing_is_named(converter, message):
    with pytest.raises(UserError, match=message):
        converter.controls_from(32)


# -- In words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("cat-mel_2bar_small", "melody, 2 bars"),
        ("cat-mel_2bar_med_chords", "melody, 2 bars, conditioned on chords"),
        ("nade-drums_2bar_full", "61 drums, 2 bars"),
        ("hierdec-trio_16bar", "melody, bass, drums, 16 bars"),
        ("hier-multiperf_vel_1bar_med_chords", "up to 8 instruments, 1 bar, conditioned on chords"),
        ("groovae_4bar", "played drums, 4 bars"),
        ("groovae_2bar_humanize", "played drums, 2 bars from hits alone"),
        ("groovae_2bar_tap_fixed_velocity", "played drums, 2 bars from a tapped rhythm"),
        (
            "groovae_2bar_tap_fixed_velocity_note_dropout",
            "played drums, 2 bars from a tapped rhythm with gaps",
        ),
        ("groovae_2bar_add_closed_hh", "played drums, 2 bars from drums without hi-hat"),
        ("groovae_2bar_hits_control", "played drums, 2 bars, conditioned on hits"),
    ],
)
def test_music_is_described_as_a_musician_would(config, words):
    assert CONFIG_MAP[config].data_converter.describe() == words


@pytest.mark.parametrize(
    ("converter", "words"),
    [
        (OneHotMelodyConverter(), "melody, any length"),
        (told(MELODY, quarters_per_bar=3), "melody, 2 bars of 3/4"),
        (
            told(MELODY, chord_encoding="triad", condition_on_key=True),
            "melody, 2 bars, conditioned on chords and key",
        ),
        (told(GROOVE, fixed_velocities=True), "played drums, 2 bars from drums of one loudness"),
        (
            GrooveConverter(pitch_classes=((36,), (38,)), add_instruments=(0, 1)),
            "played drums, any length from drums without class 0 and class 1",
        ),
    ],
)
def test_what_no_published_config_has_is_described_too(converter, words):
    assert converter.describe() == words


def test_a_representation_that_says_nothing_has_one_class_a_step_and_no_conditions():
    plain = Plain(steps_per_quarter=2, chord_encoding="triad")
    assert plain.describe() == "Plain, any length"
    assert (plain.window_bars, plain.window_steps, plain.bars_of(9)) == (None, None, 2)
    assert plain.num_symbols == (90,)
    assert plain.window_key(melody(3, 0)) == np.array([3, 0], np.int64).tobytes()
    assert plain.conditioning.names == ()
    assert plain.controls_from(8) == []


def test_a_converter_has_to_say_its_metre():
    assert {"steps_per_quarter", "quarters_per_bar"} <= Converter.__abstractmethods__
