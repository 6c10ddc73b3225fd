"""A `config.json` comes with the weights of a model, from anywhere: it is not to be trusted."""

import json
import random
import resource
import tarfile
import time

import pytest

from music_vae import generate
from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP, config_to_json
from music_vae.trained_model import TrainedModel
from music_vae.weights import config_file, shipped
from support.hostile_configs import DELETED, mutants, nested, with_value

MELODIES = "cat-mel_2bar_mini"


def hostile(place=(), value=DELETED, name=MELODIES):
    """Returns the bytes of the config of a model with another value at a place in it."""
    data = config_to_json(CONFIG_MAP[name])
    return json.dumps(with_value(data, ("config", *place), value)).encode()


def folder_with(folder, content, name=MELODIES):
    """Makes the folder of a model with this config beside the weights."""
    weights = shipped.folder(name) / "weights.safetensors"
    (folder / "weights.safetensors").write_bytes(weights.read_bytes())
    (folder / "config.json").write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["decoder"], 5, "decoder is 5; expected FlatDecoderSpec or SplitDecoderSpec or Hier"),
        (["decoder"], [5], "decoder is a list of 1; expected FlatDecoderSpec or"),
        (["decoder", "head"], {"kind": "HParams"}, "decoder.head is HParams; expected Categorical"),
        (["hparams"], None, "hparams is null; expected HParams$"),
        (["hparams", "max_seq_len"], 1.5, "hparams.max_seq_len is 1.5; expected a whole number"),
        (["hparams", "z_size"], 5.0, "hparams.z_size is 5.0; expected a whole number$"),
        (["hparams", "z_size"], True, "hparams.z_size is true; expected a whole number$"),
        (["hparams", "free_bits"], "1", "hparams.free_bits is '1'; expected a number$"),
        (["hparams", "conditional"], 1, "hparams.conditional is 1; expected true or false$"),
        (["hparams", "clip_mode"], 1, "hparams.clip_mode is 1; expected a text$"),
        (
            ["hparams", "enc_rnn_size", 0],
            "a",
            r"enc_rnn_size\[0\] is 'a'; expected a whole",
        ),
        (["hparams", "enc_rnn_size"], 3, "enc_rnn_size is 3; expected a list, each a whole number"),
        (["data_converter", "add_end_token"], "x", "add_end_token is 'x'; expected true or false"),
        (["data_converter", "slice_bars"], "x", "is 'x'; expected a whole number or null$"),
        (["note_sequence_augmenter", "transpose_range"], [1, 2, 3], "3 values; .* list of 2, each"),
        (["hparams"], DELETED, "Config cannot be made: it needs hparams$"),
        (["hparams", "zsize"], 3, "HParams has no value 'zsize'$"),
        (["hparams", "free_bits"], float("nan"), "free_bits is nan; expected a finite number$"),
        (["hparams", "free_bits"], float("inf"), "free_bits is inf; expected a finite number$"),
        (["hparams", "z_size"], 10**30, "z_size has many digits; expected a number up to 2"),
        (["name"], "../../x", r"name='\.\./\.\./x' cannot name a config"),
        (["name"], "/tmp/x", "name='/tmp/x' cannot name a config"),
        (["name"], "x\x1b[31m<script>", r"name='x\\x1b\[31m<script>' cannot name a config"),
        (["tfds_name"], "\x1b[31m", r"tfds_name='\\x1b\[31m' is no name of a TensorFlow Dataset"),
        (["tfds_name"], "kubric:movi", "is no name of a TensorFlow Dataset"),
        ([], nested(1, 33), "nested more than 32 deep"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_should_be(place, value, message):
    with pytest.raises(UserError, match=message) as found:
        config_file.parse(hostile(place, value), "config.json", None)
    assert len(str(found.value).splitlines()) == 1


def test_lists_in_lists_without_end_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(UserError, match=r"config\.json: lists and objects are nested too deeply"):
        config_file.read(tmp_path)


def test_a_long_message_is_cut():
    content = hostile(["hparams", "clip_mode"], "x" * 10**6)
    with pytest.raises(UserError) as found:
        config_file.parse(content, "config.json", None)
    assert len(str(found.value)) < 1000


@pytest.mark.parametrize("place", ["beside the weights", "in an archive", "as a flag"])
@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        (["name"], "../\x1b[31m", r"name='../\x1b[31m' cannot name a config"),
        (["decoder"], 5, "decoder is 5; expected FlatDecoderSpec"),
        (["hparams", "clip_mode"], "\x1b[31m", r"clip_mode=\x1b[31m is out of range"),
    ],
)
def test_a_command_says_it_in_one_line_and_writes_nothing(
    tmp_path, capsys, change, value, message, place
):
    model = tmp_path / "model"
    model.mkdir()
    folder_with(model, hostile(change, value))
    chosen = f"--run_dir={model}"
    if place == "in an archive":
        with tarfile.open(tmp_path / "model.tar", "w") as archive:
            archive.add(model, "model")
        chosen = f"--checkpoint_file={tmp_path / 'model.tar'}"
    elif place == "as a flag":
        chosen = f"--config={model / 'config.json'}"
    before = sorted(tmp_path.rglob("*"))
    assert generate.main([chosen, f"--output_dir={tmp_path / 'a' / 'b'}", "--num_outputs=1"]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert "\x1b" not in shown.err + shown.out
    assert sorted(tmp_path.rglob("*")) == before


def drawn(count, seed, names):
    """Returns some of all mutants of the configs of these models."""
    every = [each for name in names for each in mutants(config_to_json(CONFIG_MAP[name]))]
    return random.Random(seed).sample(every, count)


def test_every_mutant_of_a_config_is_refused_in_a_line_or_is_a_config():
    slowest, loaded, some = 0.0, 0, drawn(400, 16, shipped.names())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for mutant in some:
        started = time.process_time()
        try:
            content = json.dumps(mutant.data).encode()
            config = config_file.parse(content, "config.json", None)
            assert config_file.parse(config_file.to_text(config).encode(), "again", None) == config
            assert len(config.model_spec.weight_shapes) < 10_000
            loaded += 1
        except UserError as error:
            assert len(str(error).splitlines()) == 1, str(mutant)
            assert len(str(error)) < 1000, str(mutant)
        slowest = max(slowest, time.process_time() - started)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # in KiB
    assert loaded > 10
    assert slowest < 10
    assert grown < 100 * 2**10


@pytest.mark.slow
def test_mutants_that_are_configs_make_music_or_are_refused():
    made = 0
    for mutant in drawn(400, 17, [MELODIES]):
        try:
            content = json.dumps(mutant.data).encode()
            config = config_file.parse(content, "config.json", None)
            model = TrainedModel(config, 1, shipped.folder(MELODIES))
            made += len(model.sample(1, seed=0))
        except UserError as error:
            assert len(str(error).splitlines()) == 1
    assert made > 5
