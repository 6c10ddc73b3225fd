"""What is struck in a MIDI file, read without this package."""

import mido


def note_ons(path):
    """The place in quarter notes and the message of every note that begins, track by track."""
    file = mido.MidiFile(path)
    for track in file.tracks:
        ticks = 0
        for message in track:
            ticks += message.time
            if message.type == "note_on" and message.velocity:
                yield ticks / file.ticks_per_beat, message
