"""The plan of a model: parts, widths and names, the same for everything that builds one."""

import pytest

from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.model_spec import (
    ModelSpec,
    StepDepths,
    bidirectional_lstm,
    derive_head,
    derive_model,
    lstm_stack,
)
from music_vae.common.plans import (
    BidirectionalPlan,
    DensePlan,
    FlatDecoderPlan,
    FlatEncoderPlan,
    HeadPlan,
    LstmLayerPlan,
    LstmStackPlan,
    PosteriorPlan,
)
from music_vae.common.specs import (
    BidirectionalEncoderSpec,
    BooleanHeadSpec,
    CategoricalHeadSpec,
    FlatDecoderSpec,
    GrooveHeadSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    LstmEncoderSpec,
    MixtureGrooveHeadSpec,
    MultiCategoricalHeadSpec,
    NadeHeadSpec,
    SplitDecoderSpec,
)
from music_vae.configs import get_config
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.lstm_models import build_model
from music_vae.weights.tf_variables import named_variables
from support.cases import CASES, SMALL, config_of, hierarchical, with_converter

HPARAMS = HParams(max_seq_len=24, z_size=4, enc_rnn_size=(5,), dec_rnn_size=(6, 3))
DEPTHS = StepDepths(inputs=7, outputs=8, controls=2, input_one_hots=(7,))


def plain_layer(path, input_size, units):
    cell = DensePlan(f"{path}/lstm_cell", input_size + units, 4 * units)
    return LstmLayerPlan(residual=False, projection=None, cell=cell)


# -- By hand ----------------------------------------------------------------------------------


def test_the_plan_of_a_small_model_written_out():
    spec = derive_model(BidirectionalEncoderSpec(), FlatDecoderSpec(), HPARAMS, DEPTHS)
    paths = [f"encoder/cell_0/bidirectional_rnn/{d}/multi_rnn_cell" for d in ("fw", "bw")]
    forward, backward = (
        LstmStackPlan(path, (plain_layer(f"{path}/cell_0", 7 + 2, 5),)) for path in paths
    )
    stack = "decoder/multi_rnn_cell"
    assert spec == ModelSpec(
        encoder=FlatEncoderPlan(BidirectionalPlan("encoder", ((forward, backward),)), (7,)),
        posterior=PosteriorPlan(
            mu=DensePlan("encoder/mu", 10, 4), sigma=DensePlan("encoder/sigma", 10, 4)
        ),
        decoder=FlatDecoderPlan(
            z_size=4,
            control_depth=2,
            control_lstm=None,
            head=HeadPlan(CategoricalHeadSpec(), 8, 8, noise_size=1, one_hots=(8,)),
            initial_state=DensePlan("decoder/z_to_initial_state", 4, 2 * (6 + 3)),
            lstm=LstmStackPlan(
                stack,
                (
                    plain_layer(f"{stack}/cell_0", 8 + 4 + 2, 6),
                    plain_layer(f"{stack}/cell_1", 6, 3),
                ),
            ),
            output_projection=DensePlan("decoder/output_projection", 3, 8),
        ),
    )


def test_its_weights_written_out():
    spec = derive_model(LstmEncoderSpec(), FlatDecoderSpec(), HPARAMS, DEPTHS)
    assert spec.weight_shapes == {
        "encoder/multi_rnn_cell/cell_0/lstm_cell/kernel": (7 + 2 + 5, 20),
        "encoder/multi_rnn_cell/cell_0/lstm_cell/bias": (20,),
        "encoder/mu/kernel": (5, 4),
        "encoder/mu/bias": (4,),
        "encoder/sigma/kernel": (5, 4),
        "encoder/sigma/bias": (4,),
        "decoder/z_to_initial_state/kernel": (4, 18),
        "decoder/z_to_initial_state/bias": (18,),
        "decoder/multi_rnn_cell/cell_0/lstm_cell/kernel": (8 + 4 + 2 + 6, 24),
        "decoder/multi_rnn_cell/cell_0/lstm_cell/bias": (24,),
        "decoder/multi_rnn_cell/cell_1/lstm_cell/kernel": (6 + 3, 12),
        "decoder/multi_rnn_cell/cell_1/lstm_cell/bias": (12,),
        "decoder/output_projection/kernel": (3, 8),
        "decoder/output_projection/bias": (8,),
    }
    decoder = {n: s for n, s in spec.weight_shapes.items() if not n.startswith("encoder/")}
    assert spec.without_encoder().weight_shapes == decoder


