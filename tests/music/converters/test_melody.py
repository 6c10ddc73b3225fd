import dataclasses
import json

import numpy as np
import pytest

from music_vae.common.constants import MELODY_PROGRAMS
from music_vae.common.errors import UserError
from music_vae.music.converters.compact import PAD
from music_vae.music.converters.melody import OneHotMelodyConverter
from support.paths import TUNES

C4, D4, E4 = 41, 43, 45  # tokens: MIDI pitches 60, 62, 64, less the lowest (21), plus 2
OFF = 1

ONE_BAR = OneHotMelodyConverter(slice_bars=1)
TWO_BARS = OneHotMelodyConverter(slice_bars=2, max_bars=100, valid_programs=MELODY_PROGRAMS)
WHOLE = OneHotMelodyConverter()
CHORDS = OneHotMelodyConverter(slice_bars=1, chord_encoding="triad")
KEYS = OneHotMelodyConverter(slice_bars=1, condition_on_key=True)
BOTH = OneHotMelodyConverter(slice_bars=1, chord_encoding="triad", condition_on_key=True)


def tune(name):
    import note_seq

    return note_seq.midi_file_to_note_sequence(str(TUNES / f"{name}.mid"))


def tokens(converter, sequence):
    return [example.outputs.tolist() for example in converter.extract(sequence).examples]


def bar(*events):
    """Sixteen tokens from pairs (step, token)."""
    steps = [0] * 16
    for step, token in events:
        steps[step] = token
    return steps


def skipped(converter, sequence):
    found = converter.extract(sequence)
    assert not found.examples
    return dict(found.skipped)


class TestExtract:
    def test_a_bar_reads_as_its_notes(self, piece):
        sequence = piece([(60, 0, 4), (62, 4, 2), (64, 8, 8)])
        assert tokens(ONE_BAR, sequence) == [bar((0, C4), (4, D4), (6, OFF), (8, E4))]

    def test_an_example_is_its_own_input_of_int16_with_its_length(self, piece):
        (example,) = ONE_BAR.extract(piece([(60, 0, 4)])).examples
        assert example.inputs is example.outputs
        assert example.outputs.dtype == np.int16
        assert example.controls is None
        assert example.length.shape == ()
        assert example.length.dtype == np.int32
        assert example.length == 16

    def test_windows_slide_by_one_bar(self, piece):
        sequence = piece([(60, 0, 16), (62, 16, 16), (64, 32, 16)])
        c, d, e = bar((0, C4)), bar((0, D4)), bar((0, E4))
        assert tokens(TWO_BARS, sequence) == [c + d, d + e]

    def test_equal_windows_are_kept_once(self, piece):
        sequence = piece([(60, 0, 16), (60, 16, 16), (62, 32, 16)])
        c, d = bar((0, C4)), bar((0, D4))
        assert tokens(ONE_BAR, sequence) == [c, d]
        every = dataclasses.replace(ONE_BAR, dedupe_event_lists=False)
        assert tokens(every, sequence) == [c, c, d]

    def test_equal_windows_of_two_sections_are_both_kept(self, piece):
        sequence = piece([(60, 0, 16), (60, 16, 32)])
        sequence.tempos.add(time=2, qpm=60)  # half as fast: 32 steps are one bar
        assert tokens(ONE_BAR, sequence) == [bar((0, C4)), bar((0, C4))]

    def test_a_note_held_into_a_window_does_not_end_in_it(self, piece):
        sequence = piece([(60, 0, 20), (62, 24, 4)])
        assert tokens(ONE_BAR, sequence)[1] == bar((8, D4), (12, OFF))

    def test_a_window_without_any_note_on_is_all_no_event(self, piece):
        sequence = piece([(60, 0, 24), (62, 32, 4)])
        assert tokens(ONE_BAR, sequence)[1] == bar()

    def test_whole_melodies_have_their_own_lengths(self, piece):
        found = WHOLE.extract(piece([(60, 0, 4), (62, 32, 20)])).examples
        assert [int(example.length) for example in found] == [16, 32]

    def test_the_end_token_follows_the_last_bar(self, piece):
        converter = OneHotMelodyConverter(add_end_token=True)
        (example,) = converter.extract(piece([(60, 0, 16)])).examples
        assert converter.end_token == 90
        assert converter.output_depth == 91
        assert example.outputs.tolist() == [*bar((0, C4)), 90]
        assert example.length == 17

    def test_a_melody_is_padded_to_the_time_of_the_piece(self, piece, add):
        sequence = piece([(60, 20, 4)])
        add(sequence, [(36, 40, 8)], is_drum=True, instrument=9)
        converter = OneHotMelodyConverter(pad_to_total_time=True)
        assert tokens(converter, sequence) == [[*[0] * 20, C4, 0, 0, 0, OFF, *[0] * 23]]

    def test_more_steps_to_a_quarter_are_a_finer_grid(self, piece):
        converter = OneHotMelodyConverter(steps_per_quarter=8)
        ((first, second, *_),) = tokens(converter, piece([(60, 0, 0.5), (62, 0.5, 15.5)]))
        assert (first, second) == (C4, D4)

    def test_notes_of_other_programs_are_left_out(self, piece, add):
        sequence = piece([(60, 0, 16)])
        add(sequence, [(40, 0, 16)], program=33, instrument=1)
        assert tokens(TWO_BARS, sequence) == []
        one = dataclasses.replace(TWO_BARS, slice_bars=1)
        assert tokens(one, sequence) == [bar((0, C4))]

    def test_notes_outside_the_pitch_range_are_left_out(self, piece):
        sequence = piece([(60, 0, 16), (72, 0, 16), (40, 8, 4)])
        converter = OneHotMelodyConverter(min_pitch=60, max_pitch=71)
        assert converter.output_depth == 14
        assert tokens(converter, sequence) == [bar((0, 2))]

    def test_the_sequence_stays_as_it_is(self, piece):
        sequence = piece([(60, 0, 16), (127, 16, 16)])
        before = sequence.SerializeToString(deterministic=True)
        for presplit in (False, True):
            OneHotMelodyConverter(presplit_on_time_changes=presplit).extract(sequence)
        assert sequence.SerializeToString(deterministic=True) == before


