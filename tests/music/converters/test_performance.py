import dataclasses
import json

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.music.converters.compact import PAD
from music_vae.music.converters.controls import encode_chord
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.performance_events import Note, Vocabulary

# Tokens with 128 pitches, 24 steps to a quarter and 8 velocity bins. Six steps are a sixteenth.
OFF, SHIFT, VELOCITY, PROGRAM, DRUMS, END = 128, 255, 352, 360, 488, 489
LOUD = VELOCITY + 4  # velocity 80
SIXTEENTH, QUARTER, BAR = SHIFT + 6, SHIFT + 24, SHIFT + 96
PIANO, BASS = PROGRAM + 0, PROGRAM + 33

PUBLISHED = MultiInstrumentPerformanceConverter(num_velocity_bins=8)
SMALL = dataclasses.replace(
    PUBLISHED, max_num_instruments=3, max_events_per_instrument=10, min_total_events=1
)
SOLO = dataclasses.replace(SMALL, min_num_instruments=1)
CHUNKS = dataclasses.replace(SOLO, hop_size_bars=2, max_num_instruments=1)
CHORDS = dataclasses.replace(SMALL, chord_encoding="triad")

C4, E4, G4, KICK = 60, 64, 67, 36


@pytest.fixture
def band(piece, add):
    """A function that makes a piece of piano, and perhaps bass and drums, notes."""

    def make(piano, bass=(), drums=(), **kwargs):
        sequence = piece(piano, instrument=0, **kwargs)
        add(sequence, bass, instrument=1, program=33)
        add(sequence, drums, instrument=9, is_drum=True)
        return sequence

    return make


def tracks(converter, sequence):
    """The tracks of every example as lists of tokens without padding."""
    found = []
    for example in converter.extract(sequence).examples:
        rows = example.outputs.reshape(-1, converter.max_events_per_instrument)
        assert example.length.tolist() == [int((row != PAD).sum()) for row in rows]
        found.append([row[row != PAD].tolist() for row in rows])
    return found


def skipped(converter, sequence):
    found = converter.extract(sequence)
    assert not found.examples
    return dict(found.skipped)


def add_chords(sequence, *chords):
    for text, step in chords:
        sequence.text_annotations.add(text=text, time=step * 0.125, annotation_type=1)
    return sequence


class TestVocabulary:
    WORDS = Vocabulary(min_pitch=0, max_pitch=127, max_shift_steps=96, num_velocity_bins=8)

    def test_notes_become_events_in_time(self):
        notes = [Note(0, E4, 24, 4), Note(0, C4, 48, 4), Note(24, G4, 48, 7)]
        events = self.WORDS.encode(notes, 0, 96)
        expected = [
            (LOUD, 0),
            (C4, 0),
            (E4, 0),
            (QUARTER, 0),
            (OFF + E4, 24),
            (VELOCITY + 7, 24),
            (G4, 24),
            (QUARTER, 24),
            (OFF + C4, 48),
            (OFF + G4, 48),
            (SHIFT + 48, 48),
        ]
        assert list(zip(*events, strict=True)) == expected

    def test_a_long_time_is_several_shifts(self):
        assert self.WORDS.encode([], 0, 200).tokens == [BAR, BAR, SHIFT + 8]

    @pytest.mark.parametrize(
        ("velocity", "found"), [(0, 0), (1, 0), (16, 0), (17, 1), (127, 7), (200, 7)]
    )
    def test_velocities_are_in_eight_bins_of_sixteen(self, velocity, found):
        assert self.WORDS.velocity_bin(velocity) == found

    def test_every_event_token_decodes_to_the_event_that_note_seq_encodes_so(self):
        import note_seq

        words = Vocabulary(min_pitch=21, max_pitch=108, max_shift_steps=48, num_velocity_bins=5)
        encoding = note_seq.PerformanceOneHotEncoding(
            num_velocity_bins=5, max_shift_steps=48, min_pitch=21, max_pitch=108
        )
        assert encoding.num_classes == words.first_program
        every = range(words.first_program)
        assert [encoding.encode_event(words.event(token)) for token in every] == list(every)


