"""Exported models in @magenta/music itself, in Node.js and in Chromium, beside our own engine."""

import base64
import json
import shutil
from typing import Any, NamedTuple

import numpy as np
import pytest

from music_vae.commands import export
from music_vae.configs import Config
from music_vae.engine import EVEN_CHANCE
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.export import quantization
from music_vae.music.converters.groove import GrooveConverter
from music_vae.weights import config_file, shipped
from music_vae.weights.safetensors_file import WEIGHTS_FILE, WeightsFile
from support import tfjs_manifest

TOLERANCE = 1e-5
"""Of means, and of a groove's velocities and offsets: float32 sums in another order."""

SMALL = "z_size=8,enc_rnn_size=[16],dec_rnn_size=[12,12],nade_num_hidden=7"
CHORDS = ["C", "G", "Am", "Bdim"]
CLASSES = [1, 8, 22, 48]  # of these: majors from 1, minors from 13, diminished ones from 37
KEY = 7

# Three of the groove models that ship draw from distributions that the player does not know.
SHIPPED = tuple(
    name
    for name in shipped.names()
    if not name.startswith("groovae") or name == "groovae_2bar_tap_fixed_velocity_mini"
)
SMALL_CONFIGS = (
    "hier-trio_16bar",
    "hierdec-trio_16bar",
    "hier-mel_16bar",
    "flat-mel_16bar",
    "cat-mel_2bar_med_chords",
    "nade-drums_2bar_reduced",
    "hier-multiperf_vel_1bar_med_chords",
    "groovae_2bar_humanize",
    "groovae_2bar_tap_fixed_velocity",
    "groovae_2bar_hits_control",
)
DECODE_ONLY = ("hierdec-trio_16bar", "flat-mel_16bar")
QUANTIZED = "cat-mel_2bar_mini"
IN_BROWSER = (*SHIPPED, "groovae_2bar_humanize", "hier-trio_16bar", "hierdec-trio_16bar")


class Case(NamedTuple):
    """A model, and what it is asked.

    Attributes:
      config: Its config.
      folder: Where it is.
      weights: Its weights.
      inputs: `[B, T, Din]`.
      lengths: `[B]` or `[B, S]`.
      controls: `[T, Dc]`.
      said: The controls as the player is told them.
      z: `[B, Z]`.
    """

    config: Config
    folder: Any
    weights: Any
    inputs: np.ndarray
    lengths: np.ndarray
    controls: np.ndarray
    said: dict
    z: np.ndarray

    def expected(self):
        """The means and the likeliest music, from our own engine."""
        with_encoder = self.config.name not in DECODE_ONLY
        engine = NumpyEngine(self.config, self.weights)
        controls = np.broadcast_to(self.controls, (len(self.z), *self.controls.shape))
        mu = engine.encode(self.inputs, self.lengths, controls)[0] if with_encoder else None
        steps = self.config.hparams.max_seq_len
        noise = np.full((len(self.z), steps, engine.noise_size), EVEN_CHANCE, np.float32)
        # The player goes on after an end token, too.
        return mu, engine.sample(self.z, controls, noise, temperature=0)[0]


def make_case(config, folder):
    rng, steps = np.random.default_rng(1), config.hparams.max_seq_len
    number = 8 if steps < 100 else 2
    controls, said = make_controls(config, steps, rng)
    inputs, lengths = make_inputs(config, number, steps, rng)
    z = rng.standard_normal((number, config.hparams.z_size), np.float32)
    weights = WeightsFile(folder / WEIGHTS_FILE)
    return Case(config, folder, weights, inputs, lengths, controls, said, z)


