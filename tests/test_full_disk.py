"""Every writer says in an OSError that a disk is full, and leaves the old file and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from music_vae.commands import constrain, evaluate
from music_vae.configs import get_config
from music_vae.dataset import tfrecord
from music_vae.export import onnx_model, tf1
from music_vae.latent import small_networks
from music_vae.music import notes_io
from music_vae.render import audio, plotting
from music_vae.training import summaries
from music_vae.training.run import Run
from music_vae.weights import safetensors_file
from support.small_disk import small_disk

GOLDEN = "tests/golden/models/cat-mel_2bar_small"
SIZES = "z_size=2,enc_rnn_size=[4],dec_rnn_size=[4]"


def _sound(path: Path) -> None:
    audio.write(np.random.default_rng(0).uniform(-1, 1, (44100, 2)), path)


def _picture(path: Path) -> None:
    figure = plotting.new_figure((2.0, 1.0))
    figure.suptitle("A title")
    plotting.save(figure, path)


def _midi(path: Path) -> None:
    (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    notes_io.write_midi(tune, path)


WRITERS = {
    "weights.safetensors": lambda path: safetensors_file.write(path, {"a": np.zeros(1000)}),
    **{f"a.{name}": _sound for name in audio.FORMATS},
    **{f"a.{name}": _picture for name in ("png", "svg")},
    "a.mid": _midi,
    "a.tfrecord": lambda path: tfrecord.write_records(path, [bytes(5000)]),
    **{
        name: lambda path: tf1.export(GOLDEN, path)
        for name in ("model.ckpt", "model.tar", "model.tar.gz")
    },
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_an_os_error_and_the_old_file_stays(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"old")
    with small_disk(), pytest.raises(OSError, match="File too large") as raised:
        WRITERS[name](path)
    assert raised.value.filename == str(path)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert path.read_bytes() == b"old"


def test_a_full_disk_takes_no_onnx_model(tmp_path):
    config = get_config("cat-mel_2bar_small", SIZES)
    shapes = config.model_spec.weight_shapes
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with small_disk(), pytest.raises(OSError, match="File too large"):
        onnx_model.write(config, weights, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sizes", [(2, 200), (200, 2)])
def test_a_full_disk_takes_neither_file_of_a_small_network(tmp_path, sizes):
    """The description or the weights are what is too large."""
    owner = small_networks.Owner("mine", 2, "key")
    options, layers = sizes

    def write(options, layers):
        arrays = [(np.ones((2, layers)), np.ones(layers))]
        small_networks.write(tmp_path, "critic", owner, arrays, {"x": "x" * options})

    write(1, 1)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with small_disk(900), pytest.raises(OSError, match="File too large"):
        write(5 * options, 5 * layers)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_the_checkpoints_before(tmp_path):
    run = Run(get_config("cat-mel_2bar_small", SIZES), tmp_path, seed=1)
    first = run.save()
    run.trainer.step.assign(5)
    with small_disk(10_000), pytest.raises(OSError, match="File too large"):
        run.save()
    again = Run(run.config, tmp_path)
    assert again.restored == first
    assert (again.step, again.seed) == (0, 1)


@pytest.mark.slow
def test_commands_that_write_pictures_and_networks_say_that_a_disk_is_full(tmp_path, tunes, capsys):
    model = ("--config=cat-mel_2bar_mini", f"--examples_path={tunes}")
    picture, folder = tmp_path / "curves.svg", tmp_path / "constraint"
    picture.write_bytes(b"old")
    small = ("--interpolation", "--interpolation_pairs=2", f"--train_examples_path={tunes}")
    training = ("train", "--num_steps=2", "--hidden=4", f"--output={folder}")
    with small_disk():
        assert evaluate.main([*small, *model, f"--picture={picture}"]) == 2
        assert constrain.main([*training, *model]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "File too large" in line]
    assert lines == [
        f"music_vae_evaluate: File too large: {picture}",
        f"music_vae_constrain: File too large: {folder / 'network.json'}",
    ]
    assert picture.read_bytes() == b"old"
    assert not any(folder.iterdir())  # so that the same command can be given again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["constraint", "curves.svg"]


def test_a_full_disk_takes_no_summaries(tmp_path):
    with (
        pytest.raises(OSError, match="File too large"),
        summaries.writer(tmp_path),
        small_disk(),
    ):
        for step in range(1000):
            summaries.scalars({"loss": tf.constant(1.0)}, step=step, flush=True)


def test_what_a_writer_of_weights_raises_by_itself_is_an_os_error(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def fail(*_):
        raise SafetensorError("something of its own")

    monkeypatch.setattr("safetensors.numpy.save_file", fail)
    with pytest.raises(OSError, match=r"something of its own.*w\.safetensors"):
        safetensors_file.write(tmp_path / "w.safetensors", {"a": np.zeros(3)})
