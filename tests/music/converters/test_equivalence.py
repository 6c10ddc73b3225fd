"""What is done to arrays is what note_seq does to NoteSequences: to real tunes and nasty ones."""

import itertools
import math
from collections import Counter

import note_seq
import numpy as np
import pytest
from note_seq import melodies_lib, sequences_lib

from music_vae.configs import CONFIG_MAP
from music_vae.music import augmentation, notes_io
from music_vae.music.converters import extract
from music_vae.music.converters.grid import Grid, quantise_in_any_metre
from music_vae.music.converters.score import (
    SUSTAIN,
    as_sequence,
    cut,
    read,
    sustained,
)
from music_vae.music.converters.sections import change_times
from support.paths import TUNES

TUNES = sorted((TUNES).glob("*.mid"))
NUM_NASTY = 50
CONFIGS = ("cat-mel_2bar_med_chords", "nade-drums_2bar_full", "cat-mel_2bar_small", "groovae_4bar")
GRIDS = (1, 3, 4, 24)  # steps in a quarter note
GAPS = (None, 0.25, 0.5, 1, 2)


def nasty(seed):
    """A sequence of what makes trouble: see the choices."""
    rng = np.random.default_rng(seed)
    well_behaved = rng.random() < 0.5  # so that many sequences give something
    qpm = float(rng.choice([120, 60, 97.3, 400.1, 33]))
    half_step_s = 60 / qpm / 8
    sequence = note_seq.NoteSequence()

    def time_s(most_steps=300):
        found = float(rng.integers(0, most_steps)) * half_step_s  # ties of the quantiser
        return float(rng.choice([found, np.nextafter(found, 9e9), np.nextafter(found, -1), found]))

    for _ in range(rng.integers(1, 60)):
        start_s = time_s()
        length_s = float(rng.choice([0, 1e-12, half_step_s, 2 * half_step_s, time_s(), time_s(9)]))
        if not well_behaved and rng.random() < 0.05:
            start_s, length_s = rng.choice(
                [(-3 * start_s, 1), (-3 * half_step_s, 1), (-1e-9, 1e-9), (start_s, -start_s)]
            )
        sequence.notes.add(
            start_time=start_s,
            end_time=start_s + length_s,
            pitch=int(rng.choice([0, 36, 38, 60, 61, 64, 127, 130, rng.integers(128)])),
            velocity=int(rng.choice([0, 1, 80, 127], p=[0.1, 0.2, 0.5, 0.2])),
            instrument=int(rng.choice([0, 0, 0, 1, 9, 40])),
            program=int(rng.choice([0, 33, 127])),
            is_drum=bool(rng.random() < 0.3),
        )
    sequence.total_time = max(note.end_time for note in sequence.notes)
    if not well_behaved:
        sequence.total_time *= float(rng.choice([1, 0, 0.5, 1.5, -1], p=[0.5, 0.1, 0.2, 0.1, 0.1]))
    if rng.random() < 0.9:
        sequence.tempos.add(qpm=qpm)
    if rng.random() < 0.9:
        sequence.time_signatures.add(numerator=4, denominator=4)
    changes = 0 if well_behaved else int(rng.integers(0, 5))
    for _ in range(changes):
        sequence.tempos.add(time=time_s(), qpm=float(rng.choice([qpm, qpm, 120, 61.7])))
    for _ in range(changes):
        metre = [(4, 4), (4, 4), (3, 4), (2, 2), (6, 8), (5, 7), (0, 4)][rng.integers(7)]
        sequence.time_signatures.add(time=time_s(), numerator=metre[0], denominator=metre[1])
    for _ in range(rng.integers(0, 4)):
        sequence.key_signatures.add(time=time_s(), key=int(rng.integers(12)))
        text = str(rng.choice(["Am", "G7", "N.C.", "H", "F#dim"]))
        sequence.text_annotations.add(time=time_s(), text=text, annotation_type=1)
        sequence.text_annotations.add(time=time_s(), text="slowly")
    for _ in range(rng.integers(0, 8)):
        change_s = sequence.tempos[-1].time if changes else 0
        sequence.control_changes.add(
            time=float(rng.choice([time_s(), time_s(), change_s])),
            instrument=int(rng.choice([0, 1, 9])),
            control_number=int(rng.choice([SUSTAIN, SUSTAIN, 66, 7])),
            control_value=int(rng.choice([0, 63, 64, 127])),
        )
    return sequence


def sequences():
    """All sequences, each with a name."""
    yield from ((path.stem, notes_io.read_music_file(path)[0]) for path in TUNES)
    yield from ((f"nasty {seed}", nasty(seed)) for seed in range(NUM_NASTY))


