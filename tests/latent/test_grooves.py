"""Long grooves through a groove model: windows, amounts, and whose hits are played."""

import dataclasses
import re

import numpy as np
import pytest

from music_vae import TrainedModel
from music_vae.common.errors import NoExtractedExamplesError, UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.configs import get_config
from music_vae.latent import grooves
from music_vae.latent.grooves import Mix, Playing
from music_vae.music import notes_io
from music_vae.music.converters.score import read
from music_vae.music.symbols import Groove
from music_vae.weights import config_file

KICK, SNARE, HAT = 36, 38, 42
STEP_S = 0.125


def groove(notes, qpm=120.0, **fields):
    """A groove of notes (pitch, step, velocity, lateness in steps)."""
    sequence = import_note_seq().NoteSequence()
    sequence.tempos.add(qpm=qpm)
    step_s = 15 / qpm
    for pitch, step, velocity, late in notes:
        start = (step + late) * step_s
        note = {"pitch": pitch, "velocity": velocity, "is_drum": True, **fields}
        sequence.notes.add(start_time=start, end_time=start + 0.05, **note)
    sequence.total_time = max(note.end_time for note in sequence.notes)
    return sequence


def played(sequence):
    """Pitch, step, velocity and lateness in steps of every note, in order of time."""
    found, step_s = [], 15 / notes_io.tempo_of(sequence)
    for note in sequence.notes:
        step = round(note.start_time / step_s)
        found.append((note.pitch, step, note.velocity, note.start_time / step_s - step))
    return sorted(found, key=lambda note: note[1])


# Three windows and a bar: 2 bars and 2 bars of a beat, and half of one, at any tempo.
BEAT = [
    (pitch, step, 60 + step % 50, 0.2 if step % 3 else -0.3)
    for step in range(1, 80)
    for pitch, every in ((KICK, 8), (SNARE, 4), (HAT, 2))
    if step % every == every // 2
]


@pytest.fixture(scope="module")
def model(random_run):
    folder = random_run("groovae_2bar_humanize")
    return TrainedModel(config_file.read(folder), 8, folder)


class Drummer:
    """A model that plays every hit of the beat one by one, at full velocity and 0.4 steps late.

    z is the number of the window that was encoded.
    """

    def __init__(self, name="groovae_2bar_humanize", late=(0.4,)):
        self.config = get_config(name)
        self.late = np.array(late)  # of steps in turn
        self.converter = self.config.data_converter.for_inference()
        self.lengths, self.told = [], None

    def encode_tensors(self, inputs, lengths, controls=None):
        self.inputs, self.lengths = inputs, lengths
        return None, np.arange(len(inputs), dtype=float)[:, None], None

    def decode_to_tensors(self, z, length, temperature, c_input=None, *, seed=None):
        self.told = c_input
        made = []
        for number in z[:, 0].astype(int):
            hits = self.inputs[number][:, :9].copy()
            hits[3, 8] = 1  # a ride that the input does not have
            offsets = -2 * self.late[np.arange(len(hits)) % len(self.late), None]
            made.append(np.concatenate([hits, hits, offsets * hits], axis=-1))
        return made