@pytest.fixture
def song(piece):
    """A function that makes a piece of notes with chord symbols and keys (what, step)."""

    def make(notes, chords=(), keys=(), **kwargs):
        sequence = piece(notes, **kwargs)
        for text, step in chords:
            sequence.text_annotations.add(text=text, time=step * 0.125, annotation_type=1)
        for key, step in keys:
            sequence.key_signatures.add(key=key, time=step * 0.125)
        return sequence

    return make


class TestControls:
    N_C, C, G, A_MINOR = 0, 1, 8, 22

    def test_the_depth_is_that_of_chords_and_keys_together(self):
        assert [c.control_depth for c in (ONE_BAR, CHORDS, KEYS, BOTH)] == [0, 49, 12, 61]

    def test_there_is_a_chord_at_every_step(self, song):
        (example,) = CHORDS.extract(song([(60, 0, 16)], [("Am", 2), ("G7", 8)])).examples
        expected = [self.N_C] * 2 + [self.A_MINOR] * 6 + [self.G] * 8
        assert example.controls.tolist() == expected
        assert example.controls.dtype == np.int16
        assert CHORDS.dense_controls(example.controls).shape == (16, 49)

    def test_there_is_a_key_at_every_step(self, song):
        (example,) = KEYS.extract(song([(60, 0, 16)], keys=[(0, 0), (7, 8)])).examples
        assert example.controls.tolist() == [0] * 8 + [7] * 8

    def test_chord_and_key_are_two_columns(self, song):
        (example,) = BOTH.extract(song([(60, 0, 16)], [("C", 0)], [(7, 0)])).examples
        assert example.controls.tolist() == [[self.C, 7]] * 16
        assert np.flatnonzero(BOTH.dense_controls(example.controls)[0]).tolist() == [1, 49 + 7]

    def test_windows_are_cut_with_their_chords(self, song):
        sequence = song([(60, 0, 16), (62, 16, 16)], [("C", 0), ("G", 20)])
        first, second = CHORDS.extract(sequence).examples
        assert first.controls.tolist() == [self.C] * 16
        assert second.controls.tolist() == [self.C] * 4 + [self.G] * 12

    def test_the_chords_of_a_later_melody_are_those_at_its_time(self, song):
        sequence = song([(60, 0, 4), (62, 36, 8)], [("C", 0), ("G", 40)])
        _, second = CHORDS.extract(sequence).examples
        assert second.controls.tolist() == [self.C] * 8 + [self.G] * 8

    def test_the_last_chord_lasts_to_the_bar_line(self, song):
        (example,) = CHORDS.extract(song([(60, 0, 8)], [("C", 0), ("G", 6)])).examples
        assert example.controls.tolist() == [self.C] * 6 + [self.G] * 10

    def test_equal_windows_with_other_chords_are_both_kept(self, song):
        notes = [(60, 0, 16), (60, 16, 16), (60, 32, 16)]
        sequence = song(notes, [("C", 0), ("G", 16), ("C", 32)])
        assert len(tokens(CHORDS, sequence)) == 2
        assert len(tokens(ONE_BAR, sequence)) == 1

    def test_the_end_token_repeats_the_last_control(self, song):
        converter = dataclasses.replace(BOTH, add_end_token=True)
        (example,) = converter.extract(song([(60, 0, 16)], [("C", 0)], [(7, 0)])).examples
        assert example.outputs[-1] == converter.end_token
        assert example.controls.tolist() == [[self.C, 7]] * 17

    def test_a_melody_padded_to_the_piece_has_the_chords_of_the_piece(self, song):
        converter = OneHotMelodyConverter(pad_to_total_time=True, chord_encoding="triad")
        (example,) = converter.extract(song([(60, 20, 4)], [("C", 0), ("G", 16)])).examples
        assert example.controls.tolist() == [self.C] * 16 + [self.G] * 8

    def test_chords_are_inferred_where_none_is_written(self, song):
        sequence = song([(60, 0, 4), (64, 4, 4), (60, 8, 4), (67, 12, 4)])
        (example,) = BOTH.extract(sequence).examples
        assert example.controls.tolist() == [[self.C, 0]] * 16

    def test_a_window_with_a_chord_that_is_no_triad_is_skipped(self, song):
        sequence = song([(60, 0, 16), (62, 16, 16)], [("C", 0), ("Gsus4", 20)])
        found = CHORDS.extract(sequence)
        assert [e.outputs.tolist() for e in found.examples] == [bar((0, C4))]
        assert found.skipped == {"the chord 'Gsus4' is not a triad": 1}

    def test_chords_without_a_key_are_skipped_where_both_are_wanted(self, song):
        reason = {"chord symbols but no key signature": 1}
        assert skipped(BOTH, song([(60, 0, 16)], [("C", 0)])) == reason

    def test_they_are_decoded_to_symbols_and_signatures(self, song):
        chords, keys = [("Bdim", 0), ("Em", 8)], [(7, 0), (4, 12)]
        sequence = song([(60, 0, 16)], chords, keys)
        for converter in (CHORDS, KEYS, BOTH):
            tensors = converter.to_tensors(sequence)
            (decoded,) = converter.from_tensors(tensors.outputs, tensors.controls)
            symbols = [(a.text, a.time * 8) for a in decoded.text_annotations]
            assert symbols == (chords if converter.chord_encoding else [])
            signatures = [(k.key, k.time * 8) for k in decoded.key_signatures]
            assert signatures == (keys if converter.condition_on_key else [])

    def test_nothing_is_written_after_the_end_token(self, song):
        converter = dataclasses.replace(CHORDS, add_end_token=True, slice_bars=None)
        sample = converter.dense_outputs(np.array([C4, 0, 90, 0]))
        told = converter.dense_controls(np.array([self.C, self.C, self.G, self.G]))
        (decoded,) = converter.from_tensors([sample], [told])
        assert [a.text for a in decoded.text_annotations] == ["C"]

    def test_samples_without_controls_are_decoded_too(self):
        (decoded,) = BOTH.from_tensors([BOTH.dense_outputs(np.array(bar((0, C4))))])
        assert not decoded.text_annotations

    def test_controls_of_another_depth_are_refused(self):
        sample = CHORDS.dense_outputs(np.array(bar((0, C4))))
        with pytest.raises(UserError, match=r"shape \[steps, 49\]"):
            CHORDS.from_tensors([sample], [np.zeros((16, 61))])

    def test_written_harmony_is_transposed_with_the_notes(self, song):
        from note_seq import sequences_lib

        notes = [(60, 0, 16), (62, 16, 16), (64, 32, 10)]
        sequence = song(notes, [("C#m7", 0), ("Db", 20), ("N.C.", 41)], [(11, 0)])
        examples = BOTH.extract(sequence).examples
        assert BOTH.transposable_range(sequence) == (-39, 44)
        for k in range(-6, 7):
            transposed, _ = sequences_lib.transpose_note_sequence(sequence, k)
            short_cut = [BOTH.transpose(example, k) for example in examples]
            converted = BOTH.extract(transposed).examples
            for name in ("outputs", "controls"):
                assert [getattr(e, name).tolist() for e in short_cut] == [
                    getattr(e, name).tolist() for e in converted
                ]

    def test_inferred_harmony_allows_no_short_cut(self, song):
        assert CHORDS.transposable_range(song([(60, 0, 16)])) == (0, 0)
        assert BOTH.transposable_range(song([(60, 0, 16)], [("C", 0)])) == (0, 0)
        late = song([(60, 0, 16)], [("C", 0)], total_steps=20)
        assert CHORDS.transposable_range(late) == (0, 0)


