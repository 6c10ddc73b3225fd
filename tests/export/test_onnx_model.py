"""ONNX files give, in onnxruntime, the numbers of the NumPy engine."""

import dataclasses
import functools
import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

from music_vae.common.errors import UserError
from music_vae.common.specs import (
    BooleanHeadSpec,
    FlatDecoderSpec,
    HierarchicalDecoderSpec,
    HierarchicalEncoderSpec,
    LstmEncoderSpec,
)
from music_vae.configs import CONFIG_MAP, config_from_json, get_config
from music_vae.engine import heads
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.export import onnx_model
from music_vae.music.converters.drums import DrumsConverter
from music_vae.weights import shipped
from music_vae.weights.safetensors_file import WeightsFile
from support import cases
from support.cases import with_converter

SMALL = "batch_size=2,z_size=4,enc_rnn_size=[5,3],dec_rnn_size=[6,4],nade_num_hidden=3"
BATCH = 3
CLOSE = 5e-6  # of sums of some hundred float32 numbers, added in another order
CLOSE_LOGITS = 2e-5  # after many steps, of logits of 1 to 10: each step reads the rounding before


def residual(name, **changes):
    config = get_config(name, SMALL)
    hparams = config.hparams.replace(residual_encoder=True, residual_decoder=True)
    return config.replace(hparams=hparams, **changes)


def with_end_token():
    return with_converter(get_config("cat-mel_2bar_small", SMALL), add_end_token=True)


def boolean_drums():
    converter = DrumsConverter(max_bars=100, slice_bars=2, roll_input=True, roll_output=True)
    return get_config("nade-drums_2bar_reduced", SMALL).replace(
        data_converter=converter, decoder=FlatDecoderSpec(BooleanHeadSpec())
    )


def hierarchy(lengths, **options):
    """A hierarchy over a bar of 24 steps."""
    config = get_config("hierdec-mel_16bar", SMALL)
    return with_converter(config, slice_bars=1, steps_per_quarter=6).replace(
        encoder=HierarchicalEncoderSpec(lengths[::-1]),
        decoder=HierarchicalDecoderSpec(lengths, **options),
    )


def hierarchy_with_chords():
    """A hierarchy whose core decoder reads the chords of a segment in both directions first."""
    config = get_config(
        "hier-multiperf_vel_1bar_med_chords", f"{SMALL},control_preprocessing_rnn_size=[3]"
    )
    core = FlatDecoderSpec(preprocess_controls=True)
    return config.replace(decoder=dataclasses.replace(config.decoder, core=core))


CASES = {name: functools.partial(get_config, name, SMALL) for name in CONFIG_MAP} | {
    "a forward encoder": lambda: get_config("cat-mel_2bar_small", SMALL).replace(
        encoder=LstmEncoderSpec()
    ),
    "a residual forward encoder": lambda: residual("cat-mel_2bar_small", encoder=LstmEncoderSpec()),
    "residual layers": lambda: residual("groovae_2bar_hits_control"),
    "residual layers in a hierarchy": lambda: residual("hier-mel_16bar"),
    "a boolean head": boolean_drums,
    "a mixture of velocities and of offsets": lambda: cases.played_grooves(False),
    "samples that end": with_end_token,
    "a hierarchy of three levels": lambda: hierarchy((2, 2, 6)),
    "segments of one step": lambda: hierarchy((24, 1)),
    "controls read first": cases.played_grooves,
    "controls read first in a hierarchy": hierarchy_with_chords,
}


