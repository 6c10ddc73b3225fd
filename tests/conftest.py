"""What tests of several modules share: a tiny config, tunes, a trained run, and a web server."""

import signal

import numpy as np
import pytest

from music_vae.configs import get_config
from music_vae.dataset import tfrecord
from music_vae.music import notes_io
from music_vae.weights import config_file, safetensors_file
from support.http_server import FileServer
from support.paths import TUNES
from support.sizes import SMALL, TINY


@pytest.fixture(scope="session", autouse=True)
def ctrl_c():
    """Ctrl-C as in a terminal: a shell has what it runs in the background ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def http_server(monkeypatch):
    """A `FileServer` without files."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    yield server
    server.close()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache directory of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("MUSIC_VAE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def tiny_config():
    return get_config("cat-mel_2bar_small", TINY)


@pytest.fixture(scope="session")
def tunes(tmp_path_factory):
    """A TFRecord of three tunes: 16 and 15 windows of 2 bars, and one in 2/4 that gives none."""
    names = ("soldiers_joy.mid", "fishers_hornpipe.mid", "maple-leaf-rag.mid")
    records = [notes_io.read_music_file(TUNES / name)[0].SerializeToString() for name in names]
    path = tmp_path_factory.mktemp("tunes") / "tunes.tfrecord"
    tfrecord.write_records(path, records)
    return path


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, tunes):
    """The directory of a run of the tiny config that was trained for three steps."""
    from music_vae import train

    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = [
        "--config=cat-mel_2bar_small",
        f"--hparams={TINY}",
        f"--run_dir={run_dir}",
        f"--examples_path={tunes}",
        "--num_steps=3",
        "--seed=1",
    ]
    assert train.main(arguments) == 0
    return run_dir


@pytest.fixture(scope="session")
def random_run(tmp_path_factory):
    """A function that makes the directory of a model of a config, small, with random weights."""

    def make(name, hparams=SMALL):
        config = get_config(name, hparams)
        folder = tmp_path_factory.mktemp("random") / name
        folder.mkdir()
        config_file.write(config, folder)
        rng = np.random.default_rng(0)
        weights = {
            name: rng.normal(0, 0.5, shape)
            for name, shape in config.model_spec.weight_shapes.items()
        }
        safetensors_file.write(folder / safetensors_file.WEIGHTS_FILE, weights)
        return folder

    return make


@pytest.fixture
def with_more(tiny_run, tmp_path):
    """A file of the weights of the tiny run and of one that no config has."""
    weights = dict(safetensors_file.WeightsFile(tiny_run / "train" / "weights.safetensors"))
    weights["encoder/more/bias"] = np.zeros(3, np.float32)
    safetensors_file.write(tmp_path / "more.safetensors", weights)
    return tmp_path / "more.safetensors"


@pytest.fixture(scope="session")
def windows(tmp_path_factory):
    """Four MIDI files of one melody of two bars each, the first at 90 quarter notes a minute."""
    converter = get_config("cat-mel_2bar_small").data_converter
    folder = tmp_path_factory.mktemp("windows")
    (tune,) = notes_io.read_music_file(TUNES / "soldiers_joy.mid")
    paths = [folder / f"{letter}.mid" for letter in "abcd"]
    pieces = converter.from_tensors(converter.to_tensors(tune).outputs[:4])
    for number, (piece, path) in enumerate(zip(pieces, paths, strict=True)):
        notes_io.write_midi(notes_io.with_tempo(piece, 120 if number else 90), path)
    return [str(path) for path in paths]


@pytest.fixture
def homeless(monkeypatch):
    """Takes the home folder away, as for a user of a container that no file of users lists."""
    import pwd

    def unknown(*_):
        raise KeyError

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
