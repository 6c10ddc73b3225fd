"""Configs are values: equal to the published ones, and the same after a trip through JSON."""

import json
import subprocess
import sys

import pytest

from music_vae.configs import CONFIG_MAP, config_from_json, config_to_json, get_config
from music_vae.errors import UserError


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


def test_configs_and_data_need_neither_tensorflow_nor_note_seq():
    code = (
        "import sys; from music_vae import configs, data; "
        "print([m for m in ('tensorflow', 'note_seq') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