def make_inputs(config, number, steps, rng):
    """Random music, dense."""
    converter = config.data_converter
    lengths = np.full(number, steps)
    if isinstance(converter, GrooveConverter):
        return rng.uniform(-1, 1, (number, steps, converter.input_depth)).astype("f4"), lengths
    if not converter.input_one_hots:
        return rng.integers(0, 2, (number, steps, converter.input_depth)).astype("f4"), lengths
    inputs = np.concatenate(
        [
            np.eye(depth, dtype=np.float32)[rng.integers(0, depth, (number, steps))]
            for depth in converter.input_one_hots
        ],
        axis=-1,
    )
    if converter.end_token is None:
        return inputs, lengths
    # Tracks of tokens, each with one end token, and nothing after it.
    shape = (number, *converter.length_shape)
    lengths = rng.integers(1, steps // shape[1] + 1, shape)
    tokens = rng.integers(0, converter.end_token, (*shape, steps // shape[1]))
    place = np.arange(tokens.shape[-1])
    tokens[place == lengths[..., None] - 1] = converter.end_token
    inputs = np.eye(converter.input_depth, dtype=np.float32)[tokens]
    inputs[place >= lengths[..., None]] = 0
    return inputs.reshape(number, steps, -1), lengths


def make_controls(config, steps, rng):
    """Controls `[T, Dc]`, and the same as the player is told."""
    converter = config.data_converter
    if isinstance(converter, GrooveConverter) and converter.hits_as_controls:
        hits = rng.integers(0, 2, (steps, converter.num_drums)).astype(np.float32)
        return hits, {"hits": hits.tolist()}
    if not converter.control_depth:
        return np.zeros((steps, 0), np.float32), {}
    if converter.end_token is not None:  # one chord, and none at the token of the program
        (tracks,) = converter.length_shape
        classes = np.tile([0, *[CLASSES[1]] * (steps // tracks - 1)], tracks)
        return np.eye(49, dtype=np.float32)[classes], {"chordProgression": CHORDS[1:2]}
    classes = np.repeat(CLASSES, steps // len(CLASSES))
    return np.eye(49, dtype=np.float32)[classes], {"chordProgression": CHORDS}


@pytest.fixture(scope="module")
def cases(random_run):
    """The models by name."""
    folders = {name: shipped.folder(name) for name in SHIPPED}
    folders |= {name: random_run(name, even(name)) for name in SMALL_CONFIGS}
    return {name: make_case(config_file.read(folder), folder) for name, folder in folders.items()}


def even(name):
    """Sizes in which all layers are equal; two encoder layers where the player knows one."""
    return SMALL.replace("[16]", "[16,16]") if name in DECODE_ONLY else SMALL


@pytest.fixture(scope="module")
def exported(cases, web):
    """The file of the cases as the scripts read them."""
    folder, url = web
    told = {}
    for name, case in cases.items():
        flags = [f"--run_dir={case.folder}", f"--output_dir={folder / name}"]
        assert export.main(flags + ["--decode_only"] * (name in DECODE_ONLY)) == 0
        told[name] = {
            "url": f"{url}/{name}",
            "inputs": None if name in DECODE_ONLY else case.inputs.tolist(),
            "window": case.inputs.shape[1:],
            "z": case.z.tolist(),
            "controls": case.said,
            "interpolates": name not in DECODE_ONLY and "multiperf" not in name,
        }
    for dtype in quantization.TYPES:
        flags = [f"--config={QUANTIZED}", f"--output_dir={folder / dtype}", f"--quantize={dtype}"]
        assert export.main(flags) == 0
        told[dtype] = {**told[QUANTIZED], "url": f"{url}/{dtype}"}
    return told


def run_checks(run, script, told, folder, *more):
    (folder / "cases.json").write_text(json.dumps(told))
    run(script, folder / "cases.json", folder / "results.json", *more)
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def in_node(node, exported, tmp_path_factory):
    """What the player made of every model in Node.js."""
    return run_checks(node, "in_node.cjs", exported, tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def in_chromium(chromium, node_modules, exported, web, tmp_path_factory):
    """What it made of some in Chromium."""
    folder, url = web
    shutil.copy(node_modules / "@magenta/music/dist/magentamusic.js", folder)
    (folder / "blank.html").write_text('<!doctype html><meta charset="utf-8">')
    told = {name: exported[name] for name in IN_BROWSER}
    urls = f"{url}/blank.html", f"{url}/magentamusic.js"
    made = tmp_path_factory.mktemp("chromium")
    return run_checks(chromium, "in_chromium.cjs", told, made, *urls)


def unpacked(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def check(case, result, record):
    assert "error" not in result, result["error"]
    mu, decoded = case.expected()
    if mu is None:
        assert "Error in matMul: inner shapes" in result["refused"]
    else:
        difference = np.abs(unpacked(result["mu"]).reshape(mu.shape) - mu).max()
        record("largest_difference_of_mu", f"{difference:.2g}")
        assert difference < TOLERANCE
    made = unpacked(result["decoded"]).reshape(result["shape"])
    assert made.shape == decoded.shape
    difference = np.abs(made - decoded)
    record("largest_difference_of_values", f"{difference.max():.2g}")
    record("different_values", f"{np.sum(difference > TOLERANCE)} of {made.size}")
    assert not (difference > TOLERANCE).any()
    assert has_notes(result["sampled"])
    if result["interpolated"] is not None:
        assert len(result["interpolated"]) == len(result["sampled"])
        assert has_notes(result["interpolated"])


def has_notes(counts):
    """Whether half of the pieces have: they are drawn by chance, and a silent one is possible."""
    return sum(count > 0 for count in counts) >= len(counts) / 2


@pytest.mark.node
@pytest.mark.parametrize("name", [*SHIPPED, *SMALL_CONFIGS])
def test_the_player_computes_in_node_what_our_engine_does(name, cases, in_node, record_property):
    check(cases[name], in_node[name], record_property)


@pytest.mark.browser
@pytest.mark.parametrize("name", IN_BROWSER)
def test_the_player_computes_in_chromium_what_our_engine_does(
    name, cases, in_chromium, record_property
):
    check(cases[name], in_chromium[name], record_property)


@pytest.mark.node
@pytest.mark.parametrize("dtype", quantization.TYPES)
def test_the_player_reads_weights_in_fewer_bits(dtype, cases, in_node, web, record_property):
    case = cases[QUANTIZED]
    arrays, _ = tfjs_manifest.read(web[0] / dtype)
    check(case._replace(weights={**case.weights, **arrays}), in_node[dtype], record_property)