def session_of(path):
    """A file in onnxruntime, in one thread, as others may need the processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Exported:
    """A model in onnxruntime and in the NumPy engine, and random inputs."""

    def __init__(self, config, weights, folder):
        self.config, self.weights, self.folder = config, weights, folder
        self.written = onnx_model.write(config, weights, folder)
        self.manifest = json.loads((folder / "model.json").read_text())
        self.engine = NumpyEngine(config, weights)
        self.sessions = {}
        converter, steps = config.data_converter, config.hparams.max_seq_len
        rng = np.random.default_rng(1)
        classes = rng.integers(0, converter.input_depth, (BATCH, steps))
        self.inputs = np.eye(converter.input_depth, dtype=np.float32)[classes]
        self.controls = rng.integers(0, 2, (BATCH, steps, converter.control_depth))
        self.controls = self.controls.astype(np.float32)
        most = steps // (converter.length_shape or (1,))[0]
        self.lengths = rng.integers(0, most + 1, (BATCH, *converter.length_shape), np.int32)
        self.lengths.flat[:2] = 0, most
        self.z = rng.normal(size=(BATCH, config.hparams.latent_size)).astype(np.float32)
        self.noise = rng.random((BATCH, steps, self.engine.noise_size), np.float32)

    def run(self, file, **inputs):
        """The outputs by name; controls are given where they are wanted."""
        if file not in self.sessions:
            self.sessions[file] = session_of(self.folder / file)
        session = self.sessions[file]
        inputs = {name: array for name, array in inputs.items() if array.size or name != "controls"}
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, inputs), strict=True))

    def sample(self, temperature):
        """What the engine and `decoder.onnx` sample: two pairs of samples and lengths or None."""
        end_token = self.config.data_converter.end_token
        samples, lengths = self.engine.sample(
            self.z, self.controls, self.noise, temperature=temperature, end_token=end_token
        )
        made = self.run(
            "decoder.onnx",
            z=self.z,
            noise=self.noise,
            controls=self.controls,
            temperature=np.array([temperature], np.float32),
        )
        expected = samples, None if end_token is None else lengths
        return expected, (made["samples"], made.get("lengths"))

    def step_by_step(self, temperature):
        """Samples and parameters, `[B, T, ...]`, as `model.json` says they are made."""
        start = self.run("decoder_start.onnx", z=self.z)
        sizes = self.manifest["sizes"]
        controls = self.controls
        if "decoder_controls.onnx" in self.manifest["files"]:
            assert "read = decoder_controls.onnx(controls)" in self.manifest["use"]["step_by_step"]
            controls = self.run("decoder_controls.onnx", controls=controls)["read"]
        samples, parameters = [], []
        previous = np.zeros((BATCH, self.config.data_converter.output_depth), np.float32)
        for s in range(sizes["segments"]):
            state = start["states"][:, s]
            ended = np.zeros((BATCH, 1), bool)
            for _ in range(sizes["steps_of_a_segment"]):
                t = len(samples)
                control = {"control": controls[:, t]} if self.controls.size else {}
                made = self.run(
                    "decoder_step.onnx",
                    previous=previous,
                    context=start["contexts"][:, s],
                    state=state,
                    noise=self.noise[:, t],
                    temperature=np.array([temperature], np.float32),
                    **control,
                )
                state = made["next_state"]
                samples.append(np.where(ended, 0, made["sample"]))
                parameters.append(made["parameters"])
                previous = np.where(ended, previous, made["sample"])
                if sizes["end_token"] is not None:
                    ended = ended | (previous[:, [sizes["end_token"]]] > 0)
        return np.stack(samples, axis=1), np.stack(parameters, axis=1)


@pytest.fixture(scope="module", params=CASES)
def small(request, tmp_path_factory):
    config, rng = CASES[request.param](), np.random.default_rng(0)
    weights = {
        name: rng.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in sorted(config.model_spec.weight_shapes.items())
    }
    return Exported(config, weights, tmp_path_factory.mktemp("onnx"))


@pytest.fixture(scope="module", params=shipped.names())
def full(request, tmp_path_factory):
    folder = shipped.folder(request.param)
    weights = WeightsFile(folder / "weights.safetensors")
    return Exported(get_config(request.param), weights, tmp_path_factory.mktemp("onnx"))


def check_posteriors(model, record_property):
    made = model.run(
        "encoder.onnx", inputs=model.inputs, lengths=model.lengths, controls=model.controls
    )
    expected = model.engine.encode(model.inputs, model.lengths, model.controls)
    for name, array in zip(("mu", "sigma"), expected, strict=True):
        report(record_property, name, made[name], array)


def check_samples(model):
    for temperature in (0.0, 1.0):
        (samples, lengths), (made, made_lengths) = model.sample(temperature)
        check_music(model.config, made, samples)
        assert (lengths is None) == (made_lengths is None)
        if lengths is not None:
            np.testing.assert_array_equal(made_lengths, lengths)


def check_music(config, made, expected):
    """That classes and hits are identical, and velocities and offsets of grooves nearly so."""
    assert made.shape == expected.shape
    if "groovae" not in config.name:
        np.testing.assert_array_equal(made, expected)
        return
    hits = config.data_converter.output_depth // 3
    np.testing.assert_array_equal(made[..., :hits], expected[..., :hits])
    np.testing.assert_allclose(made, expected, atol=CLOSE)


def report(record_property, name, made, expected):
    assert made.dtype == np.float32
    difference = float(np.abs(made - expected).max())
    record_property(f"largest difference of {name}", difference)
    assert difference < CLOSE


def check_logits(made, expected):
    np.testing.assert_allclose(made, expected, rtol=CLOSE_LOGITS, atol=CLOSE_LOGITS)


def logits_of(model, monkeypatch, temperature):
    """The parameters `[B, T, P]` from which the engine makes its samples."""
    seen = []
    for head in (
        heads.CategoricalHead,
        heads.BooleanHead,
        heads.NadeHead,
        heads.GrooveHead,
        heads.MixtureGrooveHead,
    ):

        def look(self, parameters, *rest, own=head.sample):
            seen.append(parameters.copy())
            return own(self, parameters, *rest)

        monkeypatch.setattr(head, "sample", look)
    model.engine.sample(model.z, model.controls, model.noise, temperature=temperature)
    voices = len(getattr(getattr(model.config.decoder, "core", None), "cores", "1"))
    steps = [np.concatenate(seen[n : n + voices], axis=1) for n in range(0, len(seen), voices)]
    return np.stack(steps, axis=1)


# -- Against the NumPy engine -----------------------------------------------------------------


def test_posteriors_of_every_config_are_the_engines(small, record_property):
    check_posteriors(small, record_property)


def test_samples_of_every_config_are_the_engines(small):
    check_samples(small)


def test_every_config_decodes_step_by_step(small, monkeypatch):
    expected, _ = small.sample(1.0)
    samples, parameters = small.step_by_step(1.0)
    check_music(small.config, samples, expected[0])
    if small.config.data_converter.end_token is None:
        check_logits(parameters, logits_of(small, monkeypatch, 1.0))


def test_posteriors_of_shipped_models_are_the_engines(full, record_property):
    check_posteriors(full, record_property)


def test_samples_of_shipped_models_are_the_engines(full):
    check_samples(full)


def test_shipped_models_decode_step_by_step(full, monkeypatch, record_property):
    expected, _ = full.sample(0.0)
    samples, parameters = full.step_by_step(0.0)
    check_music(full.config, samples, expected[0])
    logits = logits_of(full, monkeypatch, 0.0)
    difference = float(np.abs(parameters - logits).max())
    record_property("largest difference of parameters", difference)
    check_logits(parameters, logits)


# -- The files --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def melody(tmp_path_factory):
    folder = shipped.folder("cat-mel_2bar_mini")
    weights = WeightsFile(folder / "weights.safetensors")
    return Exported(get_config("cat-mel_2bar_mini"), weights, tmp_path_factory.mktemp("onnx"))


def test_files_are_valid_and_for_old_runtimes(small):
    for path in small.written[:-1]:
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        assert model.ir_version == 7
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 13)]


def test_model_json_says_what_the_files_take_and_give(small):
    assert config_from_json(small.manifest) == small.config
    assert [path.name for path in small.written] == [*small.manifest["files"], "model.json"]
    for file, ends in small.manifest["files"].items():
        session = session_of(small.folder / file)
        for key, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            named = {value.name: value for value in values}
            assert list(ends[key]) == list(named)
            for name, tensor in ends[key].items():
                assert tensor["shape"] == named[name].shape
                kind = {"float32": "tensor(float)", "int32": "tensor(int32)"}[tensor["dtype"]]
                assert named[name].type == kind
    converter = small.config.data_converter
    for parts, depth in (
        (small.manifest["inputs"], converter.input_depth),
        (small.manifest["outputs"], converter.output_depth),
        (small.manifest["controls"], converter.control_depth),
    ):
        ends = [0, *(part["start"] + part["depth"] for part in parts)]
        assert [part["start"] for part in parts] == ends[:-1]
        assert ends[-1] == depth


def test_the_example_of_model_json_runs(small, monkeypatch):
    monkeypatch.chdir(small.folder)
    names = {}
    exec("\n".join(small.manifest["example"]), names)
    sizes, depth = small.manifest["sizes"], small.config.data_converter.output_depth
    assert names["samples"].shape == (1, sizes["steps"], depth)
    assert names["samples"].any()


@pytest.mark.parametrize(
    ("quantize", "share", "most"),
    [("float16", 0.52, 0), ("uint16", 0.52, 1e-3), ("uint8", 0.27, 0.2)],
)
def test_weights_in_fewer_bits_make_smaller_files(melody, tmp_path, quantize, share, most):
    weights = WeightsFile(shipped.folder("cat-mel_2bar_mini") / "weights.safetensors")
    written = onnx_model.write(melody.config, weights, tmp_path, quantize=quantize)
    for path in written[:-1]:
        onnx.checker.check_model(onnx.load(path), full_check=True)
        size = (melody.folder / path.name).stat().st_size
        assert size * (share - 0.03) < path.stat().st_size < size * share
    steps = np.eye(90, dtype=np.float32)[np.random.default_rng(0).integers(0, 90, (4, 32))]
    given = {"inputs": steps, "lengths": np.full(4, 32, np.int32)}
    expected = melody.run("encoder.onnx", **given)["mu"]
    made = session_of(tmp_path / "encoder.onnx").run(["mu"], given)[0]
    # The shipped weights are float16 already, but for what is computed with them.
    assert np.abs(made - expected).max() <= most + 1e-6
    assert most == 0 or np.abs(made - expected).max() > most / 100


def test_a_flat_decoder_makes_as_many_steps_as_there_is_noise(melody):
    for batch, steps in ((1, 5), (7, 48)):
        z = np.random.default_rng(0).normal(size=(batch, 128)).astype(np.float32)
        noise = np.full((batch, steps, 1), 0.5, np.float32)
        made = melody.run("decoder.onnx", z=z, noise=noise, temperature=np.zeros(1, np.float32))
        controls = np.zeros((batch, steps, 0), np.float32)
        expected, _ = melody.engine.sample(z, controls, noise, temperature=0.0)
        np.testing.assert_array_equal(made["samples"], expected)


def test_melodies_can_be_played_from_what_model_json_says(melody):
    _, (samples, _) = melody.sample(0.0)
    (part,) = melody.manifest["outputs"]
    labels, step_s = part["labels"], 0.5 / melody.manifest["sizes"]["steps_per_quarter"]
    for sample, sequence in zip(
        samples, melody.config.data_converter.from_tensors(list(samples)), strict=True
    ):
        played, sounding = [], None
        for step, label in enumerate([*sample.argmax(axis=1), labels["note_off"]]):
            if label == labels["no_event"]:
                continue
            if sounding is not None:
                played.append((*sounding, step * step_s))
            sounding = None
            if label >= labels["first_note_on"]:
                pitch = labels["first_pitch"] + label - labels["first_note_on"]
                sounding = (pitch, step * step_s)
        expected = [(note.pitch, note.start_time, note.end_time) for note in sequence.notes]
        assert played == expected
        assert played


def test_grooves_can_be_played_from_what_model_json_says(tmp_path):
    name = "groovae_2bar_humanize_mini"
    weights = WeightsFile(shipped.folder(name) / "weights.safetensors")
    model = Exported(get_config(name), weights, tmp_path)
    _, (samples, _) = model.sample(0.0)
    hits, velocities, offsets = (
        samples[0, :, part["start"] : part["start"] + part["depth"]]
        for part in model.manifest["outputs"]
    )
    step_s = 0.5 / model.manifest["sizes"]["steps_per_quarter"]
    classes = model.manifest["outputs"][0]["pitch_classes"]
    played = {
        (
            classes[drum][0],
            round((step - offsets[step, drum] / 2) * step_s, 4),
            round(float(velocities[step, drum]) * 127),
        )
        for step, drum in zip(*np.nonzero(hits), strict=True)
    }
    (sequence,) = model.config.data_converter.for_inference().from_tensors([samples[0]])
    expected = {(n.pitch, round(n.start_time, 4), n.velocity) for n in sequence.notes}
    assert len(played) > 5
    assert {key[:2] for key in played} == {key[:2] for key in expected}
    assert max(abs(a[2] - b[2]) for a, b in zip(sorted(played), sorted(expected), strict=True)) <= 1


def test_the_labels_of_drums_are_their_masks(tmp_path):
    name = "cat-drums_2bar_mini_lokl"
    weights = WeightsFile(shipped.folder(name) / "weights.safetensors")
    model = Exported(get_config(name), weights, tmp_path)
    _, (samples, _) = model.sample(0.0)
    (part,) = model.manifest["outputs"]
    step_s = 0.5 / model.manifest["sizes"]["steps_per_quarter"]
    played = {
        (pitches[0], step * step_s)
        for step, label in enumerate(samples[0].argmax(axis=1))
        for n, pitches in enumerate(part["labels"]["pitch_classes"])
        if label >> n & 1
    }
    (sequence,) = model.config.data_converter.from_tensors([samples[0]])
    assert played == {(note.pitch, note.start_time) for note in sequence.notes}
    assert played


def test_nothing_imports_tensorflow(tmp_path):
    folder = shipped.folder("groovae_4bar_mini")
    program = f"""
