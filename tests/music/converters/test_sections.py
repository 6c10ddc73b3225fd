from collections import Counter

from music_vae.music.converters.score import Metre, Tempo, read
from music_vae.music.converters.sections import sections


class TestSections:
    def split(self, sequence, **kwargs):
        skipped = Counter()
        kwargs = {"split_on_time_changes": True, **kwargs}
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
