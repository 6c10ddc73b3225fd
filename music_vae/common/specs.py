"""The values that describe a model: frozen dataclasses, checked when made, to and from JSON.

A spec says what to build and holds no layers; `lstm_models.build_model` makes the layers.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from music_vae.common.errors import UserError

SAMPLING_SCHEDULES = ("constant", "inverse_sigmoid", "exponential")
CLIP_MODES = ("global_norm", "value")


@dataclasses.dataclass(frozen=True)
class HParams:
    """Hyper-parameters, under the names that `--hparams` takes.

    Attributes:
      max_seq_len: Steps of the longest sequence; longer ones are cut.
      z_size: Width of the latent vector; 0 for a model without one.
      free_bits: Bits of KL divergence, per example, that cost nothing.
      max_beta: Weight of the KL cost at the end of its annealing.
      beta_rate: Rate of that annealing: beta = (1 - beta_rate**step) * max_beta.
      batch_size: Examples per training step.
      grad_clip: Largest global norm of the gradients, or largest element (see `clip_mode`).
      clip_mode: `global_norm` or `value`.
      grad_norm_clip_to_zero: A global norm at or above this zeroes the step's gradient.
      learning_rate: Learning rate at step 0.
      decay_rate: Factor by which the learning rate falls with every step.
      min_learning_rate: Learning rate it falls towards.
      conditional: Whether the decoder depends on z; if not, `z_size` does not matter.
      dec_rnn_size: Units of each decoder layer.
      enc_rnn_size: Units of each encoder layer, per direction.
      dropout_keep_prob: Probability that a cell's input is kept, in training.
      sampling_schedule: How often a decoder in training reads its own samples, over time.
      sampling_rate: The schedule's number; what it means depends on the schedule.
      use_cudnn: Kept for old commands; it changes nothing.
      residual_encoder: Whether encoder layers add their input to their output.
      residual_decoder: The same for decoder layers.
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
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is float and not math.isfinite(value):
                raise UserError(f"{field.name}={value} is not a finite number")
            if field.type == tuple[int, ...]:
                value = tuple(int(size) for size in value)
                object.__setattr__(self, field.name, value)
                _check(len(value) > 0 and min(value) > 0, field.name, value, "sizes above 0")
        _check(self.max_seq_len > 0, "max_seq_len", self.max_seq_len, "at least 1")
        _check(self.z_size >= 0, "z_size", self.z_size, "at least 0")
        _check(self.batch_size > 0, "batch_size", self.batch_size, "at least 1")
        _check(self.free_bits >= 0, "free_bits", self.free_bits, "at least 0")
        _check(self.max_beta >= 0, "max_beta", self.max_beta, "at least 0")
        _check(0 <= self.beta_rate <= 1, "beta_rate", self.beta_rate, "from 0 to 1")
        _check(self.grad_clip > 0, "grad_clip", self.grad_clip, "above 0")
        _check(self.clip_mode in CLIP_MODES, "clip_mode", self.clip_mode, " or ".join(CLIP_MODES))
        _check(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _check(
            self.min_learning_rate >= 0, "min_learning_rate", self.min_learning_rate, "at least 0"
        )
        _check(
            self.grad_norm_clip_to_zero > 0,
            "grad_norm_clip_to_zero",
            self.grad_norm_clip_to_zero,
            "above 0",
        )
        _check(self.nade_num_hidden > 0, "nade_num_hidden", self.nade_num_hidden, "at least 1")
        _check(0 < self.decay_rate <= 1, "decay_rate", self.decay_rate, "above 0 and at most 1")
        _check(
            0 < self.dropout_keep_prob <= 1,
            "dropout_keep_prob",
            self.dropout_keep_prob,
            "above 0 and at most 1",
        )
        _check(
            self.sampling_schedule in SAMPLING_SCHEDULES,
            "sampling_schedule",
            self.sampling_schedule,
            ", ".join(SAMPLING_SCHEDULES),
        )
        if self.sampling_schedule == "inverse_sigmoid":
            _check(self.sampling_rate >= 1, "sampling_rate", self.sampling_rate, "at least 1")
        else:
            _check(0 <= self.sampling_rate <= 1, "sampling_rate", self.sampling_rate, "0 to 1")

    @property
    def latent_size(self) -> int:
        """Width Z of the latent vector that the model has; 0 for an unconditional model."""
        return self.z_size if self.conditional else 0

    def values(self) -> dict[str, Any]:
        """All hyper-parameters by name."""
        return dataclasses.asdict(self)

    def replace(self, **changes: Any) -> "HParams":
        """A copy with some values changed."""
        return dataclasses.replace(self, **changes)


def _check(holds: bool, name: str, value: Any, expected: str) -> None:
    if not holds:
        raise UserError(f"{name}={value} is out of range; expected {expected}")


@dataclasses.dataclass(frozen=True)
class LstmEncoderSpec:
    """A stack of LSTM layers that read the sequence forward."""


@dataclasses.dataclass(frozen=True)
class BidirectionalEncoderSpec:
    """A stack of bidirectional LSTM layers over the whole sequence."""


@dataclasses.dataclass(frozen=True)
class HierarchicalEncoderSpec:
    """Encoders in levels: of segments, then of the sequence of their embeddings.

    Attributes:
      level_lengths: Steps that each level reads, from the bottom up; their product is max_seq_len.
      core: What encodes at every level.
    """

    level_lengths: tuple[int, ...]
    core: LstmEncoderSpec | BidirectionalEncoderSpec = BidirectionalEncoderSpec()

    def __post_init__(self) -> None:
        object.__setattr__(self, "level_lengths", _level_lengths(self.level_lengths))


@dataclasses.dataclass(frozen=True)
class CategoricalHeadSpec:
    """One class per step: softmax over the output depth."""


@dataclasses.dataclass(frozen=True)
class MultiCategoricalHeadSpec:
    """Several classes per step, side by side: a softmax over each of `depths`."""

    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(self.depths))


