"""Pieces put together again, each where it belongs."""

from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.music import joining


def piece(*times_s, **fields):
    """A piece of notes, of which each has a start and an end in seconds."""
    sequence = NoteSequence(**fields)
    for start, end in times_s:
        sequence.notes.add(pitch=60, velocity=80, start_time=start, end_time=end)
    return sequence


def test_joined_pieces_follow_each_other_from_bar_line_to_bar_line():
    common = {"time_signatures": [{"numerator": 3, "denominator": 4}], "tempos": [{"qpm": 60}]}
    first = piece((0, 0.5), **common)
    second = piece((1, 2), (3, 3.5), total_time=6.0, **common)
    joined = joining.joined([first, second, first])
    assert [note.start_time for note in joined.notes] == [0, 4, 6, 9]
    assert joined.total_time == 12
    assert len(joined.tempos) == len(joined.time_signatures) == 1
    assert len(first.notes) == 1


def test_placed_pieces_begin_at_their_times_and_stay_as_they_are():
    first, second = piece((0, 1), total_time=2.0), piece((0.5, 1), total_time=2.0)
    second.text_annotations.add(time=1.0, text="C")
    whole = joining.placed([(0.0, first), (2.0, second)])
    assert [(note.start_time, note.end_time) for note in whole.notes] == [(0, 1), (2.5, 3)]
    assert [text.time for text in whole.text_annotations] == [3.0]
    assert whole.total_time == 4.0
    assert second.notes[0].start_time == 0.5


def test_silence_before_a_pickup_is_left_out_and_early_hits_are_not():
    pickup = piece((0.0, 1.0), (3.5, 4.0), total_time=4.0)
    early = piece((-0.02, 0.1), (1.0, 1.1), total_time=2.0)
    whole = joining.placed([(-3.0, pickup), (1.0, early)])
    assert [round(note.start_time, 2) for note in whole.notes] == [0.5, 0.98, 2.0]
    assert [note.start_time for note in joining.placed([(0.0, early)]).notes] == [-0.02, 1.0]
