"""The nodes of a model's plan: how wide its parts are, and what their weights are called.

See `model_spec`, which makes them. Weights have the names and shapes of published checkpoints.

All are immutable values. Most are tuples with names, for a dataclass takes ten times as long to
define, and every command begins with these.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from music_vae.common import weight_names as names
from music_vae.common.specs import HeadSpec

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Shapes of weights by published name."""

# -- Layers ---------------------------------------------------------------------------------------


class DensePlan(NamedTuple):
    """A layer x . kernel + bias.

    >>> DensePlan("encoder/mu", input_size=10, units=4).shapes
    {'encoder/mu/kernel': (10, 4), 'encoder/mu/bias': (4,)}

    Attributes:
      path: Its published name.
      input_size: Width of x.
      units: Width of the result.
    """

    path: str
    input_size: int
    units: int

    @property
    def kernel(self) -> str:
        """The published name of the kernel, `[input_size, units]`."""
        return names.kernel(self.path)

    @property
    def bias(self) -> str:
        """The published name of the bias, `[units]`."""
        return names.bias(self.path)

    @property
    def shapes(self) -> Shapes:
        return {self.kernel: (self.input_size, self.units), self.bias: (self.units,)}


class LstmLayerPlan(NamedTuple):
    """An LSTM layer, the result of which is h, or h + x where it is residual.

    >>> layer = LstmLayerPlan(False, None, cell=DensePlan("cell_0/lstm_cell", 3 + 5, 4 * 5))
    >>> layer.input_size, layer.units
    (3, 5)

    Attributes:
      residual: Whether the layer adds its input to its output.
      projection: What brings x to the layer's width first, in some residual layers.
      cell: From [x, h] to the four gates, `[input_size + units, 4 * units]`.
    """

    residual: bool
    projection: DensePlan | None
    cell: DensePlan

    @property
    def units(self) -> int:
        """Width H of the layer."""
        return self.cell.units // 4

    @property
    def input_size(self) -> int:
        """Width of x as the layer is given it."""
        return self.projection.input_size if self.projection else self.cell_input_size

    @property
    def cell_input_size(self) -> int:
        """Width of x as the cell reads it."""
        return self.cell.input_size - self.units


class LstmStackPlan(NamedTuple):
    """LSTM layers on top of each other.

    >>> from music_vae.common.model_spec import lstm_stack
    >>> stack = lstm_stack("decoder/multi_rnn_cell", 3, [5, 4])
    >>> stack.input_size, stack.output_size, stack.state_widths
    (3, 4, (5, 5, 4, 4))

    Attributes:
      path: The published name under which its layers are.
      layers: From the bottom up.
    """

    path: str
    layers: tuple[LstmLayerPlan, ...]

    @property
    def input_size(self) -> int:
        """Width of what the bottom layer reads."""
        return self.layers[0].input_size

    @property
    def output_size(self) -> int:
        """Width of what the top layer gives."""
        return self.layers[-1].units

    @property
    def state_widths(self) -> tuple[int, ...]:
        """Widths of the states side by side: c0, h0, c1, h1, ..."""
        return tuple(layer.units for layer in self.layers for _ in "ch")

    @property
    def state_size(self) -> int:
        """Width of all its states side by side."""
        return sum(self.state_widths)

    def cell_names(self, number: int) -> tuple[str, str]:
        """The published names that a layer's cell may have: without and with a projection."""
        return _cell_names(names.layer(self.path, number))


class BidirectionalPlan(NamedTuple):
    """LSTM layers that read in both directions; each reads both outputs of the one below.

    >>> from music_vae.common.model_spec import bidirectional_lstm
    >>> bidirectional_lstm("encoder", 3, [5, 4]).output_size
    8

    Attributes:
      path: The published name under which its layers are.
      layers: From the bottom up, each a forward and a backward stack of one layer.
    """

    path: str
    layers: tuple[tuple[LstmStackPlan, LstmStackPlan], ...]

    @property
    def output_size(self) -> int:
        """Width of what the top layer gives, both directions side by side."""
        return sum(stack.output_size for stack in self.layers[-1])

    def cell_names(self, number: int) -> tuple[str, str]:
        """The published names that a layer's forward cell may have; see `LstmStackPlan`."""
        forward = names.bidirectional_stack(self.path, number, names.DIRECTIONS[0])
        return _cell_names(names.layer(forward, 0))


