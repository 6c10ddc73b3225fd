"""Derives the plan of a model from a config: its parts, their widths, the names of weights.

    ModelSpec
      encoder      FlatEncoderPlan, or a HierarchicalEncoderPlan of several
      posterior    PosteriorPlan: mu and sigma
      decoder      FlatDecoderPlan, a SplitDecoderPlan of several, or a HierarchicalDecoderPlan:
                   conductors over one of the two

`nn` (TensorFlow), `engine` (NumPy) and the ONNX export each build a model from the same plan, so
that none of them has its own rules for the widths of parts and the names of weights. Each computes
in its own way, so that their results can be checked against one another.

A user writes a spec (see `specs`); the plan is derived from it.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from music_vae.common import own_code
from music_vae.common import weight_names as names
from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.plans import (
    BidirectionalPlan,
    ConductorPlan,
    CorePlan,
    DecoderPlan,
    DensePlan,
    EncoderPlan,
    FlatDecoderPlan,
    FlatEncoderPlan,
    HeadPlan,
    HierarchicalDecoderPlan,
    HierarchicalEncoderPlan,
    LstmLayerPlan,
    LstmStackPlan,
    NadePlan,
    PosteriorPlan,
    SplitDecoderPlan,
)
from music_vae.common.specs import (
    BidirectionalEncoderSpec,
    BooleanHeadSpec,
    CategoricalHeadSpec,
    DecoderSpec,
    EncoderSpec,
    FlatDecoderSpec,
    GrooveHeadSpec,
    HeadSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    LstmEncoderSpec,
    MixtureGrooveHeadSpec,
    MultiCategoricalHeadSpec,
    NadeHeadSpec,
    SplitDecoderSpec,
)

MAX_WEIGHTS = 2**31
"""Number of weights that a model can have: 8 GiB of them, the most that an archive may have."""

_NOTHING_READ_SIZE = 1
"""Width of the zeros that a conductor reads if it reads nothing back."""


# -- The whole ------------------------------------------------------------------------------------


class ModelSpec(NamedTuple):
    """The plan of a model.

    >>> from music_vae.configs import get_config
    >>> spec = get_config("cat-mel_2bar_small", "z_size=4,dec_rnn_size=[6]").model_spec
    >>> spec.decoder.noise_size, spec.weight_shapes["decoder/z_to_initial_state/kernel"]
    (1, (4, 12))

    Attributes:
      encoder: Encoder of music to an embedding; None for a model without a latent vector, or one
        that only decodes.
      posterior: Layers from the embedding to mu and sigma; None without an encoder.
      decoder: Decoder of the latent vector z.
    """

    encoder: EncoderPlan | None
    posterior: PosteriorPlan | None
    decoder: DecoderPlan

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all weights by published name."""
        return shapes_of(self)

    def without_encoder(self) -> "ModelSpec":
        """Returns the plan of a model that only decodes."""
        return self._replace(encoder=None, posterior=None)


