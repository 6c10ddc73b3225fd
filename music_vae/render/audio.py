"""Renders music as sound: NoteSequences to WAV, FLAC and Ogg files, through a soundfont.

The synthesizer is in `synthesizer.py`; by default it plays the soundfont that comes with
pretty_midi. FLAC and Ogg files need the package soundfile, WAV files nothing.
"""

import importlib.util
import io
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.music import bar_lines
from music_vae.render import synthesizer
from music_vae.render.soundfont import SoundFont

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

FORMATS = ("wav", "flac", "ogg")
PEAK = 10 ** (-1 / 20)
"""Loudest sample of every file that is not silent: 1 dB below the largest that it can hold."""

MAX_LENGTH_S = 20 * 60.0
"""Length of the longest piece; its samples take some hundred megabytes."""

_DEFAULT_SOUNDFONT = "TimGM6mb.sf2"
_MOST = 2**15 - 1  # the largest sample of 16 bits
_CODECS = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}
_WRITTEN_FRAMES = 1 << 16  # written at once, as libsndfile's Vorbis encoder fails on long blocks


def check(formats: tuple[str, ...]) -> None:
    """Raises `UserError` if a package is missing that one of the formats needs.

    >>> check(("wav",))  # needs nothing
    """
    needed = [name for name in formats if name in _CODECS]
    if not needed:
        return
    try:
        import soundfile  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: without its library libsndfile
        raise UserError(
            f"{needed[0]} files need soundfile: pip install 'music_vae[audio]'"
        ) from error


def open_soundfont(path: Path | None) -> SoundFont:
    """Opens a soundfont file; None: the one that comes with pretty_midi.

    >>> font = open_soundfont(None)
    >>> len(font.regions(program=0, key=60, velocity=80, is_drum=False))  # middle C on a piano
    1

    Raises:
      UserError: If there is no such file, or it is damaged.
    """
    if path is None:
        package = importlib.util.find_spec("pretty_midi")
        if package is None or package.origin is None:
            raise UserError("pretty_midi is not installed; name a soundfont with `soundfont`")
        path = Path(package.origin).parent / _DEFAULT_SOUNDFONT
        if not path.is_file():
            raise UserError(
                "this version of pretty_midi comes without a soundfont; name one with `soundfont`"
            )
    return SoundFont(path)


def render(sequence: "NoteSequence", font: SoundFont, *, loop: bool = False) -> np.ndarray:
    """Plays a piece, and returns stereo samples `[N, 2]`, float32, 44,100 a second.

    The loudest sample is `PEAK`; a piece without notes is silent. The sound rings on for
    `synthesizer.TAIL_S` after the end.

    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> tune = NoteSequence(total_time=0.5)
    >>> _ = tune.notes.add(pitch=60, velocity=80, start_time=0.0, end_time=0.5)
    >>> samples = render(tune, open_soundfont(None))
    >>> samples.shape, round(float(abs(samples).max()), 3)
    ((110250, 2), 0.891)
    >>> render(tune, open_soundfont(None), loop=True).shape  # a bar at 120 quarter notes a minute
    (88200, 2)

    Args:
      sequence: The piece.
      font: Soundfont to play with.
      loop: If True, the sound lasts to the bar line at the end of the piece, as its MIDI file does,
        and what rings on after that is heard at the beginning, so that it can be repeated.

    Raises:
      UserError: If the piece is longer than `MAX_LENGTH_S`.
    """
    length_s = bar_lines.end_s(sequence)
    if length_s > MAX_LENGTH_S:
        raise UserError(
            f"a piece of {length_s / 60:.0f} minutes is too long to be rendered as sound; "
            f"at most {MAX_LENGTH_S / 60:.0f}"
        )
    if loop:
        samples = synthesizer.render_loop(sequence, font, length_s)
    else:
        samples = synthesizer.render(sequence, font)
    loudest = float(np.max(np.abs(samples), initial=0.0))
    return samples * np.float32(PEAK / loudest) if loudest else samples


def write(samples: np.ndarray, path: Path) -> None:
    """Writes samples `[N, 2]` from -1 to 1 as a file of 16 bits, in the format of its suffix.

    >>> import tempfile
    >>> silence = np.zeros((44100, 2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(silence, Path(folder) / "second.wav")
    ...     with wave.open(f"{folder}/second.wav") as file:
    ...         print(file.getnchannels(), "channels,", file.getframerate(), "frames a second")
    2 channels, 44100 frames a second
    """
    rounded = np.clip(np.rint(samples * _MOST), -_MOST, _MOST).astype("<i2")
    with files.atomic_path(path) as temporary:
        name = path.suffix[1:].lower()
        if name == "wav":
            with wave.open(str(temporary), "wb") as file:
                file.setnchannels(rounded.shape[1])
                file.setsampwidth(rounded.itemsize)
                file.setframerate(synthesizer.RATE)
                file.writeframes(rounded.tobytes())
        else:
            temporary.write_bytes(_encoded(rounded, *_CODECS[name]))


def _encoded(rounded: np.ndarray, container: str, codec: str) -> bytes:
    """Returns samples as libsndfile encodes them.

    They are encoded in memory, since libsndfile does not say that a disk is full.
    """
    import soundfile

    content = io.BytesIO()
    options = {"format": container, "subtype": codec, "channels": rounded.shape[1]}
    with soundfile.SoundFile(content, "w", synthesizer.RATE, **options) as file:
        for start in range(0, len(rounded), _WRITTEN_FRAMES):
            file.write(rounded[start : start + _WRITTEN_FRAMES])
    return content.getvalue()
