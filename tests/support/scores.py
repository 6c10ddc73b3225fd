"""What was read of a score, in the words of whoever wrote it."""


def pitches(sequence, part=0):
    return [note.pitch for note in sequence.notes if note.part == part]


def spans(sequence, part=0):
    """Pitch, and beginning and end in quarter notes at 120 a minute."""
    return [
        (note.pitch, round(2 * note.start_time, 3), round(2 * note.end_time, 3))
        for note in sequence.notes
        if note.part == part
    ]


def ignored(caplog):
    """What the one line in the log says was ignored."""
    (message,) = caplog.messages
    return message.partition(": ignored: ")[2]
