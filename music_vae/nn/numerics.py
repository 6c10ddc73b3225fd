"""Decides how models compute: compilation, towers and number types, which change rounding alone."""

import contextlib
import dataclasses

import tensorflow as tf

from music_vae.common.errors import UserError

_HALF_TYPES = ("bfloat16", "float16")

_FEWEST_ROWS = 16
"""Fewest examples of a tower: fewer do not keep a core busy."""
_MOST_TOWERS = 8
"""Most towers: each keeps a set of gradients in memory."""

_LARGEST = 1 / 16
"""Size of a gradient's largest element before it becomes a float16: a sum of a million products of
it stays below 65504, the largest float16, and elements 1,000 times smaller keep all their bits."""


@dataclasses.dataclass(frozen=True)
class Numerics:
    """Says what is compiled, what runs in parallel, and in which type matrices are multiplied.

    >>> a, b = tf.constant([[257.0]]), tf.constant([[1.0]])
    >>> Numerics().multiply(a, b).numpy().item()
    257.0
    >>> Numerics(products="bfloat16").multiply(a, b).numpy().item()  # 8 bits of precision
    256.0

    Attributes:
      jit: If True, XLA compiles the LSTM layers' loops over time.
      whole_step: If True, XLA compiles training steps as a whole; on a single device only.
      cudnn: If True, cuDNN computes LSTM layers whose inputs are all known; on GPUs only, with
        products in the weights' type, and not in a step that is compiled as a whole.
      towers: Number of equal shares of a batch that go through the model at the same time, each by
        itself. Their gradients are added up.
      products: Type of the factors of matrix products, `bfloat16` or `float16`; None: the type of
        the weights. Sums, gates, states, losses and updates always have the type of the weights.

    Raises:
      UserError: For settings that exclude each other.
    """

    jit: bool = False
    whole_step: bool = False
    cudnn: bool = False
    towers: int = 1
    products: str | None = None

    def __post_init__(self) -> None:
        if self.products not in (None, *_HALF_TYPES):
            raise UserError(f"products can be in {' or '.join(_HALF_TYPES)}, not {self.products}")
        if self.cudnn and self.whole_step:
            raise UserError("XLA cannot compile what cuDNN computes: take one of the two")
        if self.cudnn and self.products:
            raise UserError(f"cuDNN computes in float32: take it or {self.products}")

    def multiply(self, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """Returns `[N, D]` times `[D, G]`, differentiable."""
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
        """Returns a gradient `[N, G]` times `[G, D]`."""
        if self.products != "float16":
            return self._half(d, b)
        scale = _power_of_two(d)
        return self._half(d * scale, b) / scale

    def multiply_gradient_of_weights(self, a: tf.Tensor, d: tf.Tensor) -> tf.Tensor:
        """Returns `[N, D]`, transposed, times a gradient `[N, G]`."""
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
"""Nothing compiled, nothing in parallel, all in the type of the weights."""


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
    """Returns the numerics that train fastest, by measurement.

    On a GPU, the fastest is a training step that is compiled as a whole. Communication between
    devices cannot be compiled; with several of them, cuDNN and compiled loops are the next best. On
    a CPU, the fastest is a tower for each core: an LSTM step is so short that cores that share it
    wait for each other at every operation. Compiled loops are faster only without towers.

    >>> fastest(gpu=False, one_device=True, cores=4, batch_size=512).towers
    4
    >>> fastest(gpu=True, one_device=True)
    Numerics(jit=True, whole_step=True, cudnn=False, towers=1, products=None)

    Args:
      gpu: True if training is on GPUs.
      one_device: True if training is on one device.
      cores: Number of the CPU's cores.
      batch_size: Examples in a batch.
      jit: True or False if the user decides whether XLA compiles loops or steps; else None.
      cudnn: True or False if the user decides whether cuDNN is used; else None.
      products: Type of the factors of matrix products; see `Numerics`.

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
    """Returns a number of towers: one per core, if their shares are equal and not too small."""
    counts = range(1, min(cores, _MOST_TOWERS, batch_size // _FEWEST_ROWS) + 1)
    return max((count for count in counts if batch_size % count == 0), default=1)


def share_threads(towers: int, cores: int) -> None:
    """Gives every tower's operations their share of the cores, if TensorFlow has not started.

    >>> before = tf.config.threading.get_intra_op_parallelism_threads()
    >>> share_threads(towers=1, cores=8)  # a single tower keeps all cores
    >>> tf.config.threading.get_intra_op_parallelism_threads() == before
    True
    """
    if towers == 1:
        return
    with contextlib.suppress(RuntimeError):  # TensorFlow has started: its threads stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(max(1, cores // towers))


def _power_of_two(gradient: tf.Tensor) -> tf.Tensor:
    """Returns the factor that brings a gradient's largest element near `_LARGEST`.

    As a power of two it changes no digits.
    """
    largest = tf.maximum(tf.reduce_max(tf.abs(gradient)), 1e-30)
    exponent = tf.math.floor(tf.math.log(_LARGEST / largest) / tf.math.log(2.0))
    return tf.pow(tf.constant(2.0, gradient.dtype), tf.cast(exponent, gradient.dtype))
