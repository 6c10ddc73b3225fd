"""Damaged scores are read, or refused in one sentence, at once; no parser's error comes through."""

import random
from pathlib import Path

import pytest
from fuzz.mutate_scores import mutated
from hypothesis import given
from hypothesis import strategies as st

from music_vae.music.notes_io import UnreadableMusicError, read_file
from support.bounds import bounded

SCORES = sorted((Path(__file__).parents[1] / "music" / "readers" / "scores").iterdir())
SEEDS = range(20)


def _damaged(path, rng):
    return mutated(path.read_bytes(), rng, xml=path.suffix != ".abc")


def _gives_notes(path, content, caplog):
    """Writes what is damaged to a path; returns False if it is refused in one sentence."""
    path.write_bytes(content)
    caplog.clear()
    with bounded(seconds=5):
        try:
            reading = read_file(path)
        except UnreadableMusicError as error:
            assert "\n" not in str(error)
            assert not error.reason.startswith("cannot be read")
            reading = None
    assert reading is None or all(sequence.notes for sequence in reading.sequences)
    assert len(caplog.messages) <= 1
    assert all(message.isprintable() for message in caplog.messages)
    return reading is not None


@pytest.mark.parametrize("path", SCORES, ids=lambda path: path.name)
def test_most_damaged_scores_give_notes_and_others_a_reason(path, tmp_path, caplog):
    target = tmp_path / path.name
    read = [_gives_notes(target, _damaged(path, random.Random(s)), caplog) for s in SEEDS]
    assert sum(read) > len(SEEDS) / 2


@given(st.sampled_from(SCORES), st.randoms(use_true_random=False))
def test_damaged_scores_give_notes_or_a_reason(tmp_path, caplog, path, rng):
    _gives_notes(tmp_path / path.name, _damaged(path, rng), caplog)


def test_the_damage_is_that_of_the_seed():
    data = SCORES[0].read_bytes()
    damaged = {mutated(data, random.Random(seed), xml=True) for seed in SEEDS}
    assert len(damaged) > len(SEEDS) / 2
    assert mutated(data, random.Random(3), xml=True) == mutated(data, random.Random(3), xml=True)
