"""Small dense networks in Keras: those of latent constraints and personal models."""

from collections.abc import Sequence

import keras
import numpy as np

from music_vae.latent.small_networks import Layers


def dense_network(inputs: int, hidden: Sequence[int], outputs: int, seed: int) -> keras.Sequential:
    """Dense layers with ReLUs in between, from `[B, inputs]` to `[B, outputs]`."""
    seeds = np.random.default_rng(seed).integers(2**31, size=len(hidden) + 1)
    layers = [
        keras.layers.Dense(
            units, activation, kernel_initializer=keras.initializers.GlorotUniform(int(own))
        )
        for units, activation, own in zip(
            (*hidden, outputs), ("relu",) * len(hidden) + (None,), seeds, strict=True
        )
    ]
    return keras.Sequential([keras.Input((inputs,)), *layers])


def arrays_of(network: keras.Sequential) -> Layers:
    """Its weights, for `small_networks.forward`."""
    pairs = (layer.get_weights() for layer in network.layers)
    return [(np.asarray(kernel), np.asarray(bias)) for kernel, bias in pairs]