class TestSkipped:
    def test_another_metre(self, piece):
        assert skipped(ONE_BAR, piece([(60, 0, 16)], metre=(3, 4))) == {"time signature 3/4": 1}

    def test_no_notes_at_all(self, piece):
        assert skipped(ONE_BAR, piece([])) == {"no notes": 1}

    def test_drums_alone(self, piece):
        assert skipped(ONE_BAR, piece([(36, 0, 1)], is_drum=True)) == {"only drums": 1}

    def test_other_programs(self, piece):
        assert skipped(TWO_BARS, piece([(40, 0, 32)], program=33)) == {
            "no notes in programs 0-31": 1
        }
        few = OneHotMelodyConverter(valid_programs=[0, 1, 5])
        assert skipped(few, piece([(40, 0, 32)], program=33)) == {"no notes in programs 0-1, 5": 1}

    def test_other_pitches(self, piece):
        assert skipped(ONE_BAR, piece([(20, 0, 16), (109, 0, 16)])) == {
            "no melody in the pitch range": 1
        }

    def test_chords_where_polyphony_is_skipped(self, piece):
        converter = OneHotMelodyConverter(skip_polyphony=True)
        assert skipped(converter, piece([(60, 0, 4), (64, 0, 4)])) == {"polyphonic track": 1}

    def test_melodies_shorter_than_the_window(self, piece):
        assert skipped(TWO_BARS, piece([(60, 0, 16)])) == {"melody shorter than 2 bars": 1}

    def test_tempo_changes_where_they_are_not_split(self, piece):
        sequence = piece([(60, 0, 16), (62, 16, 16)])
        sequence.tempos.add(time=2, qpm=90)
        converter = OneHotMelodyConverter(presplit_on_time_changes=False)
        assert skipped(converter, sequence) == {"time signature or tempo changes": 1}

    def test_notes_without_velocity(self, piece):
        assert skipped(ONE_BAR, piece([(60, 0, 16)], velocity=0)) == {"no melody": 1}

    def test_silence_that_a_cut_leaves(self, piece, add):
        sequence = piece([(36, 0, 1)], is_drum=True)
        add(sequence, [(60, 32, 16)])
        converter = OneHotMelodyConverter(max_bars=1)
        assert skipped(converter, sequence) == {"the rest of a track after 1 bar": 1}


