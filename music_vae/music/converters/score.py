"""Defines `Score`, a piece of music as arrays, which is read from a NoteSequence once.

Converters transpose pieces, cut them where the metre or tempo changes and put them on a grid of
steps. With arrays that takes a small part of the time that note_seq takes with NoteSequences, and
the results are the same.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from music_vae.common.constants import DEFAULT_QPM, MAX_MIDI_PITCH, MIN_MIDI_PITCH, SEMITONES
from music_vae.music.converters.segments import join, maxima, ranges, split, take, totals

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

NOTE = np.dtype(
    [
        ("start_s", np.float64),
        ("end_s", np.float64),
        ("pitch", np.int32),
        ("velocity", np.int32),
        ("instrument", np.int32),
        ("program", np.int32),
        ("is_drum", np.bool_),
    ],
    align=True,
)
"""A note; its numbers are those of the piece, even if MIDI has no such numbers."""

CONTROL_CHANGE = np.dtype(
    [
        ("time_s", np.float64),
        ("instrument", np.int32),
        ("number", np.int32),
        ("value", np.int32),
    ]
)
"""A control change; `SUSTAIN` is the number of the sustain pedal."""

SUSTAIN = 64
CHORD_SYMBOL = 1  # NoteSequence.TextAnnotation.CHORD_SYMBOL

_NOTE_FIELDS = attrgetter(
    "start_time", "end_time", "pitch", "velocity", "instrument", "program", "is_drum"
)
_CONTROL_FIELDS = attrgetter("time", "instrument", "control_number", "control_value")


class Tempo(NamedTuple):
    """A number of quarter notes a minute, from a time on.

    >>> Tempo(time_s=0.0, qpm=96.0).qpm
    96.0
    """

    time_s: float
    qpm: float


class Metre(NamedTuple):
    """A time signature, from a time on.

    >>> waltz = Metre(time_s=0.0, numerator=3, denominator=4)
    >>> f"{waltz.numerator}/{waltz.denominator}"
    '3/4'
    """

    time_s: float
    numerator: int
    denominator: int


class Key(NamedTuple):
    """A key signature, from a time on; the key is its tonic, 0 (C) to 11 (B).

    >>> d_major = Key(time_s=0.0, key=2)
    >>> d_major._replace(time_s=4.0)
    Key(time_s=4.0, key=2)
    """

    time_s: float
    key: int


class Chord(NamedTuple):
    """A chord symbol, from a time on.

    >>> [chord.symbol for chord in (Chord(0.0, "Am"), Chord(2.0, "G7"))]
    ['Am', 'G7']
    """

    time_s: float
    symbol: str


_Event = TypeVar("_Event", Tempo, Metre, Key, Chord)


class Score(NamedTuple):
    """A piece, or a part of one that begins at time 0.

    Attributes:
      notes: Notes `[N]` of dtype `NOTE`.
      total_time_s: Length that the piece says it has; notes may end later.
      tempos: Tempos, like all events in the order of the NoteSequence.
      metres: Time signatures.
      keys: Key signatures.
      chords: Chord symbols.
      controls: Control changes, of dtype `CONTROL_CHANGE`; a part that `cut` returns has those of
        the sustain pedal alone, or none.
      remark_times_s: Times of all other text.
      is_quantised: True if the NoteSequence had been quantised.
      begin_s: Time at which it begins in the piece that it is a part of.

    >>> c_and_e = [(0.0, 0.5, 60, 80, 0, 0, False), (0.5, 1.0, 64, 80, 0, 0, False)]
    >>> score = Score(np.array(c_and_e, NOTE), total_time_s=2.0, tempos=[Tempo(0.0, 90.0)])
    >>> score.notes["pitch"].tolist(), score.qpm, score.last_end_s
    ([60, 64], 90.0, 1.0)
    """

    notes: np.ndarray
    total_time_s: float
    tempos: Sequence[Tempo] = ()
    metres: Sequence[Metre] = ()
    keys: Sequence[Key] = ()
    chords: Sequence[Chord] = ()
    controls: np.ndarray = np.empty(0, CONTROL_CHANGE)
    remark_times_s: Sequence[float] = ()
    is_quantised: bool = False
    begin_s: float = 0.0

    @property
    def qpm(self) -> float:
        """The first tempo, or MIDI's default."""
        return self.tempos[0].qpm if self.tempos else DEFAULT_QPM

    @property
    def last_end_s(self) -> float:
        """Time at which the last note ends, or 0."""
        return float(self.notes["end_s"].max(initial=0.0))


def read_all(sequences: Sequence["NoteSequence | Score"]) -> list[Score]:
    """Reads the scores of NoteSequences; scores are returned as they are.

    >>> silence = Score(np.zeros(0, NOTE), total_time_s=4.0)
    >>> [score.total_time_s for score in read_all([silence, as_sequence(silence)])]
    [4.0, 4.0]
    """
    return [read(sequence) for sequence in sequences]