def test_a_groove_of_any_length_is_cut_into_windows_and_joined():
    drummer = Drummer()
    (made,) = grooves.reconstruct(drummer, groove(BEAT), playing=Playing(1.0, 1.0, "model"))
    assert drummer.lengths == [32, 32, 32]
    assert not drummer.inputs[2][16:].any()  # the fifth bar is the last
    own = [(pitch, step) for pitch, step, _, _ in sorted(BEAT, key=lambda note: note[1])]
    found = played(made)
    assert [(pitch, step) for pitch, step, _, _ in found if pitch != 51] == own
    assert [step for pitch, step, _, _ in found if pitch == 51] == [3, 35, 67]
    assert {velocity for _, _, velocity, _ in found} == {127}
    np.testing.assert_allclose([late for *_, late in found], 0.4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 3}, "`model` must be a model, as `music_vae.load` returns it, not 3"),
        ({"model": "groove"}, "`model` must be a model"),
        ({"n": "3"}, "`n='3'` must be a whole number"),
        ({"n": 0}, "`n=0` must be"),
        ({"n": 1.5}, "`n=1.5` must be a whole number"),
        ({"playing": "input"}, "`playing` must be a Playing, not 'input'"),
        ({"playing": 0.5}, "`playing` must be a Playing, not 0.5"),
        ({"shift": "up"}, "`shift` must be an array of numbers"),
        ({"shift": [1.0, 2.0]}, "`shift` has shape"),
        ({"temperature": "hot"}, "`temperature='hot'` must be a number"),
        ({"seed": "x"}, "`seed='x'` must be a whole number"),
        ({"c_input": "C"}, "`c_input` must be an array of numbers"),
        ({"sequence": 3}, "`sequence` must be a NoteSequence, a PrettyMIDI, or the path"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    good = {"model": TrainedModel.shipped("groovae_2bar_humanize_mini"), "sequence": groove(BEAT)}
    with pytest.raises(UserError, match=re.escape(message)):
        grooves.reconstruct(**good | arguments)


def test_nothing_of_the_models_playing_is_the_input():
    playing = Playing(timing=0, velocity=0, hits="input")
    (made,) = grooves.reconstruct(Drummer(), groove(BEAT, qpm=90), playing=playing)
    found, expected = played(made), sorted(BEAT, key=lambda note: note[1])
    assert [note[:3] for note in found] == [note[:3] for note in expected]
    np.testing.assert_allclose([n[3] for n in found], [n[3] for n in expected], atol=1e-5)


def test_timing_and_velocity_are_mixed_each_by_its_amount():
    playing = Playing(timing=0.25, velocity=0.5, hits="input")
    (made,) = grooves.reconstruct(Drummer(), groove([(KICK, 4, 61, -0.2)]), playing=playing)
    ((pitch, step, velocity, late),) = played(made)
    assert (pitch, step, velocity) == (KICK, 4, (61 + 127) / 2)
    assert late == pytest.approx(0.75 * -0.2 + 0.25 * 0.4)


RIM, FLOOR_TOM, SNARE_ROLL = 37, 43, 25  # the last is in no class


def test_hits_of_the_input_keep_their_pitches_and_none_is_lost():
    notes = [(KICK, 0, 100, 0.0), (RIM, 4, 70, 0.1), (SNARE, 4, 90, 0.0), (SNARE_ROLL, 6, 50, 0.2)]
    roll = [(SNARE, 8, 60, 0.0), (SNARE, 8, 60, 0.25), (SNARE, 9, 60, -0.5), (FLOOR_TOM, 9, 80, 0)]
    late = [(SNARE_ROLL, 40, 50, 0.25)]  # after the last bar that has a hit
    playing = Playing(timing=0, velocity=0, hits="input")
    (made,) = grooves.reconstruct(Drummer(), groove(notes + roll + late), playing=playing)
    expected = sorted((round(s + o, 4), p, v) for p, s, v, o in notes + roll + late)
    found = [(round(n.start_time / STEP_S, 4), n.pitch, n.velocity) for n in made.notes]
    assert found == expected


def test_hits_that_the_model_does_not_hear_go_with_those_that_it_hears():
    notes = [(RIM, 4, 46, 0.1), (SNARE, 4, 90, 0.0), (SNARE_ROLL, 4, 50, 0.2), (RIM, 9, 70, 0.25)]
    playing = Playing(hits="both")  # the model plays 0.4 steps late, at full velocity
    (made,) = grooves.reconstruct(Drummer(), groove(notes), playing=playing)
    found = [(n.pitch, round(n.start_time / STEP_S, 4), n.velocity) for n in made.notes]
    assert found == [
        (51, 3.4, 127),
        (SNARE, 4.4, 127),
        (RIM, 4.5, 65),
        (SNARE_ROLL, 4.6, 50),
        (RIM, 9.4, 127),
    ]


class SplitDrummer:
    """A model of one drum a row, which plays what it hears, at full velocity and on the step."""

    config = get_config("groovae_2bar_humanize")
    config = config.replace(
        data_converter=dataclasses.replace(config.data_converter, split_instruments=True),
        hparams=dataclasses.replace(config.hparams, max_seq_len=32 * 9),
    )
    converter = config.data_converter.for_inference()

    def encode_tensors(self, inputs, lengths, controls=None):
        self.inputs = inputs
        return None, np.arange(len(inputs), dtype=float)[:, None], None

    def decode_to_tensors(self, z, length, temperature, c_input=None, *, seed=None):
        assert length == 32 * 9
        hits = [self.inputs[int(number)][:, :1] for number in z[:, 0]]
        return [np.concatenate([rows, rows, 0 * rows], axis=-1) for rows in hits]


def test_grooves_of_one_drum_a_row_are_numbers_too_and_are_mixed():
    playing = Playing(timing=0, velocity=0.5, hits="input")
    notes = [(KICK, 4, 61, -0.2), (SNARE, 70, 41, 0.3)]
    (made,) = grooves.reconstruct(SplitDrummer(), groove(notes), playing=playing)
    found = played(made)
    assert [note[:3] for note in found] == [(KICK, 4, (61 + 127) / 2), (SNARE, 70, (41 + 127) / 2)]
    np.testing.assert_allclose([late for *_, late in found], [-0.2, 0.3], atol=1e-5)


def parts(hits, velocity, offset):
    hits = np.array([hits], bool)
    return Groove(hits, hits * velocity, hits * offset)


@pytest.mark.parametrize(
    ("whose", "hits"), [("model", [0, 1, 1]), ("input", [1, 1, 0]), ("both", [1, 1, 1])]
)
def test_a_hit_that_only_one_has_is_played_as_that_one_does(whose, hits):
    own, new = parts([1, 1, 0], 0.25, -0.5), parts([0, 1, 1], 0.75, 0.5)
    made = np.concatenate(grooves._mixed(own, new, Mix(0, 0, whose, (0, 1, 2))))
    np.testing.assert_array_equal(made[0], hits)
    np.testing.assert_array_equal(made[1], np.array([0.25, 0.25, 0.75]) * hits)
    # The third keeps time with the others of the input, which has hits at this step.
    np.testing.assert_array_equal(made[2], -0.5 * np.array(hits))


def test_a_hit_at_a_step_where_the_input_is_silent_has_the_models_timing():
    own, new = parts([0, 0], 0.0, 0.0), parts([0, 1], 0.75, 0.5)
    made = np.concatenate(grooves._mixed(own, new, Mix(0, 0, "both", (0, 1))))
    np.testing.assert_array_equal(made, [[0, 1], [0, 0.75], [0, 0.5]])


def test_drums_that_the_model_does_not_add_are_the_inputs_alone():
    own, new = parts([1, 0, 0], 0.25, -0.5), parts([0, 1, 1], 0.75, 0.5)
    made = grooves._mixed(own, new, Mix(0, 0, "both", added=(2,)))
    assert made.hits.tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("groovae_4bar", Mix(1, 1, "model", ())),
        ("groovae_2bar_humanize", Mix(1, 1, "input", ())),
        ("groovae_2bar_tap_fixed_velocity", Mix(0, 1, "model", ())),
        ("groovae_2bar_tap_fixed_velocity_note_dropout", Mix(0, 1, "model", ())),
        ("groovae_2bar_add_closed_hh", Mix(0, 0, "both", (2,))),
        ("groovae_2bar_hits_control", Mix(1, 1, "model", ())),
    ],
)
def test_by_default_a_model_plays_what_it_is_made_to_fill_in(name, expected):
    fills_in = get_config(name).data_converter.fills_in
    assert Playing().for_model(fills_in) == expected


