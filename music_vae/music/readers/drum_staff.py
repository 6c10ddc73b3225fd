"""Maps places on a drum staff to General MIDI drums, for scores that do not say which they mean.

The places are those of Norman Weinberg, Guide to Standardized Drumset Notation (Percussive Arts
Society, 1998): drums with round heads in the order of their pitch, cymbals with crosses above.
"""

_SNARE = 38
_ROUND_HEADS = {
    "D4": 44,  # hi-hat with the foot
    "E4": 35,
    "F4": 36,  # kick
    "G4": 41,
    "A4": 43,  # floor tom
    "B4": 45,
    "C5": _SNARE,
    "D5": 47,
    "E5": 48,
    "F5": 50,
    "G5": 42,  # hi-hat
    "A5": 49,
    "B5": 57,
}
_CROSSES = {
    "D4": 44,
    "B4": 37,
    "C5": 37,  # side stick
    "D5": 53,
    "E5": 56,
    "F5": 51,  # ride
    "G5": 42,
    "A5": 49,  # crash
    "B5": 57,
}


def drum_at(step: str, octave: str, *, cross: bool) -> int:
    """Returns the MIDI pitch of the drum at a place of the treble staff; the snare for others.

    >>> drum_at("F", "4", cross=False), drum_at("G", "5", cross=True), drum_at("", "", cross=False)
    (36, 42, 38)
    """
    return (_CROSSES if cross else _ROUND_HEADS).get(step + octave, _SNARE)