def shapes_of(part: Any) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the weights of one part of a plan or several, by published name.

    >>> from music_vae.configs import get_config
    >>> list(shapes_of(get_config("cat-mel_2bar_small").model_spec.posterior))[:2]
    ['encoder/mu/kernel', 'encoder/mu/bias']
    """
    return {name: shape for leaf in _leaves(part) for name, shape in leaf.shapes.items()}


def _leaves(node: Any) -> Iterator[DensePlan | NadePlan]:
    """Yields all parts of a plan that have weights."""
    if isinstance(node, DensePlan | NadePlan):
        yield node
    elif isinstance(node, tuple):
        for part in node:
            yield from _leaves(part)
    elif dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            yield from _leaves(getattr(node, field.name))


# -- From a config's values -----------------------------------------------------------------------


class StepDepths(NamedTuple):
    """Widths of the steps that a model reads and writes.

    >>> StepDepths(inputs=90, outputs=90, input_one_hots=(90,)).controls
    0

    Attributes:
      inputs: Width of a step that the encoder reads, without its controls.
      outputs: Width of a step that the decoder gives.
      controls: Width of the controls of a step; 0 without controls.
      input_one_hots: Depths of the one-hot vectors that make up an input; empty for other inputs.
    """

    inputs: int
    outputs: int
    controls: int = 0
    input_one_hots: tuple[int, ...] = ()


def derive_model(
    encoder: EncoderSpec, decoder: DecoderSpec, hparams: HParams, depths: StepDepths
) -> ModelSpec:
    """Derives the plan of a model from the values of a config; see `Config.model_spec`.

    >>> depths = StepDepths(inputs=9, outputs=9)
    >>> hparams = HParams(z_size=4, enc_rnn_size=(5,), dec_rnn_size=(6,))
    >>> spec = derive_model(LstmEncoderSpec(), FlatDecoderSpec(), hparams, depths)
    >>> spec.posterior.mu.input_size, spec.decoder.lstm.input_size
    (5, 13)

    Raises:
      UserError: If encoder, decoder, sizes and representation do not fit each other.
    """
    for name in own_code.own_classes((encoder, decoder)):
        raise UserError(
            f"no model can be built of the part {name}, which music_vae does not have",
            hint="docs/extending.md says where a new one goes",
        )
    for part, spec in (("encoder", encoder), ("decoder", decoder)):
        if isinstance(spec, HierarchicalEncoderSpec | HierarchicalDecoderSpec):
            _check_steps(part, spec.level_lengths, hparams.max_seq_len)
    encodes = derive_encoder(
        encoder, hparams, depths.inputs + depths.controls, one_hots=depths.input_one_hots
    )
    decodes = derive_decoder(decoder, hparams, depths)
    if isinstance(decoder, HierarchicalDecoderSpec) and decoder.reencoder is not None:
        _check_reencoder(decoder, decoder.reencoder, encoder, depths)
    if not hparams.latent_size:
        return _checked_size(ModelSpec(None, None, decodes))
    mu, sigma = (
        DensePlan(path, encodes.output_size, hparams.latent_size)
        for path in (names.MU, names.SIGMA)
    )
    return _checked_size(ModelSpec(encodes, PosteriorPlan(mu, sigma), decodes))


def derive_encoder(
    spec: EncoderSpec, hparams: HParams, input_size: int, *, one_hots: tuple[int, ...] = ()
) -> EncoderPlan:
    """Derives the plan of an encoder of steps of width `input_size`.

    A step may begin with one-hot vectors, whose depths are `one_hots`.

    >>> spec = HierarchicalEncoderSpec(level_lengths=(4, 3))
    >>> derive_encoder(spec, HParams(enc_rnn_size=(5,)), input_size=7).output_size
    10
    """
    if not isinstance(spec, HierarchicalEncoderSpec):
        return _flat_encoder(spec, hparams, names.ENCODER, input_size, one_hots)
    levels: list[FlatEncoderPlan] = []
    for number in range(len(spec.level_lengths)):
        path = names.encoder_level(names.ENCODER, number)
        levels.append(_flat_encoder(spec.core, hparams, path, input_size, one_hots))
        input_size, one_hots = levels[-1].output_size, ()
    return HierarchicalEncoderPlan(spec.level_lengths, tuple(levels))


def _flat_encoder(
    spec: LstmEncoderSpec | BidirectionalEncoderSpec,
    hparams: HParams,
    path: str,
    input_size: int,
    one_hots: tuple[int, ...],
) -> FlatEncoderPlan:
    """Derives the plan of an encoder without a hierarchy."""
    sizes, residual = hparams.enc_rnn_size, hparams.residual_encoder
    if isinstance(spec, BidirectionalEncoderSpec):
        lstm = bidirectional_lstm(path, input_size, sizes, residual=residual)
        return FlatEncoderPlan(lstm, one_hots)
    stack = lstm_stack(names.lstm_stack(path), input_size, sizes, residual=residual)
    return FlatEncoderPlan(stack, one_hots)


def derive_decoder(spec: DecoderSpec, hparams: HParams, depths: StepDepths) -> DecoderPlan:
    """Derives the plan of a decoder.

    >>> spec = HierarchicalDecoderSpec(level_lengths=(4, 3))
    >>> plan = derive_decoder(spec, HParams(dec_rnn_size=(6, 5)), StepDepths(inputs=9, outputs=9))
    >>> plan.core.z_size, plan.state_size
    (5, 22)
    """
    if not isinstance(spec, HierarchicalDecoderSpec):
        return _core(spec, hparams, "", hparams.latent_size, depths)
    embedding_size = hparams.dec_rnn_size[-1]  # width of the vector of a segment
    core = _core(spec.core, hparams, names.CORE_DECODER, embedding_size, depths)
    reencoder: tuple[FlatEncoderPlan, ...] = ()
    if spec.reencoder is not None:
        # All but the top level, whose embedding nothing reads.
        reencoder = derive_encoder(spec.reencoder, hparams, depths.outputs).levels[:-1]
    *level_lengths, core_steps = spec.level_lengths
    conductors: list[ConductorPlan] = []
    state_below = core.state_size
    for level, steps in reversed(list(enumerate(level_lengths))):
        feedback_size = None
        if level in spec.autoregressive_levels:
            feedback_size = reencoder[0].output_size if reencoder else state_below
        z_size = embedding_size if level else hparams.latent_size
        conductors.insert(0, _conductor(level, steps, z_size, feedback_size, hparams))
        state_below = conductors[0].lstm.state_size
    return HierarchicalDecoderPlan(tuple(conductors), reencoder, core, core_steps)


def _conductor(
    level: int, steps: int, z_size: int, feedback_size: int | None, hparams: HParams
) -> ConductorPlan:
    """Derives the plan of the conductor of a level."""
    path = names.conductor(level)
    lstm = lstm_stack(
        path,
        _NOTHING_READ_SIZE if feedback_size is None else feedback_size + z_size,
        hparams.dec_rnn_size,
        residual=hparams.residual_decoder,
    )
    initial_state = DensePlan(names.conductor_state(path), z_size, lstm.state_size)
    return ConductorPlan(steps, feedback_size, initial_state, lstm)


def _core(
    spec: FlatDecoderSpec | SplitDecoderSpec,
    hparams: HParams,
    scope: str,
    z_size: int,
    depths: StepDepths,
) -> CorePlan:
    """Derives the plan of a decoder without a hierarchy, given vectors of width `z_size`."""
    if isinstance(spec, FlatDecoderSpec):
        return flat_decoder(
            spec, hparams, scope, z_size=z_size, depth=depths.outputs, control_depth=depths.controls
        )
    _check_depths(spec.depths, depths.outputs)
    return SplitDecoderPlan(
        tuple(
            flat_decoder(
                core,
                hparams,
                names.split_core(scope, number),
                z_size=z_size,
                depth=depth,
                control_depth=depths.controls,
            )
            for number, (core, depth) in enumerate(zip(spec.cores, spec.depths, strict=True))
        )
    )


def flat_decoder(
    spec: FlatDecoderSpec,
    hparams: HParams,
    scope: str = "",
    *,
    z_size: int,
    depth: int,
    control_depth: int = 0,
) -> FlatDecoderPlan:
    """Derives the plan of a decoder of one output; `scope` is empty or ends with a slash.

    >>> flat_decoder(FlatDecoderSpec(), HParams(), z_size=4, depth=9).lstm.input_size
    13
    """
    path, residual = names.flat_decoder(scope), hparams.residual_decoder
    control_lstm, control_size = None, control_depth
    if spec.preprocess_controls:
        if not control_depth:
            raise UserError("controls can only be preprocessed where there are controls")
        control_lstm = bidirectional_lstm(
            names.control_preprocessing(scope),
            control_depth,
            hparams.control_preprocessing_rnn_size,
            residual=residual,
        )
        control_size = control_lstm.output_size
    head = derive_head(spec.head, depth, path, nade_num_hidden=hparams.nade_num_hidden)
    lstm = lstm_stack(
        names.lstm_stack(path),
        depth + z_size + control_size,
        hparams.dec_rnn_size,
        residual=residual,
    )
    return FlatDecoderPlan(
        z_size=z_size,
        control_depth=control_depth,
        control_lstm=control_lstm,
        head=head,
        initial_state=DensePlan(names.decoder_state(path), z_size, lstm.state_size),
        lstm=lstm,
        output_projection=DensePlan(
            names.output_projection(path), lstm.output_size, head.parameter_size
        ),
    )


def derive_head(
    spec: HeadSpec, depth: int, decoder: str = "decoder", *, nade_num_hidden: int = 1
) -> HeadPlan:
    """Derives the plan of an output distribution over steps of `depth` numbers.

    `decoder` is the published name of the decoder, for the names of a NADE's weights.

    >>> plan = derive_head(NadeHeadSpec(), 9, nade_num_hidden=3)
    >>> plan.parameter_size, plan.noise_size
    (12, 9)
    """
    if isinstance(spec, CategoricalHeadSpec):
        return HeadPlan(spec, depth, depth, noise_size=1, one_hots=(depth,))
    if isinstance(spec, MultiCategoricalHeadSpec):
        _check_depths(spec.depths, depth)
        return HeadPlan(spec, depth, depth, noise_size=len(spec.depths), one_hots=spec.depths)
    if isinstance(spec, BooleanHeadSpec):
        return HeadPlan(spec, depth, depth, noise_size=depth)
    if isinstance(spec, NadeHeadSpec):
        nade = NadePlan(
            names.nade_encoder(decoder), names.nade_decoder(decoder), depth, nade_num_hidden
        )
        # A step's parameters are the biases of the hidden units and of the logits.
        return HeadPlan(spec, depth, nade_num_hidden + depth, noise_size=depth, nade=nade)
    if depth % 3:
        raise UserError(f"a groove has hits, velocities and offsets: {depth} is no multiple of 3")
    drums = depth // 3
    if isinstance(spec, MixtureGrooveHeadSpec):
        # A logit of the hit; of velocity and offset the logit, mean and scale of each component.
        # A hit takes one random number; a velocity or an offset takes two.
        return HeadPlan(spec, depth, drums * (1 + 6 * spec.components), noise_size=5 * drums)
    assert isinstance(spec, GrooveHeadSpec)
    return HeadPlan(spec, depth, depth, noise_size=drums)


# -- LSTM layers ----------------------------------------------------------------------------------


def lstm_stack(
    path: str, input_size: int, sizes: Sequence[int], *, residual: bool = False
) -> LstmStackPlan:
    """Returns the plan of LSTM layers of these sizes.

    In a residual stack, the input of a layer is projected to the layer's width if it has another
    one; the input of the bottom layer is always projected, as in the published models.

    >>> stack = lstm_stack("decoder", 90, [256, 128], residual=True)
    >>> stack.state_size, [layer.projection.units for layer in stack.layers]
    (768, [256, 128])
    """
    layers = []
    for number, units in enumerate(sizes):
        layer, projection = names.layer(path, number), None
        if residual and (number == 0 or input_size != units):
            layer = names.input_projection(layer)
            projection, input_size = DensePlan(layer, input_size, units), units
        cell = DensePlan(names.lstm_cell(layer), input_size + units, 4 * units)
        layers.append(LstmLayerPlan(residual, projection, cell))
        input_size = units
    return LstmStackPlan(path, tuple(layers))


def bidirectional_lstm(
    path: str, input_size: int, sizes: Sequence[int], *, residual: bool = False
) -> BidirectionalPlan:
    """Returns the plan of bidirectional LSTM layers of these sizes per direction.

    >>> plan = bidirectional_lstm("encoder", 3, [5, 4])
    >>> [forward.input_size for forward, backward in plan.layers], plan.output_size
    ([3, 10], 8)
    """
    layers = []
    for number, units in enumerate(sizes):
        forward, backward = (
            lstm_stack(
                names.bidirectional_stack(path, number, direction),
                input_size,
                [units],
                residual=residual,
            )
            for direction in names.DIRECTIONS
        )
        layers.append((forward, backward))
        input_size = 2 * units
    return BidirectionalPlan(path, tuple(layers))


# -- Checks ---------------------------------------------------------------------------------------


def _check_steps(part: str, level_lengths: tuple[int, ...], steps: int) -> None:
    """Raises `UserError` if the levels of a hierarchy do not make `steps` steps."""
    product = math.prod(level_lengths)
    if product != steps:
        raise UserError(
            f"the {part}'s level_lengths {level_lengths} make {product} steps; "
            f"max_seq_len is {steps}"
        )


def _checked_size(spec: ModelSpec) -> ModelSpec:
    """Returns a plan; raises `UserError` if no machine that it is meant for could hold it."""
    count = sum(math.prod(shape) for shape in spec.weight_shapes.values())
    if count > MAX_WEIGHTS:
        raise UserError(
            f"the model would have {count:,} weights; expected at most {MAX_WEIGHTS:,}",
            hint="choose smaller layers or fewer",
        )
    return spec


def _check_depths(depths: tuple[int, ...], depth: int) -> None:
    """Raises `UserError` if the depths of several outputs do not add up to `depth`."""
    if sum(depths) != depth:
        raise UserError(f"depths {depths} do not add up to the output's {depth}")


def _check_reencoder(
    decoder: HierarchicalDecoderSpec,
    reencoder: HierarchicalEncoderSpec,
    encoder: EncoderSpec,
    depths: StepDepths,
) -> None:
    """Raises `UserError` if a re-encoder does not fit the other parts of a model."""
    if depths.controls:
        raise UserError("a re-encoder cannot be used with controls")
    if reencoder.level_lengths != decoder.level_lengths[::-1]:
        raise UserError(
            f"a re-encoder's level_lengths must be the decoder's {decoder.level_lengths} the "
            f"other way round, not {reencoder.level_lengths}"
        )
    same = encoder == reencoder and depths.inputs == depths.outputs
    if isinstance(encoder, HierarchicalEncoderSpec) and not same:
        raise UserError("a re-encoder beside a hierarchical encoder must be that encoder")
