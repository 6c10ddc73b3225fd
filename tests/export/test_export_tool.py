"""`music_vae_export`: a whole folder or none, one line for a mistake, no TensorFlow."""

import json
import sys

import numpy as np
import onnxruntime
import pytest

from music_vae import TrainedModel
from music_vae.commands import export
from music_vae.latent import attribute_vectors
from music_vae.weights import config_file, shipped
from music_vae.weights.safetensors_file import WeightsFile
from support import tfjs_manifest
from support.commands import loaded_after

EVEN = "z_size=4,enc_rnn_size=[6],dec_rnn_size=[5,5]"


@pytest.fixture(scope="module")
def run(random_run):
    return random_run("cat-mel_2bar_small", EVEN)


def test_a_shipped_model_is_written_with_its_attribute_vectors(tmp_path, capsys):
    name, folder = "cat-drums_2bar_mini_lokl", tmp_path / "new" / "model"
    assert export.main([f"--config={name}", f"--output_dir={folder}"]) == 0
    written = [path.stat().st_size for path in folder.iterdir()]
    printed = f"{folder}: {len(written)} files, {sum(written) / 1e6:.1f} MB\n"
    assert capsys.readouterr().out == printed
    arrays, _ = tfjs_manifest.read(folder)
    weights = WeightsFile(shipped.folder(name) / "weights.safetensors")
    assert all((array == weights[name]).all() for name, array in arrays.items())
    listed = json.loads((folder / "attributes.json").read_text())
    vectors = attribute_vectors.read(
        shipped.folder(name) / "attributes.safetensors", config_file.read(shipped.folder(name))
    )
    assert set(listed) == set(vectors)
    for attribute, vector in vectors.items():
        np.testing.assert_allclose(listed[attribute], vector, rtol=1e-5)
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_no_tensorflow_is_imported(run, tmp_path):
    flags = [f"--run_dir={run}", "--demo", f"--output_dir={tmp_path / 'm'}"]
    names = ("tensorflow", "note_seq")
    assert not loaded_after(("music_vae.commands.export", *flags), among=names)


@pytest.mark.parametrize(("quantize", "nbytes"), [("uint8", 1), ("uint16", 2), ("float16", 2)])
def test_fewer_bits_make_smaller_files(run, tmp_path, quantize, nbytes):
    folder = tmp_path / "model"
    flags = [f"--run_dir={run}", f"--output_dir={folder}", f"--quantize={quantize}"]
    assert export.main(flags) == 0
    _, entries = tfjs_manifest.read(folder)
    assert {entry["quantization"]["dtype"] for entry in entries} == {quantize}
    count = sum(np.prod(entry["shape"]) for entry in entries)
    assert sum(path.stat().st_size for path in folder.glob("*.bin")) == nbytes * count


def test_without_its_encoder_a_model_is_exported_with_a_warning(random_run, tmp_path, caplog):
    run = random_run("hierdec-mel_16bar", EVEN)
    flags = [f"--run_dir={run}", f"--output_dir={tmp_path / 'model'}"]
    assert export.main(flags) == 2
    assert not (tmp_path / "model").exists()
    assert export.main([*flags, "--decode_only"]) == 0
    assert "a dummy takes the encoder's place" in caplog.text
    arrays, _ = tfjs_manifest.read(tmp_path / "model")
    assert not arrays["encoder/mu/kernel"].any()


def test_a_folder_that_holds_something_is_left_alone(run, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    assert export.main([f"--run_dir={run}", f"--output_dir={tmp_path}"]) == 2
    assert "is not empty; name a folder that is not there yet" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_onnx_files_compute_what_the_model_does(run, tmp_path, capsys):
    folder = tmp_path / "model"
    flags = [f"--run_dir={run}", f"--output_dir={folder}", "--format=onnx"]
    assert export.main(flags) == 0
    assert capsys.readouterr().out.startswith(f"{folder}: 5 files, ")
    assert {path.name for path in folder.iterdir()} == {
        "encoder.onnx",
        "decoder.onnx",
        "decoder_start.onnx",
        "decoder_step.onnx",
        "model.json",
    }
    model = TrainedModel(config_file.read(run), 3, run)
    inputs = np.eye(90, dtype=np.float32)[np.random.default_rng(0).integers(0, 90, (3, 32))]
    _, mu, _ = model.encode_tensors(list(inputs), [32] * 3)
    session = onnxruntime.InferenceSession(folder / "encoder.onnx")
    given = {"inputs": inputs, "lengths": np.full(3, 32, np.int32)}
    np.testing.assert_allclose(session.run(["mu"], given)[0], mu, atol=1e-6)


def test_onnx_files_lie_beside_the_attribute_vectors_and_the_prior(tmp_path, capsys):
    name, folder = "cat-drums_2bar_mini_lokl", tmp_path / "model"
    flags = [f"--config={name}", f"--output_dir={folder}", "--format=onnx", "--quantize=float16"]
    assert export.main(flags) == 0
    described = json.loads((folder / "model.json").read_text())
    listed = json.loads((folder / described["attributes"]).read_text())
    assert "hit_density" in listed
    assert {len(vector) for vector in listed.values()} == {described["sizes"]["z"]}
    assert (folder / described["prior"]).is_file()
    assert "attributes.json has a vector" in described["use"]["attributes"]


def test_without_onnx_one_line_says_what_to_install(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    flags = [f"--run_dir={run}", f"--output_dir={tmp_path / 'model'}", "--format=onnx"]
    assert export.main(flags) == 2
    assert "pip install 'music_vae[onnx]'" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--output_dir is required"),
        (["--output_dir=OUT", "--format=pdf"], "value should be one of <tfjs|onnx>"),
        (["--output_dir=OUT", "--format=onnx", "--demo"], "--demo is for --format=tfjs"),
        (["--output_dir=OUT", "--quantize=uint4"], "value should be one of <uint8|uint16|float16>"),
        (["--output_dir=OUT", "--player=here"], "--player is a part of --demo; give both"),
        (["--output_dir=OUT", "--demo", "--player=nowhere"], "there is no dist/magentamusic.js"),
        (["--output_dir=OUT", "--hparams=dec_rnn_size=[5,6]"], "layers differ in size (5, 6)"),
        (["--output_dir=OUT", "--hparams=z_size=5"], "expected"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(run, tmp_path, capsys, arguments, message):
    folder = tmp_path / "model"
    given = [argument.replace("OUT", str(folder)) for argument in arguments]
    assert export.main([f"--run_dir={run}", *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
