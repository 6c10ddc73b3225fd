"""Defines the nodes of a model's plan: the widths of its parts, and the names of their weights.

`model_spec` makes them. Weights have the names and shapes of published checkpoints.

All nodes are immutable values. Most are named tuples, for a dataclass takes ten times as long to
define, and every command imports these.
"""

import abc
import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, TypeAlias

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
      path: Published name of the layer.
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
        """Shapes of the kernel and the bias by published name."""
        return {self.kernel: (self.input_size, self.units), self.bias: (self.units,)}


class LstmLayerPlan(NamedTuple):
    """An LSTM layer whose output is h, or h + x if it is residual.

    >>> layer = LstmLayerPlan(False, None, cell=DensePlan("cell_0/lstm_cell", 3 + 5, 4 * 5))
    >>> layer.input_size, layer.units
    (3, 5)

    Attributes:
      residual: True if the layer adds its input to its output.
      projection: Dense layer that first brings x to the layer's width, in some residual layers.
      cell: Dense layer from [x, h] to the four gates, `[input_size + units, 4 * units]`.
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
        """Width of x before the projection, if there is one."""
        return self.projection.input_size if self.projection else self.cell_input_size

    @property
    def cell_input_size(self) -> int:
        """Width of x after the projection, if there is one."""
        return self.cell.input_size - self.units


class LstmStackPlan(NamedTuple):
    """LSTM layers on top of each other.

    >>> from music_vae.common.model_spec import lstm_stack
    >>> stack = lstm_stack("decoder/multi_rnn_cell", 3, [5, 4])
    >>> stack.input_size, stack.output_size, stack.state_widths
    (3, 4, (5, 5, 4, 4))

    Attributes:
      path: Published name of the stack, with which the names of its layers begin.
      layers: Layers from the bottom up.
    """

    path: str
    layers: tuple[LstmLayerPlan, ...]

    @property
    def input_size(self) -> int:
        """Width of the input of the bottom layer."""
        return self.layers[0].input_size

    @property
    def output_size(self) -> int:
        """Width of the output of the top layer."""
        return self.layers[-1].units

    @property
    def state_widths(self) -> tuple[int, ...]:
        """Widths of the states side by side: c0, h0, c1, h1, ..."""
        return tuple(layer.units for layer in self.layers for _ in "ch")

    @property
    def state_size(self) -> int:
        """Width of all states side by side."""
        return sum(self.state_widths)

    def cell_names(self, number: int) -> tuple[str, str]:
        """Returns the published names that a layer's cell can have, without and with projection."""
        return _cell_names(names.layer(self.path, number))


class BidirectionalPlan(NamedTuple):
    """LSTM layers that read in both directions; each reads both outputs of the one below.

    >>> from music_vae.common.model_spec import bidirectional_lstm
    >>> bidirectional_lstm("encoder", 3, [5, 4]).output_size
    8

    Attributes:
      path: Published name of the layers, with which their names begin.
      layers: Layers from the bottom up, each a forward and a backward stack of one layer.
    """

    path: str
    layers: tuple[tuple[LstmStackPlan, LstmStackPlan], ...]

    @property
    def output_size(self) -> int:
        """Width of the output of the top layer, both directions side by side."""
        return sum(stack.output_size for stack in self.layers[-1])

    def cell_names(self, number: int) -> tuple[str, str]:
        """Returns the published names that a layer's forward cell may have; see `LstmStackPlan`."""
        forward = names.bidirectional_stack(self.path, number, names.DIRECTIONS[0])
        return _cell_names(names.layer(forward, 0))


def _cell_names(layer: str) -> tuple[str, str]:
    return names.lstm_cell(layer), names.lstm_cell(names.input_projection(layer))


# -- Encoders and the posterior -------------------------------------------------------------------


