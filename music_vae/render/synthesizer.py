"""Synthesizes notes to stereo samples with a soundfont, in NumPy.

It follows the SoundFont 2.04 standard for samples, loops, tuning, the volume and modulation
envelopes, vibrato, the low-pass filter, attenuation, pan and exclusive classes (a closed hi-hat
stops an open one). It has no chorus, reverb or controllers, which the music here does not use. The
same notes give the same samples.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from music_vae.common.constants import MAX_MIDI_VELOCITY
from music_vae.render import soundfont as sf
from music_vae.render.soundfont import Region, SoundFont

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

RATE = 44100
TAIL_S = 2.0
"""Time in seconds for which a piece rings on after its end."""

_SILENT_DB = 100.0  # attenuation at which an envelope ends (section 8.1.3)
_ATTENUATION = 0.04  # decibels in a centibel of real soundfonts, as of E-mu's hardware: 0.4 / 10
_MIN_ATTACK_S, _MIN_RELEASE_S = 0.001, 0.01  # so that nothing clicks
_MAX_TIMECENTS = 8000  # 100 seconds
_A0_HZ = 8.176  # absolute cents count from MIDI's key 0
_HIGHEST_CUTOFF = 13500  # cents, 20 kHz: no filter
_MAX_Q_DB = 40.0
_BUTTERWORTH_DB = 3.01  # a filter without a peak is 3 dB down at its cutoff
_FRAME = 512  # samples in which the filter does not change
_MOST_KEPT = 1 << 23  # samples kept of voices that may play again
_MAX_OCTAVES = 10  # distance of a key from its recording: all of MIDI's
_BENDING = (sf.MOD_LFO_TO_PITCH, sf.VIBRATO_TO_PITCH, sf.MOD_ENVELOPE_TO_PITCH)


class _Voice(NamedTuple):
    """A recording that plays for a note.

    Attributes:
      region: The recording and its settings.
      key: MIDI key of the note.
      velocity: MIDI velocity of the note.
      start: Number of its first sample in the piece.
      held: Number of samples for which the key is down.
      cut: Number of samples after which another note stops it; None: no note does.
    """

    region: Region
    key: int
    velocity: int
    start: int
    held: int
    cut: int | None


def render(sequence: "NoteSequence", font: SoundFont) -> np.ndarray:
    """Plays a piece, and returns stereo samples `[N, 2]`, float32, `RATE` a second.

    They go on for `TAIL_S` after the end, and are not normalised. Pitch bends and control changes
    are ignored.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> from music_vae.render import audio
    >>> render(NoteSequence(total_time=1.0), audio.open_soundfont(None)).shape  # silence
    (132300, 2)
    """
    length_s = max([sequence.total_time, *(note.end_time for note in sequence.notes)])
    return _mixed(_voices(sequence, font), length_s).astype(np.float32)


def render_loop(sequence: "NoteSequence", font: SoundFont, length_s: float) -> np.ndarray:
    """Plays a piece as it sounds from the second of many rounds on, in samples `[N, 2]`, float32.

    They are as long as a round. What rings on at its end is heard at its beginning, except where
    that stops it, as a closed hi-hat does an open one.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> from music_vae.render import audio
    >>> hit = NoteSequence(notes=[{"pitch": 49, "velocity": 90, "end_time": 0.1, "is_drum": True}])
    >>> render_loop(hit, audio.open_soundfont(None), length_s=0.5).shape
    (22050, 2)

    Args:
      sequence: The piece.
      font: Soundfont to play with.
      length_s: Length of a round in seconds, in which all notes of the piece begin.
    """
    twice = type(sequence)()
    twice.CopyFrom(sequence)
    for note in sequence.notes:
        again = twice.notes.add()
        again.CopyFrom(note)
        again.start_time += length_s
        again.end_time += length_s
    size = round(length_s * RATE)
    first = [voice for voice in _voices(twice, font) if voice.start < size]
    mix = _mixed(first, length_s)
    loop = np.zeros((size, 2))
    for start in range(0, len(mix), max(size, 1)):
        part = mix[start : start + size]
        loop[: len(part)] += part
    return loop.astype(np.float32)


def _mixed(voices: list[_Voice], length_s: float) -> np.ndarray:
    """Returns the sound `[N, 2]` of voices, and of what rings on for `TAIL_S` after a length."""
    mix = np.zeros((round((length_s + TAIL_S) * RATE), 2))
    played: dict[_Voice, np.ndarray] = {}
    for voice in voices:
        same = voice._replace(start=0)
        if same not in played:
            if sum(map(len, played.values())) > _MOST_KEPT:
                played.clear()
            played[same] = _play(voice, len(mix))
        sound = played[same][: len(mix) - voice.start]
        mix[voice.start : voice.start + len(sound)] += sound[:, None] * _pan(voice.region)
    fade = min(round(_MIN_RELEASE_S * RATE), len(mix))
    mix[len(mix) - fade :] *= np.linspace(1, 0, fade)[:, None]
    return mix


def _voices(sequence: "NoteSequence", font: SoundFont) -> list[_Voice]:
    """Returns all recordings that play, in the order of their start."""
    voices: list[_Voice] = []
    classes: dict[tuple[int, int, int], list[int]] = {}
    notes = sorted(sequence.notes, key=lambda n: (n.start_time, n.instrument, n.pitch, n.end_time))
    for note in notes:
        start, end = round(note.start_time * RATE), round(note.end_time * RATE)
        velocity = min(max(note.velocity, 1), MAX_MIDI_VELOCITY)
        regions = font.regions(note.program, note.pitch, velocity, is_drum=note.is_drum)
        stopped: set[int] = set()
        for region in regions:
            own_class = int(region.generators[sf.EXCLUSIVE_CLASS])
            if own_class:
                place = (note.instrument, note.program, own_class)
                if own_class not in stopped:
                    _stop(voices, classes.get(place, []), start)
                    classes[place] = []
                    stopped.add(own_class)
                classes[place].append(len(voices))
            voices.append(_Voice(region, note.pitch, velocity, start, max(end - start, 1), None))
    return voices


def _stop(voices: list[_Voice], numbers: list[int], at: int) -> None:
    """Ends voices at a sample of the piece."""
    for number in numbers:
        voices[number] = voices[number]._replace(cut=max(at - voices[number].start, 0))


def _play(voice: _Voice, most: int) -> np.ndarray:
    """Returns the sound of a voice, `[N]` with N at most `most`; full loudness is -1 to 1."""
    amounts, held = voice.region.generators, voice.held
    loudness = _volume_envelope(
        amounts, voice.key, held, min(most, _longest(voice.region, voice.key, held))
    )
    if voice.cut is not None:
        fade = round(_MIN_RELEASE_S * RATE)
        loudness = loudness[: voice.cut + fade]
        loudness[voice.cut :] *= np.linspace(1, 0, fade)[: max(len(loudness) - voice.cut, 0)]
    modulation = _modulation_envelope(amounts, voice.key, held, len(loudness))
    places = np.cumsum(_steps(voice, modulation))
    sound = _sampled(voice.region, places - places[:1], held)
    loudness = loudness[: len(sound)]
    sound = _filtered(sound, amounts, modulation)
    velocity_db = 40 * np.log10(MAX_MIDI_VELOCITY / voice.velocity)
    quiet_db = _ATTENUATION * np.clip(amounts[sf.ATTENUATION], 0, 1440) + velocity_db
    return sound * loudness * 10 ** (-quiet_db / 20)


# -- Pitch and samples ----------------------------------------------------------------------------


def _cents(region: Region, key: int) -> float:
    """Returns how many cents higher than its recording a key sounds."""
    amounts = region.generators
    key = amounts[sf.FIXED_KEY] if amounts[sf.FIXED_KEY] >= 0 else key
    cents = (key - region.root_key) * amounts[sf.SCALE_TUNING] + region.correction
    return float(cents + 100 * amounts[sf.COARSE_TUNE] + amounts[sf.FINE_TUNE])


def _step(cents: Any, region: Region) -> Any:
    """Returns by how many samples of the recording each sample of the sound advances."""
    octaves = np.clip(np.asarray(cents) / 1200, -_MAX_OCTAVES, _MAX_OCTAVES)
    return region.rate / RATE * 2**octaves


def _steps(voice: _Voice, modulation: np.ndarray) -> np.ndarray:
    """Returns the advance for every sample, `[N]`, with vibrato and the modulation envelope."""
    region, amounts = voice.region, voice.region.generators
    bent = amounts[sf.MOD_ENVELOPE_TO_PITCH] * modulation
    for depth, delay, frequency in (
        (sf.MOD_LFO_TO_PITCH, sf.MOD_LFO_DELAY, sf.MOD_LFO_FREQUENCY),
        (sf.VIBRATO_TO_PITCH, sf.VIBRATO_DELAY, sf.VIBRATO_FREQUENCY),
    ):
        if amounts[depth]:
            hertz = float(_hertz(amounts[frequency]))
            wave = _triangle(len(modulation), _seconds(amounts[delay]), hertz)
            bent = bent + amounts[depth] * wave
    return _step(_cents(region, voice.key) + bent, region)


def _loops(region: Region) -> bool:
    """Returns True if the recording is repeated while a note lasts."""
    return int(region.generators[sf.LOOP_MODE]) & 1 == 1 and region.loop[0] < region.loop[1]


def _sampled(region: Region, places: np.ndarray, held: int) -> np.ndarray:
    """Returns the recording at places in it, by cubic interpolation, up to its end."""
    first, last = region.loop
    if _loops(region):
        unlooped = places.copy()
        places = np.where(places < last, places, first + (places - first) % (last - first))
        if region.generators[sf.LOOP_MODE] & 2 and held < len(places):  # left with the key
            places[held:] = places[held] + unlooped[held:] - unlooped[held]
    inside = np.flatnonzero(places >= len(region.samples) - 1)
    places = places[: inside[0]] if len(inside) else places
    if len(region.samples) == 0:
        return np.zeros(0)
    whole = places.astype(np.int64)
    part = places - whole
    before, here, after, later = (
        region.samples.take(whole + offset, mode="clip").astype(np.float64) / 32768
        for offset in (-1, 0, 1, 2)
    )
    # Catmull-Rom: a cubic through the two samples with the slopes between their neighbours.
    slope = (after - before) / 2
    second = before - 2.5 * here + 2 * after - later / 2
    third = (later - before) / 2 + 1.5 * (here - after)
    return ((third * part + second) * part + slope) * part + here


def _triangle(length: int, delay_s: float, hertz: float) -> np.ndarray:
    """Returns a triangle wave `[length]` from -1 to 1, which starts at 0 after a delay."""
    cycles = np.maximum(np.arange(length) / RATE - delay_s, 0) * hertz
    return 1 - 4 * np.abs((cycles + 0.25) % 1 - 0.5)


# -- Envelopes ------------------------------------------------------------------------------------


class _Times(NamedTuple):
    """The times of an envelope in seconds; `sustain` is the amount of its generator."""

    delay: float
    attack: float
    hold: float
    decay: float
    sustain: int
    release: float

    @classmethod
    def of(cls, amounts: np.ndarray, first: int, key: int) -> "_Times":
        """Returns the times of the envelope whose generators begin with number `first`."""
        delay, attack, hold, decay, sustain, release, to_hold, to_decay = (
            int(amount) for amount in amounts[first : first + 8]
        )
        return cls(
            _seconds(delay),
            max(_seconds(attack), _MIN_ATTACK_S),
            _seconds(hold + to_hold * (60 - key)),
            max(_seconds(decay + to_decay * (60 - key)), _MIN_ATTACK_S),
            sustain,
            max(_seconds(release), _MIN_RELEASE_S),
        )


def _longest(region: Region, key: int, held: int) -> int:
    """Returns the most samples that a voice can last, until it is silent or its recording ends."""
    amounts = region.generators
    times = _Times.of(amounts, sf.VOLUME_ENVELOPE, key)
    longest = held + round(times.release * RATE)
    if times.sustain >= 10 * _SILENT_DB:
        falling_s = times.delay + times.attack + times.hold + times.decay
        longest = min(longest, round(falling_s * RATE) + 1)
    if not _loops(region):
        bent = sum(abs(int(amounts[depth])) for depth in _BENDING)
        slowest = _step(_cents(region, key) - bent, region)
        longest = min(longest, int(len(region.samples) / slowest) + 2)
    return longest


def _volume_envelope(amounts: np.ndarray, key: int, held: int, length: int) -> np.ndarray:
    """Returns amplitudes `[length]`: a linear rise, then falls that are linear in decibels."""
    times = _Times.of(amounts, sf.VOLUME_ENVELOPE, key)
    seconds = np.arange(length) / RATE - times.delay
    fallen = (seconds - times.attack - times.hold) / times.decay * _SILENT_DB
    level_db = np.clip(fallen, 0, min(max(times.sustain, 0) / 10, _SILENT_DB))
    levels = np.clip(seconds / times.attack, 0, 1) * 10 ** (-level_db / 20)
    levels[level_db >= _SILENT_DB] = 0
    if held < length:
        after = np.arange(1, length - held + 1) / RATE / times.release
        levels[held:] = levels[max(held - 1, 0)] * 10 ** (-_SILENT_DB / 20 * after)
    return levels


def _modulation_envelope(amounts: np.ndarray, key: int, held: int, length: int) -> np.ndarray:
    """Returns levels `[length]` from 0 to 1, all of whose changes are linear."""
    if not (amounts[sf.MOD_ENVELOPE_TO_PITCH] or amounts[sf.MOD_ENVELOPE_TO_FILTER]):
        return np.zeros(length)
    times = _Times.of(amounts, sf.MOD_ENVELOPE, key)
    seconds = np.arange(length) / RATE - times.delay
    fallen = (seconds - times.attack - times.hold) / times.decay
    lowest = 1 - min(max(times.sustain, 0), 1000) / 1000
    levels = np.clip(seconds / times.attack, 0, 1) * np.clip(1 - fallen, lowest, 1)
    if held < length:
        after = np.arange(1, length - held + 1) / RATE / times.release
        levels[held:] = np.maximum(levels[max(held - 1, 0)] - after, 0)
    return levels


# -- Filter and place -----------------------------------------------------------------------------


def _filtered(sound: np.ndarray, amounts: np.ndarray, modulation: np.ndarray) -> np.ndarray:
    """Passes a sound through the resonant low-pass filter.

    Each frame has a filter of its own; the filtered frames overlap and are added.
    """
    cutoff, depth = int(amounts[sf.FILTER_CUTOFF]), int(amounts[sf.MOD_ENVELOPE_TO_FILTER])
    q_db = min(max(int(amounts[sf.FILTER_Q]) / 10, 0.0), _MAX_Q_DB)
    if not len(sound) or (cutoff + min(depth, 0) >= _HIGHEST_CUTOFF and not q_db):
        return sound
    hop = _FRAME // 2
    starts = np.arange(-hop, len(sound), hop)
    padded = np.concatenate([np.zeros(hop), sound, np.zeros(_FRAME)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[starts + hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)  # two sum to 1
    centres = np.clip(starts + hop, 0, len(sound) - 1)
    cents = np.clip(cutoff + depth * modulation[centres], 1500, _HIGHEST_CUTOFF)
    response = _low_pass(_hertz(cents if depth else cents[:1]), q_db, 2 * _FRAME)
    pieces = np.fft.irfft(np.fft.rfft(frames * window, 2 * _FRAME) * response)
    out = np.zeros(len(padded) + 2 * _FRAME)
    for place, piece in zip(starts + hop, pieces, strict=True):
        out[place : place + 2 * _FRAME] += piece
    return out[hop : hop + len(sound)]


def _low_pass(hertz: np.ndarray, q_db: float, size: int) -> np.ndarray:
    """Returns responses `[F, size // 2 + 1]` of second-order low-pass filters with cutoffs `[F]`.

    H(z) = g (1 + z^-1)^2 / (a0 + a1 z^-1 + a2 z^-2), by the bilinear transform.
    """
    q = 10 ** ((q_db - _BUTTERWORTH_DB) / 20)
    angle = 2 * np.pi * np.minimum(hertz, 0.45 * RATE)[:, None] / RATE
    alpha, cosine = np.sin(angle) / (2 * q), np.cos(angle)
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)[None]
    gain = (1 - cosine) / 2 / max(np.sqrt(q * np.sqrt(2)), 1)
    return gain * (1 + z) ** 2 / ((1 + alpha) - 2 * cosine * z + (1 - alpha) * z**2)


def _pan(region: Region) -> np.ndarray:
    """Returns the shares `[2]` of left and right, which have equal power at every place."""
    angle = (np.clip(region.generators[sf.PAN], -500, 500) / 1000 + 0.5) * np.pi / 2
    return np.array([np.cos(angle), np.sin(angle)])


def _seconds(timecents: int) -> float:
    """Converts timecents, 1200 times the binary logarithm of seconds, to seconds."""
    return 0.0 if timecents <= sf.NO_TIME else float(2 ** (min(timecents, _MAX_TIMECENTS) / 1200))


def _hertz(cents: np.ndarray | int) -> np.ndarray:
    """Converts absolute cents to hertz."""
    return _A0_HZ * 2 ** (np.asarray(cents) / 1200)