def read(sequence: "NoteSequence | Score") -> Score:
    """Reads the score of a NoteSequence; a score is returned as it is.

    >>> from note_seq import NoteSequence
    >>> tune = NoteSequence(total_time=0.5)
    >>> middle_c = tune.notes.add(pitch=60, velocity=80, start_time=0.0, end_time=0.5)
    >>> read(tune).notes.tolist()
    [(0.0, 0.5, 60, 80, 0, 0, False)]
    """
    if isinstance(sequence, Score):
        return sequence
    info = sequence.quantization_info
    chords, remark_times_s = [], []
    for text in sequence.text_annotations:
        if text.annotation_type == CHORD_SYMBOL:
            chords.append(Chord(text.time, text.text))
        else:
            remark_times_s.append(text.time)
    return Score(
        _rows(NOTE, _NOTE_FIELDS, sequence.notes),
        sequence.total_time,
        [Tempo(tempo.time, tempo.qpm) for tempo in sequence.tempos],
        [Metre(m.time, m.numerator, m.denominator) for m in sequence.time_signatures],
        [Key(signature.time, signature.key) for signature in sequence.key_signatures],
        chords,
        _rows(CONTROL_CHANGE, _CONTROL_FIELDS, sequence.control_changes),
        remark_times_s,
        info.steps_per_quarter > 0 or info.steps_per_second > 0,
    )


def _rows(dtype: np.dtype, fields: attrgetter, messages: Sequence) -> np.ndarray:
    return np.fromiter(map(fields, messages), dtype, len(messages))


def as_sequence(score: Score) -> "NoteSequence":
    """Returns a NoteSequence of a score, as the inverse of `read`; remarks are left out.

    It serves where note_seq has to do the work.

    >>> chords = as_sequence(Score(np.zeros(0, NOTE), 4.0, chords=[Chord(2.0, "Am")]))
    >>> chords.text_annotations[0].time, chords.text_annotations[0].text
    (2.0, 'Am')
    """
    from note_seq.protobuf import music_pb2

    sequence = music_pb2.NoteSequence(total_time=score.total_time_s)
    for start_s, end_s, pitch, velocity, instrument, program, is_drum in score.notes.tolist():
        sequence.notes.add(
            start_time=start_s,
            end_time=end_s,
            pitch=pitch,
            velocity=velocity,
            instrument=instrument,
            program=program,
            is_drum=is_drum,
        )
    for time_s, instrument, number, value in score.controls.tolist():
        sequence.control_changes.add(
            time=time_s, instrument=instrument, control_number=number, control_value=value
        )
    for tempo in score.tempos:
        sequence.tempos.add(time=tempo.time_s, qpm=tempo.qpm)
    for time_s, numerator, denominator in score.metres:
        sequence.time_signatures.add(time=time_s, numerator=numerator, denominator=denominator)
    for key in score.keys:
        sequence.key_signatures.add(time=key.time_s, key=key.key)
    for chord in score.chords:
        sequence.text_annotations.add(
            time=chord.time_s, text=chord.symbol, annotation_type=CHORD_SYMBOL
        )
    return sequence


def transposed(
    scores: Sequence[Score], semitones: Sequence[int], chords: Sequence[Sequence[Chord]]
) -> list[Score]:
    """Transposes each score by its number of semitones, and gives it other chord symbols.

    Drums stay, notes that leave MIDI's range are dropped, and a piece ends with its last note.

    >>> notes = [(0.0, 0.5, 60, 80, 0, 0, False), (0.0, 0.5, 36, 80, 9, 0, True)]
    >>> score = Score(np.array(notes, NOTE), 0.5, keys=[Key(0.0, 0)])
    >>> (higher,) = transposed([score], semitones=[2], chords=[[Chord(0.0, "D")]])
    >>> higher.notes["pitch"].tolist(), higher.keys
    ([62, 36], [Key(time_s=0.0, key=2)])
    """
    notes, sizes = join([score.notes for score in scores])
    stays = notes["is_drum"]
    pitches = notes["pitch"] + np.repeat(np.array(semitones, np.int64), sizes) * ~stays
    kept = stays | ((pitches >= MIN_MIDI_PITCH) & (pitches <= MAX_MIDI_PITCH))
    sizes = totals(kept, sizes)
    moved = take(notes, kept)
    moved["pitch"] = pitches[kept]
    last_ends_s = maxima(moved["end_s"], sizes).tolist()
    results = []
    for score, by, own, end_s, symbols in zip(
        scores, semitones, split(moved, sizes), last_ends_s, chords, strict=True
    ):
        keys = [key._replace(key=(key.key + by) % SEMITONES) for key in score.keys]
        results.append(score._replace(notes=own, total_time_s=end_s, keys=keys, chords=symbols))
    return results