class FlatEncoderPlan(NamedTuple):
    """An encoder of LSTM layers over a sequence, in one direction or in both.

    >>> from music_vae.configs import get_config
    >>> get_config("cat-mel_2bar_small", "enc_rnn_size=[5]").model_spec.encoder.output_size
    10

    Attributes:
      lstm: LSTM layers.
      one_hots: Depths of the one-hot vectors at the beginning of a step; empty if there are none.
    """

    lstm: LstmStackPlan | BidirectionalPlan
    one_hots: tuple[int, ...] = ()

    @property
    def output_size(self) -> int:
        """Width of an embedding."""
        return self.lstm.output_size

    @property
    def levels(self) -> "tuple[FlatEncoderPlan, ...]":
        """The only level, which is this encoder itself."""
        return (self,)


class HierarchicalEncoderPlan(NamedTuple):
    """Encoders in levels: the lowest encodes segments, the next one the row of their embeddings.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hier-mel_16bar", "enc_rnn_size=[5]").model_spec.encoder
    >>> plan.level_lengths, [level.output_size for level in plan.levels]
    ((16, 16), [10, 10])

    Attributes:
      level_lengths: Number of steps that each level reads, from the bottom up.
      levels: Encoder of each level.
    """

    level_lengths: tuple[int, ...]
    levels: tuple[FlatEncoderPlan, ...]

    @property
    def output_size(self) -> int:
        """Width of an embedding."""
        return self.levels[-1].output_size


EncoderPlan: TypeAlias = FlatEncoderPlan | HierarchicalEncoderPlan


class PosteriorPlan(NamedTuple):
    """The layers that make the posterior's mu and sigma (before softplus) from an embedding.

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
      encoder: Published name of the weights from values to hidden units.
      decoder: Published name of the weights from hidden units to logits.
      depth: Number of yes-or-no values in a step.
      num_hidden: Number of hidden units.
    """

    encoder: str
    decoder: str
    depth: int
    num_hidden: int

    @property
    def shapes(self) -> Shapes:
        """Shapes of the weights by published name."""
        return {
            self.encoder: (self.depth, 1, self.num_hidden),
            self.decoder: (self.depth, self.num_hidden, 1),
        }


class HeadPlan(NamedTuple):
    """An output distribution over a step.

    >>> from music_vae.common.model_spec import derive_head
    >>> from music_vae.common.specs import MultiCategoricalHeadSpec
    >>> derive_head(MultiCategoricalHeadSpec((90, 90, 512)), 692).noise_size
    3

    Attributes:
      spec: Kind of distribution.
      depth: Width D of a step.
      parameter_size: Width P of the distribution's parameters, which the decoder gives.
      noise_size: Number K of uniform random numbers that a sample takes.
      one_hots: Depths of the one-hot vectors that make up a step; empty for other steps.
      nade: Weights of a NADE; None for other distributions.
    """

    spec: HeadSpec
    depth: int
    parameter_size: int
    noise_size: int
    one_hots: tuple[int, ...] = ()
    nade: NadePlan | None = None


