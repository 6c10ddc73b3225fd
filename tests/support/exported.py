"""MIDI files as musicians export them from a DAW, each with one thing that is usual and not simple.

Most are in 4/4. A note is (start, length, pitch), in quarter notes from the first bar line.
"""

import mido

TICKS = 480
LEAD, BASS, KEYS, DRUMS = "Lead", "Bass", "Keys", "Drums"
SYNTH_LEAD, FINGER_BASS, PIANO = 81, 33, 0  # programs, counted from 0
COWBELL, TAMBOURINE, HI_BONGO = 56, 54, 60

_PITCHES = [60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 72, 71, 67, 62, 60]
TUNE = [(step / 2, 0.5, pitch) for step, pitch in enumerate(_PITCHES)]
"""Two bars of eighth notes."""

ANSWER = [(step / 2, 0.5, pitch + 5) for step, pitch in enumerate(reversed(_PITCHES))]
"""Two other bars."""

TUNE_PITCHES = [pitch for _, _, pitch in TUNE]
BASS_LINE = [(quarter, 1, (36, 43)[quarter % 2]) for quarter in range(8)]
CHORDS = [(4 * bar, 4, pitch + 5 * bar) for bar in range(2) for pitch in (48, 52, 55)]
BEAT = [(quarter, 0.25, (36, 38)[quarter % 2]) for quarter in range(8)]
BEAT += [(eighth / 2, 0.25, 42) for eighth in range(16)]


def later(notes, quarters):
    """Notes that come later by a number of quarter notes."""
    return [(start + quarters, length, pitch) for start, length, pitch in notes]


def _swung(notes, share=2 / 3):
    """Notes whose offbeat eighth comes after that share of the quarter note."""
    swung = []
    for start, _, pitch in notes:
        beat, offbeat = divmod(start, 1)
        if offbeat:
            swung.append((beat + share, 1 - share, pitch))
        else:
            swung.append((beat, share, pitch))
    return swung


TRIPLETS = [(third / 3, 1 / 3, 60 + third % 12) for third in range(24)]

TIED = [*TUNE[1:-1], (7.5, 1, 60)]
"""Two bars whose last note goes on for an eighth into the next."""

FILES = {
    "loop": {LEAD: TUNE},
    "four_bars": {LEAD: TUNE + later(ANSWER, 8)},
    "five_bars": {LEAD: TUNE + later(ANSWER, 8) + [(16, 4, 60)]},
    "pickup": {LEAD: [(3.5, 0.5, 55), *later(TUNE, 4)]},
    "pickup_of_two": {LEAD: [(3, 0.5, 53), (3.5, 0.5, 55), *later(TUNE, 4)]},
    "ringing_last_note": {LEAD: [*TUNE[:-1], (7.5, 3, 60)]},
    "ties": {LEAD: [note for n in range(4) for note in later(TIED, 8 * n)]},
    "ringing_into_bar_4": {LEAD: [*TUNE, (8, 5.5, 60)]},
    "ringing_into_bar_5": {LEAD: [*TUNE, (8, 9, 60)]},
    "trailing_tick": {LEAD: [*TUNE[:-1], (7.5, 0.5 + 1 / TICKS, 60)]},
    "late_release": {LEAD: [*TUNE[:-1], (7.5, 0.7, 60)]},
    "early_start": {LEAD: later([(-0.01, 0.5, 60), *TUNE[1:]], 4)},
    "second_bar_rests": {LEAD: TUNE[:8]},
    "one_bar_late": {LEAD: later(TUNE, 4)},
    "three_tracks": {BASS: BASS_LINE, LEAD: TUNE, KEYS: CHORDS},
    "song": {
        LEAD: later(TUNE + later(ANSWER, 8), 16) + later(TUNE, 32),
        BASS: [note for bar in range(5) for note in later(BASS_LINE, 8 * bar)],
        DRUMS: [note for bar in range(5) for note in later(BEAT, 8 * bar)],
    },
    "drums_beside_a_melody": {LEAD: TUNE, DRUMS: BEAT},
    "chords": {KEYS: TUNE + [(start, length, pitch - 12) for start, length, pitch in TUNE]},
    "swing": {LEAD: _swung(TUNE)},
    "light_swing": {LEAD: _swung(TUNE, 0.58)},
    "triplets": {LEAD: TRIPLETS},
    "slowing_down": {LEAD: TUNE + later(ANSWER, 8)},
    "repeated_loop": {LEAD: TUNE + later(TUNE, 8)},
    "loose": {LEAD: [(start + 0.02 * (pitch % 4), 0.4, pitch) for start, _, pitch in TUNE]},
    "three_octaves_up": {LEAD: [(start, length, pitch + 36) for start, length, pitch in TUNE]},
    "out_of_range": {LEAD: [(start, length, pitch + 48) for start, length, pitch in TUNE]},
    "synth_lead": {LEAD: TUNE},
    "tempo_93_5": {LEAD: TUNE},
    "beat": {DRUMS: BEAT},
    "six_bar_beat": {DRUMS: BEAT + later(BEAT, 8) + later(BEAT, 16)},
    "percussion": {DRUMS: [*BEAT, (1, 0.25, COWBELL), (5, 0.25, TAMBOURINE), (7, 0.25, COWBELL)]},
    "bass_alone": {"": BASS_LINE},
    "taps": {DRUMS: [(start, 0.1, HI_BONGO) for start in (0, 1.5, 3, 4, 6)]},
    "drums_on_channel_1": {LEAD: BEAT},
    "two_four": {LEAD: TUNE},
    "waltz_beat": {DRUMS: BEAT},
}
"""The tracks of each file, by the name of the file and of the track."""

_PROGRAMS = {LEAD: PIANO, BASS: FINGER_BASS, KEYS: PIANO}
_TEMPOS = {"tempo_93_5": [(0, 93.5)], "slowing_down": [(0, 120), (10, 60)]}
_METRES = {"two_four": (2, 4), "waltz_beat": (3, 4)}


def write(folder, name):
    """Writes one of `FILES`; returns its path."""
    programs = _PROGRAMS | ({LEAD: SYNTH_LEAD} if name == "synth_lead" else {})
    numerator, denominator = _METRES.get(name, (4, 4))
    head = [mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)]
    before = 0
    for quarter, qpm in _TEMPOS.get(name, [(0, 120)]):
        ticks = round((quarter - before) * TICKS)
        head.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(qpm), time=ticks))
        before = quarter
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    midi.tracks.append(mido.MidiTrack(head))
    for channel, (track, notes) in enumerate(FILES[name].items()):
        midi.tracks.append(_track(track, notes, 9 if track == DRUMS else channel, programs))
    path = folder / f"{name}.mid"
    midi.save(path)
    return path


def _track(name, notes, channel, programs):
    """A track that begins with its name and its program."""
    events = []
    for start, length, pitch in notes:
        loudness = 100 if start % 1 == 0 else 80
        events.append((round(start * TICKS), 1, pitch, loudness))
        events.append((round((start + length) * TICKS), 0, pitch, 0))
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name)])
    if name in programs:
        track.append(mido.Message("program_change", program=programs[name], channel=channel))
    before = 0
    for tick, _, pitch, velocity in sorted(events):
        track.append(
            mido.Message(
                "note_on", note=pitch, velocity=velocity, channel=channel, time=tick - before
            )
        )
        before = tick
    return track
