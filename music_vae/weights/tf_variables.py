"""The weights of a model's layers under the names of published checkpoints (see `weight_names`).

The layers keep their weights packed as published (see `nn.rnn`), so a name is all that is needed in
either direction.
"""

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from music_vae.common import weight_names as names
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
        named |= _encoder(names.ENCODER, model.encoder)
        named |= _layer(names.MU, model.posterior.mu)
        named |= _layer(names.SIGMA, model.posterior.sigma)
    named |= _decoder("", model.decoder)
    return named


def _encoder(scope: str, encoder: Encoder) -> Named:
    if isinstance(encoder, HierarchicalLstmEncoder):
        for number, level in enumerate(encoder.levels):
            yield from _encoder(names.encoder_level(scope, number), level)
    elif isinstance(encoder, BidirectionalLstmEncoder):
        yield from _bidirectional(scope, encoder.lstm)
    elif isinstance(encoder, LstmEncoder):
        for index, layer in enumerate(encoder.lstm.layers):
            yield from _lstm(names.stacked_layer(scope, index), layer)
    else:
        raise TypeError(f"no names for the weights of a {type(encoder).__name__}")


def _decoder(scope: str, decoder: Decoder) -> Named:
    """`scope` is empty or ends with a slash."""
    if isinstance(decoder, HierarchicalDecoder):
        for number, conductor in enumerate(decoder.conductors):
            level = names.conductor(scope, number)
            yield from _layer(names.conductor_state(level), conductor.initial_state)
            for index, layer in enumerate(conductor.lstm.layers):
                yield from _lstm(names.conductor_layer(level, index), layer)
        if decoder.reencoder is not None:
            # Where it is the model's own encoder, these are the encoder's names again.
            yield from _encoder(names.ENCODER, decoder.reencoder)
        yield from _decoder(f"{scope}{names.CORE_DECODER}", decoder.core)
    elif isinstance(decoder, SplitDecoder):
        for number, core in enumerate(decoder.cores):
            yield from _decoder(names.split_core(scope, number), core)
    elif isinstance(decoder, FlatDecoder):
        yield from _flat_decoder(scope, decoder)
    else:
        raise TypeError(f"no names for the weights of a {type(decoder).__name__}")


def _flat_decoder(scope: str, decoder: FlatDecoder) -> Named:
    if decoder.control_lstm is not None:
        yield from _bidirectional(names.control_preprocessing(scope), decoder.control_lstm)
    scope = names.flat_decoder(scope)
    if isinstance(decoder.head, NadeHead):
        nade = decoder.head.nade
        yield names.nade_encoder(scope), nade.w_enc.value
        yield names.nade_decoder(scope), nade.w_dec_t.value
    yield from _layer(names.decoder_state(scope), decoder.z_to_initial_state)
    for index, layer in enumerate(decoder.lstm.layers):
        yield from _lstm(names.stacked_layer(scope, index), layer)
    yield from _layer(names.output_projection(scope), decoder.output_projection)


def _bidirectional(scope: str, lstm: BidirectionalLstm) -> Named:
    for index, layers in enumerate(zip(lstm.forward_layers, lstm.backward_layers, strict=True)):
        for direction, layer in zip(names.DIRECTIONS, layers, strict=True):
            cell = names.bidirectional_layer(scope, index, direction)
            yield from _lstm(cell, layer)


def _lstm(scope: str, layer: LstmLayer) -> Named:
    if layer.projection is not None:
        scope = names.input_projection(scope)
        yield from _layer(scope, layer.projection)
    yield from _layer(names.lstm_cell(scope), layer.cell)


def _layer(scope: str, layer: Any) -> Named:
    yield names.kernel(scope), layer.kernel.value
    yield names.bias(scope), layer.bias.value
