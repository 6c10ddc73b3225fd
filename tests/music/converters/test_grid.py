from collections import Counter

import pytest

from music_vae.music.converters.grid import quantise
from music_vae.music.converters.score import read


def quantised(sequence):
    skipped = Counter()
    (found,) = quantise([read(sequence)], [skipped], steps_per_quarter=4, quarters_per_bar=4)
    assert not skipped
    return found


class TestQuantise:
    def reasons(self, sequence):
        skipped = Counter()
        (found,) = quantise([read(sequence)], [skipped], steps_per_quarter=4, quarters_per_bar=4)
        assert found is None
        return skipped

    def test_times_go_to_the_nearest_step(self, piece):
        found = quantised(piece([(60, 0.4, 3.8)]))
        assert (found.starts.tolist(), found.ends.tolist()) == ([0], [4])

    @pytest.mark.parametrize("metre", [(3, 4), (2, 4), (6, 8), (4, 3), (4, 0), (0, 4)])
    def test_a_metre_with_other_bars_is_skipped(self, piece, metre):
        sequence = piece([(60, 0, 4)], metre=metre)
        assert self.reasons(sequence) == {f"time signature {metre[0]}/{metre[1]}": 1}

    @pytest.mark.parametrize("metre", [(4, 4), (2, 2), (8, 8)])
    def test_a_metre_with_as_long_bars_is_taken(self, piece, metre):
        assert quantised(piece([(60, 0, 4)], metre=metre))

    def test_a_piece_without_metre_is_in_four_four(self, piece):
        sequence = piece([(60, 0, 4)])
        del sequence.time_signatures[:]
        assert quantised(sequence)

    def test_a_waltz_is_taken_where_bars_have_three_quarters(self, piece):
        skipped = Counter()
        waltz = piece([(60, 0, 4)], metre=(3, 4))
        (found,) = quantise([read(waltz)], [skipped], steps_per_quarter=4, quarters_per_bar=3)
        assert found is not None

    def test_negative_time_is_skipped(self, piece):
        assert self.reasons(piece([(60, -8, 4)])) == {"negative time": 1}

    @pytest.mark.parametrize("change", ["tempo", "metre"])
    def test_a_piece_with_changes_is_skipped(self, piece, change):
        sequence = piece([(60, 0, 4), (62, 16, 4)])
        if change == "tempo":
            sequence.tempos.add(time=2, qpm=90)
        else:
            sequence.time_signatures.add(time=2, numerator=3, denominator=4)
        assert self.reasons(sequence) == {"time signature or tempo changes": 1}
