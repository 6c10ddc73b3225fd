"""Builds the small dense networks of latent constraints and personal models, in Keras."""

from collections.abc import Sequence

import keras
import numpy as np

from music_vae.latent.small_networks import Layers


def dense_network(inputs: int, hidden: Sequence[int], outputs: int, seed: int) -> keras.Sequential:
    """Returns dense layers with ReLUs in between, from `[B, inputs]` to `[B, outputs]`.

    >>> network = dense_network(3, hidden=(8, 8), outputs=2, seed=0)
    >>> network(np.zeros((5, 3), np.float32)).shape
    TensorShape([5, 2])

    Args:
      inputs: Number of inputs.
      hidden: Number of units of each hidden layer.
      outputs: Number of outputs.
      seed: Seed of the initial weights.
    """
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
    """Returns the weights of a network, in the form that `small_networks.forward` reads.

    >>> layers = arrays_of(dense_network(3, hidden=(8,), outputs=2, seed=0))
    >>> [kernel.shape for kernel, bias in layers]
    [(3, 8), (8, 2)]
    """
    pairs = (layer.get_weights() for layer in network.layers)
    return [(np.asarray(kernel), np.asarray(bias)) for kernel, bias in pairs]