class TestDense:
    def test_padding_is_zero_and_other_steps_one_hot(self):
        dense = ONE_BAR.dense_outputs(np.array([[0, C4, PAD]]))
        assert dense.shape == (1, 3, 90)
        assert np.argwhere(dense[0]).tolist() == [[0, 0], [1, C4]]

    def test_inputs_are_as_outputs(self):
        steps = np.array([0, C4, 1])
        np.testing.assert_array_equal(ONE_BAR.dense_inputs(steps), ONE_BAR.dense_outputs(steps))


class TestFromTensors:
    def notes(self, converter, steps):
        (sequence,) = converter.from_tensors([converter.dense_outputs(np.array(steps))])
        return [(n.pitch, n.start_time, n.end_time) for n in sequence.notes]

    def test_a_note_lasts_to_the_next_event(self):
        assert self.notes(ONE_BAR, bar((0, C4), (4, D4), (6, OFF), (8, E4))) == [
            (60, 0, 0.5),
            (62, 0.5, 0.75),
            (64, 1, 2),
        ]

    def test_a_note_off_without_a_note_is_no_event(self):
        assert self.notes(ONE_BAR, bar((2, OFF), (4, C4))) == [(60, 0.5, 2)]

    def test_nothing_after_the_end_token_counts(self):
        converter = OneHotMelodyConverter(add_end_token=True)
        assert self.notes(converter, [C4, 0, 0, 0, 90, D4]) == [(60, 0, 0.5)]

    def test_the_highest_score_is_the_token(self):
        scores = np.full((1, 90), 0.1)
        scores[0, C4] = 0.2
        (sequence,) = ONE_BAR.from_tensors([scores])
        assert [n.pitch for n in sequence.notes] == [60]

    def test_the_sequence_is_piano_at_120_quarters_a_minute(self):
        (sequence,) = ONE_BAR.from_tensors([ONE_BAR.dense_outputs(np.array(bar((0, C4))))])
        (note,) = sequence.notes
        assert (note.velocity, note.program, note.instrument) == (80, 0, 0)
        assert [tempo.qpm for tempo in sequence.tempos] == [120]
        assert sequence.total_time == 2

    def test_no_samples_give_no_sequences(self):
        assert ONE_BAR.from_tensors([]) == []

    @pytest.mark.parametrize("steps_per_quarter", [2, 4, 8])
    @pytest.mark.parametrize("add_end_token", [False, True])
    def test_extract_is_the_inverse(self, steps_per_quarter, add_end_token):
        converter = OneHotMelodyConverter(
            steps_per_quarter=steps_per_quarter, add_end_token=add_end_token, gap_bars=None
        )
        rng = np.random.default_rng(0)
        for _ in range(20):
            melody = random_melody(rng, 4 * converter.steps_per_bar)
            if add_end_token:
                melody = np.append(melody, converter.end_token)
            (sequence,) = converter.from_tensors([converter.dense_outputs(melody)])
            assert tokens(converter, sequence) == [melody.tolist()]