class TestExtract:
    def test_the_published_size(self):
        assert PUBLISHED.input_depth == PUBLISHED.output_depth == 490
        assert PUBLISHED.end_token == END
        assert PUBLISHED.length_shape == (8,)
        assert PUBLISHED.control_depth == 0
        assert dataclasses.replace(PUBLISHED, chord_encoding="triad").control_depth == 49

    def test_a_bar_reads_as_a_track_for_each_instrument_drums_last(self, band):
        sequence = band([(C4, 4, 4)], [(40, 0, 16)], [(KICK, 0, 1)])
        kick = [DRUMS, LOUD, KICK, SIXTEENTH, OFF + KICK, SHIFT + 90, END]
        piano = [PIANO, QUARTER, LOUD, C4, QUARTER, OFF + C4, SHIFT + 48, END]
        bass = [BASS, LOUD, 40, BAR, OFF + 40, END]
        assert tracks(SMALL, sequence) == [[piano, bass, kick]]

    def test_missing_tracks_are_an_end_token_alone(self, band):
        (found,) = tracks(PUBLISHED, band([(C4, 0, 4), (E4, 4, 4)], [(40, 0, 16)]))
        assert found[2:] == [[END]] * 6

    def test_an_example_is_its_own_input_of_int16(self, band):
        (example,) = SMALL.extract(band([(C4, 0, 4)], [(40, 0, 16)])).examples
        assert example.inputs is example.outputs
        assert (example.outputs.shape, example.outputs.dtype) == ((30,), np.int16)
        assert (example.length.shape, example.length.dtype) == ((3,), np.int32)
        assert example.controls is None

    def test_every_bar_is_an_example_and_notes_end_with_it(self, band):
        sequence = band([(C4, 0, 24), (E4, 16, 16)])
        c = [PIANO, LOUD, C4, BAR, OFF + C4, END]
        e = [PIANO, LOUD, E4, BAR, OFF + E4, END]
        assert [found[0] for found in tracks(SOLO, sequence)] == [c, e]

    def test_equal_bars_are_all_kept(self, band):
        assert len(tracks(SOLO, band([(C4, 0, 16), (C4, 16, 16), (C4, 32, 16)]))) == 3

    def test_the_pedal_holds_a_note(self, band):
        sequence = band([(C4, 0, 4), (E4, 12, 4)])
        for time, value in ((0, 127), (1, 0)):
            sequence.control_changes.add(time=time, control_number=64, control_value=value)
        ((piano, *_),) = tracks(SOLO, sequence)
        assert piano == [
            *(PIANO, LOUD, C4, SHIFT + 48, OFF + C4),
            *(QUARTER, E4, QUARTER, OFF + E4, END),
        ]

    def test_loudness_can_be_left_out(self, band):
        converter = dataclasses.replace(SOLO, num_velocity_bins=0)
        assert converter.output_depth == 482
        ((piano, *_),) = tracks(converter, band([(C4, 0, 16)]))
        assert piano == [352, C4, BAR, OFF + C4, 481]

    def test_an_instrument_of_two_programs_is_two_tracks(self, band, add):
        sequence = band([(C4, 0, 16)])
        add(sequence, [(E4, 0, 16)], instrument=0, program=33)
        ((first, second, _),) = tracks(SMALL, sequence)
        assert (first[0], second[0]) == (PIANO, BASS)

    def test_a_hop_is_cut_into_chunks_and_its_notes_at_their_ends(self, band):
        sequence = band([(C4, 0, 24), (E4, 24, 8)])
        ((first, second),) = tracks(CHUNKS, sequence)
        assert first == [PIANO, LOUD, C4, BAR, OFF + C4, END]
        # The velocity does not change in this bar, so that it is note_seq's 100.
        soft = [PIANO, SHIFT + 48, VELOCITY + 6, E4, SHIFT + 48, OFF + E4, END]
        assert second == soft

    def test_a_chunk_without_notes_counts_as_drums(self, band):
        ((first, second),) = tracks(CHUNKS, band([(C4, 0, 16), (E4, 32, 16)], total_steps=32))[:1]
        assert first == [PIANO, LOUD, C4, BAR, OFF + C4, END]
        assert second == [DRUMS, BAR, END]

    def test_too_much_is_dropped_where_this_is_wanted(self, band):
        converter = dataclasses.replace(
            SMALL, max_num_instruments=2, max_events_per_instrument=6, drop_tracks_and_truncate=True
        )
        sequence = band([(C4, 0, 4), (E4, 4, 4)], [(40, 0, 16)], [(KICK, s, 1) for s in (0, 4, 8)])
        piano = [PIANO, LOUD, C4, QUARTER, OFF + C4, END]
        drums = [DRUMS, LOUD, KICK, SIXTEENTH, OFF + KICK, END]
        assert tracks(converter, sequence) == [[piano, drums]]

    def test_the_sequence_stays_as_it_is(self, band):
        sequence = band([(C4, 0, 24)], [(40, 0, 16)])
        sequence.control_changes.add(time=0, control_number=64, control_value=127)
        before = sequence.SerializeToString(deterministic=True)
        SMALL.extract(sequence)
        CHORDS.extract(sequence)
        assert sequence.SerializeToString(deterministic=True) == before