@pytest.mark.parametrize(
    ("levels", "reencoder", "expected"),
    [
        ((), None, [(1, None), (1, None)]),
        # What is read back: the core decoder's state, or that of the conductor below; and z.
        ((0, 1), None, [(18 + 4, 18), (18 + 3, 18)]),
        ((1,), None, [(1, None), (18 + 3, 18)]),
        ((0, 1), HierarchicalEncoderSpec((6, 2, 2)), [(10 + 4, 10), (10 + 3, 10)]),
    ],
)
def test_what_conductors_read(levels, reencoder, expected):
    spec = HierarchicalDecoderSpec((2, 2, 6), autoregressive_levels=levels, reencoder=reencoder)
    depths = DEPTHS._replace(controls=0)
    plan = derive_model(BidirectionalEncoderSpec(), spec, HPARAMS, depths).decoder
    found = [(conductor.lstm.input_size, conductor.feedback_size) for conductor in plan.conductors]
    assert found == expected
    assert [conductor.z_size for conductor in plan.conductors] == [4, 3]
    assert plan.core.z_size == 3
    assert (plan.num_segments, plan.core_steps, plan.reads_back) == (4, 6, bool(levels))
    assert len(plan.reencoder) == (2 if reencoder else 0)


@pytest.mark.parametrize(
    ("spec", "depth", "parameter_size", "noise_size", "one_hots"),
    [
        (CategoricalHeadSpec(), 6, 6, 1, (6,)),
        (MultiCategoricalHeadSpec((4, 2)), 6, 6, 2, (4, 2)),
        (BooleanHeadSpec(), 6, 6, 6, ()),
        (NadeHeadSpec(), 6, 6 + 5, 6, ()),
        (GrooveHeadSpec(), 6, 6, 2, ()),
    ],
)
def test_the_widths_of_every_head(spec, depth, parameter_size, noise_size, one_hots):
    plan = derive_head(spec, depth, nade_num_hidden=5)
    found = (plan.parameter_size, plan.noise_size, plan.one_hots)
    assert found == (parameter_size, noise_size, one_hots)


def test_a_residual_stack_projects_its_input_and_where_the_width_changes():
    stack = lstm_stack("stack", 4, (4, 4, 5), residual=True)
    assert [layer.projection for layer in stack.layers] == [
        DensePlan("stack/cell_0/input_projection_wrapper", 4, 4),
        None,
        DensePlan("stack/cell_2/input_projection_wrapper", 4, 5),
    ]
    assert stack.layers[2].cell.path == "stack/cell_2/input_projection_wrapper/lstm_cell"
    assert [layer.input_size for layer in stack.layers] == [4, 4, 4]
    assert [layer.cell_input_size for layer in stack.layers] == [4, 4, 5]
    assert all(layer.projection is None for layer in lstm_stack("stack", 3, (4, 5)).layers)


def test_every_residual_layer_in_both_directions_projects_its_input():
    plan = bidirectional_lstm("both", 4, (4, 8), residual=True)
    widths = [[s.layers[0].projection.input_size for s in stacks] for stacks in plan.layers]
    assert widths == [[4, 4], [8, 8]]


def test_the_state_of_a_stack_is_c_and_h_of_each_layer_in_turn():
    stack = lstm_stack("stack", 3, (4, 5))
    assert stack.state_widths == (4, 4, 5, 5)
    assert stack.state_size == 18


