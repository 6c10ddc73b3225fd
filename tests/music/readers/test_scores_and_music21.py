"""Scores give the notes that music21 reads of them: a second opinion, where it is installed."""

from collections import Counter
from pathlib import Path

import pytest

from music_vae.music.readers import abc_structure, abc_tune
from music_vae.music.readers.musicxml_score import read_score

music21 = pytest.importorskip("music21")

SCORES = Path(__file__).parent / "scores"
# Of its corpus: chorales with pick-ups and ties, and two staves.
WORKS = ("bach/bwv108.6", "bach/bwv26.6", "schoenberg/opus19/movement2", "joplin/maple_leaf_rag")


def theirs(score):
    """Pitch, beginning and length in quarter notes; of tied notes as one."""
    notes = Counter()
    for part in score.parts:
        for element in part.stripTies().flatten().notes:
            is_symbol = isinstance(element, music21.harmony.Harmony)
            if is_symbol or element.duration.isGrace:
                continue
            for note in element.notes if element.isChord else [element]:
                pitch = None if "Unpitched" in note.classes else int(note.pitch.ps)
                notes[pitch, _rounded(element.offset), _rounded(element.quarterLength)] += 1
    return notes


def ours(score):
    return Counter(
        (None if note.is_drum else note.pitch, _rounded(note.start), _rounded(note.quarters))
        for note in score.notes
    )


def _rounded(quarters):
    return round(float(quarters), 3)


@pytest.mark.parametrize("path", sorted(SCORES.glob("*.musicxml")), ids=lambda path: path.stem)
def test_musicxml_gives_the_same_notes(path):
    expected = music21.converter.parse(path, format="musicxml", forceSource=True)
    assert ours(read_score(path.read_bytes())) == theirs(expected)


@pytest.mark.parametrize("name", WORKS)
def test_scores_of_its_corpus_give_the_same_notes(name):
    path = music21.corpus.getWork(name)
    data = music21.converter.ArchiveManager(path).getData(dataFormat="musicxml")
    score = read_score(data.encode() if isinstance(data, str) else data)
    expected = music21.converter.parse(path, forceSource=True)
    assert ours(score) == theirs(expected)
    assert len(score.notes) > 50


def test_abc_gives_the_same_notes():
    path = SCORES / "folk.abc"
    expected = music21.converter.parse(path, format="abc", forceSource=True)
    tunes = [abc_tune.read_tune(tune) for tune in abc_structure.tunes(path.read_text())]
    assert [ours(tune.score) for tune in tunes] == [theirs(score) for score in expected.scores]