class TestSkipped:
    def test_no_notes_at_all(self, band):
        assert skipped(SMALL, band([])) == {"no notes": 1}

    def test_another_metre(self, band):
        assert skipped(SOLO, band([(C4, 0, 24)], metre=(3, 4))) == {"time signature 3/4": 1}

    def test_too_few_instruments(self, band):
        assert skipped(SMALL, band([(C4, 0, 4)])) == {"fewer than 2 instruments at once": 1}

    def test_too_many_instruments(self, band):
        converter = dataclasses.replace(SOLO, max_num_instruments=1)
        sequence = band([(C4, 0, 4)], [(40, 0, 4)])
        assert skipped(converter, sequence) == {"more than 1 instruments at once": 1}

    def test_too_few_events(self, band):
        converter = dataclasses.replace(SOLO, min_total_events=5)
        assert skipped(converter, band([(C4, 0, 16)])) == {"fewer than 5 events": 1}

    def test_too_many_events(self, band):
        converter = dataclasses.replace(SOLO, max_events_per_instrument=5)
        reason = {"more than 3 events of an instrument": 1}
        assert skipped(converter, band([(C4, 0, 16)])) == reason

    def test_a_pitch_out_of_range(self, band):
        converter = dataclasses.replace(SOLO, min_pitch=61)
        assert skipped(converter, band([(C4, 0, 16)])) == {"a pitch outside 61-127": 1}

    def test_an_unknown_program(self, piece):
        sequence = piece([(C4, 0, 16)], program=128)
        assert skipped(SOLO, sequence) == {"a program outside 0-127": 1}

    def test_no_tempo(self, band):
        sequence = band([(C4, 0, 16)])
        sequence.tempos[0].qpm = 0
        assert skipped(SOLO, sequence) == {"a tempo of 0": 1}

    def test_a_time_that_cannot_be(self, band):
        assert skipped(SOLO, band([(C4, 0, 1e7)])) == {"longer than 100000 examples": 1}

    def test_more_than_a_hop_where_only_one_is_wanted(self, band):
        converter = dataclasses.replace(SOLO, first_subsequence_only=True)
        assert len(tracks(converter, band([(C4, 0, 16)]))) == 1
        assert skipped(converter, band([(C4, 0, 17)])) == {"longer than 1 bar": 1}

    def test_a_chord_that_is_no_triad(self, band):
        sequence = add_chords(band([(C4, 0, 4)], [(40, 0, 16)]), ("Csus4", 0))
        assert skipped(CHORDS, sequence) == {"the chord 'Csus4' is not a triad": 1}


