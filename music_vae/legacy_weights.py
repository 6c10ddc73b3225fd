"""The variable names of published checkpoints: the one place that knows them.

The layers keep their weights packed as published (see `nn.rnn`), so a name is all that is needed in
either direction.
"""

from collections.abc import Iterator

import tensorflow as tf

from music_vae.lstm_models import MusicVAE
from music_vae.nn.decoders import FlatDecoder
from music_vae.nn.encoders import BidirectionalLstmEncoder


def named_variables(model: MusicVAE) -> dict[str, tf.Variable]:
    """Every weight of `model` under its published name."""
    pairs = [
        *_encoder(model.encoder),
        *_layer("encoder/mu", model.posterior.mu),
        *_layer("encoder/sigma", model.posterior.sigma),
        *_decoder(model.decoder),
    ]
    return dict(pairs)


def _encoder(encoder: BidirectionalLstmEncoder) -> Iterator[tuple[str, tf.Variable]]:
    lstm = encoder.lstm
    for index, cells in enumerate(zip(lstm.forward_cells, lstm.backward_cells, strict=True)):
        for direction, cell in zip(("fw", "bw"), cells, strict=True):
            scope = f"encoder/cell_{index}/bidirectional_rnn/{direction}"
            yield from _layer(f"{scope}/multi_rnn_cell/cell_0/lstm_cell", cell)


def _decoder(decoder: FlatDecoder) -> Iterator[tuple[str, tf.Variable]]:
    yield from _layer("decoder/z_to_initial_state", decoder.z_to_initial_state)
    for index, cell in enumerate(decoder.lstm.cells):
        yield from _layer(f"decoder/multi_rnn_cell/cell_{index}/lstm_cell", cell)
    yield from _layer("decoder/output_projection", decoder.output_projection)


def _layer(scope: str, layer: object) -> Iterator[tuple[str, tf.Variable]]:
    for name in ("kernel", "bias"):
        yield f"{scope}/{name}", getattr(layer, name).value
