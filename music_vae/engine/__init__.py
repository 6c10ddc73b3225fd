"""Engines compute the forward pass of a trained model: arrays in, arrays out.

`NumpyEngine` needs no TensorFlow; the commands use it. `TensorFlowEngine` runs the model that was
trained. With equal weights and equal noise both give equal samples, unless float rounding decides.
"""

from typing import NamedTuple, Protocol

import numpy as np

ENGINES = ("numpy", "tensorflow")
"""Names of the engines, the default first."""


EVEN_CHANCE = 0.5
"""Noise that makes a sample take the likelier of yes and no."""


class Reconstruction(NamedTuple):
    """Predictions for known sequences, each step given the steps before it (teacher-forced).

    >>> outputs = np.eye(3)[None]  # one sequence of three steps: classes 0, 1 and 2
    >>> made = Reconstruction(outputs, loss_nats=np.array([[0.7, 0.2, 0.1]]))
    >>> made.outputs.argmax(axis=-1)
    array([[0, 1, 2]])
    >>> made.loss_nats.sum(axis=-1)
    array([1.])

    Attributes:
      outputs: float32 `[B, T, D]`, the outcomes that were chosen.
      loss_nats: float32 `[B, T]`, negative log-likelihood of each step; zeros after the valid ones.
    """

    outputs: np.ndarray
    loss_nats: np.ndarray


class Engine(Protocol):
    """Defines the methods of every engine.

    >>> from music_vae.configs import get_config
    >>> from music_vae.engine.numpy_engine import NumpyEngine
    >>> from music_vae.weights import locate, shipped
    >>> name = "cat-mel_2bar_mini"
    >>> engine: Engine = NumpyEngine(get_config(name), locate.open_weights(shipped.folder(name)))
    >>> engine.noise_size  # one number chooses the class of a step
    1

    Attributes:
      noise_size: Number K of uniform random numbers that one step of a sample takes.
      workers: Number of batches to compute at a time, from as many threads, for the best speed.
    """

    noise_size: int
    workers: int

    def encode(
        self, inputs: np.ndarray, lengths: np.ndarray, controls: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encodes inputs `[B, T, Din]` to the posterior (mu, sigma), both `[B, Z]`.

        Args:
          inputs: `[B, T, Din]`, as the converter makes them.
          lengths: `[B]` valid steps or, for a hierarchy's segments, `[B, S]`.
          controls: `[B, T, Dc]`; Dc is 0 without controls.

        Raises:
          UserError: If the model has no encoder.
        """

    def sample(
        self,
        z: np.ndarray,
        controls: np.ndarray,
        noise: np.ndarray,
        *,
        temperature: float,
        end_token: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decodes z to samples; each step reads the sample of the step before.

        Args:
          z: Latent vectors `[B, Z]`.
          controls: `[B, T, Dc]`; Dc is 0 without controls.
          noise: `[B, T, K]`, uniform in [0, 1), the only source of randomness.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          end_token: Class that ends an example.

        Returns:
          The samples `[B, T, D]`, and their lengths `[B]` or, for a hierarchy's segments, `[B, S]`.
        """

    def reconstruct(
        self,
        z: np.ndarray,
        targets: np.ndarray,
        lengths: np.ndarray,
        controls: np.ndarray,
        *,
        temperature: float = 0.0,
        noise: np.ndarray | None = None,
    ) -> Reconstruction:
        """Predicts each step of known sequences from z and the steps before it: teacher forcing.

        Args:
          z: Latent vectors `[B, Z]`.
          targets: The sequences, `[B, T, D]`; steps after `max_seq_len` are left out.
          lengths: `[B]` valid steps or, for a hierarchy's segments, `[B, S]`.
          controls: `[B, T, Dc]`; Dc is 0 without controls.
          temperature: Divides the logits; by default the likeliest outcomes are taken.
          noise: `[B, T, K]`, uniform in [0, 1), by which outcomes are chosen.
        """
