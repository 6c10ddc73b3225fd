"""Engines: a trained model as arrays in, arrays out.

`NumpyEngine` needs no TensorFlow and is what commands use; `TensorFlowEngine` is the model that was
trained. With equal weights and noise, both give equal samples, except where float rounding decides.
"""

from typing import NamedTuple, Protocol

import numpy as np

ENGINES = ("numpy", "tensorflow")
"""Names of the engines, the default first."""


EVEN_CHANCE = 0.5
"""Noise for which the likelier of yes and no is taken."""


class Reconstruction(NamedTuple):
    """What a model made of known sequences, told at every step the steps before.

    Attributes:
      outputs: float32 `[B, T, D]`, the outcomes that were chosen.
      loss_nats: float32 `[B, T]`, negative log-likelihood of each step; zeros after the valid ones.
    """

    outputs: np.ndarray
    loss_nats: np.ndarray


class Engine(Protocol):
    """What every engine is.

    Attributes:
      noise_size: How many uniform numbers a step of a sample takes, K.
      workers: How many batches it is best given at a time, from as many threads.
    """

    noise_size: int
    workers: int

    def encode(
        self, inputs: np.ndarray, lengths: np.ndarray, controls: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior (mu, sigma), both `[B, Z]`, of inputs `[B, T, Din]`; see `batches.Batch`.

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
        """Samples `[B, T, D]`, and their lengths `[B]` or, of a hierarchy's segments, `[B, S]`.

        Args:
          z: `[B, Z]`.
          controls: `[B, T, Dc]`; Dc is 0 without controls.
          noise: `[B, T, K]`, uniform in [0, 1): all the chance there is.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          end_token: Class that ends an example.
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
        """What is expected at every step, told the steps before: teacher forcing.

        Args:
          z: `[B, Z]`.
          targets: `[B, T, D]`; of more than `max_seq_len` steps the first are taken.
          lengths: `[B]` valid steps or, of a hierarchy's segments, `[B, S]`.
          controls: `[B, T, Dc]`; Dc is 0 without controls.
          temperature: Divides the logits; by default the likeliest outcomes are taken.
          noise: `[B, T, K]`, uniform in [0, 1), by which outcomes are chosen.
        """