# -- Every config and every part --------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_what_is_built_has_the_names_shapes_and_noise_of_its_plan(name):
    config = CASES[name]()
    model = build_model(config)
    variables = named_variables(model)
    shapes = config.model_spec.weight_shapes
    assert list(shapes.items()) == [(n, tuple(v.shape)) for n, v in variables.items()]
    assert len(model.trainable_variables) == len(variables)
    noise_size = config.model_spec.decoder.noise_size
    arrays = {name: variable.numpy() for name, variable in variables.items()}
    assert NumpyEngine(config, arrays).noise_size == noise_size
    assert sum(voice.plan.head.noise_size for voice in model.decoder.voices) == noise_size


def test_a_model_without_z_has_no_encoder():
    for options in ("z_size=0", "conditional=false"):
        spec = get_config("cat-mel_2bar_small", options).model_spec
        assert spec.encoder is spec.posterior is None
        assert spec.decoder.z_size == 0


def test_a_plan_is_derived_once():
    config = config_of("hier-mel_16bar")
    assert config.model_spec is config.model_spec
    other = config.replace(hparams=config.hparams.replace(z_size=5))
    assert other.model_spec.posterior.mu.units == 5


# -- What does not fit ------------------------------------------------------------------------


def with_decoder(spec, name="cat-mel_2bar_small"):
    return get_config(name, SMALL).replace(decoder=spec)


def reencoding(levels, encoder=None):
    return hierarchical(
        autoregressive_levels=(0,), reencoder=HierarchicalEncoderSpec(levels), encoder=encoder
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            hierarchical((4, 5)),
            r"the decoder's level_lengths \(4, 5\) make 20 steps; max_seq_len is 24",
        ),
        (hierarchical(encoder=HierarchicalEncoderSpec((6, 5))), "the encoder's level_lengths"),
        (
            with_decoder(FlatDecoderSpec(MultiCategoricalHeadSpec((3, 4)))),
            r"depths \(3, 4\) do not add up to the output's 90",
        ),
        (
            with_decoder(SplitDecoderSpec((40, 40), (FlatDecoderSpec(), FlatDecoderSpec()))),
            r"depths \(40, 40\) do not add up to the output's 90",
        ),
        (
            with_decoder(FlatDecoderSpec(GrooveHeadSpec()), "cat-drums_2bar_small"),
            "512 is no multiple of 3",
        ),
        (
            with_decoder(FlatDecoderSpec(preprocess_controls=True)),
            "controls can only be preprocessed where there are controls",
        ),
        (
            reencoding((4, 6)),
            r"must be the decoder's \(4, 6\) the other way round, not \(4, 6\)",
        ),
        (
            reencoding((6, 4), encoder=HierarchicalEncoderSpec((4, 6))),
            "must be that encoder",
        ),
        (
            with_converter(reencoding((6, 4)), chord_encoding="triad"),
            "a re-encoder cannot be used with controls",
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused_before_anything_is_built(config, message):
    for build in (build_model, lambda config: NumpyEngine(config, {})):
        with pytest.raises(UserError, match=message):
            build(config)


def test_every_decoder_says_what_it_conducts():
    hierarchy = get_config("hierdec-trio_16bar").model_spec.decoder
    assert (hierarchy.level_lengths, hierarchy.num_segments) == ((16, 16), 16)
    assert hierarchy.core.core is hierarchy.core
    for name in ("cat-mel_2bar_small", "flat-trio_16bar"):
        flat = get_config(name).model_spec.decoder
        assert (flat.level_lengths, flat.conductors, flat.num_segments) == ((), (), 1)
        assert flat.core is flat


@pytest.mark.parametrize("components", [0, 33, -1, 1.5, True, "4", None, float("nan")])
def test_a_mixture_has_from_one_to_32_components(components):
    assert [MixtureGrooveHeadSpec(number).components for number in (1, 32)] == [1, 32]
    with pytest.raises(UserError, match=f"components={components!r} of a mixture; expected 1 to"):
        MixtureGrooveHeadSpec(components)