import sys
from music_vae.configs import get_config
from music_vae.export import onnx_model
from music_vae.weights.safetensors_file import WeightsFile
weights = WeightsFile({str(folder / "weights.safetensors")!r})
onnx_model.write(get_config("groovae_4bar_mini"), weights, {str(tmp_path)!r})
assert not {{"tensorflow", "keras", "torch"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert (tmp_path / "model.json").is_file()


# -- What cannot be written -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (get_config("cat-mel_2bar_small", "z_size=0"), "it has no latent vector"),
        (get_config("cat-mel_2bar_small", "conditional=false"), "it has no latent vector"),
        (hierarchy((4, 6), autoregressive_levels=(0,)), "read back what became of their segments"),
    ],
)
def test_what_the_files_cannot_carry_is_refused_with_the_reason(config, reason, tmp_path):
    with pytest.raises(UserError, match=f"{config.name} cannot be exported to ONNX: .*{reason}"):
        onnx_model.write(config, {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_onnx_it_is_said_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'music_vae\[onnx\]'"):
        onnx_model.write(get_config("groovae_4bar_mini"), {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_config_are_refused(melody, tmp_path):
    with pytest.raises(UserError, match="the file"):
        onnx_model.write(
            get_config("cat-drums_2bar_mini_hikl"),
            melody.weights,
            tmp_path / "out",
            source="the file",
        )
    assert not (tmp_path / "out").exists()


def test_a_model_too_large_for_the_format_is_refused(tmp_path):
    hparams = dataclasses.asdict(get_config("cat-mel_2bar_small").hparams)
    hparams |= {"dec_rnn_size": (2**13, 2**13)}
    config = get_config("cat-mel_2bar_small")
    config = config.replace(hparams=config.hparams.replace(**hparams))
    weights = {
        name: np.broadcast_to(np.float32(0), shape)
        for name, shape in config.model_spec.weight_shapes.items()
    }
    with pytest.raises(UserError, match=r"the decoder has 3\.\d GB of weights"):
        onnx_model.write(config, weights, tmp_path / "out")
    assert not (tmp_path / "out").exists()
