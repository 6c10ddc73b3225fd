from collections import Counter

import numpy as np
import pytest

from music_vae.music.converters.chord_inference import infer_chords, most_likely, tables
from music_vae.music.converters.grid import quantise
from music_vae.music.converters.score import read


def quantised(sequence, quarters_per_bar=4, steps_per_quarter=4):
    (grid,) = quantise(
        [read(sequence)],
        [Counter()],
        steps_per_quarter=steps_per_quarter,
        quarters_per_bar=quarters_per_bar,
    )
    return grid


def chord(first_step, *pitches, steps=8):
    return [(pitch, first_step, steps) for pitch in pitches]


def symbols(sequence):
    return [frame.symbol for frame in infer_chords(sequence)]


def test_there_are_two_chords_in_a_bar(piece):
    notes = chord(0, 60, 64, 67) + chord(8, 57, 60, 64) + chord(16, 62, 65, 69)
    notes += chord(24, 67, 71, 62, 65)
    frames = infer_chords(quantised(piece(notes)))
    assert [f.symbol for f in frames] == ["C", "Am", "Dm", "G7"]
    assert [f.step for f in frames] == [0, 8, 16, 24]
    assert [f.time_s for f in frames] == [0, 1, 2, 3]
    assert {f.key for f in frames} == {0}


def test_there_is_one_chord_in_a_bar_of_a_waltz(piece):
    notes = chord(0, 60, 64, 67, steps=12) + chord(12, 65, 69, 72, steps=12)
    assert symbols(quantised(piece(notes, metre=(3, 4)), 3)) == ["C", "F"]


def test_drums_do_not_count(piece, add):
    sequence = piece(chord(0, 60, 63, 66))
    add(sequence, chord(0, 40, 47), is_drum=True)
    assert symbols(quantised(sequence)) == ["Cdim"]


def test_silence_keeps_the_key_and_chord_of_before(piece):
    sequence = piece(chord(0, 60, 64, 67) + chord(8, 60, 64, 67) + chord(32, 60, 64, 67))
    frames = infer_chords(quantised(sequence))
    assert {frame.key for frame in frames} == {0}
    assert frames[2].symbol == "C"


@pytest.mark.parametrize(
    ("metre", "quarters_per_bar", "steps_per_quarter", "reason"),
    [
        ((5, 4), 5, 4, "chords cannot be inferred in 5/4"),
        ((6, 8), 3, 1, "too few steps in a bar to infer its chords"),
    ],
)
def test_there_are_reasons_for_no_chords(piece, metre, quarters_per_bar, steps_per_quarter, reason):
    sequence = piece(chord(0, 60), metre=metre)
    assert infer_chords(quantised(sequence, quarters_per_bar, steps_per_quarter)) == reason


def test_a_thousand_frames_are_enough(piece):
    longest = quantised(piece([(60, 0, 8), (60, 8 * 999, 8)]))
    assert len(infer_chords(longest)) == 1000
    longer = quantised(piece([(60, 0, 8), (60, 8 * 1000, 8)]))
    assert infer_chords(longer) == "too long to infer its chords"


def test_no_time_is_a_reason(piece):
    assert infer_chords(quantised(piece([]))) == "no time to infer chords in"


def test_the_probabilities_of_a_state_add_up_to_one():
    model = tables()
    keys = np.exp(model.in_key).reshape(12, -1)
    np.testing.assert_allclose(keys.sum(axis=1), 1)
    stay = np.exp(model.within).sum(axis=1)
    leave = np.exp(model.between).sum() - np.exp(model.between).sum(axis=1)
    np.testing.assert_allclose(stay + leave[:, None], 1)


def plain_viterbi(sounding):
    """The same with a table of all transitions, as note_seq has it."""
    model = tables()
    keys, chords = model.between.shape
    transitions = np.empty((keys, chords, keys, chords))
    transitions[...] = model.between[:, :, None, None]
    for key in range(keys):
        transitions[key, :, key, :] = model.within[key]
    transitions = transitions.reshape(keys * chords, keys * chords)
    seen = np.tile(100 * np.dot(sounding, model.directions.T), (1, keys))
    best = -np.log(keys) + model.in_key + seen[0]
    before = []
    for frame in seen[1:]:
        scores = best + transitions
        before.append(scores.argmax(axis=1))
        best = scores.max(axis=1) + frame
    path = [int(best.argmax())]
    for states in reversed(before):
        path.append(int(states[path[-1]]))
    return [(state // chords, model.symbols[state % chords]) for state in reversed(path)]


@pytest.mark.parametrize("num_classes", [0, 1, 2, 4, 12])
def test_comparing_the_best_states_alone_changes_nothing_not_even_ties(num_classes):
    rng = np.random.default_rng(num_classes)
    sounding = np.zeros((60, 12))
    for frame in sounding:
        frame[rng.permutation(12)[:num_classes]] = 1
        if rng.random() < 0.2:
            frame[:] = 0
        frame /= max(1, np.linalg.norm(frame))
    assert most_likely(sounding) == plain_viterbi(sounding)


def test_one_frame_of_silence_has_no_chord_or_any():
    ((key, symbol),) = most_likely(np.zeros((1, 12)))
    assert 0 <= key < 12
    assert symbol in tables().symbols


@pytest.mark.parametrize(("metre", "quarters_per_bar"), [((4, 4), 4), ((3, 4), 3)])
def test_chords_and_keys_are_those_of_note_seq(piece, metre, quarters_per_bar):
    import note_seq

    rng = np.random.default_rng(0)
    notes = [
        (int(pitch), int(start), int(steps))
        for pitch, start, steps in zip(
            rng.choice([57, 59, 60, 62, 64, 65, 67, 69, 70], 60),
            rng.integers(0, 160, 60),
            rng.integers(1, 12, 60),
            strict=True,
        )
    ]
    sequence = piece(notes, metre=metre)
    frames = infer_chords(quantised(sequence, quarters_per_bar))
    sequence = note_seq.quantize_note_sequence(sequence, steps_per_quarter=4)
    note_seq.infer_chords_for_sequence(sequence, add_key_signatures=True)

    def changes(name):
        values = [(getattr(f, name), f.time_s) for f in frames]
        pairs = zip([(None, 0), *values], values, strict=False)
        return [now for before, now in pairs if now[0] != before[0]]

    assert changes("symbol") == [(a.text, a.time) for a in sequence.text_annotations]
    assert changes("key") == [(k.key, k.time) for k in sequence.key_signatures]
