"""The engine of TensorFlow, as it is opened; what it computes is compared in other tests."""

import pytest

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.engine import tensorflow_engine
from music_vae.engine.tensorflow_engine import TensorFlowEngine


def test_weights_of_other_shapes_are_refused_before_a_model_is_built(tiny_run, monkeypatch):
    def build_model(*_, **__):
        raise AssertionError("a model was built")

    monkeypatch.setattr(tensorflow_engine, "build_model", build_model)
    config = get_config("cat-mel_2bar_big")
    for source in (tiny_run, tiny_run / "train" / "model.ckpt-3"):
        for with_encoder in (True, False):
            with pytest.raises(UserError, match=r"weights of this config: .* it fits `config="):
                TensorFlowEngine(config, source, with_encoder=with_encoder)


def test_what_a_config_does_not_use_is_said_once(tiny_config, with_more, caplog):
    TensorFlowEngine(tiny_config, with_more)
    assert caplog.text.count("also holds what this config does not use: encoder/more/bias") == 1
