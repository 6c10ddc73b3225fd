import math
from collections import Counter

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.music.converters import extract
from music_vae.music.converters.grid import quantise
from music_vae.music.converters.score import read

NO_EVENT, NOTE_OFF = -2, -1  # as note_seq's Melody has them
KICK, SNARE = 36, 38
KICK_BIT, SNARE_BIT = 1, 4


def quantised(sequence):
    skipped = Counter()
    (found,) = quantise([read(sequence)], [skipped], steps_per_quarter=4, quarters_per_bar=4)
    assert not skipped
    return found


def lines(sequence, *, gap_bars=1, max_bars=None, skip_polyphony=False):
    """Pairs of first step and events, and the reasons."""
    skipped = Counter()
    (found,) = extract.melodies(
        [quantised(sequence)],
        [skipped],
        gap_bars=gap_bars,
        max_bars=max_bars,
        skip_polyphony=skip_polyphony,
    )
    return [(line.start_step, line.events.tolist()) for line in found], skipped


def tracks(sequence, *, gap_bars=1, max_bars=None):
    """The same of drums, whose events are bit masks: pitch p is bit p - `KICK`."""
    skipped, grid = Counter(), quantised(sequence)
    grid = grid.only(grid.notes["is_drum"])
    masks = np.int64(1) << (grid.notes["pitch"] - KICK)
    (found,) = extract.drum_tracks([grid], [masks], [skipped], gap_bars=gap_bars, max_bars=max_bars)
    return [(track.start_step, track.events.tolist()) for track in found], skipped


def starts(events):
    """Steps and pitches of the notes of a melody."""
    return [(step, event) for step, event in enumerate(events) if event >= 0]


class TestMelodies:
    def test_a_line_goes_to_the_end_of_its_last_bar(self, piece):
        found, _ = lines(piece([(60, 0, 4)]))
        assert found == [(0, [60, *[NO_EVENT] * 3, NOTE_OFF, *[NO_EVENT] * 11])]

    def test_a_line_begins_at_the_bar_line_before_its_first_note(self, piece):
        ((start, events),), _ = lines(piece([(60, 36, 2)]))
        assert start == 32
        assert starts(events) == [(4, 60)]
        assert len(events) == 16

    def test_a_note_to_the_bar_line_needs_no_further_bar(self, piece):
        ((_, events),), _ = lines(piece([(60, 12, 4)]))
        assert len(events) == 16

    def test_a_bar_of_silence_begins_a_new_line(self, piece):
        found, _ = lines(piece([(60, 0, 4), (62, 20, 4)]))
        assert [start for start, _ in found] == [0, 16]

    def test_less_than_a_bar_of_silence_does_not(self, piece):
        ((_, events),), _ = lines(piece([(60, 0, 4), (62, 19, 4)]))
        assert starts(events) == [(0, 60), (19, 62)]

    @pytest.mark.parametrize("gap_bars", [None, 0, math.inf])
    def test_without_gap_bars_silence_never_ends_a_line(self, piece, gap_bars):
        ((_, events),), _ = lines(piece([(60, 0, 4), (62, 160, 4)]), gap_bars=gap_bars)
        assert starts(events) == [(0, 60), (160, 62)]

    def test_half_a_bar_can_be_a_gap(self, piece):
        found, _ = lines(piece([(60, 0, 4), (62, 12, 8), (64, 32, 4)]), gap_bars=0.5)
        # The note on step 12 is lost with the bar in which the line ended.
        assert [starts(events) for _, events in found] == [[(0, 60)], [(0, 64)]]

    def test_of_a_chord_the_highest_note_is_read(self, piece):
        ((_, events),), skipped = lines(piece([(60, 0, 4), (67, 0, 2), (64, 0, 8)]))
        assert events[:3] == [67, NO_EVENT, NOTE_OFF]
        assert not skipped

    def test_a_new_note_cuts_a_held_one(self, piece):
        ((_, events),), _ = lines(piece([(60, 0, 8), (62, 4, 2)]))
        assert starts(events) == [(0, 60), (4, 62)]
        assert events.index(NOTE_OFF) == 6

    def test_skip_polyphony_gives_up_a_track_with_chords_but_no_other(self, piece, add):
        sequence = piece([(60, 0, 4), (67, 0, 4)])
        add(sequence, [(50, 0, 4)], instrument=1)
        ((_, events),), skipped = lines(sequence, skip_polyphony=True)
        assert starts(events) == [(0, 50)]
        assert skipped == {"polyphonic track": 1}

    def test_overlap_is_no_polyphony(self, piece):
        found, skipped = lines(piece([(60, 0, 8), (62, 4, 2)]), skip_polyphony=True)
        assert len(found) == 1
        assert not skipped

    def test_every_instrument_has_its_own_lines_in_order(self, piece, add):
        sequence = piece([(70, 0, 4)], instrument=2)
        add(sequence, [(50, 16, 4)], instrument=1)
        found, _ = lines(sequence)
        assert [(start, starts(events)) for start, events in found] == [
            (16, [(0, 50)]),
            (0, [(0, 70)]),
        ]

    def test_drums_are_no_melody(self, piece, add):
        sequence = piece([(60, 0, 4)])
        add(sequence, [(KICK, 0, 1)], instrument=9, is_drum=True)
        found, _ = lines(sequence)
        assert [starts(events) for _, events in found] == [[(0, 60)]]

    def test_a_line_is_cut_after_max_bars(self, piece):
        ((_, events),), skipped = lines(piece([(60, s, 16) for s in (0, 16, 32)]), max_bars=2)
        assert len(events) == 32
        assert skipped == {"the rest of a track after 2 bars": 1}

    def test_a_note_that_ends_before_it_starts_ends_the_track(self, piece):
        found, skipped = lines(piece([(60, 8, -4)]))
        assert not found
        assert skipped == {"note that ends before it starts": 1}


