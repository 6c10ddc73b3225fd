"""Cuts scores into sections of one metre and tempo.

Music that cannot be used is counted in a `skipped` counter under a reason that a musician
understands. Limits far beyond any real piece keep a false time or tempo in a broken file from
filling the memory.
"""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter

import numpy as np

from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_VELOCITY
from music_vae.music.converters.score import Metre, Score, Tempo, cut
from music_vae.music.converters.segments import join, maxima, minima

MAX_TIME_S = 1e7
MAX_TIME_CHANGES = 10_000
MAX_INSTRUMENTS = 1_000


def sections(
    scores: Sequence[Score],
    skipped: Sequence[Counter[str]],
    *,
    steps_per_quarter: int,
    split_on_time_changes: bool,
    with_pedals: bool = False,
) -> list[list[Score]]:
    """Cuts pieces into sections of one metre and tempo, each shifted to time 0.

    Args:
      scores: Pieces that have not been quantised.
      skipped: Counters, one for each piece, of the reasons for which it cannot be used, and of the
        notes outside the time from 0 to its total time.
      steps_per_quarter: Steps in a quarter note: what is shorter than a step is no section.
      split_on_time_changes: False if the whole piece is to be the one section.
      with_pedals: True if the sections are to have the changes of the sustain pedal.

    Returns:
      For each piece the sections with notes, in order.

    Here is a piece that changes from 4/4 to 3/4 after two seconds:

    >>> from music_vae.music.converters.score import NOTE
    >>> notes = [(0.0, 2.0, 60, 80, 0, 0, False), (2.0, 3.5, 64, 80, 0, 0, False)]
    >>> score = Score(np.array(notes, NOTE), 3.5, metres=[Metre(0.0, 4, 4), Metre(2.0, 3, 4)])
    >>> (parts,) = sections(
    ...     [score], [Counter()], steps_per_quarter=4, split_on_time_changes=True)
    >>> [(part.total_time_s, part.metres) for part in parts]
    [(2.0, [Metre(time_s=0.0, numerator=4, denominator=4)]),
     (1.5, [Metre(time_s=0.0, numerator=3, denominator=4)])]
    """
    sections_of: list[list[Score]] = [[] for _ in scores]
    used = []
    for number, (score, reason) in enumerate(zip(scores, why_impossible(scores), strict=True)):
        if not len(score.notes):
            reason = "no notes"
        elif reason is None and split_on_time_changes and score.is_quantised:
            reason = "already quantised"
        if reason:
            skipped[number][reason] += 1
        elif split_on_time_changes:
            used.append(number)
        else:
            sections_of[number] = [_settled(score, steps_per_quarter)]
    chosen = [scores[number] for number in used]
    parts = cut_at_changes(chosen, steps_per_quarter, with_pedals=with_pedals)
    for number, own in zip(used, parts, strict=True):
        lost = len(scores[number].notes) - sum(len(part.notes) for part in own)
        if lost:
            skipped[number]["note before the beginning or after the end of the piece"] += lost
        sections_of[number] = [part for part in own if len(part.notes)]
    return sections_of


def why_impossible(scores: Sequence[Score]) -> list[str | None]:
    """Returns for each piece the reason for which it cannot be music, or None.

    >>> from music_vae.music.converters.score import NOTE
    >>> whole_note = np.array([(0.0, 2.0, 60, 80, 0, 0, False)], NOTE)
    >>> why_impossible([Score(whole_note, 2.0), Score(whole_note, math.nan)])
    [None, 'a time that is not a number']
    """
    if not scores:
        return []
    notes, sizes = join([score.notes for score in scores])
    latest_s = np.maximum(
        maxima(np.abs(notes["start_s"]), sizes), maxima(np.abs(notes["end_s"]), sizes)
    )
    velocities = minima(notes["velocity"], sizes), maxima(notes["velocity"], sizes)
    limits = (latest_s.tolist(), *(v.tolist() for v in velocities))
    return list(map(_why_impossible, scores, *limits))