def _cell_names(layer: str) -> tuple[str, str]:
    return names.lstm_cell(layer), names.lstm_cell(names.input_projection(layer))


# -- Encoders and the posterior -------------------------------------------------------------------


class FlatEncoderPlan(NamedTuple):
    """LSTM layers over a sequence, in one direction or in both.

    >>> from music_vae.configs import get_config
    >>> get_config("cat-mel_2bar_small", "enc_rnn_size=[5]").model_spec.encoder.output_size
    10

    Attributes:
      lstm: The layers.
      one_hots: Depths of the one-hot vectors with which a step begins; none where there are none.
    """

    lstm: LstmStackPlan | BidirectionalPlan
    one_hots: tuple[int, ...] = ()

    @property
    def output_size(self) -> int:
        """Width of an embedding."""
        return self.lstm.output_size

    @property
    def levels(self) -> "tuple[FlatEncoderPlan, ...]":
        """Itself, the only level."""
        return (self,)


class HierarchicalEncoderPlan(NamedTuple):
    """Encoders in levels: of segments, then of the sequence of their embeddings.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hier-mel_16bar", "enc_rnn_size=[5]").model_spec.encoder
    >>> plan.level_lengths, [level.output_size for level in plan.levels]
    ((16, 16), [10, 10])

    Attributes:
      level_lengths: Steps that each level reads, from the bottom up.
      levels: What encodes at each.
    """

    level_lengths: tuple[int, ...]
    levels: tuple[FlatEncoderPlan, ...]

    @property
    def output_size(self) -> int:
        """Width of an embedding."""
        return self.levels[-1].output_size


EncoderPlan: TypeAlias = FlatEncoderPlan | HierarchicalEncoderPlan


class PosteriorPlan(NamedTuple):
    """The layers that make mu and what sigma is the softplus of, each from an embedding.

    >>> from music_vae.configs import get_config
    >>> posterior = get_config("cat-mel_2bar_small", "enc_rnn_size=[5]").model_spec.posterior
    >>> posterior.mu.input_size, posterior.mu.units
    (10, 256)
    """

    mu: DensePlan
    sigma: DensePlan


# -- Decoders -------------------------------------------------------------------------------------


class NadePlan(NamedTuple):
    """The weights of a NADE that all steps share.

    >>> NadePlan("nade/w_enc", "nade/w_dec_t", depth=9, num_hidden=3).shapes
    {'nade/w_enc': (9, 1, 3), 'nade/w_dec_t': (9, 3, 1)}

    Attributes:
      encoder: The published name of the weights from values to hidden units.
      decoder: The published name of those from hidden units to logits.
      depth: Numbers of a step.
      num_hidden: Hidden units.
    """

    encoder: str
    decoder: str
    depth: int
    num_hidden: int

    @property
    def shapes(self) -> Shapes:
        return {
            self.encoder: (self.depth, 1, self.num_hidden),
            self.decoder: (self.depth, self.num_hidden, 1),
        }


class HeadPlan(NamedTuple):
    """A distribution over a step.

    >>> from music_vae.common.model_spec import derive_head
    >>> from music_vae.common.specs import MultiCategoricalHeadSpec
    >>> derive_head(MultiCategoricalHeadSpec((90, 90, 512)), 692).noise_size
    3

    Attributes:
      spec: Which.
      depth: Width D of a step.
      parameter_size: Width P of what the decoder gives for a step.
      noise_size: How many uniform numbers a sample takes, K.
      one_hots: Depths of the one-hot vectors that make up a step; none for other steps.
      nade: The weights of a NADE.
    """

    spec: HeadSpec
    depth: int
    parameter_size: int
    noise_size: int
    one_hots: tuple[int, ...] = ()
    nade: NadePlan | None = None


