"""Sound files, measured: length, peak, pitch, silence; packages and soundfonts that are missing."""

import importlib.util
import sys
import wave
from types import SimpleNamespace

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.common.lazy_imports import import_note_seq
from music_vae.render import audio, synthesizer
from support.soundfonts import soundfont

RATE = 44100


@pytest.fixture(scope="module")
def font():
    return audio.open_soundfont(None)


def piece(*notes, total_time=0.0):
    """Notes (pitch, start, end, is_drum)."""
    sequence = import_note_seq().NoteSequence(total_time=total_time)
    for pitch, start, end, is_drum in notes:
        sequence.notes.add(
            pitch=pitch, start_time=start, end_time=end, velocity=80, is_drum=is_drum
        )
    return sequence


def read(path):
    """The samples `[N, 2]` of a WAV file of 16 bits."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


MELODY = piece(*((60 + n, n / 2, n / 2 + 0.5, False) for n in (0, 2, 4, 5, 7)), total_time=4)
DRUMS = piece(*((pitch, n / 4, n / 4 + 0.1, True) for n, pitch in enumerate((36, 42, 38, 46))))


@pytest.mark.parametrize(("music", "length_s"), [(MELODY, 4.0), (DRUMS, 0.85)])
def test_a_wav_is_as_long_as_its_piece_and_loud_without_clipping(tmp_path, font, music, length_s):
    path = tmp_path / "music.wav"
    audio.write(audio.render(music, font), path)
    samples = read(path)
    assert len(samples) == round((length_s + synthesizer.TAIL_S) * RATE)
    assert np.abs(samples).max() == round(10 ** (-1 / 20) * 32767)  # -1 dB
    for note in music.notes:  # each is heard
        start = round(note.start_time * RATE)
        assert np.abs(samples[start : start + RATE // 10]).max() > 1000
    assert np.abs(samples[-1]).max() == 0


@pytest.mark.parametrize(("music", "length_s"), [(MELODY, 4.0), (DRUMS, 2.0)])
def test_a_loop_is_as_long_as_its_bars(tmp_path, font, music, length_s):
    path = tmp_path / "loop.wav"
    audio.write(audio.render(music, font, loop=True), path)
    samples = read(path)
    assert len(samples) == length_s * RATE
    assert np.abs(samples).max() == round(10 ** (-1 / 20) * 32767)


def test_melody_and_drums_are_both_heard_together(font):
    both = piece((69, 0, 1, False), (36, 0.5, 0.6, True))
    alone = piece((69, 0, 1, False))
    with_drums, without = (synthesizer.render(music, font) for music in (both, alone))
    np.testing.assert_allclose(with_drums[: RATE // 2], without[: RATE // 2], atol=1e-6)
    beat = slice(round(0.5 * RATE), round(0.6 * RATE))
    assert np.abs(with_drums[beat] - without[beat]).max() > 0.05


def test_a4_has_440_hertz(font):
    samples = audio.render(piece((69, 0, 1, False)), font)[4410:40000, 0]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 19))
    assert np.argmax(spectrum) * RATE / (1 << 19) == pytest.approx(440, abs=1)


def test_the_last_note_rings_out(font):
    samples = audio.render(piece((60, 0, 1, False)), font)
    after = samples[round(1.01 * RATE) : round(1.05 * RATE)]
    assert np.abs(after).max() > 0.001
    assert np.abs(samples[-RATE // 10 :]).max() < 0.001


def test_a_piece_without_notes_is_silent(tmp_path, font):
    path = tmp_path / "silence.wav"
    audio.write(audio.render(piece(total_time=1.0), font), path)
    samples = read(path)
    assert len(samples) == 3 * RATE
    assert not samples.any()


def test_the_same_piece_gives_the_same_file(tmp_path, font):
    for name in ("one.wav", "two.wav"):
        audio.write(audio.render(MELODY, font), tmp_path / name)
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "two.wav").read_bytes()


@pytest.mark.parametrize("name", ["music.flac", "music.ogg"])
def test_compressed_files_hold_the_same_music(tmp_path, font, name):
    soundfile = pytest.importorskip("soundfile")
    samples = audio.render(MELODY, font)
    path = tmp_path / name
    audio.write(samples, path)
    found, rate = soundfile.read(path)
    assert (rate, found.shape) == (RATE, samples.shape)
    atol = 1e-4 if name.endswith("flac") else 0.2
    np.testing.assert_allclose(found, samples, atol=atol)
    assert np.corrcoef(found[:, 0], samples[:, 0])[0, 1] > 0.99
    assert path.stat().st_size < samples.size * 2 * 0.7


def test_a_piece_of_hours_is_refused(font):
    with pytest.raises(UserError, match="a piece of 60 minutes is too long"):
        audio.render(piece((60, 0, 3600, False)), font)


def test_a_soundfont_can_be_named(tmp_path):
    path = tmp_path / "sine.sf2"
    path.write_bytes(soundfont([(54, 1)], loop=(1000, 41000)))
    samples = audio.render(piece((69, 0, 1, False)), audio.open_soundfont(path))
    assert np.abs(samples).max() == pytest.approx(audio.PEAK)


def test_a_package_that_is_missing_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    audio.check(("wav",))
    with pytest.raises(UserError, match=r"flac files need soundfile: pip install .*\[audio\]"):
        audio.check(("wav", "flac"))


def test_a_pretty_midi_without_a_soundfont_is_one_line(monkeypatch, tmp_path):
    spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(UserError, match="comes without a soundfont; name one with `soundfont`"):
        audio.open_soundfont(None)
