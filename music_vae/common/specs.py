"""Defines the specs that describe the parts of a model: frozen dataclasses, checked when made.

A spec names the architecture of a part and contains no layers. Sizes come from `HParams`, and
`model_spec` derives the plan of a model from both.
"""

import dataclasses
from typing import Any, get_args

from music_vae.common.errors import UserError

_MAX_COMPONENTS = 32
_MAX_LEVELS = 16  # as many as there are, with two steps each, in the longest sequence


@dataclasses.dataclass(frozen=True)
class LstmEncoderSpec:
    """A stack of LSTM layers that read the sequence forward.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_small", "enc_rnn_size=[512]")
    >>> config.replace(encoder=LstmEncoderSpec()).model_spec.encoder.output_size
    512
    """


@dataclasses.dataclass(frozen=True)
class BidirectionalEncoderSpec:
    """A stack of bidirectional LSTM layers over the whole sequence, the encoder of most configs.

    >>> from music_vae.configs import get_config
    >>> config = get_config("cat-mel_2bar_small", "enc_rnn_size=[512]")
    >>> config.encoder, config.model_spec.encoder.output_size  # of both directions
    (BidirectionalEncoderSpec(), 1024)
    """


@dataclasses.dataclass(frozen=True)
class HierarchicalEncoderSpec:
    """Encoders in levels: the lowest encodes segments, the next one the row of their embeddings.

    >>> from music_vae.configs import get_config
    >>> get_config("hier-mel_16bar").encoder.level_lengths  # 16 steps in a bar, then 16 bars
    (16, 16)

    Attributes:
      level_lengths: Number of steps that each level reads, from the bottom up; their product is
        `max_seq_len`.
      core: Encoder of every level.
    """

    level_lengths: tuple[int, ...]
    core: LstmEncoderSpec | BidirectionalEncoderSpec = BidirectionalEncoderSpec()

    def __post_init__(self) -> None:
        object.__setattr__(self, "level_lengths", _level_lengths(self.level_lengths))


@dataclasses.dataclass(frozen=True)
class CategoricalHeadSpec:
    """Output distribution of one class per step: a softmax over the output depth.

    >>> FlatDecoderSpec().head  # the default, as for melodies
    CategoricalHeadSpec()
    """


@dataclasses.dataclass(frozen=True)
class MultiCategoricalHeadSpec:
    """Output distribution of several classes per step: a softmax over each of `depths`.

    >>> MultiCategoricalHeadSpec((90, 90, 512))  # melody, bass and drums in one decoder
    MultiCategoricalHeadSpec(depths=(90, 90, 512))

    Attributes:
      depths: Numbers of classes, side by side in a step.
    """

    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", _depths(self.depths))


@dataclasses.dataclass(frozen=True)
class BooleanHeadSpec:
    """Output distribution of independent yes-or-no numbers, such as the drums of a step.

    >>> FlatDecoderSpec(BooleanHeadSpec()).head
    BooleanHeadSpec()
    """


@dataclasses.dataclass(frozen=True)
class NadeHeadSpec:
    """Output distribution of yes-or-no numbers that depend on each other.

    A neural autoregressive distribution estimator (NADE) with `nade_num_hidden` hidden units draws
    one number after the other.

    >>> from music_vae.configs import get_config
    >>> get_config("nade-drums_2bar_full").decoder.head
    NadeHeadSpec()
    """


@dataclasses.dataclass(frozen=True)
class GrooveHeadSpec:
    """Output distribution of hits, velocities and timing offsets, a third of the depth each.

    >>> from music_vae.configs import get_config
    >>> get_config("groovae_4bar").decoder.head
    GrooveHeadSpec()
    """


@dataclasses.dataclass(frozen=True)
class MixtureGrooveHeadSpec:
    """Output distribution of grooves whose velocities and offsets are drawn as the hits are.

    A `GrooveHeadSpec` has single values, and they count where nothing is hit, too: it learns the
    chance of a hit times the value, which is soft and close to the grid. Here each value has a
    mixture of logistic distributions, which counts at the hits alone.

    >>> MixtureGrooveHeadSpec()
    MixtureGrooveHeadSpec(components=4)

    Attributes:
      components: Number of distributions in a mixture, from 1 to 32.

    Raises:
      UserError: For another number of components.
    """

    components: int = 4

    def __post_init__(self) -> None:
        if not (type(self.components) is int and 1 <= self.components <= _MAX_COMPONENTS):
            raise UserError(
                f"components={self.components!r} of a mixture; expected 1 to {_MAX_COMPONENTS}"
            )


HeadSpec = (
    CategoricalHeadSpec
    | MultiCategoricalHeadSpec
    | BooleanHeadSpec
    | NadeHeadSpec
    | GrooveHeadSpec
    | MixtureGrooveHeadSpec
)


@dataclasses.dataclass(frozen=True)
class FlatDecoderSpec:
    """A decoder of one LSTM stack over the whole sequence, conditioned on z at every step.

    >>> FlatDecoderSpec(NadeHeadSpec())
    FlatDecoderSpec(head=NadeHeadSpec(), preprocess_controls=False)

    Attributes:
      head: Output distribution.
      preprocess_controls: If True, a bidirectional LSTM reads the controls first.
    """

    head: HeadSpec = CategoricalHeadSpec()
    preprocess_controls: bool = False


@dataclasses.dataclass(frozen=True)
class SplitDecoderSpec:
    """A decoder of its own for each of several outputs that stand side by side in a step.

    >>> from music_vae.configs import get_config
    >>> get_config("hierdec-trio_16bar").decoder.core.depths  # melody, bass and drums
    (90, 90, 512)

    Attributes:
      depths: Widths of the outputs.
      cores: Decoders of the outputs.
    """

    depths: tuple[int, ...]
    cores: tuple[FlatDecoderSpec, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", _depths(self.depths))
        object.__setattr__(self, "cores", tuple(self.cores))
        if len(self.depths) != len(self.cores):
            raise UserError(
                f"{len(self.depths)} depths need as many decoders, not {len(self.cores)}"
            )


@dataclasses.dataclass(frozen=True)
class HierarchicalDecoderSpec:
    """Conductors that give each segment an embedding, and a core decoder that decodes it.

    >>> from music_vae.configs import get_config
    >>> get_config("hierdec-mel_16bar").decoder.level_lengths  # 16 segments of 16 steps
    (16, 16)

    Attributes:
      level_lengths: Number of outputs of each level from the top down, the last being the steps of
        a segment; their product is `max_seq_len`.
      core: Decoder of a segment.
      autoregressive_levels: Numbers of the conductors, from the top, that read back what their
        segments were decoded to.
      reencoder: Encoder of the segments that are read back; None: the final state of the decoder is
        read instead.
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
    if len(lengths) > _MAX_LEVELS:
        raise UserError(f"level_lengths are {len(lengths)}; expected up to {_MAX_LEVELS} levels")
    if len(lengths) < 2 or min(lengths) < 1:
        raise UserError(f"level_lengths={lengths} must be two numbers or more, each at least 1")
    return lengths


def _depths(depths: Any) -> tuple[int, ...]:
    depths = tuple(depths)
    if not depths or min(depths) < 1:
        raise UserError(f"depths={depths} must be one number or more, each at least 1")
    return depths


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