class _VoicedPlan(abc.ABC):
    """What every decoder is: the outputs, side by side, of one decoder or more.

    Attributes:
      voices: What decodes each of the outputs.
    """

    @property
    @abc.abstractmethod
    def voices(self) -> "tuple[FlatDecoderPlan, ...]": ...

    @property
    def output_depth(self) -> int:
        """Width D of a step."""
        return sum(voice.head.depth for voice in self.voices)

    @property
    def parameter_size(self) -> int:
        """Width P of the parameters of a step's distribution."""
        return sum(voice.head.parameter_size for voice in self.voices)

    @property
    def noise_size(self) -> int:
        """How many uniform numbers a step of a sample takes, K."""
        return sum(voice.head.noise_size for voice in self.voices)

    @property
    def state_size(self) -> int:
        """Width of the states of all voices side by side."""
        return sum(voice.lstm.state_size for voice in self.voices)


@dataclasses.dataclass(frozen=True)
class FlatDecoderPlan(_VoicedPlan):
    """One LSTM stack that reads [x(t-1), z, control(t)] at every step.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("cat-mel_2bar_small", "z_size=4,dec_rnn_size=[6]").model_spec.decoder
    >>> plan.lstm.input_size, plan.output_depth + plan.z_size + plan.control_depth
    (94, 94)

    Attributes:
      z_size: Width of z.
      control_depth: Width of the controls.
      control_lstm: What preprocesses the controls, if anything does.
      head: What its outputs mean.
      initial_state: From z to the state before the first step, before tanh.
      lstm: The stack.
      output_projection: From its output to the head's parameters.
    """

    z_size: int
    control_depth: int
    control_lstm: BidirectionalPlan | None
    head: HeadPlan
    initial_state: DensePlan
    lstm: LstmStackPlan
    output_projection: DensePlan

    @property
    def voices(self) -> "tuple[FlatDecoderPlan, ...]":
        return (self,)


@dataclasses.dataclass(frozen=True)
class SplitDecoderPlan(_VoicedPlan):
    """A decoder of its own for each of several outputs, all given one z.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hierdec-trio_16bar").model_spec.decoder.core
    >>> [voice.output_depth for voice in plan.voices], plan.noise_size
    ([90, 90, 512], 3)
    """

    cores: tuple[FlatDecoderPlan, ...]

    @property
    def voices(self) -> tuple[FlatDecoderPlan, ...]:
        return self.cores


CorePlan: TypeAlias = FlatDecoderPlan | SplitDecoderPlan


class ConductorPlan(NamedTuple):
    """One level of a hierarchical decoder: a vector to one for each of its segments.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hierdec-mel_16bar").model_spec.decoder
    >>> [(level.steps, level.z_size, level.lstm.output_size) for level in plan.conductors]
    [(16, 512, 1024)]

    Attributes:
      steps: Segments of the level.
      feedback_size: Width of what is read back of each segment, beside the level's own vector; None
        if nothing is read back.
      initial_state: From the level's vector to the state before the first step, before tanh.
      lstm: The stack, whose outputs are the segments' vectors.
    """

    steps: int
    feedback_size: int | None
    initial_state: DensePlan
    lstm: LstmStackPlan

    @property
    def z_size(self) -> int:
        """Width of the level's vector."""
        return self.initial_state.input_size


@dataclasses.dataclass(frozen=True)
class HierarchicalDecoderPlan(_VoicedPlan):
    """Conductors over a core decoder.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hierdec-mel_16bar").model_spec.decoder
    >>> plan.num_segments, plan.core_steps, plan.reads_back
    (16, 16, False)

    Attributes:
      conductors: From the top down.
      reencoder: The levels, from the bottom up, of what encodes segments to be read back; none
        where that is their decoder's final state. If the model's encoder is a hierarchy, these are
        levels of that.
      core: What decodes a segment.
      core_steps: Steps of a segment.
    """

    conductors: tuple[ConductorPlan, ...]
    reencoder: tuple[FlatEncoderPlan, ...]
    core: CorePlan
    core_steps: int

    @property
    def voices(self) -> tuple[FlatDecoderPlan, ...]:
        return self.core.voices

    @property
    def num_segments(self) -> int:
        """Segments of the whole sequence, S."""
        return math.prod(conductor.steps for conductor in self.conductors)

    @property
    def reads_back(self) -> bool:
        """Whether a conductor reads back what became of its segments."""
        return any(conductor.feedback_size is not None for conductor in self.conductors)


DecoderPlan: TypeAlias = CorePlan | HierarchicalDecoderPlan
