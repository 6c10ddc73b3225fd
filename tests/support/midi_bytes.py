"""The parts of a MIDI file as bytes, and its music without its texts."""

import struct

import mido

END_OF_TRACK = b"\x00\xff\x2f\x00"


def chunk(data, *, size=None, name=b"MTrk"):
    """A part of a file, by default a track; `size` is what it says of its length, true or not."""
    return name + struct.pack(">L", len(data) if size is None else size) + data


def header(tracks=1, kind=1, division=96):
    return chunk(struct.pack(">HHh", kind, tracks, division), name=b"MThd")


def music_of(path):
    """All events of a file but its texts, which say how it was made: tracks of texts of events."""
    tracks = mido.MidiFile(path).tracks
    return [[str(event) for event in track if event.type != "text"] for track in tracks]
