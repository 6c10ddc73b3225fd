"""Configs are values: equal to the published ones, and the same after a trip through JSON."""

import dataclasses
import json
import re
import subprocess
import sys

import pytest

from music_vae.common.errors import UserError
from music_vae.common.specs import MultiCategoricalHeadSpec
from music_vae.configs import (
    CONFIG_MAP,
    PUBLISHED_CONFIGS,
    config_from_json,
    config_to_json,
    get_config,
)
from music_vae.music.converters.drums import DrumsConverter
from music_vae.music.converters.groove import GrooveConverter
from music_vae.music.converters.melody import OneHotMelodyConverter
from music_vae.music.converters.performance import MultiInstrumentPerformanceConverter
from music_vae.music.converters.trio import TrioConverter
from support.paths import GOLDEN

PUBLISHED = json.loads((GOLDEN / "configs.json").read_text())
ALIASES = {"groovae_2bar_hits_control": "groovae_2bar_hits_control_tfds"}


def test_all_published_configs_are_there_and_the_name_that_their_documentation_uses():
    assert set(PUBLISHED_CONFIGS) == set(PUBLISHED) | set(ALIASES)
    for alias, name in ALIASES.items():
        assert CONFIG_MAP[alias].replace(name=name) == CONFIG_MAP[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_config_has_the_published_values(name):
    expected, config = PUBLISHED[name], CONFIG_MAP[name]
    values = {
        key: list(v) if isinstance(v, tuple) else v for key, v in config.hparams.values().items()
    }
    assert values == {"nade_num_hidden": 128} | expected["hparams"]
    converter = config.data_converter
    depths = {
        key: getattr(converter, key) for key in ("input_depth", "output_depth", "control_depth")
    }
    assert depths == {key: expected[key] for key in depths}
    fields = expected["converter_fields"]
    assert (converter.end_token or None) == (fields["end_token"] or None)
    assert converter.max_tensors_per_notesequence == fields["max_tensors_per_input"]
    assert converter.length_shape == tuple(int(n) for n in fields["length_shape"])
    augmenter = config.note_sequence_augmenter
    transpose_range = list(augmenter.transpose_range) if augmenter else None
    assert transpose_range == expected["transpose_range"]
    assert config.tfds_name == expected["tfds_name"]
    assert type(converter).__name__ == expected["converter"]
    levels = [getattr(spec, "level_lengths", None) for spec in (config.encoder, config.decoder)]
    assert [level and list(level) for level in levels] == [
        expected["encoder_levels"],
        expected["decoder_levels"],
    ]


@pytest.mark.parametrize("name", CONFIG_MAP)
def test_a_config_survives_json(name):
    text = json.dumps(config_to_json(CONFIG_MAP[name]))
    assert config_from_json(json.loads(text)) == CONFIG_MAP[name]


def test_the_map_is_read_only():
    with pytest.raises(TypeError):
        CONFIG_MAP["mine"] = CONFIG_MAP["cat-mel_2bar_small"]


def test_overrides_make_a_new_config_and_leave_the_published_one():
    config = get_config("cat-mel_2bar_small", "z_size=12")
    assert config.hparams.z_size == config.hparams.values()["z_size"] == 12
    assert CONFIG_MAP["cat-mel_2bar_small"].hparams.z_size == 256


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean cat-mel_2bar_small"):
        get_config("cat-mel_2bars_small")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, "format version 99"),
        ({"config": {"kind": "os.system"}}, "unknown kind 'os.system'"),
        ({"config": {"kind": "HParams", "z_size": 3}}, "does not describe a Config"),
        ({"config": {"kind": "HParams", "zsize": 3}}, "HParams has no value 'zsize'"),
        ({"config": {"kind": "Config"}}, "Config cannot be made"),
        ({"config": 3}, "does not describe a Config"),
    ],
)
def test_a_config_file_that_is_none_of_ours_is_refused(change, message):
    data = config_to_json(CONFIG_MAP["cat-mel_2bar_small"])
    with pytest.raises(UserError, match=message):
        config_from_json(data | change)
    with pytest.raises(UserError, match="no entry 'config'"):
        config_from_json([])


@pytest.mark.parametrize(
    "name", ["", "../up", "a/b", "-h", ".hidden", "two words", "x" * 101, None]
)
def test_a_name_that_no_file_should_have_is_refused(name):
    with pytest.raises(UserError, match="cannot name a config; expected up to 100 letters"):
        CONFIG_MAP["cat-mel_2bar_small"].replace(name=name)


WALTZ = OneHotMelodyConverter(slice_bars=4, quarters_per_bar=3)