class TestControls:
    def test_the_chord_is_told_at_every_event(self, band):
        sequence = add_chords(band([(C4, 4, 8)], [(40, 0, 16)]), ("Am", 0), ("G", 12))
        (example,) = CHORDS.extract(sequence).examples
        a, g = encode_chord("Am"), encode_chord("G")
        piano, bass, missing = example.controls.reshape(3, 10).tolist()
        # Program, shift, velocity, on, shift, off, shift, end; bass: ..., on, shift, off, end.
        assert piano == [0, a, a, a, a, g, g, g, PAD, PAD]
        assert bass == [0, a, a, a, g, g, *[PAD] * 4]
        assert missing == [0] + [PAD] * 9

    def test_a_chord_lasts_into_the_next_hops(self, band):
        sequence = add_chords(band([(C4, 0, 32)], [(40, 0, 16), (40, 16, 16)]), ("F", 8))
        add_chords(sequence, ("F", 40))
        sequence.notes.add(pitch=C4, start_time=2, end_time=4, velocity=80, instrument=0, program=0)
        first, second = CHORDS.extract(sequence).examples
        assert first.controls[1] == 0
        assert second.controls[1] == encode_chord("F")

    def test_chords_are_inferred_where_none_is_written(self, band):
        chord = [(C4, 0, 16), (E4, 0, 16), (G4, 0, 16)]
        (example,) = CHORDS.extract(band(chord, [(48, 0, 16)])).examples
        assert set(example.controls.tolist()) == {PAD, 0, encode_chord("C")}

    def test_padding_is_zero_and_other_steps_one_hot(self):
        dense = CHORDS.dense_controls(np.array([0, 5, PAD]))
        assert np.argwhere(dense).tolist() == [[0, 0], [1, 5]]
        assert SMALL.dense_controls(np.array([0, PAD])).shape == (2, 0)

    def test_they_are_decoded_to_chord_symbols(self, band):
        sequence = add_chords(band([(C4, 4, 8)], [(40, 0, 16)]), ("Bdim", 0), ("G7", 12))
        tensors = CHORDS.to_tensors(sequence)
        (decoded,) = CHORDS.from_tensors(tensors.outputs, tensors.controls)
        assert [(a.text, a.time) for a in decoded.text_annotations] == [("Bdim", 0), ("G", 1.5)]
        (plain,) = CHORDS.from_tensors(tensors.outputs)
        assert not plain.text_annotations


class TestFromTensors:
    def decode(self, converter, *rows):
        tokens = np.full((converter.length_shape[0], converter.max_events_per_instrument), PAD)
        tokens[:, 0] = converter.end_token
        for row, found in zip(tokens, rows, strict=False):
            row[: len(found)] = found
        (sequence,) = converter.from_tensors([converter.dense_outputs(tokens.reshape(-1))])
        return sequence

    def notes(self, sequence):
        return [(n.instrument, n.pitch, n.start_time, n.end_time) for n in sequence.notes]

    def test_a_track_sounds_on_its_instrument_and_program(self):
        kick = [DRUMS, LOUD, KICK, SIXTEENTH, OFF + KICK, END]
        sequence = self.decode(SMALL, [BASS, LOUD, 40, QUARTER, OFF + 40, END], kick)
        assert self.notes(sequence) == [(0, 40, 0, 0.5), (1, KICK, 0, 0.125)]
        bass, drums = sequence.notes
        assert (bass.program, bass.is_drum, bass.velocity) == (33, False, 65)
        assert (drums.program, drums.is_drum) == (0, True)
        assert [tempo.qpm for tempo in sequence.tempos] == [120]
        assert sequence.total_time == 0.5

    def test_a_note_that_does_not_end_lasts_to_the_end_of_the_bar(self):
        assert self.notes(self.decode(SOLO, [PIANO, C4, END])) == [(0, C4, 0, 2)]

    def test_what_is_after_the_bar_or_the_end_token_is_cut(self):
        row = [PIANO, C4, BAR, QUARTER, E4, QUARTER, END, G4]
        assert self.notes(self.decode(SOLO, row)) == [(0, C4, 0, 2)]

    def test_a_track_without_a_program_is_piano_and_the_first_program_counts(self):
        none, two = self.decode(SOLO, [C4, END], [BASS, C4, DRUMS, END]).notes
        assert (none.program, none.is_drum) == (0, False)
        assert (two.program, two.is_drum) == (33, False)

    def test_chunks_follow_each_other(self):
        sequence = self.decode(CHUNKS, [PIANO, C4, END], [PIANO, OFF + C4, E4, END])
        assert self.notes(sequence) == [(0, C4, 0, 2), (0, E4, 2, 4)]

    def test_no_notes_are_a_sequence_without_notes(self):
        sequence = self.decode(SMALL)
        assert not sequence.notes
        assert sequence.total_time == 0

    def test_any_scores_decode_to_something(self):
        rng = np.random.default_rng(0)
        for converter in (SMALL, CHUNKS, CHORDS):
            shape = converter.length_shape[0] * converter.max_events_per_instrument
            samples = rng.normal(size=(20, shape, converter.output_depth))
            controls = rng.normal(size=(20, shape, converter.control_depth))
            assert len(converter.from_tensors(samples, controls)) == 20

    def test_another_shape_is_refused(self):
        with pytest.raises(UserError, match=r"not \[30, 490\]: 3 tracks of 10 tokens"):
            SMALL.from_tensors([np.zeros((29, 490))])
        with pytest.raises(UserError, match=r"not \[30, 49\]"):
            CHORDS.from_tensors([np.zeros((30, 490))], [np.zeros((30, 61))])

    def test_extract_is_the_inverse(self, band):
        rng = np.random.default_rng(0)
        for _ in range(20):
            parts = [
                [
                    (int(p), int(s), int(rng.integers(1, 17 - s)))
                    for p, s in zip(rng.permutation(100)[:6], rng.integers(0, 16, 6), strict=True)
                ]
                for _ in range(3)
            ]
            (first,) = PUBLISHED.to_tensors(band(*parts)).outputs
            (decoded,) = PUBLISHED.from_tensors([first])
            (second,) = PUBLISHED.to_tensors(decoded).outputs
            np.testing.assert_array_equal(first, second)