@pytest.fixture(scope="module")
def music():
    return dict(sequences())


@pytest.fixture(scope="module")
def parts(music):
    """The same music, and its parts of one metre and tempo, by name."""
    found = dict(music)
    for name, sequence in music.items():
        split = sequences_lib.split_note_sequence_on_time_changes(sequence)
        found |= {f"{name}, part {number}": part for number, part in enumerate(split)}
    return {name: sequence for name, sequence in found.items() if sequence.notes}


@pytest.fixture(scope="module")
def quantised(parts):
    """Pairs of a sequence that note_seq quantised, and of ours; by name."""
    found = {}
    for (name, part), steps in itertools.product(parts.items(), GRIDS):
        grid = quantise_in_any_metre([read(part)], steps)[0]
        if isinstance(grid, Grid) and grid.steps_per_bar % 1 == 0:
            theirs = sequences_lib.quantize_note_sequence(part, steps)
            found[f"{name}, {steps} steps"] = theirs, grid
    return found


def assert_equal(score, sequence, name):
    """That the score has what the sequence has, of its control changes the sustain pedal's."""
    expected = read(sequence)
    assert score.notes.tolist() == expected.notes.tolist(), name
    assert score.total_time_s == expected.total_time_s, name
    for events in ("tempos", "metres", "keys", "chords"):
        assert list(getattr(score, events)) == list(getattr(expected, events)), name
    is_sustain = expected.controls["number"] == SUSTAIN
    assert sorted(score.controls.tolist()) == sorted(expected.controls[is_sustain].tolist()), name


def test_the_music_is_nasty_enough(music, parts, quantised):
    refusals = Counter(
        found
        for part in parts.values()
        if isinstance(found := quantise_in_any_metre([read(part)], 4)[0], str)
    )
    assert {"negative time", "time signature or tempo changes", "time signature 0/4"} <= {*refusals}
    assert len(quantised) > 3 * len(music)
    assert len(parts) > 1.5 * len(music)


def test_a_score_can_be_written_again(music):
    for name, sequence in music.items():
        score = read(sequence)
        again = read(as_sequence(score))._replace(remark_times_s=score.remark_times_s)
        assert all(np.array_equal(a, b) for a, b in zip(score, again, strict=True)), name


def test_pieces_are_cut_where_note_seq_cuts_them(music):
    for name, sequence in music.items():
        score = read(sequence)
        expected = sequences_lib.split_note_sequence_on_time_changes(sequence)
        (found,) = cut([score], [change_times(score)], with_pedals=True)
        for number, (part, theirs) in enumerate(zip(found, expected, strict=True)):
            assert_equal(part, theirs, f"{name}, part {number}")


def test_hops_are_those_of_note_seq(parts):
    for name, part in parts.items():
        score, hop_s = read(part), 0.7
        expected = sequences_lib.split_note_sequence(part, hop_s)
        times = [0.0, *np.arange(hop_s, score.total_time_s, hop_s).tolist(), score.total_time_s]
        if expected:
            (found,) = cut([score], [times], with_pedals=True)
            for hop, theirs in zip(found, expected, strict=True):
                assert_equal(hop, theirs, name)


REFUSALS = {
    sequences_lib.BadTimeSignatureError: "time signature ",
    sequences_lib.NegativeTimeError: "negative time",
    sequences_lib.MultipleTimeSignatureError: "time signature or tempo changes",
    sequences_lib.MultipleTempoError: "time signature or tempo changes",
}


@pytest.mark.parametrize("steps_per_quarter", GRIDS)
def test_steps_are_those_of_note_seq(parts, steps_per_quarter):
    for name, part in parts.items():
        grid = quantise_in_any_metre([read(part)], steps_per_quarter)[0]
        try:
            theirs = sequences_lib.quantize_note_sequence(part, steps_per_quarter)
        except tuple(REFUSALS) as error:
            assert isinstance(grid, str), name
            assert grid.startswith(REFUSALS[type(error)]), name
            continue
        steps = [(note.quantized_start_step, note.quantized_end_step) for note in theirs.notes]
        assert list(zip(grid.starts, grid.ends, strict=True)) == steps, name
        assert grid.total_steps == theirs.total_quantized_steps, name
        assert grid.chord_steps == [
            text.quantized_step for text in theirs.text_annotations if text.annotation_type == 1
        ]
        assert grid.steps_per_bar == sequences_lib.steps_per_bar_in_quantized_sequence(theirs)


