"""The values that describe a model's parts: frozen dataclasses, checked when made.

A spec says what to build and holds no layers; see `model_spec` for what follows from it.
"""

import dataclasses
from typing import Any, get_args

from music_vae.common.errors import UserError


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
        *get_args(EncoderSpec),
        *get_args(HeadSpec),
        *get_args(DecoderSpec),
    )
}
