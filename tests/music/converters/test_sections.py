from collections import Counter

import pytest

from music_vae.music.converters.score import Metre, Tempo, read
from music_vae.music.converters.sections import sections


class TestSections:
    def split(self, sequence, **kwargs):
        skipped = Counter()
        kwargs = {"steps_per_quarter": 4, "split_on_time_changes": True, **kwargs}
        return sections([read(sequence)], [skipped], **kwargs)[0], skipped

    def test_a_steady_piece_is_one_section(self, piece):
        (section,), skipped = self.split(piece([(60, 0, 4)]))
        assert section.notes["pitch"].tolist() == [60]
        assert not skipped

    def test_a_tempo_change_begins_a_section_at_time_zero(self, piece):
        sequence = piece([(60, 0, 4), (62, 16, 4)])
        sequence.tempos.add(time=2, qpm=90)
        (first, second), _ = self.split(sequence)
        assert first.notes["pitch"].tolist() == [60]
        assert second.notes[["pitch", "start_s"]].tolist() == [(62, 0)]
        assert second.tempos == [Tempo(0, 90)]

    def test_a_change_of_metre_begins_a_section(self, piece):
        sequence = piece([(60, 0, 4), (62, 16, 4)])
        sequence.time_signatures.add(time=2, numerator=3, denominator=4)
        (_, second), _ = self.split(sequence)
        assert second.metres == [Metre(0, 3, 4)]

    def test_without_the_split_the_section_is_the_whole(self, piece):
        sequence = piece([(60, 0, 4), (62, 16, 4)])
        sequence.tempos.add(time=2, qpm=90)
        (whole,), _ = self.split(sequence, split_on_time_changes=False)
        assert len(whole.notes) == 2
        assert [tempo.qpm for tempo in whole.tempos] == [120, 90]

    def test_an_empty_piece_has_no_notes(self, piece):
        assert self.split(piece([])) == ([], {"no notes": 1})

    def test_notes_after_the_total_time_are_counted(self, piece):
        found, skipped = self.split(piece([(60, 0, 4), (62, 16, 4)], total_steps=8))
        assert found[0].notes["pitch"].tolist() == [60]
        assert skipped == {"note before the beginning or after the end of the piece": 1}

    def test_a_piece_without_a_total_time_says_so(self, piece):
        found, skipped = self.split(piece([(60, 0, 4)], total_steps=0))
        assert not found
        assert skipped == {"note before the beginning or after the end of the piece": 1}

    def test_a_quantised_piece_is_skipped(self, piece):
        sequence = piece([(60, 0, 4)])
        sequence.quantization_info.steps_per_quarter = 4
        assert self.split(sequence) == ([], {"already quantised": 1})

    @pytest.mark.parametrize("change", ["tempo", "metre"])
    @pytest.mark.parametrize("split", [True, False])
    def test_a_section_shorter_than_a_step_belongs_to_the_next(self, piece, change, split):
        sequence = piece([(60, 0, 4), (62, 4, 4), (64, 8, 8)])
        if change == "tempo":
            sequence.tempos.add(time=0.01, qpm=90)
        else:
            sequence.time_signatures.add(time=0.01, numerator=2, denominator=2)
        (section,), skipped = self.split(sequence, split_on_time_changes=split)
        assert section.notes["pitch"].tolist() == [60, 62, 64]
        assert section.notes["start_s"].tolist() == pytest.approx([0, 0.49, 0.99])
        assert section.notes["end_s"].tolist() == pytest.approx([0.49, 0.99, 1.99])
        assert section.qpm == (90 if change == "tempo" else 120)
        assert len(section.metres) == len(section.tempos) == 1
        assert not skipped

    def test_a_short_section_in_the_middle_belongs_to_the_next_one(self, piece):
        sequence = piece([(60, 0, 4), (62, 16, 4)])
        sequence.tempos.add(time=2, qpm=100)
        sequence.tempos.add(time=2.1, qpm=90)
        sections, _ = self.split(sequence)
        assert [section.notes["pitch"].tolist() for section in sections] == [[60], [62]]
        assert sections[1].notes[["start_s", "end_s"]].tolist() == [(0, pytest.approx(0.4))]
        assert [section.qpm for section in sections] == [120, 90]

    def test_a_section_of_a_step_is_one(self, piece):
        sequence = piece([(60, 0, 4), (62, 1, 4)])
        sequence.tempos.add(time=0.125, qpm=90)
        assert [section.qpm for section in self.split(sequence)[0]] == [120, 90]

    def test_a_note_that_is_over_before_the_next_section_begins_with_it(self, piece):
        sequence = piece([(60, 0, 0.05), (62, 4, 4)])
        sequence.tempos.add(time=0.01, qpm=90)
        (section,), _ = self.split(sequence)
        assert section.notes["start_s"].tolist() == pytest.approx([0, 0.49])
        assert section.notes["end_s"].tolist() == pytest.approx([0, 0.99])

    def test_notes_of_a_ritardando_stay_apart(self, piece):
        sequence = piece([(60, n, 1) for n in range(24)])
        for number in range(16):  # every half of a step for a beat of two
            sequence.tempos.add(time=number / 16, qpm=119 - number)
        starts = [section.notes["start_s"].tolist() for section in self.split(sequence)[0]]
        # The last but for the steady tempo begins less than a step before that.
        steady = [0, *(0.0625 + n / 8 for n in range(16))]
        assert starts == [*([[0.0]] * 7), pytest.approx(steady)]
