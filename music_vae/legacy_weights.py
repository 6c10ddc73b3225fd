"""The variables of a model by their names in published checkpoints.

The layers keep their weights packed as published (see `nn.rnn`), so a name is all that is needed in
either direction. `weight_shapes` has the same names without a model.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from music_vae.lstm_models import MusicVAE
from music_vae.nn.decoders import Decoder, FlatDecoder, SplitDecoder
from music_vae.nn.encoders import (
    BidirectionalLstmEncoder,
    Encoder,
    HierarchicalLstmEncoder,
    LstmEncoder,
)
from music_vae.nn.heads import NadeHead
from music_vae.nn.hierarchy import HierarchicalDecoder
from music_vae.nn.rnn import BidirectionalLstm, LstmLayer

Named = Iterator[tuple[str, tf.Variable]]


def named_variables(model: MusicVAE) -> dict[str, tf.Variable]:
    """Every weight of `model` under its published name."""
    named: dict[str, tf.Variable] = {}
    if model.encoder is not None and model.posterior is not None:
        named |= _encoder("encoder", model.encoder)
        named |= _layer("encoder/mu", model.posterior.mu)
        named |= _layer("encoder/sigma", model.posterior.sigma)
    named |= _decoder("", model.decoder)
    return named


def _encoder(scope: str, encoder: Encoder) -> Named:
    if isinstance(encoder, HierarchicalLstmEncoder):
        for number, level in enumerate(encoder.levels):
            yield from _encoder(f"{scope}/hierarchical_level_{number}", level)
    elif isinstance(encoder, BidirectionalLstmEncoder):
        yield from _bidirectional(scope, encoder.lstm)
    elif isinstance(encoder, LstmEncoder):
        for index, layer in enumerate(encoder.lstm.layers):
            yield from _lstm(f"{scope}/multi_rnn_cell/cell_{index}", layer)
    else:
        raise TypeError(f"no names for the weights of a {type(encoder).__name__}")


def _decoder(scope: str, decoder: Decoder) -> Named:
    """`scope` is empty or ends with a slash."""
    if isinstance(decoder, HierarchicalDecoder):
        for number, conductor in enumerate(decoder.conductors):
            level = f"{scope}decoder/hierarchical_level_{number}"
            yield from _layer(f"{level}/initial_state", conductor.initial_state)
            for index, layer in enumerate(conductor.lstm.layers):
                yield from _lstm(f"{level}/cell_{index}", layer)
        if decoder.reencoder is not None:
            # Where it is the model's own encoder, these are the encoder's names again.
            yield from _encoder("encoder", decoder.reencoder)
        yield from _decoder(f"{scope}core_decoder/", decoder.core)
    elif isinstance(decoder, SplitDecoder):
        for number, core in enumerate(decoder.cores):
            yield from _decoder(f"{scope}core_decoder_{number}/", core)
    elif isinstance(decoder, FlatDecoder):
        yield from _flat_decoder(scope, decoder)
    else:
        raise TypeError(f"no names for the weights of a {type(decoder).__name__}")


def _flat_decoder(scope: str, decoder: FlatDecoder) -> Named:
    if decoder.control_lstm is not None:
        yield from _bidirectional(f"{scope}control_preprocessing", decoder.control_lstm)
    scope = f"{scope}decoder"
    if isinstance(decoder.head, NadeHead):
        nade = decoder.head.nade
        yield f"{scope}/nade/w_enc", nade.w_enc.value
        yield f"{scope}/nade/w_dec_t", nade.w_dec_t.value
    yield from _layer(f"{scope}/z_to_initial_state", decoder.z_to_initial_state)
    for index, layer in enumerate(decoder.lstm.layers):
        yield from _lstm(f"{scope}/multi_rnn_cell/cell_{index}", layer)
    yield from _layer(f"{scope}/output_projection", decoder.output_projection)


def _bidirectional(scope: str, lstm: BidirectionalLstm) -> Named:
    for index, layers in enumerate(zip(lstm.forward_layers, lstm.backward_layers, strict=True)):
        for direction, layer in zip(("fw", "bw"), layers, strict=True):
            cell = f"{scope}/cell_{index}/bidirectional_rnn/{direction}/multi_rnn_cell/cell_0"
            yield from _lstm(cell, layer)


def _lstm(scope: str, layer: LstmLayer) -> Named:
    if layer.projection is not None:
        scope = f"{scope}/input_projection_wrapper"
        yield from _layer(scope, layer.projection)
    yield from _layer(f"{scope}/lstm_cell", layer.cell)


def _layer(scope: str, layer: Any) -> Named:
    yield f"{scope}/kernel", layer.kernel.value
    yield f"{scope}/bias", layer.bias.value
