"""Damaged scores are read, or refused in one sentence, at once; no parser's error comes through."""

import time
from pathlib import Path

import pytest
from fuzz.mutate_scores import mutated

from music_vae.music.notes_io import UnreadableMusicError, read_file

SCORES = sorted((Path(__file__).parents[1] / "music" / "scores").iterdir())
SEEDS = range(20)


@pytest.mark.parametrize("path", SCORES, ids=lambda path: path.name)
def test_damaged_scores_give_notes_or_a_reason(path, tmp_path, caplog):
    read = 0
    for seed in SEEDS:
        damaged = tmp_path / f"{seed}{path.suffix}"
        damaged.write_bytes(mutated(path.read_bytes(), seed, xml=path.suffix != ".abc"))
        caplog.clear()
        start = time.monotonic()
        try:
            reading = read_file(damaged)
        except UnreadableMusicError as error:
            assert "\n" not in str(error)
            assert not error.reason.startswith("cannot be read")
        else:
            assert all(sequence.notes for sequence in reading.sequences)
            read += 1
        assert time.monotonic() - start < 5
        assert len(caplog.messages) <= 1
        assert all(message.isprintable() for message in caplog.messages)
    assert read > len(SEEDS) / 2


def test_the_damage_is_that_of_the_seed():
    data = SCORES[0].read_bytes()
    damaged = {mutated(data, seed, xml=True) for seed in SEEDS}
    assert len(damaged) > len(SEEDS) / 2
    assert mutated(data, 3, xml=True) == mutated(data, 3, xml=True)