class TestDrumTracks:
    def test_hits_of_a_step_are_one_mask_and_have_no_length(self, piece):
        found, _ = tracks(piece([(KICK, 0, 1), (SNARE, 0, 8), (KICK, 4, 1)], is_drum=True))
        hits = [KICK_BIT | SNARE_BIT, 0, 0, 0, KICK_BIT, *[0] * 11]
        assert found == [(0, hits)]

    def test_all_drum_instruments_are_one_track(self, piece, add):
        sequence = piece([(KICK, 0, 1)], is_drum=True, instrument=9)
        add(sequence, [(SNARE, 0, 1)], is_drum=True, instrument=10)
        add(sequence, [(60, 0, 1)])
        ((_, events),), _ = tracks(sequence)
        assert events[0] == KICK_BIT | SNARE_BIT

    def test_a_bar_without_hits_begins_a_new_track(self, piece):
        found, _ = tracks(piece([(KICK, 3, 1), (KICK, 20, 1)], is_drum=True))
        assert [(start, len(events)) for start, events in found] == [(0, 16), (16, 16)]

    @pytest.mark.parametrize("gap_bars", [None, 0])
    def test_without_gap_bars_there_is_one_track(self, piece, gap_bars):
        sequence = piece([(KICK, 3, 1), (KICK, 100, 1)], is_drum=True)
        ((start, events),), _ = tracks(sequence, gap_bars=gap_bars)
        assert (start, len(events)) == (0, 112)

    def test_a_track_is_cut_after_max_bars(self, piece):
        sequence = piece([(KICK, step, 1) for step in range(0, 48, 4)], is_drum=True)
        ((_, events),), skipped = tracks(sequence, max_bars=2)
        assert len(events) == 32
        assert skipped == {"the rest of a track after 2 bars": 1}


def test_padding_fills_a_line_up_on_both_sides(piece):
    ((start, events),), _ = lines(piece([(60, 20, 4)]))
    start, events = extract.pad_melody(extract.Track(start, np.array(events)), 40)
    assert (start, len(events)) == (0, 40)
    assert starts(events) == [(20, 60)]


@pytest.mark.parametrize("max_bars", [1, None])
def test_padding_ends_a_note_that_sounds_to_the_end_of_a_line(piece, max_bars):
    sequence = piece([(60, 8, 8 if max_bars is None else 20)])
    ((start, events),), _ = lines(sequence, max_bars=max_bars)
    assert len(events) == 16
    line = extract.Track(start, np.array(events))
    assert extract.pad_melody(line, 20).events[16:].tolist() == [NOTE_OFF, *[NO_EVENT] * 3]
    assert extract.pad_melody(line, 12).events[8:].tolist() == [60, *[NO_EVENT] * 3]


def test_windows_slide_by_the_hop():
    found, numbers = extract.windows([np.arange(9), np.arange(20, 25)], 4, 2)
    assert found.tolist() == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7], [20, 21, 22, 23]]
    assert numbers.tolist() == [3, 1]


def test_there_is_no_window_longer_than_the_music():
    found, numbers = extract.windows([np.arange(3), np.arange(4)], 4, 2)
    assert (found.tolist(), numbers.tolist()) == ([[0, 1, 2, 3]], [0, 1])
    assert extract.windows([], 4, 2)[0].shape == (0, 4)


def test_unique_keeps_the_first_of_equal_arrays_in_order():
    arrays = [np.array(a) for a in ([2, 1], [1], [2, 1], [1, 0])]
    assert [a.tolist() for a in extract.unique(arrays)] == [[2, 1], [1], [1, 0]]


GRID = {
    "steps_per_quarter": 4,
    "quarters_per_bar": 4,
    "max_bars": None,
    "slice_bars": None,
    "gap_bars": None,
    "max_tensors_per_notesequence": None,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps_per_quarter": 0},
        {"steps_per_quarter": 2.5},
        {"quarters_per_bar": 0},
        {"max_bars": 0},
        {"slice_bars": -2},
        {"slice_bars": 0.5},
        {"gap_bars": -1},
        {"gap_bars": math.nan},
        {"max_tensors_per_notesequence": 0},
    ],
)
def test_an_impossible_setting_is_named_with_its_value(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UserError, match=f"{name} must be .*{value}"):
        extract.check_grid(**{**GRID, **wrong})


def test_windows_longer_than_any_track_are_refused():
    with pytest.raises(UserError, match="max_bars=1 leaves no room for slice_bars=2"):
        extract.check_grid(**{**GRID, "max_bars": 1, "slice_bars": 2})
