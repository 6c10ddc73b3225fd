"""A soundfont comes from anywhere: whatever is wrong with it, notes sound, or one line says why."""

import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from note_seq.protobuf.music_pb2 import NoteSequence

from music_vae.render import audio
from support.bounds import bounded, refused_at_most
from support.mutations import damaged
from support.soundfonts import many_zones, soundfont

_WAVE = np.rint(16000 * np.sin(2 * np.pi * np.arange(100) / 50)).astype("<i2")
_GENERATORS = [(54, 1), (8, 6000), (34, -7000), (35, -7000), (36, -3000), (38, -2000), (5, 50)]
_FONT = soundfont(_GENERATORS, samples=_WAVE, loop=(10, 60), drums=([(57, 1)], [(57, 1)]))


def _tune():
    tune = NoteSequence(total_time=0.3)
    tune.notes.add(pitch=60, velocity=80, start_time=0.0, end_time=0.2)
    tune.notes.add(pitch=127, velocity=1, start_time=0.1, end_time=0.3, program=127)
    tune.notes.add(pitch=38, velocity=127, start_time=0.0, end_time=0.1, is_drum=True)
    return tune


def _play(path, content):
    path.write_bytes(content)
    with np.errstate(all="raise", under="ignore"), refused_at_most():
        samples = audio.render(_tune(), audio.open_soundfont(path))
        assert np.isfinite(samples).all()
        assert np.abs(samples).max(initial=0) <= 1


@given(damaged(_FONT))
def test_damaged_soundfonts(tmp_path_factory, content):
    _play(tmp_path_factory.getbasetemp() / "damaged.sf2", content)


@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(-32768, 32767)), max_size=12),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
)
def test_soundfonts_of_extreme_settings(tmp_path_factory, generators, loop, root_key, rate):
    content = soundfont(generators, samples=_WAVE, loop=loop, root_key=root_key)
    content = content.replace(
        struct.pack("<IB", 44100, root_key), struct.pack("<IB", rate, root_key)
    )
    _play(tmp_path_factory.getbasetemp() / "extreme.sf2", content)


def test_time_for_a_note_grows_with_the_zones_and_not_with_their_square(tmp_path):
    path = tmp_path / "many.sf2"
    path.write_bytes(many_zones(12_000))  # so many times so many zones would take minutes
    with bounded(seconds=15):
        font = audio.open_soundfont(path)
        assert font.regions(program=0, key=60, velocity=80, is_drum=False) == []
        assert len(font.regions(program=0, key=60, velocity=1, is_drum=False)) == 64