def test_what_is_asked_for_comes_before_what_a_model_is_made_for():
    humanize = get_config("groovae_2bar_humanize").data_converter.fills_in
    asked = Playing(timing=0.5, hits="both")
    assert asked.for_model(humanize) == Mix(0.5, 1, "both", ())


def test_a_humanized_pattern_keeps_its_hits_by_default():
    (made,) = grooves.reconstruct(Drummer(), groove(BEAT))
    own = sorted((step, pitch) for pitch, step, _, _ in BEAT)
    assert sorted((step, pitch) for pitch, step, *_ in played(made)) == own
    assert {note.velocity for note in made.notes} == {127}  # the model's


class Listless(Drummer):
    """A drummer that draws no snare in its first take, and then one in two of four takes."""

    def __init__(self, conditional):
        super().__init__()
        self.conditional, self.snares = conditional, 0

    def decode_to_tensors(self, z, length, temperature, c_input=None, *, seed=None):
        made = super().decode_to_tensors(z, length, temperature, c_input, seed=seed)
        for rows in made:
            drawn = self.snares in (1, 3, 5, 7)
            self.snares += 1
            heard = drawn if self.conditional else 0.5  # what is expected of a hit of chance 1/2
            rows[:, 1] *= drawn
            rows[:, 10], rows[:, 19] = 0.6 * rows[:, 10] * heard, rows[:, 19] * heard
        return made


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("hits", ["input", "both"])
def test_hits_that_the_model_did_not_draw_are_played_as_it_expects_them(conditional, hits):
    playing = Playing(timing=1, velocity=1, hits=hits)
    notes = [(KICK, 0, 100, 0), (SNARE, 4, 100, 0), (SNARE, 12, 100, 0)]
    (made,) = grooves.reconstruct(Listless(conditional), groove(notes), playing=playing)
    snares = [note for note in played(made) if note[0] == SNARE]
    # Half of eight takes have it, so that half of what is predicted is twice as much.
    assert [note[:3] for note in snares] == [(SNARE, 4, 76), (SNARE, 12, 76)]
    assert [late for *_, late in snares] == pytest.approx([0.4, 0.4])


