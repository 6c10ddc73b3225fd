"""Defines numbers that several modules share: of music, each with its source, and limits."""

MIN_MIDI_PITCH = 0
MAX_MIDI_PITCH = 127
MAX_MIDI_VELOCITY = 127
SEMITONES = 12  # in an octave: roots of chords, and keys
PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # of natural notes
MIDDLE_C = 60
DRUMS_INSTRUMENT = 9  # MIDI's tenth channel, counted from 0

PIANO_MIN_PITCH = 21  # A0, the lowest key of a piano
PIANO_MAX_PITCH = 108  # C8, the highest

# General MIDI programs, counted from 0, as Roberts et al. 2018 (section 5.1) group them.
MELODY_PROGRAMS = tuple(range(32))  # piano, chromatic percussion, organ, guitar
BASS_PROGRAMS = tuple(range(32, 40))
ELECTRIC_BASS_PROGRAM = 33

OUTPUT_VELOCITY = 80  # velocity of decoded notes whose representation has none
DEFAULT_QPM = 120.0  # quarter notes a minute, MIDI's default tempo
# MIDI holds a tempo as microseconds a quarter note, in three bytes.
MIN_MIDI_QPM = 60e6 / 0xFFFFFF  # 3.576
MAX_MIDI_QPM = 60e6

# Nine classes of drums (kick, snare, closed and open hi-hat, low, mid and high tom, crash, ride)
# and the General MIDI pitches (Roland extensions included) that each stands for. The first pitch of
# a class is the one it is decoded to.
REDUCED_DRUM_PITCH_CLASSES: tuple[tuple[int, ...], ...] = (
    (36, 35),
    (38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85),
    (42, 44, 54, 68, 69, 70, 71, 73, 78, 80, 22),
    (46, 67, 72, 74, 79, 81, 26),
    (45, 29, 41, 43, 61, 64, 84),
    (48, 47, 60, 63, 77, 86, 87),
    (50, 30, 62, 76, 83),
    (49, 52, 55, 57, 58),
    (51, 53, 59, 82),
)

# Every General MIDI drum in a class of its own, in the order the published models use.
FULL_DRUM_PITCH_CLASSES: tuple[tuple[int, ...], ...] = tuple(
    (pitch,)
    for pitch in (
        *(36, 35, 38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85, 42, 44, 54, 68),
        *(69, 70, 71, 73, 78, 80, 46, 67, 72, 74, 79, 81, 45, 29, 41, 61, 64, 84, 48, 47, 60),
        *(63, 77, 86, 87, 50, 30, 43, 62, 76, 83, 49, 55, 57, 58, 51, 52, 53, 59, 82),
    )
)

MAX_LENGTH_QUARTERS = 100_000.0  # of a piece: converters keep a list entry per sixteenth note or so
MAX_DAMAGED = 0.01  # the share of a collection's records that may be damaged, and are left out