@dataclasses.dataclass(frozen=True)
class BooleanHeadSpec:
    """Independent yes or no for every number of a step."""


@dataclasses.dataclass(frozen=True)
class NadeHeadSpec:
    """A joint distribution over yes-or-no numbers, with `nade_num_hidden` hidden units."""


@dataclasses.dataclass(frozen=True)
class GrooveHeadSpec:
    """Hits, velocities and timing offsets, a third of the output depth each."""


HeadSpec = (
    CategoricalHeadSpec | MultiCategoricalHeadSpec | BooleanHeadSpec | NadeHeadSpec | GrooveHeadSpec
)


@dataclasses.dataclass(frozen=True)
class FlatDecoderSpec:
    """One LSTM stack over the whole sequence, conditioned on z at every step.

    Attributes:
      head: What its outputs mean.
      preprocess_controls: Whether a bidirectional LSTM reads the controls first.
    """

    head: HeadSpec = CategoricalHeadSpec()
    preprocess_controls: bool = False


@dataclasses.dataclass(frozen=True)
class SplitDecoderSpec:
    """A decoder of its own for each of several outputs that stand side by side.

    Attributes:
      depths: Widths of the outputs.
      cores: Their decoders.
    """

    depths: tuple[int, ...]
    cores: tuple[FlatDecoderSpec, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(self.depths))
        object.__setattr__(self, "cores", tuple(self.cores))
        if len(self.depths) != len(self.cores):
            raise UserError(
                f"{len(self.depths)} depths need as many decoders, not {len(self.cores)}"
            )


