"""Encoders: a sequence to one vector per example."""

from typing import Any

import keras
import tensorflow as tf

from music_vae.nn.rnn import BidirectionalLstm
from music_vae.specs import EncoderSpec, HParams


class BidirectionalLstmEncoder(keras.layers.Layer):
    """A stack of bidirectional LSTM layers; its result is where both directions end."""

    def __init__(self, input_size: int, hparams: HParams, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.lstm = BidirectionalLstm(input_size, hparams.enc_rnn_size, name="lstm")
        self.built = True

    @property
    def output_size(self) -> int:
        """Width H of an embedding."""
        return 2 * self.lstm.sizes[-1]

    def call(self, inputs: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Inputs `[B, T, D]` of `lengths` `[B]` valid steps to embeddings `[B, H]`."""
        return self.lstm.last_outputs(tf.transpose(inputs, [1, 0, 2]), lengths)


def build_encoder(spec: EncoderSpec, input_size: int, hparams: HParams) -> BidirectionalLstmEncoder:
    """The encoder that `spec` describes, for inputs of width `input_size` (controls included)."""
    del spec
    return BidirectionalLstmEncoder(input_size, hparams, name="encoder")