def test_hits_that_the_model_does_not_expect_stay_as_they_are():
    drummer = Listless(conditional=True)
    drummer.snares = 100  # no more
    playing = Playing(timing=1, velocity=1, hits="input")
    (made,) = grooves.reconstruct(drummer, groove([(SNARE, 4, 90, 0.25)]), playing=playing)
    assert played(made) == [(SNARE, 4, 90, pytest.approx(0.25))]


def test_hits_that_the_model_does_not_draw_are_left_out_of_its_own():
    playing = Playing(timing=1, velocity=1, hits="model")
    notes = [(KICK, 0, 100, 0), (SNARE, 4, 100, 0)]
    (made,) = grooves.reconstruct(Listless(True), groove(notes), playing=playing)
    assert SNARE not in {note[0] for note in played(made)}


@pytest.mark.parametrize(
    ("amount", "late", "velocity"), [(1, 0.4, 127), (2, 0.5, 127), (0.5, 0.2, 99), (3, 0.5, 127)]
)
def test_an_amount_above_1_exaggerates_as_far_as_half_a_step(amount, late, velocity):
    playing = Playing(timing=amount, velocity=amount, hits="input")
    (made,) = grooves.reconstruct(Drummer(), groove([(KICK, 4, 71, 0)]), playing=playing)
    ((pitch, step, loud, found),) = played(made)
    assert (pitch, step, loud) == (KICK, 4, velocity)
    assert found == pytest.approx(late)


def test_a_roll_keeps_its_spacing():
    # Two hits a step, of which the model hears the louder: now the first, now the second.
    roll = [(SNARE, 4 + n / 2, 60 + 30 * (n % 3 == 0), 0) for n in range(8)]
    (made,) = grooves.reconstruct(Drummer(), groove(roll), playing=Playing(1, 0, "input"))
    snares = [note.start_time / STEP_S for note in made.notes if note.pitch == SNARE]
    np.testing.assert_allclose(snares, [4.4 + n / 2 for n in range(8)], atol=1e-6)


def test_hits_of_a_roll_go_between_those_that_the_model_moves():
    def played_by(late, steps):
        roll = groove([(SNARE, step, 80, 0) for step in steps])
        (made,) = grooves.reconstruct(Drummer(late=late), roll, playing=Playing(1, 1, "input"))
        return [note.start_time / STEP_S for note in made.notes if note.pitch == SNARE]

    even = played_by((0.3, -0.3), [4, 4.5, 5, 5.5, 6])
    np.testing.assert_allclose(even, [4.3, 4.5, 4.7, 5.5, 6.3], atol=1e-6)
    # Hits before and after those at 4.1 and 4.9: one moves by .2, the other by -.2.
    uneven = played_by((0.3, -0.3), [4.1, 4.3, 4.7, 4.9])
    np.testing.assert_allclose(uneven, [4.3, 4.4, 4.6, 4.7], atol=1e-6)


@pytest.mark.parametrize("hits", ["input", "both", "model"])
def test_a_hit_just_before_the_last_bar_line_adds_no_bar(hits):
    beat = [(KICK, 0, 100, 0.0), (SNARE, 31, 60, 0.0), (SNARE, 31, 60, 0.6), (HAT, 31, 50, 0.7)]
    drummer = Drummer()
    playing = Playing(3, 1, hits)  # 1.2 steps late, were it not for half a step at most
    (made,) = grooves.reconstruct(drummer, groove(beat), playing=playing)
    assert drummer.lengths == [32]
    assert made.total_time == pytest.approx(32 * STEP_S)
    assert max(note.end_time for note in made.notes) <= made.total_time
    own = sorted(note.pitch for note in made.notes if note.pitch != 51)
    assert own == sorted([KICK, SNARE, HAT] + [SNARE] * (hits != "model"))


def test_a_hit_just_before_the_last_bar_line_stays_there_if_nothing_is_the_models():
    beat = [(KICK, 0, 100, 0.0), (SNARE, 31, 60, 0.7)]
    playing = Playing(timing=0, velocity=0, hits="input")
    (made,) = grooves.reconstruct(Drummer(), groove(beat), playing=playing)
    np.testing.assert_allclose([n.start_time / STEP_S for n in made.notes], [0, 31.7], atol=1e-6)
    assert made.total_time == pytest.approx(32 * STEP_S)