def random_melody(rng, steps):
    """Tokens in which only sounding notes end, with a note first and last."""
    melody = rng.choice([0, 0, 0, OFF, C4, D4, E4], steps)
    melody[0] = melody[-1] = C4
    sounding = True
    for step, token in enumerate(melody):
        if token == OFF and not sounding:
            melody[step] = 0
        elif token:
            sounding = token != OFF
    return melody


class TestTranspose:
    def test_pitches_move_and_other_tokens_stay(self, piece):
        converter = OneHotMelodyConverter(add_end_token=True)
        (example,) = converter.extract(piece([(60, 0, 4), (62, 8, 8)])).examples
        up = converter.transpose(example, 2)
        assert up.outputs.tolist() == [*bar((0, D4), (4, OFF), (8, E4)), 90]
        assert up.inputs is up.outputs
        assert up.length == 17
        assert example.outputs[0] == C4

    @pytest.mark.parametrize("semitones", [-40, 49])
    def test_pitches_cannot_leave_the_range(self, piece, semitones):
        (example,) = ONE_BAR.extract(piece([(60, 0, 4)])).examples
        inside = semitones - int(np.sign(semitones))
        assert ONE_BAR.transpose(example, inside) is not None
        assert ONE_BAR.transpose(example, semitones) is None

    def test_the_range_ends_where_a_note_would_leave(self, piece):
        converter = OneHotMelodyConverter(min_pitch=48, max_pitch=72)
        assert converter.transposable_range(piece([(50, 0, 4), (69, 4, 4)])) == (-2, 3)

    def test_the_range_ends_where_a_note_would_enter(self, piece):
        converter = OneHotMelodyConverter(min_pitch=48, max_pitch=72)
        assert converter.transposable_range(piece([(46, 0, 4), (60, 4, 4)])) == (-12, 1)
        assert converter.transposable_range(piece([(74, 0, 4), (60, 4, 4)])) == (-1, 12)

    def test_drums_and_other_programs_do_not_limit_the_range(self, piece, add):
        sequence = piece([(60, 0, 4)])
        add(sequence, [(21, 0, 4)], program=33)
        add(sequence, [(108, 0, 4)], is_drum=True)
        assert TWO_BARS.transposable_range(sequence) == (-39, 48)

    def test_notes_without_limits_go_as_far_as_midi(self, piece):
        assert ONE_BAR.transposable_range(piece([])) == (-127, 127)

    def test_a_note_lost_from_midi_shortens_a_padded_piece(self, piece, add):
        sequence = piece([(60, 0, 4)])
        add(sequence, [(3, 0, 64)], program=33)
        padded = dataclasses.replace(TWO_BARS, pad_to_total_time=True)
        assert padded.transposable_range(sequence) == (-3, 48)

    def test_a_total_time_that_transposition_would_change_allows_none(self, piece):
        sequence = piece([(60, 0, 4), (62, 4, 4)], total_steps=6)
        assert ONE_BAR.transposable_range(sequence) == (0, 0)
        late = piece([(60, 0, 4)], total_steps=64)
        padded = OneHotMelodyConverter(pad_to_total_time=True, presplit_on_time_changes=False)
        assert padded.transposable_range(late) == (0, 0)

    @pytest.mark.parametrize("pitches", [(21, 127), (36, 84), (62, 81)])
    @pytest.mark.parametrize("name", ["soldiers_joy", "bach_bwv10_7", "fishers_hornpipe"])
    def test_the_short_cut_equals_transposed_notes(self, name, pitches):
        from note_seq import sequences_lib

        converter = OneHotMelodyConverter(*pitches, slice_bars=2, max_bars=100)
        sequence = tune(name)
        examples = converter.extract(sequence).examples
        low, high = converter.transposable_range(sequence)
        if pitches == (62, 81):
            assert low > -5 or high < 5
        for k in range(max(low, -5), min(high, 5) + 1):
            notes, _ = sequences_lib.transpose_note_sequence(sequence, k)
            short_cut = [converter.transpose(e, k).outputs.tolist() for e in examples]
            assert short_cut == tokens(converter, notes)