class _VoicedPlan(abc.ABC):
    """A decoder with one output or more, side by side.

    Attributes:
      voices: Decoders of the outputs.
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
        """Number K of uniform random numbers that a step of a sample takes."""
        return sum(voice.head.noise_size for voice in self.voices)

    @property
    def state_size(self) -> int:
        """Width of the states of all voices side by side."""
        return sum(voice.lstm.state_size for voice in self.voices)

    @property
    def reads_controls_first(self) -> bool:
        """True if layers in both directions read all controls before the first step."""
        return any(voice.control_lstm is not None for voice in self.voices)


class _UndividedPlan(_VoicedPlan):
    """A decoder without conductors: it is the core itself, and the whole sequence its segment."""

    level_lengths: ClassVar[tuple[int, ...]] = ()
    conductors: "ClassVar[tuple[ConductorPlan, ...]]" = ()
    reencoder: ClassVar[tuple[FlatEncoderPlan, ...]] = ()
    num_segments: ClassVar[int] = 1
    reads_back: ClassVar[bool] = False


@dataclasses.dataclass(frozen=True)
class FlatDecoderPlan(_UndividedPlan):
    """A decoder of one LSTM stack that reads [x(t-1), z, control(t)] at every step.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("cat-mel_2bar_small", "z_size=4,dec_rnn_size=[6]").model_spec.decoder
    >>> plan.lstm.input_size, plan.output_depth + plan.z_size + plan.control_depth
    (94, 94)

    Attributes:
      z_size: Width of z.
      control_depth: Width of the controls as they are given.
      control_lstm: Layers that preprocess the controls; None if they are read as they are.
      head: Output distribution.
      initial_state: Dense layer from z to the initial state, before tanh.
      lstm: The LSTM stack.
      output_projection: Dense layer from the stack's output to the distribution's parameters.
    """

    z_size: int
    control_depth: int
    control_lstm: BidirectionalPlan | None
    head: HeadPlan
    initial_state: DensePlan
    lstm: LstmStackPlan
    output_projection: DensePlan

    @property
    def control_size(self) -> int:
        """Width of the controls as a step reads them, preprocessed or not."""
        return self.control_depth if self.control_lstm is None else self.control_lstm.output_size

    @property
    def voices(self) -> "tuple[FlatDecoderPlan, ...]":
        return (self,)

    @property
    def core(self) -> "FlatDecoderPlan":
        """The decoder of the whole sequence: itself."""
        return self


@dataclasses.dataclass(frozen=True)
class SplitDecoderPlan(_UndividedPlan):
    """A decoder of its own for each of several outputs, all conditioned on one z.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hierdec-trio_16bar").model_spec.decoder.core
    >>> [voice.output_depth for voice in plan.voices], plan.noise_size
    ([90, 90, 512], 3)
    """

    cores: tuple[FlatDecoderPlan, ...]

    @property
    def voices(self) -> tuple[FlatDecoderPlan, ...]:
        return self.cores

    @property
    def core(self) -> "SplitDecoderPlan":
        """The decoder of the whole sequence: itself."""
        return self


CorePlan: TypeAlias = FlatDecoderPlan | SplitDecoderPlan


class ConductorPlan(NamedTuple):
    """A conductor, one level of a hierarchical decoder: makes a vector for each of its segments.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hierdec-mel_16bar").model_spec.decoder
    >>> [(level.steps, level.z_size, level.lstm.output_size) for level in plan.conductors]
    [(16, 512, 1024)]

    Attributes:
      steps: Number of segments of the level.
      feedback_size: Width of the summary of a decoded segment that is read back, beside the level's
        own vector; None if nothing is read back.
      initial_state: Dense layer from the level's vector to the initial state, before tanh.
      lstm: The LSTM stack, whose outputs are the segments' vectors.
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
    """A decoder of conductors, which make an embedding of each segment, over a core decoder.

    >>> from music_vae.configs import get_config
    >>> plan = get_config("hierdec-mel_16bar").model_spec.decoder
    >>> plan.num_segments, plan.core_steps, plan.reads_back
    (16, 16, False)

    Attributes:
      conductors: Conductors from the top down.
      reencoder: Levels, from the bottom up, of the encoder of segments that are read back; empty if
        the decoder's final state is read back instead. If the model's encoder is a hierarchy, these
        are its levels.
      core: Decoder of a segment.
      core_steps: Number of steps in a segment.
    """

    conductors: tuple[ConductorPlan, ...]
    reencoder: tuple[FlatEncoderPlan, ...]
    core: CorePlan
    core_steps: int

    @property
    def voices(self) -> tuple[FlatDecoderPlan, ...]:
        return self.core.voices

    @property
    def level_lengths(self) -> tuple[int, ...]:
        """Number of parts in each level, from the top down; the last are steps of a segment."""
        return (*(conductor.steps for conductor in self.conductors), self.core_steps)

    @property
    def num_segments(self) -> int:
        """Number S of segments in the whole sequence."""
        return math.prod(conductor.steps for conductor in self.conductors)

    @property
    def reads_back(self) -> bool:
        """True if a conductor reads back what its segments were decoded to."""
        return any(conductor.feedback_size is not None for conductor in self.conductors)


DecoderPlan: TypeAlias = CorePlan | HierarchicalDecoderPlan
