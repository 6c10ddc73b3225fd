"""The player's variables: their names, shapes and numbers."""

import json

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.common.specs import FlatDecoderSpec, HierarchicalDecoderSpec
from music_vae.configs import get_config
from music_vae.export import tfjs, tfjs_config
from support import tfjs_manifest
from support.sizes import SMALL

EVEN = "z_size=4,enc_rnn_size=[6],dec_rnn_size=[5,5],nade_num_hidden=3"
CELL = "multi_rnn_cell/cell_0/lstm_cell/kernel"


def random_weights(config):
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in config.model_spec.weight_shapes.items()
    }


def shapes(config, **options):
    found = tfjs.variables(config, random_weights(config), **options)
    return {name: array.shape for name, array in found.items()}


def test_the_variables_of_a_flat_model():
    assert shapes(get_config("cat-mel_2bar_small", EVEN)) == {
        **{
            f"encoder/cell_0/bidirectional_rnn/{d}/multi_rnn_cell/cell_0/lstm_cell/{part}": shape
            for d in ("fw", "bw")
            for part, shape in (("kernel", (90 + 6, 24)), ("bias", (24,)))
        },
        "encoder/mu/kernel": (12, 4),
        "encoder/mu/bias": (4,),
        "decoder/multi_rnn_cell/cell_0/lstm_cell/kernel": (90 + 4 + 5, 20),
        "decoder/multi_rnn_cell/cell_0/lstm_cell/bias": (20,),
        "decoder/multi_rnn_cell/cell_1/lstm_cell/kernel": (5 + 5, 20),
        "decoder/multi_rnn_cell/cell_1/lstm_cell/bias": (20,),
        "decoder/z_to_initial_state/kernel": (4, 20),
        "decoder/z_to_initial_state/bias": (20,),
        "decoder/output_projection/kernel": (5, 90),
        "decoder/output_projection/bias": (90,),
    }


def test_the_variables_of_a_hierarchical_trio():
    found = shapes(get_config("hier-trio_16bar", EVEN))
    level = f"encoder/hierarchical_level_%d/cell_0/bidirectional_rnn/bw/{CELL}"
    assert found[level % 0] == (692 + 6, 24)
    assert found[level % 1] == (12 + 6, 24)
    assert found["decoder/hierarchical_level_0/cell_0/lstm_cell/kernel"] == (1 + 5, 20)
    assert found["decoder/hierarchical_level_0/cell_1/lstm_cell/kernel"] == (5 + 5, 20)
    assert found["decoder/hierarchical_level_0/initial_state/kernel"] == (4, 20)
    for number, depth in enumerate((90, 90, 512)):
        core = f"core_decoder/core_decoder_{number}/decoder"
        assert found[f"{core}/{CELL}"] == (depth + 5 + 5, 20)
        assert found[f"{core}/output_projection/bias"] == (depth,)


def test_the_variables_of_nade_and_of_controls():
    found = shapes(get_config("nade-drums_2bar_reduced", EVEN))
    assert found["decoder/nade/w_enc"] == (9, 1, 3)
    assert found["decoder/nade/w_dec_t"] == (9, 3, 1)
    assert found["decoder/output_projection/kernel"] == (5, 3 + 9)
    chords = shapes(get_config("cat-mel_2bar_med_chords", EVEN))
    assert chords[f"decoder/{CELL}"] == (90 + 4 + 49 + 5, 20)
    assert chords[f"encoder/cell_0/bidirectional_rnn/fw/{CELL}"] == (90 + 49 + 6, 24)


def test_what_reads_controls_has_one_name_in_all_models():
    config = get_config("cat-mel_2bar_med_chords", f"{EVEN},control_preprocessing_rnn_size=[7]")
    core = FlatDecoderSpec(preprocess_controls=True)
    flat = shapes(config.replace(decoder=core))
    hierarchical = config.replace(decoder=HierarchicalDecoderSpec((2, 16), core))
    name = f"control_preprocessing/cell_0/bidirectional_rnn/fw/{CELL}"
    assert flat[name] == shapes(hierarchical, decode_only=True)[name] == (49 + 7, 28)


@pytest.mark.parametrize("name", ["hierdec-mel_16bar", "flat-mel_16bar"])
def test_a_dummy_takes_the_place_of_an_encoder_that_is_left_out(name):
    config = get_config(name, "z_size=4,enc_rnn_size=[6,6],dec_rnn_size=[5,5]")
    weights = random_weights(config)
    without = {name: array for name, array in weights.items() if not name.startswith("encoder/")}
    found = tfjs.variables(config, without, decode_only=True)
    encoder = {name: array for name, array in found.items() if name.startswith("encoder/")}
    levels = [f"hierarchical_level_{n}/" for n in range(2)] if name.startswith("hier") else [""]
    sizes = [(90 + 1, 4), (2 + 1, 4)]
    for level, size in zip(levels, sizes, strict=False):
        assert encoder[f"encoder/{level}cell_0/bidirectional_rnn/fw/{CELL}"].shape == size
    assert encoder["encoder/mu/kernel"].shape == (2 + 1, 4)
    assert len(encoder) == 4 * len(levels) + 2
    assert not any(array.any() for array in encoder.values())
    assert {name for name in found if name not in encoder} == set(without)


def test_a_folder_holds_the_weights_and_the_description(tmp_path):
    config = get_config("cat-drums_2bar_small", EVEN)
    weights = random_weights(config)
    tfjs.write(config, weights, tmp_path)
    found, _ = tfjs_manifest.read(tmp_path)
    assert set(weights) - set(found) == {"encoder/sigma/kernel", "encoder/sigma/bias"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, weights[name], strict=True)
    assert json.loads((tmp_path / "config.json").read_text()) == tfjs_config.describe(config)


def test_weights_of_another_config_are_refused(tmp_path):
    config = get_config("cat-mel_2bar_small", EVEN)
    weights = random_weights(get_config("cat-drums_2bar_small", EVEN))
    with pytest.raises(UserError, match="it fits `config=cat-drums_2bar_small`"):
        tfjs.write(config, weights, tmp_path, source="mine")
    assert not list(tmp_path.iterdir())


def test_a_config_that_cannot_be_carried_is_refused(tmp_path):
    config = get_config("cat-mel_2bar_small", SMALL)
    with pytest.raises(UserError, match="layers differ in size"):
        tfjs.write(config, random_weights(config), tmp_path)
