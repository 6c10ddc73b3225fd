"""Shapes of weights from a config's values, and the config that weights are of."""

import json
import subprocess
import sys

import pytest

from music_vae.common.errors import UserError
from music_vae.common.hparams import HParams
from music_vae.common.weight_names import is_weight
from music_vae.configs import CONFIG_MAP, get_config
from music_vae.weights.fit import Fit, check_fit, describe_fits, fitting_configs
from support.paths import GOLDEN

MODELS = GOLDEN / "models"


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir()))
def test_shapes_are_those_of_the_originals_variables(name):
    facts = json.loads((MODELS / name / "golden.json").read_text())
    config = CONFIG_MAP[name].replace(hparams=HParams(**facts["hparams"]))
    expected = {name: tuple(shape) for name, shape in facts["variables"].items()}
    assert config.model_spec.weight_shapes == expected


@pytest.mark.parametrize("name", CONFIG_MAP)
def test_a_config_fits_its_own_weights_in_any_size(name):
    assert Fit(name, "") in fitting_configs(CONFIG_MAP[name].model_spec.weight_shapes)
    sizes = "z_size=4,enc_rnn_size=[5,6],dec_rnn_size=[6,4,3]"
    if name.startswith("nade"):
        sizes += ",nade_num_hidden=3"
    assert Fit(name, sizes) in fitting_configs(get_config(name, sizes).model_spec.weight_shapes)


@pytest.mark.parametrize("name", ["cat-mel_2bar_small", "hierdec-trio_16bar"])
def test_a_decoder_alone_fits_the_config_that_it_is_of(name):
    shapes = get_config(name, "z_size=4,dec_rnn_size=[6,4]").model_spec.without_encoder()
    assert Fit(name, "z_size=4,dec_rnn_size=[6,4]") in fitting_configs(shapes.weight_shapes)
    plain = get_config(name).model_spec
    assert Fit(name, "") in fitting_configs(plain.without_encoder().weight_shapes)


def test_of_a_decoder_alone_it_is_said_that_it_cannot_encode():
    spec = get_config("cat-mel_2bar_small").model_spec
    decoder = spec.without_encoder().weight_shapes
    check_fit(decoder, decoder, "my.ckpt", with_encoder=False)
    with pytest.raises(UserError, match=r"^my\.ckpt has a decoder and no encoder: .* can sample"):
        check_fit(spec.weight_shapes, decoder, "my.ckpt", with_encoder=True)
    half = decoder | {"encoder/mu/bias": (256,)}
    with pytest.raises(UserError, match=r"^my\.ckpt lacks "):
        check_fit(spec.weight_shapes, half, "my.ckpt", with_encoder=True)
    other = get_config("cat-mel_2bar_small", "z_size=4").model_spec
    with pytest.raises(UserError, match=r"another config .* it fits `config=cat-mel_2bar_small`"):
        check_fit(other.weight_shapes, decoder, "my.ckpt", with_encoder=True)


def test_residual_layers_are_seen():
    sizes = "residual_encoder=true,residual_decoder=true"
    fits = fitting_configs(get_config("hier-mel_16bar", sizes).model_spec.weight_shapes)
    assert Fit("hier-mel_16bar", sizes) in fits


def test_configs_with_other_sizes_are_left_out_where_one_fits_as_it_is():
    fits = fitting_configs(CONFIG_MAP["cat-mel_2bar_big"].model_spec.weight_shapes)
    assert fits == [Fit("cat-mel_2bar_big", "")]


def test_the_grooves_differ_in_their_music_and_not_in_their_weights():
    fits = fitting_configs(CONFIG_MAP["groovae_4bar"].model_spec.weight_shapes)
    names = {fit.config for fit in fits}
    assert {"groovae_4bar", "groovae_2bar_humanize", "groovae_2bar_add_closed_hh"} <= names
    assert "groovae_2bar_hits_control" not in names


def test_slots_counters_and_leftovers_are_no_weights():
    shapes = CONFIG_MAP["cat-mel_2bar_big"].model_spec.weight_shapes
    others = ["global_step", "beta1_power", "beta2_power_1", "encoder/mu/kernel/Adam"]
    others += ["encoder/mu/kernel/Adam_1", "encoder/opaque_kernel", "encoder/opaque_kernel_1/Adam"]
    assert not any(map(is_weight, others))
    assert all(map(is_weight, shapes))
    assert fitting_configs(shapes | dict.fromkeys(others, ())) == [Fit("cat-mel_2bar_big", "")]


@pytest.mark.parametrize(
    "change",
    [
        {"encoder/mu/bias": ()},
        {"encoder/mu/bias": (0,)},
        {"encoder/mu/bias": (3, 4)},
        {"another/kernel": (3, 4)},
        {"decoder/multi_rnn_cell/cell_7/lstm_cell/bias": (0,)},
        {"decoder/nade/w_enc": (-1,)},
    ],
)
def test_shapes_of_nothing_we_know_fit_nothing(change):
    shapes = CONFIG_MAP["cat-mel_2bar_big"].model_spec.weight_shapes | change
    assert fitting_configs(shapes) == []
    assert describe_fits(shapes) == "it fits no published config, with any sizes"


def test_fits_are_described_as_arguments():
    shapes = CONFIG_MAP["cat-drums_2bar_small"].model_spec.weight_shapes
    assert describe_fits(shapes) == "it fits `config=cat-drums_2bar_small`"
    other = get_config("cat-drums_2bar_small", "z_size=9").model_spec.weight_shapes
    assert "`config=cat-drums_2bar_small` with `hparams=z_size=9`" in describe_fits(other)


def test_tensorflow_is_not_needed():
    code = (
        "import sys; from music_vae.weights import checkpoint_files, config_file, fit, published; "
        "print([m for m in ('tensorflow', 'note_seq', 'requests') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
