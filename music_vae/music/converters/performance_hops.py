"""Cuts a section of a piece into hops, the short passages that are examples of performances."""

from collections import Counter

import numpy as np

from music_vae.music.converters.base import bars
from music_vae.music.converters.controls import Harmony
from music_vae.music.converters.grid import Grid, quantise
from music_vae.music.converters.score import Score, cut

# A piece of more hops is not music but a time that is wrong; it would fill the memory.
_MAX_HOPS = 100_000


def cut_hops(
    section: Score,
    skipped: Counter[str],
    *,
    hop_bars: int,
    steps_per_quarter: int,
    quarters_per_bar: int,
    harmony: Harmony,
    first_only: bool,
) -> list[Grid]:
    """Returns the hops that have notes, in order of time, with their notes on the grid of steps.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> from music_vae.music.converters.score import read
    >>> piece = NoteSequence(tempos=[{"qpm": 120}], total_time=4.0)  # two bars
    >>> for start in (0.0, 3.0):
    ...     _ = piece.notes.add(pitch=60, velocity=80, start_time=start, end_time=start + 0.5)
    >>> hops = cut_hops(
    ...     read(piece), Counter(), hop_bars=1, steps_per_quarter=24, quarters_per_bar=4,
    ...     harmony=Harmony(chords=False, keys=False), first_only=False)
    >>> [hop.starts.tolist() for hop in hops]  # the second note is on the third beat of its bar
    [[0], [48]]

    Args:
      section: Music of one metre and tempo.
      skipped: Counts why there are none.
      hop_bars: Length of a hop in bars.
      steps_per_quarter: Steps in a quarter note.
      quarters_per_bar: Quarter notes in a bar; music in other metres is skipped.
      harmony: The chords that hops need; they are inferred where none are written.
      first_only: If True, a section that is longer than a hop is skipped.
    """

    def on_grid(part: Score) -> Grid | None:
        (grid,) = quantise(
            [part],
            [skipped],
            steps_per_quarter=steps_per_quarter,
            quarters_per_bar=quarters_per_bar,
        )
        return grid

    if not section.qpm > 0:
        skipped["a tempo of 0"] += 1
        return []
    hop_s = 60 * quarters_per_bar * hop_bars / section.qpm
    total_s = section.total_time_s
    if not total_s <= _MAX_HOPS * hop_s:
        skipped[f"longer than {_MAX_HOPS} examples"] += 1
        return []
    if first_only and total_s > hop_s:
        skipped[f"longer than {bars(hop_bars)}"] += 1
        return []
    if not harmony.is_written(section):
        whole = on_grid(section)
        inferred = None if whole is None else harmony.complete(whole, skipped)
        if inferred is None:
            return []
        section = section._replace(chords=[*section.chords, *inferred.section.chords])
    times = [0.0, *np.arange(hop_s, total_s, hop_s).tolist()]
    if total_s > times[-1]:
        times.append(total_s)
    hops = []
    for part in cut([section], [times])[0]:
        if not len(part.notes):
            continue
        hop = on_grid(part)
        if hop is None:  # because of the metre, which all hops share
            return []
        hops.append(hop)
    return hops