def test_exaggeration_goes_the_same_way_twice_as_far():
    own, new = parts([1, 1], 0.5, 0.0), parts([1, 1], 0.4, 0.2)
    made = grooves._mixed(own, new, Mix(2, 2, "input"))
    np.testing.assert_allclose(made.velocities, [[0.3, 0.3]])
    np.testing.assert_allclose(made.offsets, [[0.4, 0.4]])
    softest = grooves._mixed(own, parts([1, 1], 0.1, 0.0), Mix(3, 3, "input"))
    np.testing.assert_allclose(softest.velocities, 1 / 127)


def test_of_a_song_the_drums_are_played(caplog):
    song = groove([(KICK, 0, 90, 0), (SNARE, 4, 90, 0)])
    for step, pitch in enumerate((60, 62, 64, 67)):  # drums have these pitches, too
        start = step * STEP_S
        song.notes.add(pitch=pitch, velocity=80, start_time=start, end_time=start + STEP_S)
    for playing in (Playing(hits="input"), Playing(1.0, 1.0, "model")):
        (made,) = grooves.reconstruct(Drummer(), song, playing=playing)
        assert {note.pitch for note in made.notes} - {51} == {KICK, SNARE}
    assert not caplog.messages


def test_no_hit_comes_before_time_zero_and_none_is_silent():
    (made,) = grooves.reconstruct(
        Drummer(),
        groove([(KICK, 0, 1, 0), (SNARE, 5, 1, -0.4)]),
        playing=Playing(timing=0, velocity=0, hits="model"),
    )
    assert min(note.start_time for note in made.notes) == 0
    assert min(note.velocity for note in made.notes) == 1
    early = groove([(KICK, 1, 80, 0)])
    early.notes[0].start_time = -0.02
    moved = grooves.without_early_hits(early)
    assert moved.notes[0].start_time == 0
    assert moved.notes[0].end_time == pytest.approx(early.notes[0].end_time + 0.02)
    assert early.notes[0].start_time == -0.02  # the input stays


def test_a_model_that_is_told_hits_is_told_those_of_every_window():
    drummer = Drummer("groovae_2bar_hits_control")
    takes = grooves.reconstruct(drummer, groove(BEAT), 2)
    assert len(takes) == 2
    assert drummer.told.shape == (6, 32, 9)
    np.testing.assert_array_equal(drummer.told[:3], np.stack(drummer.inputs)[:, :, :9])
    np.testing.assert_array_equal(drummer.told[3:], drummer.told[:3])
    one = np.ones((32, 9))
    grooves.reconstruct(drummer, groove(BEAT), c_input=one)
    assert drummer.told is one


def test_a_seed_repeats_takes_which_differ_from_each_other(model):
    first, again = (
        [played(take) for take in grooves.reconstruct(model, groove(BEAT), 2, seed=3)]
        for _ in range(2)
    )
    assert first == again
    assert first[0] != first[1]


def test_a_shift_of_z_changes_the_music(model):
    plain, moved = (
        played(grooves.reconstruct(model, groove(BEAT), temperature=0, shift=shift, seed=1)[0])
        for shift in (None, np.full(4, 9.0))
    )
    assert plain != moved


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timing": 3.1}, "`timing=3.1` must be at most 3"),
        ({"velocity": -0.1}, "`velocity=-0.1` must be at least 0"),
        ({"velocity": float("nan")}, "`velocity=nan` must be a number from 0 to 3"),
        ({"hits": "all"}, "hits='all' must be one of model, input, both"),
    ],
)
def test_an_impossible_way_of_playing_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        Playing(**settings)


def test_music_without_drums_says_why(model):
    melody = groove([(60, 0, 80, 0), (20, 4, 80, 0)], is_drum=False)
    with pytest.raises(NoExtractedExamplesError, match="it has no drums: nothing is on channel 10"):
        grooves.reconstruct(model, melody)


def test_a_model_of_melodies_has_no_grooves(random_run):
    folder = random_run("cat-mel_2bar_small")
    melody = TrainedModel(config_file.read(folder), 8, folder)
    with pytest.raises(UserError, match="cat-mel_2bar_small is not a model of grooves"):
        grooves.reconstruct(melody, groove(BEAT))


def test_a_score_is_played_as_its_notes_are_and_arrays_are_refused(model):
    beat = groove(BEAT, qpm=90)
    from_notes, from_score = (
        grooves.reconstruct(model, piece, seed=2)[0] for piece in (beat, read(beat))
    )
    assert from_score.notes == from_notes.notes
    with pytest.raises(UserError, match="`sequence` must be a piece, not Tensors"):
        grooves.reconstruct(model, model.converter.to_tensors(beat))