def sustained(section: Score) -> Score:
    """Returns the section with its notes as long as the sustain pedal makes them.

    >>> short = np.array([(0.0, 0.5, 60, 80, 0, 0, False)], NOTE)
    >>> pedal = np.array([(0.1, 0, SUSTAIN, 127), (1.5, 0, SUSTAIN, 0)], CONTROL_CHANGE)
    >>> sustained(Score(short, total_time_s=2.0, controls=pedal)).last_end_s
    1.5
    """
    notes = section.notes
    if (
        not len(section.controls)
        and (notes["is_drum"] | (notes["start_s"] <= notes["end_s"])).all()
    ):
        return section  # without a pedal, note_seq changes notes that end before they start
    from note_seq import sequences_lib

    return read(sequences_lib.apply_sustain_control_changes(as_sequence(section)))


def cut(
    scores: Sequence[Score], times: Sequence[Sequence[float]], *, with_pedals: bool = False
) -> list[list[Score]]:
    """Cuts each piece into the parts between one time and the next, shifted to time 0.

    A note belongs to the part in which it starts, and ends with that part at the latest; tempos,
    metres, keys and chords go on into the parts after theirs. A part ends with its last note.

    Args:
      scores: The pieces.
      times: For each piece times in seconds, in ascending order, each once, from 0.
      with_pedals: True if the parts are to have the changes of the sustain pedal; otherwise they
        have no control changes.

    >>> notes = [(0.0, 3.0, 60, 80, 0, 0, False), (2.0, 2.5, 64, 80, 0, 0, False)]
    >>> ((first, second),) = cut([Score(np.array(notes, NOTE), 4.0)], [[0.0, 2.0, 4.0]])
    >>> [part.notes[["start_s", "end_s", "pitch"]].tolist() for part in (first, second)]
    [[(0.0, 2.0, 60)], [(0.0, 0.5, 64)]]
    """
    if not scores:
        return []
    notes, sizes = join([score.notes for score in scores])
    owners, starts_s = np.repeat(np.arange(len(scores)), sizes), notes["start_s"]
    if ((starts_s[1:] < starts_s[:-1]) & (owners[1:] == owners[:-1])).any():
        notes = take(notes, np.lexsort((starts_s, owners)))
        starts_s = notes["start_s"]
    bounds = [
        np.searchsorted(own, at) + end - len(own)
        for own, at, end in zip(split(starts_s, sizes), times, np.cumsum(sizes), strict=True)
    ]
    firsts = np.concatenate([bound[:-1] for bound in bounds])
    part_sizes = np.concatenate([bound[1:] for bound in bounds]) - firsts
    notes = take(notes, ranges(firsts, part_sizes))
    begins_s = np.repeat([begin for at in times for begin in at[:-1]], part_sizes)
    ends_s = np.repeat([end for at in times for end in at[1:]], part_sizes)
    notes["start_s"] -= begins_s
    notes["end_s"] = np.minimum(notes["end_s"], ends_s) - begins_s
    last_ends_s = iter(maxima(notes["end_s"], part_sizes).tolist())
    own_notes = iter(split(notes, part_sizes))
    return [
        [
            Score(next(own_notes), next(last_ends_s), *events)._replace(
                begin_s=score.begin_s + begin_s
            )
            for begin_s, *events in zip(at[:-1], *_events(score, at, with_pedals), strict=True)
        ]
        for score, at in zip(scores, times, strict=True)
    ]


def _events(score: Score, times: Sequence[float], with_pedals: bool) -> list[list]:
    """Returns the events of the parts besides notes; for each kind a list with an entry a part."""
    return [
        _held(score.tempos, times),
        _held(score.metres, times),
        _held(score.keys, times),
        _held(score.chords, times),
        _pedals(score.controls, times) if with_pedals else [score.controls[:0]] * (len(times) - 1),
    ]


def _held(events: Sequence[_Event], times: Sequence[float]) -> list[list[_Event]]:
    """Returns the events of each part: the one in force as it begins, at time 0, and its own."""
    if not events:
        return [[] for _ in times[1:]]
    ordered = sorted(events, key=itemgetter(0))
    starts = [event.time_s for event in ordered]
    parts = []
    for begin, end in pairwise(times):
        first, last = bisect_right(starts, begin), bisect_left(starts, end)
        in_force = [ordered[first - 1]._replace(time_s=0.0)] if first else []
        parts.append(in_force + [e._replace(time_s=e.time_s - begin) for e in ordered[first:last]])
    return parts


def _pedals(controls: np.ndarray, times: Sequence[float]) -> list[np.ndarray]:
    """Returns the changes of the sustain pedal in each part, those in force at time 0 included."""
    changes = controls[controls["number"] == SUSTAIN]
    changes = changes[np.argsort(changes["time_s"], kind="stable")]
    inside = np.searchsorted(changes["time_s"], times, side="right")
    before = np.searchsorted(changes["time_s"], times)
    held: dict[int, np.void] = {}
    parts, read_until = [], 0
    for number, begin in enumerate(times[:-1]):
        for change in changes[read_until : inside[number]]:
            held[int(change["instrument"])] = change
        read_until = inside[number]
        part = np.array([*held.values(), *changes[read_until : before[number + 1]]], CONTROL_CHANGE)
        part["time_s"][len(held) :] -= begin
        part["time_s"][: len(held)] = 0.0
        parts.append(part)
    return parts
