"""Little pieces of music for the tests of converters: 120 quarter notes a minute, 4/4."""

import pytest

STEP_S = 0.125  # a sixteenth note at 120 quarter notes a minute


@pytest.fixture
def piece():
    """A function that makes a NoteSequence of notes (pitch, first step, number of steps)."""

    def make(notes, *, metre=(4, 4), total_steps=None, **fields):
        from note_seq.protobuf import music_pb2

        sequence = music_pb2.NoteSequence()
        sequence.tempos.add(qpm=120)
        sequence.time_signatures.add(numerator=metre[0], denominator=metre[1])
        _add(sequence, notes, **fields)
        if total_steps is not None:
            sequence.total_time = total_steps * STEP_S
        return sequence

    return make


@pytest.fixture
def add():
    """The function that adds such notes to a sequence, with the fields of a note by keyword."""
    return _add


def _add(sequence, notes, **fields):
    for pitch, start, steps in notes:
        end_time = (start + steps) * STEP_S
        sequence.notes.add(
            pitch=pitch,
            start_time=start * STEP_S,
            end_time=end_time,
            **{"velocity": 80, "is_drum": False, **fields},
        )
        sequence.total_time = max(sequence.total_time, end_time)
