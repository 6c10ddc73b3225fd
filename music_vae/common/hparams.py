"""Defines the hyper-parameters of a model and its training: a frozen value, checked when made."""

import dataclasses
import sys
from typing import Any

from music_vae.common.checks import Range, value_text
from music_vae.common.errors import UserError

SAMPLING_SCHEDULES = ("constant", "inverse_sigmoid", "exponential")
CLIP_MODES = ("global_norm", "value")

MAX_STEPS = 2**16
"""Number of steps that a sequence can have: 4,096 bars of 16, and 128 times the published most.

The arrays of a batch grow with it, and a config may come from anywhere.
"""

MAX_SIZE = 2**16
"""Width that a layer, and number of examples that a batch, can have: 32 times those published."""

MAX_LAYERS = 64
"""Number of layers that a stack can have; those of the published models have up to three."""


@dataclasses.dataclass(frozen=True)
class HParams:
    """Hyper-parameters of a model and its training, under the names that `--hparams` takes.

    >>> small = HParams(z_size=64, dec_rnn_size=(128, 128))
    >>> small.replace(z_size=32).latent_size
    32
    >>> HParams(free_bits=-1)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: free_bits=-1 is out of range; expected at least 0

    Attributes:
      max_seq_len: Number of steps of the longest sequence. Where all windows have one length, it is
        that length; else longer sequences are cut.
      z_size: Width of the latent vector; 0 for a model without one.
      free_bits: Bits of KL divergence, per example, that cost nothing.
      max_beta: Weight beta of the KL divergence at the end of its annealing.
      beta_rate: Rate of that annealing: beta = (1 - beta_rate**step) * max_beta.
      batch_size: Number of examples in a training step.
      grad_clip: Largest global norm of the gradients, or largest element (see `clip_mode`).
      clip_mode: Way to clip gradients, `global_norm` or `value`.
      grad_norm_clip_to_zero: A global norm at or above this zeroes the step's gradient.
      learning_rate: Learning rate at step 0.
      decay_rate: Factor by which the learning rate falls with every step.
      min_learning_rate: Learning rate that it falls towards.
      conditional: If True, the decoder depends on z; else `z_size` does not matter.
      dec_rnn_size: Units of each decoder layer.
      enc_rnn_size: Units of each encoder layer, per direction.
      dropout_keep_prob: Probability that an input of a cell is kept in training.
      sampling_schedule: Schedule of scheduled sampling, which decides how often a decoder in
        training reads its own samples: one of `SAMPLING_SCHEDULES`.
      sampling_rate: Number of the schedule; see `nn.schedules` for its meaning.
      use_cudnn: Kept for old commands; it changes nothing.
      residual_encoder: If True, encoder layers add their input to their output.
      residual_decoder: If True, decoder layers add their input to their output.
      control_preprocessing_rnn_size: Units of the layers that preprocess controls, where a
        decoder does so.
      nade_num_hidden: Hidden units of a NADE output distribution.
    """

    max_seq_len: int = 32
    z_size: int = 32
    free_bits: float = 0.0
    max_beta: float = 1.0
    beta_rate: float = 0.0
    batch_size: int = 512
    grad_clip: float = 1.0
    clip_mode: str = "global_norm"
    grad_norm_clip_to_zero: float = 10000.0
    learning_rate: float = 0.001
    decay_rate: float = 0.9999
    min_learning_rate: float = 0.00001
    conditional: bool = True
    dec_rnn_size: tuple[int, ...] = (512,)
    enc_rnn_size: tuple[int, ...] = (256,)
    dropout_keep_prob: float = 1.0
    sampling_schedule: str = "constant"
    sampling_rate: float = 0.0
    use_cudnn: bool = False
    residual_encoder: bool = False
    residual_decoder: bool = False
    control_preprocessing_rnn_size: tuple[int, ...] = (256,)
    nade_num_hidden: int = 128

    def __post_init__(self) -> None:
        for name, allowed in _RANGES.items():
            value = getattr(self, name)
            _check(value in allowed, name, value_text(value), allowed.expected_of(value))
        for field in dataclasses.fields(self):
            if field.type == tuple[int, ...]:
                value = getattr(self, field.name)
                _check_sizes(field.name, value)
                object.__setattr__(self, field.name, tuple(int(size) for size in value))
        _check(self.clip_mode in CLIP_MODES, "clip_mode", self.clip_mode, " or ".join(CLIP_MODES))
        _check(
            self.sampling_schedule in SAMPLING_SCHEDULES,
            "sampling_schedule",
            self.sampling_schedule,
            ", ".join(SAMPLING_SCHEDULES),
        )
        rate = self.sampling_rate
        if self.sampling_schedule == "inverse_sigmoid":
            _check(rate >= 1, "sampling_rate", rate, "at least 1")
        else:
            _check(rate <= 1, "sampling_rate", rate, "0 to 1")

    @property
    def latent_size(self) -> int:
        """Width Z of the latent vector that the model has; 0 for an unconditional model."""
        return self.z_size if self.conditional else 0

    def values(self) -> dict[str, Any]:
        """Returns all hyper-parameters by name."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> "HParams":
        """Returns a copy with some values changed."""
        return dataclasses.replace(self, **changes)


_POSITIVE = Range(1e-12, 10**9, whole=False)
_RANGES = {
    "max_seq_len": Range(1, MAX_STEPS),
    "z_size": Range(0, MAX_SIZE),
    "batch_size": Range(1, MAX_SIZE),
    "nade_num_hidden": Range(1, MAX_SIZE),
    "free_bits": Range(0, 10**9, whole=False),
    "max_beta": Range(0, 10**9, whole=False),
    "beta_rate": Range(0, 1, whole=False),
    "grad_clip": _POSITIVE,
    "grad_norm_clip_to_zero": _POSITIVE,
    "learning_rate": Range(1e-12, 1000, whole=False),
    "min_learning_rate": Range(0, 1000, whole=False),
    "decay_rate": Range(1e-12, 1, whole=False),
    "dropout_keep_prob": Range(1e-12, 1, whole=False),
    "sampling_rate": Range(0, 10**9, whole=False),
}
"""The range of each number. Their ends are numbers that float32, in which models compute, has, too:
it has none above 3.4e38, and smaller ones become zero."""


def _check_sizes(name: str, sizes: Any) -> None:
    """Raises `UserError` unless a hyper-parameter is the sizes of some layers."""
    several = isinstance(sizes, tuple | list)
    whole = several and all(size in Range(1, sys.maxsize) for size in sizes)
    _check(bool(whole and sizes), name, value_text(sizes), "sizes above 0")
    _check(max(sizes) <= MAX_SIZE, name, value_text(sizes), f"sizes up to {MAX_SIZE}")
    _check(len(sizes) <= MAX_LAYERS, name, value_text(sizes), f"up to {MAX_LAYERS} layers")


def _check(holds: bool, name: str, value: Any, expected: str) -> None:
    """Raises `UserError` with what was expected of a hyper-parameter, unless it holds."""
    if not holds:
        raise UserError(f"{name}={value} is out of range; expected {expected}")
