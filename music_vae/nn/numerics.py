"""How models compute what they compute: it changes results by rounding alone."""

import contextlib
import dataclasses

import tensorflow as tf

from music_vae.common.errors import UserError

HALF_TYPES = ("bfloat16", "float16")

_FEWEST_ROWS = 16
_MOST_TOWERS = 8
"""What a tower needs to keep a core busy, and how many sets of gradients are kept at most."""

_LARGEST = 1 / 16
"""To what the largest element of a gradient is scaled before it becomes a float16: a sum of a
million of its products stays below 65504, and what is 1,000 times smaller keeps all its bits."""


@dataclasses.dataclass(frozen=True)
class Numerics:
    """What is compiled, what runs side by side, and in which type matrix products are taken.

    Attributes:
      jit: Whether XLA compiles the LSTM layers' loops over time.
      whole_step: Whether XLA compiles training steps as a whole; on a single device only.
      cudnn: Whether cuDNN computes an LSTM layer whose inputs are all known; on GPUs only, with
        products in the weights' type, and not in a step that is compiled as a whole.
      towers: Into how many shares a batch is split, each of which goes through the model by itself,
        at the same time as the others. Their gradients are added up.
      products: `bfloat16` or `float16` for the factors of matrix products; None for the type of the
        weights, in which everything else is computed (sums, gates, states, losses, updates).
    """

    jit: bool = False
    whole_step: bool = False
    cudnn: bool = False
    towers: int = 1
    products: str | None = None

    def __post_init__(self) -> None:
        if self.products not in (None, *HALF_TYPES):
            raise UserError(f"products can be in {' or '.join(HALF_TYPES)}, not {self.products}")
        if self.cudnn and self.whole_step:
            raise UserError("XLA cannot compile what cuDNN computes: take one of the two")
        if self.cudnn and self.products:
            raise UserError(f"cuDNN computes in float32: take it or {self.products}")

    def multiply(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """`[N, D]` times `[D, G]`, differentiable."""
        if self.products is None:
            return a @ b

        @tf.custom_gradient
        def product(a: tf.Tensor, b: tf.Tensor) -> tuple:
            def gradient(d: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                return (
                    self.multiply_gradient(d, tf.transpose(b)),
                    self.multiply_gradient_of_weights(a, d),
                )

            return self._half(a, b), gradient

        return product(a, b)

    def multiply_gradient(self, d: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """A gradient `[N, G]` times `[G, D]`."""
        if self.products != "float16":
            return self._half(d, b)
        scale = _power_of_two(d)
        return self._half(d * scale, b) / scale

    def multiply_gradient_of_weights(self, a: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
        """`[N, D]`, transposed, times a gradient `[N, G]`."""
        if self.products != "float16":
            return self._half(a, d, transpose_a=True)
        scale = _power_of_two(d)
        return self._half(a, d * scale, transpose_a=True) / scale

    def _half(self, a: tf.Tensor, b: tf.Tensor, *, transpose_a: bool = False) -> tf.Tensor:
        if self.products is None:
            return tf.matmul(a, b, transpose_a=transpose_a)
        halves = tf.cast(a, self.products), tf.cast(b, self.products)
        return tf.cast(tf.matmul(*halves, transpose_a=transpose_a), a.dtype)


PLAIN = Numerics()


def fastest(
    *,
    gpu: bool,
    one_device: bool,
    cores: int = 1,
    batch_size: int = 1,
    jit: bool | None = None,
    cudnn: bool | None = None,
    products: str | None = None,
) -> Numerics:
    """What was measured to train fastest.

    On a GPU that is a step compiled as a whole. What several devices tell each other cannot be
    compiled; there, cuDNN and compiled loops are the next best. On a CPU it is a tower for each
    core: an LSTM step is too short to be shared by several, which wait for each other at every
    operation. Compiled loops are faster only without towers.

    Args:
      gpu: Whether training is on GPUs.
      one_device: Whether it is on one device.
      cores: How many cores there are.
      batch_size: Examples in a batch.
      jit: Whether XLA compiles loops or steps, where that has been said.
      cudnn: Whether to use cuDNN, where that has been said.
      products: See `Numerics`.

    Raises:
      UserError: If cuDNN is asked for and cannot be used.
    """
    if cudnn and not gpu:
        raise UserError("cuDNN computes on NVIDIA's GPUs, and there is none: leave out `cudnn`")
    towers = 1 if gpu or jit or not one_device else _towers(cores, batch_size)
    if jit is None:
        jit = towers == 1
    whole_step = jit and gpu and one_device and not cudnn
    if cudnn is None:
        cudnn = gpu and not whole_step and products is None
    return Numerics(jit=jit, whole_step=whole_step, cudnn=cudnn, towers=towers, products=products)


def _towers(cores: int, batch_size: int) -> int:
    """As many as there are cores, if shares are equal and not too small."""
    counts = range(1, min(cores, _MOST_TOWERS, batch_size // _FEWEST_ROWS) + 1)
    return max((count for count in counts if batch_size % count == 0), default=1)


def share_threads(towers: int, cores: int) -> None:
    """Gives every tower's operations their share of the cores, if TensorFlow has not started."""
    if towers == 1:
        return
    with contextlib.suppress(RuntimeError):  # it has, and its threads stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(max(1, cores // towers))


def _power_of_two(gradient: tf.Tensor) -> tf.Tensor:
    """What brings the largest element near `_LARGEST`; being a power of two, it rounds nothing."""
    largest = tf.maximum(tf.reduce_max(tf.abs(gradient)), 1e-30)
    exponent = tf.math.floor(tf.math.log(_LARGEST / largest) / tf.math.log(2.0))
    return tf.pow(tf.constant(2.0, gradient.dtype), tf.cast(exponent, gradient.dtype))