def lines_of_note_seq(sequence, gap_bars, skip_polyphony, skipped):
    """The lines of every instrument, as a user of note_seq finds them."""
    found = []
    for instrument in sorted({note.instrument for note in sequence.notes if not note.is_drum}):
        line = note_seq.Melody()
        while True:
            try:
                line.from_quantized_sequence(
                    sequence,
                    search_start_step=line.end_step,
                    instrument=instrument,
                    gap_bars=gap_bars or math.inf,
                    ignore_polyphonic_notes=not skip_polyphony,
                    pad_end=True,
                )
            except melodies_lib.PolyphonicMelodyError:
                skipped["polyphonic track"] += 1
                break
            except melodies_lib.BadNoteError:
                skipped["note that ends before it starts"] += 1
                break
            if not len(line):
                break
            found.append(line)
            line = note_seq.Melody(start_step=line.end_step)
    return found


@pytest.mark.parametrize("skip_polyphony", [False, True])
@pytest.mark.parametrize("gap_bars", GAPS)
def test_melodies_are_those_of_note_seq(quantised, gap_bars, skip_polyphony):
    number = 0
    for name, (sequence, grid) in quantised.items():
        skipped, expected_skipped = Counter(), Counter()
        (found,) = extract.melodies(
            [grid], [skipped], gap_bars=gap_bars, max_bars=None, skip_polyphony=skip_polyphony
        )
        expected = lines_of_note_seq(sequence, gap_bars, skip_polyphony, expected_skipped)
        assert [(line.start_step, line.events.tolist()) for line in found] == [
            (line.start_step, list(line)) for line in expected
        ], name
        assert skipped == expected_skipped, name
        for line, theirs in zip(found, expected, strict=True):
            theirs.set_length(len(theirs) + theirs.start_step, from_left=True)
            theirs.set_length(grid.total_steps)
            assert extract.pad_melody(line, grid.total_steps).events.tolist() == list(theirs), name
        number += len(found)
    assert number > len(quantised) / 4


@pytest.mark.parametrize("gap_bars", GAPS)
def test_drum_tracks_are_those_of_note_seq(quantised, gap_bars):
    number = 0
    for name, (sequence, grid) in quantised.items():
        # Masks have room for half of MIDI's pitches.
        low = grid.only(grid.notes["is_drum"] & (grid.notes["pitch"] < 62))
        kept = [note for note in sequence.notes if note.pitch < 62]
        theirs = note_seq.NoteSequence()
        theirs.CopyFrom(sequence)
        del theirs.notes[:]
        theirs.notes.extend(kept)
        masks = np.int64(1) << low.notes["pitch"].astype(np.int64)
        (found,) = extract.drum_tracks(
            [low], [masks], [Counter()], gap_bars=gap_bars, max_bars=None
        )
        end_step = 0
        for track in found:
            expected = note_seq.DrumTrack()
            expected.from_quantized_sequence(
                theirs, search_start_step=end_step, gap_bars=gap_bars or math.inf, pad_end=True
            )
            assert track.start_step == expected.start_step, name
            hits = [sum(1 << pitch for pitch in event) for event in expected]
            assert track.events.tolist() == hits, name
            end_step = expected.end_step
        expected = note_seq.DrumTrack()
        expected.from_quantized_sequence(theirs, search_start_step=end_step, pad_end=True)
        assert not len(expected), name
        number += len(found)
    assert number > len(quantised) / 4


@pytest.mark.parametrize("semitones", [-30, -5, 1, 70])
def test_a_transposed_score_is_the_score_of_the_transposed_sequence(music, semitones):
    for name, sequence in music.items():
        found = augmentation.transpose_scores([read(sequence)], [semitones])[0]
        expected = read(augmentation.transpose(sequence, semitones))
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True)), name


def test_the_sustain_pedal_is_that_of_note_seq(music):
    for name, sequence in music.items():
        score = read(sequence)
        ((whole,),) = cut([score], [[0.0, 1e6]], with_pedals=True)
        expected = sequences_lib.apply_sustain_control_changes(as_sequence(whole))
        found = sustained(whole)
        assert found.notes.tolist() == read(expected).notes.tolist(), name
        assert found.total_time_s == expected.total_time, name


@pytest.mark.parametrize("config", CONFIGS)
def test_many_sequences_together_give_what_each_gives(music, config):
    converter = CONFIG_MAP[config].data_converter
    some = list(itertools.islice(music.values(), 0, None, 2))
    together = converter.extract_all([*some, note_seq.NoteSequence()])
    assert together[-1].skipped == {"no notes": 1}
    assert sum(len(found.examples) for found in together) > 5
    for sequence, found in zip(some, together, strict=False):
        alone = converter.extract(sequence)
        assert found.skipped == alone.skipped
        assert all(type(number) is int for number in found.skipped.values())
        assert str(found.examples) == str(alone.examples)
