"""TensorFlow checkpoints come from anywhere: their weights are read, or one line says why not."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from music_vae.weights import checkpoint_files, tf_checkpoints
from support import paths
from support.bounds import refused_at_most
from support.mutations import damaged

_GOLDEN = paths.GOLDEN / "models" / "cat-mel_2bar_small"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    for path in _GOLDEN.glob("model.ckpt*"):
        shutil.copy(path, folder)
    tf_checkpoints.read_weights(folder)  # what TensorFlow loads once is not counted below
    return folder


@pytest.mark.parametrize("name", ["model.ckpt.index", "model.ckpt.data-00000-of-00001"])
@given(data=st.data())
def test_damaged_checkpoints(folder, name, data):
    content = (_GOLDEN / name).read_bytes()
    (folder / name).write_bytes(data.draw(damaged(content)))
    try:
        with refused_at_most(gibibytes=8):
            for array in tf_checkpoints.read_weights(folder).values():
                assert isinstance(array, np.ndarray | np.generic)
    finally:
        (folder / name).write_bytes(content)


@given(
    text=st.one_of(
        st.binary(max_size=60),
        st.text(max_size=20).map('model_checkpoint_path: "{}"'.format).map(str.encode),
        st.sampled_from(
            (
                b'model_checkpoint_path: "../../../etc/passwd"',
                b'model_checkpoint_path: "' + b"x" * 5000 + b'"',
                b'model_checkpoint_path: "\\x"',
                b'model_checkpoint_path: "\\N{x}"',
                b'model_checkpoint_path: "\\777"',
                b'model_checkpoint_path: "\\000"',
                b'model_checkpoint_path: "\\ud800"',
                b'model_checkpoint_path: "model.ckpt"',
            )
        ),
    )
)
def test_state_files(folder, text):
    state = folder / checkpoint_files.STATE_FILE
    state.write_bytes(text)
    try:
        with refused_at_most():
            assert checkpoint_files.newest_prefix(folder) == folder / "model.ckpt"
    finally:
        state.unlink()
