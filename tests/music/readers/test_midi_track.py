"""What is damaged in a MIDI file costs as little of its music as possible, and one line."""

import logging

import pytest

from music_vae.music.notes_io import UnreadableMusicError, read_music_file
from support.midi_bytes import END_OF_TRACK, chunk, header

LONG = b"\x8f\xff\xff\x7f"  # 33,554,431 as a time


def note(pitch, channel=0):
    """A note of 96 ticks."""
    return bytes([0, 0x90 | channel, pitch, 80, 96, 0x80 | channel, pitch, 0])


NOTES = b"".join(map(note, (60, 62, 64, 65)))
MORE = b"".join(note(pitch, 1) for pitch in (67, 69, 71, 72))
LESS = b"".join(note(pitch, 1) for pitch in (40, 41))
SECOND = chunk(LESS + END_OF_TRACK)
ALL = [60, 62, 64, 65, 67, 69, 71, 72]


def read(tmp_path, data):
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    (sequence,) = read_music_file(path)
    return sequence


def pitches(tmp_path, data):
    """The pitches of the first track, and of the second, in order of time."""
    notes = sorted(read(tmp_path, data).notes, key=lambda n: n.start_time)
    return [n.pitch for n in notes if n.pitch >= 60], [n.pitch for n in notes if n.pitch < 60]


def remarks(caplog):
    return [message.partition(": ignored: ")[2] for message in caplog.messages]


@pytest.mark.parametrize(
    ("broken", "kept"),
    [
        (b"\x00\xf4\x00\xfd", ALL),  # undefined messages of the system have no data
        (b"\x00\xff\x01\x7fabc", ALL),  # a text that is longer than the track
        (b"\xff\xff\xff\xff\xff\xff", ALL),  # a time without end
        (b"\x00\xff\x01\x80\x80\x80\x80\x80", ALL),
        (b"\x00\xf0\x7f", ALL),  # a message of the system that is longer than the track
    ],
)
def test_reading_goes_on_after_a_damaged_event(tmp_path, caplog, broken, kept):
    with caplog.at_level(logging.WARNING):
        first, second = pitches(
            tmp_path, header(2) + chunk(NOTES + broken + MORE + END_OF_TRACK) + SECOND
        )
    assert set(kept) <= set(first)
    assert second == [40, 41]
    assert len(caplog.messages) <= 1


def test_running_status_goes_on_after_a_message_of_the_system(tmp_path, caplog):
    track = b"\x00\x90\x3c\x50\x60\x3c\x00\x00\xf0\x02\x01\xf7\x00\x3e\x50\x60\x3e\x00"
    assert pitches(tmp_path, header(1) + chunk(track + END_OF_TRACK)) == ([60, 62], [])
    assert not caplog.messages


@pytest.mark.parametrize("status", [b"", b"\x3c\x50"])
def test_what_cannot_be_read_on_keeps_what_was_before_and_the_other_tracks(
    tmp_path, caplog, status
):
    data = header(2) + chunk(NOTES + b"\x00\xff\x51" + status) + SECOND
    with caplog.at_level(logging.WARNING):
        assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])
    (remark,) = remarks(caplog)
    assert remark.startswith("damage: track 1 ")


def test_a_file_that_is_cut_off_keeps_what_is_there(tmp_path, caplog):
    whole = header(2) + chunk(NOTES + END_OF_TRACK) + SECOND
    for size in range(len(whole) - 4, 40, -1):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            first, second = pitches(tmp_path, whole[:size])
        assert (first + second)[: len(first + second)] == [60, 62, 64, 65, 40, 41][
            : len(first + second)
        ]
        assert len(first + second) >= min(size - 22, 44) // 8 - 1
        assert len(caplog.messages) == 1


@pytest.mark.parametrize("wrong", [-7, -1, 1, 5, 40, 1000, 1 << 30])
@pytest.mark.parametrize("end", [END_OF_TRACK, b""])
def test_a_wrong_length_of_a_track_costs_nothing(tmp_path, wrong, end):
    first = chunk(NOTES + END_OF_TRACK, size=len(NOTES + END_OF_TRACK) + wrong)
    assert pitches(tmp_path, header(2) + first + SECOND) == ([60, 62, 64, 65], [40, 41])
    last = chunk(LESS + END_OF_TRACK, size=len(LESS + END_OF_TRACK) + wrong)
    data = header(2) + chunk(NOTES + end) + last
    assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])


def test_a_last_track_without_length_and_end_is_read(tmp_path):
    data = header(2) + chunk(NOTES + END_OF_TRACK) + chunk(LESS, size=0)
    assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])


@pytest.mark.parametrize("tracks", [0, 1, 2, 3])
def test_a_damaged_name_of_a_track_costs_nothing(tmp_path, tracks):
    data = header(tracks) + chunk(NOTES + END_OF_TRACK, name=b"MTsk") + SECOND
    assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])


def test_a_wrong_length_of_the_header_costs_nothing(tmp_path):
    head = bytearray(header(2))
    head[7] = 60
    data = bytes(head) + chunk(NOTES + END_OF_TRACK) + SECOND
    assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])


def test_more_tracks_than_a_header_can_count_are_refused(tmp_path):
    with pytest.raises(UnreadableMusicError, match="MIDI with more than 65,535 tracks"):
        read(tmp_path, header(0xFFFF) + SECOND + chunk(b"") * 0xFFFF)


def test_a_track_ends_at_its_end_whatever_comes_after_it(tmp_path, caplog):
    data = header(2) + chunk(NOTES + END_OF_TRACK + bytes(7)) + SECOND
    with caplog.at_level(logging.WARNING):
        assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])
    assert not caplog.messages
    data = header(2) + chunk(NOTES + END_OF_TRACK + b"\x01\x02\x03") + SECOND
    with caplog.at_level(logging.WARNING):
        assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])
    assert remarks(caplog) == ["what comes after the end of a track"]


def test_an_end_in_the_middle_of_a_track_is_none(tmp_path):
    for last in (END_OF_TRACK, b""):
        data = header(2) + chunk(NOTES + END_OF_TRACK + MORE + last) + SECOND
        assert pitches(tmp_path, data) == (ALL, [40, 41])


def test_a_time_beyond_all_music_is_left_out(tmp_path, caplog):
    data = header(2) + chunk(NOTES + LONG + MORE[1:] + END_OF_TRACK) + SECOND
    with caplog.at_level(logging.WARNING):
        assert pitches(tmp_path, data) == (ALL, [40, 41])
    assert remarks(caplog) == ["a time of 33,554,431 ticks between two events"]


def test_a_track_that_is_longer_than_all_music_is_read_up_to_there(tmp_path, caplog):
    rest = b"\xb4\xaa\x7f\xb0\x07\x40"  # 860,000 ticks, then a change of loudness
    data = header(2) + chunk(NOTES + 12 * rest + MORE + END_OF_TRACK) + SECOND
    with caplog.at_level(logging.WARNING):
        assert pitches(tmp_path, data) == ([60, 62, 64, 65], [40, 41])
    assert remarks(caplog) == ["what comes after tick 9,600,000 in track 1"]


def test_without_a_whole_note_the_damage_is_the_reason(tmp_path):
    with pytest.raises(UnreadableMusicError, match="damaged MIDI: track 1 is cut off at byte 26"):
        read(tmp_path, header(1) + chunk(NOTES[:4], size=40))