@pytest.mark.parametrize(
    ("name", "converter", "max_seq_len", "message"),
    [
        (
            "cat-mel_2bar_small",
            OneHotMelodyConverter(slice_bars=4),
            32,
            "cat-mel_2bar_small learns windows of 4 bars, which are 64 steps, but with "
            "max_seq_len=32 it makes 32 steps \\(2 bars\\); set max_seq_len=64, or take a "
            "config with windows of 2 bars",
        ),
        (
            "cat-mel_2bar_small",
            OneHotMelodyConverter(slice_bars=2),
            64,
            "cat-mel_2bar_small learns windows of 2 bars, which are 32 steps, but with "
            "max_seq_len=64 it makes 64 steps \\(4 bars\\); set max_seq_len=32, or take a "
            "config with windows of 4 bars",
        ),
        ("cat-mel_2bar_small", WALTZ, 64, "4 bars, which are 48 steps, .*64 steps \\(6 bars\\)"),
        (
            "cat-mel_2bar_small",
            OneHotMelodyConverter(slice_bars=2, add_end_token=True),
            32,
            "2 bars, which are 33 steps, but with max_seq_len=32 it makes 32 steps; set "
            "max_seq_len=33$",
        ),
        ("cat-drums_2bar_small", DrumsConverter(slice_bars=1), 32, "1 bar, which are 16 steps"),
        ("groovae_4bar", GrooveConverter(split_bars=2), 64, "2 bars, which are 32 steps"),
        (
            "groovae_4bar",
            GrooveConverter(split_bars=4, split_instruments=True),
            64,
            "4 bars, which are 576 steps, .*64 steps \\(1 bar\\)",
        ),
        ("hierdec-trio_16bar", TrioConverter(slice_bars=8), 256, "8 bars, which are 128 steps"),
        (
            "hier-multiperf_vel_1bar_med",
            MultiInstrumentPerformanceConverter(max_events_per_instrument=32),
            512,
            "1 bar, which are 256 steps, but with max_seq_len=512 it makes 512 steps; set "
            "max_seq_len=256$",
        ),
    ],
)
def test_windows_of_another_length_than_the_model_makes_are_refused(
    name, converter, max_seq_len, message
):
    config = CONFIG_MAP[name]
    hparams = config.hparams.replace(max_seq_len=max_seq_len)
    with pytest.raises(UserError) as found:
        dataclasses.replace(config, data_converter=converter, hparams=hparams)
    assert re.search(message, f"{found.value}; {found.value.hint}")


@pytest.mark.parametrize(
    ("name", "converter", "max_seq_len"),
    [
        ("cat-mel_2bar_small", WALTZ, 48),
        ("cat-mel_2bar_small", OneHotMelodyConverter(), 500),  # of any length
        ("cat-mel_2bar_small", OneHotMelodyConverter(add_end_token=True), 500),
        ("groovae_4bar", GrooveConverter(), 64),
        ("groovae_4bar", GrooveConverter(split_bars=4, split_instruments=True), 64 * 9),
    ],
)
def test_windows_as_long_as_the_model_makes_them_or_of_any_length_are_fine(
    name, converter, max_seq_len
):
    config = CONFIG_MAP[name]
    hparams = config.hparams.replace(max_seq_len=max_seq_len)
    assert config.replace(data_converter=converter, hparams=hparams).hparams is hparams


def test_a_config_file_whose_windows_do_not_fit_is_refused():
    data = config_to_json(CONFIG_MAP["cat-mel_2bar_small"])
    data["config"]["hparams"]["max_seq_len"] = 64
    with pytest.raises(UserError, match="learns windows of 2 bars, which are 32 steps"):
        config_from_json(data)


HUGE = 10**9


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("hparams", {"max_seq_len": HUGE}, "max_seq_len=1000000000 .* expected at most 65536"),
        ("hparams", {"z_size": HUGE}, "z_size=1000000000 .* expected at most 65536"),
        ("hparams", {"batch_size": HUGE}, "batch_size=1000000000 .* expected at most 65536"),
        ("hparams", {"nade_num_hidden": HUGE}, "nade_num_hidden=1000000000 .* at most 65536"),
        ("hparams", {"dec_rnn_size": [HUGE]}, "dec_rnn_size=.* expected sizes up to 65536"),
        ("hparams", {"enc_rnn_size": [1] * 65}, "enc_rnn_size=.* expected up to 64 layers"),
        ("decoder", {"level_lengths": [1] * 17}, "level_lengths are 17; expected up to 16 levels"),
        ("decoder", {"level_lengths": [HUGE, HUGE]}, "make 1000000000000000000 steps"),
        ("hparams", {"dec_rnn_size": [2**15] * 8}, "would have .* weights; expected at most 2,147"),
        ("data_converter", {"steps_per_quarter": HUGE}, "steps_per_quarter must be .* up to 9600"),
        ("data_converter", {"quarters_per_bar": HUGE}, "quarters_per_bar must be .* up to 1024"),
    ],
)
def test_sizes_that_nothing_could_hold_are_refused_before_a_model_is_built(part, change, message):
    data = config_to_json(CONFIG_MAP["hierdec-mel_16bar"])
    data["config"][part] |= change
    with pytest.raises(UserError, match=message):
        _ = config_from_json(data).model_spec


@pytest.mark.parametrize("depths", [[], [-1, 91], [0, 90]])
def test_depths_are_at_least_one(depths):
    with pytest.raises(UserError, match="must be one number or more, each at least 1"):
        MultiCategoricalHeadSpec(depths)


@pytest.mark.parametrize("name", ["num_velocity_bins", "num_offset_bins"])
def test_a_groove_has_no_more_bins_than_anybody_tells_apart(name):
    bins = {"num_velocity_bins": 2, "num_offset_bins": 2, name: HUGE}
    with pytest.raises(UserError, match=f"{name} must be a whole number up to 1024"):
        GrooveConverter(**bins)


def test_configs_and_data_need_neither_tensorflow_nor_note_seq():
    code = (
        "import sys; from music_vae import configs, data; "
        "print([m for m in ('tensorflow', 'note_seq') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