@dataclasses.dataclass(frozen=True)
class HierarchicalDecoderSpec:
    """Conductors that give each segment an embedding, and a core decoder that decodes it.

    Attributes:
      level_lengths: Outputs of each level from the top down, the last being the steps of a segment;
        their product is max_seq_len.
      core: What decodes a segment.
      autoregressive_levels: Numbers of the conductors, from the top, that read back what became of
        their segments.
      reencoder: What encodes segments to be read back; their decoder's final state is by default.
    """

    level_lengths: tuple[int, ...]
    core: FlatDecoderSpec | SplitDecoderSpec = FlatDecoderSpec()
    autoregressive_levels: tuple[int, ...] = ()
    reencoder: HierarchicalEncoderSpec | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "level_lengths", _level_lengths(self.level_lengths))
        object.__setattr__(self, "autoregressive_levels", tuple(self.autoregressive_levels))
        conductors = range(len(self.level_lengths) - 1)
        if not set(self.autoregressive_levels) <= set(conductors):
            raise UserError(
                f"autoregressive_levels={self.autoregressive_levels} must be among "
                f"{list(conductors)}"
            )
        if self.reencoder is not None and not self.autoregressive_levels:
            raise UserError("a reencoder needs autoregressive_levels that read what it gives")


def _level_lengths(lengths: Any) -> tuple[int, ...]:
    lengths = tuple(lengths)
    if len(lengths) < 2 or min(lengths) < 1:
        raise UserError(f"level_lengths={lengths} must be two numbers or more, each at least 1")
    return lengths


EncoderSpec = LstmEncoderSpec | BidirectionalEncoderSpec | HierarchicalEncoderSpec
DecoderSpec = FlatDecoderSpec | SplitDecoderSpec | HierarchicalDecoderSpec
SPEC_KINDS: dict[str, type] = {
    kind.__name__: kind
    for kind in (
        HParams,
        *get_args(EncoderSpec),
        *get_args(HeadSpec),
        *get_args(DecoderSpec),
    )
}


class Batch(NamedTuple):
    """Examples side by side, padded with zeros to T steps; arrays or tensors.

    Attributes:
      inputs: float32 `[B, T, Din]`, what the encoder reads.
      targets: float32 `[B, T, Dout]`, what the decoder should give.
      controls: float32 `[B, T, Dc]`; Dc is 0 without controls.
      lengths: int32 `[B]`, valid steps; `[B, S]`, those of each segment, where there are segments.
    """

    inputs: Any
    targets: Any
    controls: Any
    lengths: Any


class OneHot(NamedTuple):
    """Class indices, `[..., T]` or side by side `[..., T, C]`, to one-hots of these depths."""

    depths: tuple[int, ...]


class Roll(NamedTuple):
    """Bit masks `[..., T]` to a column for each bit, and perhaps one for 'none of them'."""

    depth: int
    has_nothing: bool = False


class Numbers(NamedTuple):
    """Numbers `[..., T, D]` as they are; NaN to zeros."""


class Compact(NamedTuple):
    """How compact arrays become dense; padding becomes zeros.

    Attributes:
      inputs: Of inputs.
      outputs: Of outputs.
      controls: Of controls, if there are any.
    """

    inputs: OneHot | Roll | Numbers
    outputs: OneHot | Roll | Numbers
    controls: OneHot | Roll | Numbers = Numbers()


def to_json(value: Any) -> Any:
    """A spec (or anything made of dataclasses, tuples and plain values) as JSON data.

    A dataclass becomes an object whose `kind` is its class's name.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(data: Any, kinds: Mapping[str, type]) -> Any:
    """The inverse of `to_json`; lists become tuples.

    Raises:
      UserError: For a kind that is not in `kinds`, and for missing, unknown or wrong values.
    """
    if isinstance(data, list):
        return tuple(from_json(item, kinds) for item in data)
    if not isinstance(data, dict):
        return data
    fields = dict(data)
    name = fields.pop("kind", None)
    if not isinstance(name, str) or name not in kinds:
        raise UserError(f"unknown kind {name!r}; known are {', '.join(sorted(kinds))}")
    kind = kinds[name]
    unknown = set(fields) - {field.name for field in dataclasses.fields(kind)}
    if unknown:
        raise UserError(f"{name} has no value {', '.join(sorted(map(repr, unknown)))}")
    try:
        return kind(**{key: from_json(value, kinds) for key, value in fields.items()})
    except TypeError as error:
        raise UserError(f"{name} cannot be made from {data}: {error}") from error
