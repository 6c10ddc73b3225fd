"""Finds the weights of a TensorFlow model by the names that published checkpoints give them.

The layers keep their weights packed as they were published (see `nn.rnn`), so that a name is all
that is needed to load or to save one. See `weight_names` for the names.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from music_vae.common.plans import DensePlan
from music_vae.lstm_models import MusicVAE
from music_vae.nn.decoders import FlatDecoder
from music_vae.nn.hierarchy import Conductor
from music_vae.nn.latent import GaussianPosterior
from music_vae.nn.rnn import LstmLayer


def named_variables(model: MusicVAE) -> dict[str, tf.Variable]:
    """Returns every weight of `model` by its published name.

    >>> from music_vae.configs import get_config
    >>> from music_vae.lstm_models import build_model
    >>> sizes = "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"
    >>> model = build_model(get_config("cat-drums_2bar_small", sizes))
    >>> bias = named_variables(model)["decoder/multi_rnn_cell/cell_0/lstm_cell/bias"]
    >>> bias.shape.as_list()  # four gates of four units
    [16]
    """
    named: dict[str, tf.Variable] = {}
    for layer in model._flatten_layers():
        for plan, dense in _dense_layers(layer):
            named |= {plan.kernel: dense.kernel.value, plan.bias: dense.bias.value}
        if isinstance(layer, FlatDecoder) and layer.plan.head.nade is not None:
            names, nade = layer.plan.head.nade, layer.head.nade
            named |= {names.encoder: nade.w_enc.value, names.decoder: nade.w_dec_t.value}
    return {name: named[name] for name in model.spec.weight_shapes}


def _dense_layers(layer: keras.Layer) -> Iterator[tuple[DensePlan, Any]]:
    """Yields the parts of a layer that have a kernel and a bias, each with its plan."""
    if isinstance(layer, LstmLayer):
        if layer.plan.projection is not None:
            yield layer.plan.projection, layer.projection
        yield layer.plan.cell, layer.cell
    elif isinstance(layer, GaussianPosterior):
        yield layer.plan.mu, layer.mu
        yield layer.plan.sigma, layer.sigma
    elif isinstance(layer, Conductor):
        yield layer.plan.initial_state, layer.initial_state
    elif isinstance(layer, FlatDecoder):
        yield layer.plan.initial_state, layer.z_to_initial_state
        yield layer.plan.output_projection, layer.output_projection
