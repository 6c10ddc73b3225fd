"""Chunks cover all examples in order, from one thread or several, with a bar or without."""

import threading
import time

import pytest

from music_vae.common import progress
from music_vae.common.chunks import map_chunks


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(5, 2, [(0, 2), (2, 4), (4, 5)]), (4, 4, [(0, 4)]), (1, 8, [(0, 1)]), (0, 3, [])],
)
@pytest.mark.parametrize("workers", [1, 3])
def test_the_last_chunk_holds_the_rest(count, size, expected, workers):
    found = map_chunks(lambda c: (c.start, c.stop), count, size, workers=workers)
    assert found == expected


def test_results_of_several_threads_are_in_order():
    def late_first(chunk):
        time.sleep(0.01 * (3 - chunk.start))
        return chunk.start, threading.get_ident()

    found = map_chunks(late_first, 3, 1, workers=3)
    assert [start for start, _ in found] == [0, 1, 2]
    assert len({thread for _, thread in found}) > 1
    assert len({thread for _, thread in map_chunks(late_first, 3, 1)}) == 1


def test_a_bar_is_labelled_and_counts_chunks(monkeypatch, capsys):
    monkeypatch.setattr(progress, "show_progress", lambda: True)
    assert map_chunks(lambda chunk: chunk.stop, 5, 2, label="encoding") == [2, 4, 5]
    shown = capsys.readouterr().err
    assert "encoding: 100%" in shown
    assert "3/3" in shown
    map_chunks(lambda chunk: chunk.stop, 5, 2)
    assert not capsys.readouterr().err


def test_nothing_is_shown_where_nobody_looks(capsys):
    map_chunks(lambda chunk: chunk.stop, 5, 2, label="encoding")
    assert not capsys.readouterr().err


def test_an_error_comes_through():
    def fail(chunk):
        raise ValueError(f"at {chunk.start}")

    with pytest.raises(ValueError, match="at 0"):
        map_chunks(fail, 4, 2, workers=2)