def _why_impossible(score: Score, latest_s: float, softest: int, loudest: int) -> str | None:
    """Returns the reason for which a piece with notes of these limits cannot be music, or None."""
    times_s = [latest_s, score.total_time_s, *score.remark_times_s]
    for events in (score.tempos, score.metres, score.keys, score.chords):
        times_s += [event.time_s for event in events]
    if len(score.controls):
        times_s.append(float(np.abs(score.controls["time_s"]).max()))
    if not all(map(math.isfinite, times_s)):
        return "a time that is not a number"
    if max(map(abs, times_s)) > MAX_TIME_S:
        return f"a time beyond {MAX_TIME_S:.0f} seconds"
    if not all(0 <= tempo.qpm < math.inf for tempo in score.tempos):
        return "a tempo that is not a number from 0 on"
    if not 0 <= softest <= loudest <= MAX_MIDI_VELOCITY:
        return f"a velocity outside 0-{MAX_MIDI_VELOCITY}"
    if len(score.tempos) + len(score.metres) > MAX_TIME_CHANGES:
        return f"more than {MAX_TIME_CHANGES} changes of metre and tempo"
    if (
        len(score.notes) > MAX_INSTRUMENTS
        and len(set(score.notes["instrument"].tolist())) > MAX_INSTRUMENTS
    ):
        return f"more than {MAX_INSTRUMENTS} instruments"
    return None


def cut_at_changes(
    scores: Sequence[Score], steps_per_quarter: int, *, with_pedals: bool = False
) -> list[list[Score]]:
    """Cuts each piece into parts of one metre and tempo, each shifted to time 0.

    A part that is shorter than a step belongs to the next one: a tempo that a program sets at the
    second tick is meant for the first note, too. Such notes start with the next part.

    >>> from music_vae.music.converters.score import NOTE
    >>> notes = [(0.0, 1.0, 60, 80, 0, 0, False), (1.001, 2.0, 62, 80, 0, 0, False)]
    >>> score = Score(np.array(notes, NOTE), 2.0, tempos=[Tempo(0.001, 60.0)])
    >>> ((part,),) = cut_at_changes([score], steps_per_quarter=4)
    >>> part.qpm, part.notes["start_s"].round(6).tolist()
    (60.0, [0.0, 1.0])
    """
    settled = [_without_short_parts(score, steps_per_quarter) for score in scores]
    moved, times = [score for score, _ in settled], [at for _, at in settled]
    return cut(moved, times, with_pedals=with_pedals)


def _settled(score: Score, steps_per_quarter: int) -> Score:
    """Returns a piece that is of one metre and tempo but for less than a step without that."""
    moved, times = _without_short_parts(score, steps_per_quarter)
    if len(times) != 2 or times[0] == 0:
        return score
    ((part,),) = cut([moved], [times])
    return part


def _without_short_parts(score: Score, steps_per_quarter: int) -> tuple[Score, list[float]]:
    """Returns the piece with the notes of short parts at the next one, and the times to cut it at.

    Of several short parts in a row, as in a ritardando, only those move that begin less than a
    step before one that is longer.
    """
    times = change_times(score)
    begins = times[:-1]
    tempos = sorted(score.tempos, key=itemgetter(0))
    starts_s = [tempo.time_s for tempo in tempos]
    next_long = times[-2:][0]  # where the last part begins, which has no next one
    for number in reversed(range(len(begins) - 1)):
        changes = bisect_right(starts_s, times[number])
        qpm = tempos[changes - 1].qpm if changes else DEFAULT_QPM
        step_s = 60 / qpm / steps_per_quarter if qpm > 0 else 0.0
        if times[number + 1] - times[number] >= step_s:
            next_long = times[number]
        elif next_long - times[number] < step_s:
            begins[number] = next_long
    if begins == times[:-1]:
        return score, times
    notes = score.notes.copy()
    parts = np.searchsorted(times, notes["start_s"], side="right") - 1
    inside = (parts >= 0) & (parts < len(begins))
    targets = np.array(begins)[parts[inside]]
    notes["start_s"][inside] = np.maximum(notes["start_s"][inside], targets)
    notes["end_s"][inside] = np.maximum(notes["end_s"][inside], targets)
    return score._replace(notes=notes), [*dict.fromkeys(begins), *times[-1:]]


def change_times(score: Score) -> list[float]:
    """Returns the times at which to cut a piece into parts of one metre and tempo.

    These are 0, the changes, and the end; 0 alone if the piece has no length.

    >>> from music_vae.music.converters.score import NOTE
    >>> change_times(Score(np.zeros(0, NOTE), 8.0, metres=[Metre(0.0, 4, 4), Metre(6.0, 3, 4)]))
    [0.0, 6.0, 8.0]
    """
    metre, qpm, times = (4, 4), DEFAULT_QPM, [0.0]
    events: list[Metre | Tempo] = [*score.metres, *score.tempos]
    for event in sorted(events, key=itemgetter(0)):
        if event.time_s >= score.total_time_s:
            break
        if isinstance(event, Metre):
            changed, metre = event[1:] != metre, event[1:]
        else:
            changed, qpm = event.qpm != qpm, event.qpm
        if changed and event.time_s > times[-1]:
            times.append(event.time_s)
    if score.total_time_s > times[-1]:
        times.append(score.total_time_s)
    return times