class TestSettings:
    def test_lists_become_tuples_so_that_settings_survive_json(self):
        read = json.loads(json.dumps(dataclasses.asdict(TWO_BARS)))
        assert OneHotMelodyConverter(**read) == TWO_BARS
        assert hash(OneHotMelodyConverter(**read)) == hash(TWO_BARS)

    def test_settings_with_chords_survive_json(self):
        import note_seq

        encoding = note_seq.TriadChordOneHotEncoding()
        converter = OneHotMelodyConverter(chord_encoding=encoding)
        read = json.loads(json.dumps(dataclasses.asdict(converter)))
        assert read["chord_encoding"] == "triad"
        assert OneHotMelodyConverter(**read) == converter

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"min_pitch": -1}, "min_pitch=-1"),
            ({"max_pitch": 128}, "max_pitch=128"),
            ({"min_pitch": 60, "max_pitch": 59}, "in this order"),
            ({"valid_programs": [128]}, "from 0 to 127"),
            ({"valid_programs": []}, "from 0 to 127"),
            ({"slice_bars": 0}, "slice_bars must be"),
            ({"chord_encoding": "triads"}, "must be 'triad' or None"),
        ],
    )
    def test_an_impossible_setting_is_refused(self, wrong, message):
        with pytest.raises(UserError, match=message):
            OneHotMelodyConverter(**wrong)


@pytest.mark.parametrize(
    ("name", "two_bars", "sixteen_bars"),
    [
        ("soldiers_joy", 16, 2),
        ("fishers_hornpipe", 15, 2),
        ("bach_bwv10_7", 20, 7),
        ("maple-leaf-rag", 0, 0),  # in 2/4
    ],
)
def test_real_tunes_give_as_many_windows_as_in_the_original(name, two_bars, sixteen_bars):
    sequence = tune(name)
    long = OneHotMelodyConverter(slice_bars=16, max_bars=100)
    assert len(TWO_BARS.extract(sequence).examples) == two_bars
    assert len(long.extract(sequence).examples) == sixteen_bars