class TestTranspose:
    def test_pitches_move_and_drums_stay(self, band):
        sequence = add_chords(band([(C4, 0, 16)], drums=[(KICK, 0, 16)]), ("Am", 0))
        (example,) = CHORDS.extract(sequence).examples
        up = CHORDS.transpose(example, 2)
        piano, drums, _ = up.outputs.reshape(3, 10).tolist()
        assert piano[:6] == [PIANO, LOUD, C4 + 2, BAR, OFF + C4 + 2, END]
        assert drums[:6] == [DRUMS, LOUD, KICK, BAR, OFF + KICK, END]
        assert up.controls[1] == encode_chord("Bm")
        assert example.outputs[2] == C4

    def test_pitches_cannot_leave_the_range(self, band):
        (example,) = SOLO.extract(band([(C4, 0, 16)])).examples
        assert SOLO.transpose(example, 67) is not None
        assert SOLO.transpose(example, 68) is None
        assert SOLO.transpose(example, -60) is not None
        assert SOLO.transpose(example, -61) is None

    def test_the_range_ends_where_a_note_would_enter_or_leave(self, band):
        converter = dataclasses.replace(SOLO, min_pitch=48, max_pitch=72)
        assert converter.transposable_range(band([(50, 0, 4), (69, 4, 4)])) == (-2, 3)
        assert converter.transposable_range(band([(46, 0, 4), (60, 4, 4)])) == (-12, 1)
        assert converter.transposable_range(band([(74, 0, 4), (60, 4, 4)])) == (-1, 12)
        assert converter.transposable_range(band([(60, 0, 4)], drums=[(20, 0, 1)])) == (-12, 12)

    def test_a_total_time_that_transposition_would_change_allows_none(self, band):
        late = band([(C4, 0, 4)], total_steps=64)
        assert SOLO.transposable_range(late) == (-60, 67)
        late.control_changes.add(time=7, control_number=64, control_value=0)
        assert SOLO.transposable_range(late) == (0, 0)
        assert SOLO.transposable_range(band([(C4, 0, 8)], total_steps=6)) == (0, 0)

    def test_inferred_chords_allow_none(self, band):
        sequence = band([(C4, 0, 4)])
        assert CHORDS.transposable_range(sequence) == (0, 0)
        assert CHORDS.transposable_range(add_chords(sequence, ("C", 0))) == (-60, 67)


class TestSettings:
    def test_settings_survive_json(self):
        read = json.loads(json.dumps(dataclasses.asdict(CHORDS)))
        assert MultiInstrumentPerformanceConverter(**read) == CHORDS

    def test_note_seq_s_chord_encoding_becomes_a_plain_value(self):
        import note_seq

        encoding = note_seq.TriadChordOneHotEncoding()
        assert dataclasses.replace(SMALL, chord_encoding=encoding) == CHORDS

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"num_velocity_bins": 128}, "from 0 to 127, not 128"),
            ({"min_pitch": 60, "max_pitch": 59}, "in this order"),
            ({"max_pitch": 128}, "max_pitch=128"),
            ({"hop_size_bars": 3, "chunk_size_bars": 2}, "a multiple of"),
            ({"chunk_size_bars": 0}, "1 or more"),
            ({"min_num_instruments": 9}, "in this order"),
            ({"max_events_per_instrument": 2}, "no room for events"),
            ({"steps_per_quarter": 0}, "steps_per_quarter must be"),
            ({"chord_encoding": "all"}, "must be 'triad' or None"),
        ],
    )
    def test_an_impossible_setting_is_refused(self, wrong, message):
        with pytest.raises(UserError, match=message):
            MultiInstrumentPerformanceConverter(**wrong)
