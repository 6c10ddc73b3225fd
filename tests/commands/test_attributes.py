"""`music_vae_attributes` on a model of random weights: vectors, tables, JSON, pictures, errors."""

import json
import sys

import numpy as np
import pytest

from music_vae.commands import attributes
from music_vae.dataset import tfrecord
from music_vae.latent import attribute_vectors
from music_vae.weights import config_file
from music_vae.weights.safetensors_file import WeightsFile
from support.commands import loaded_after


@pytest.fixture(scope="module")
def computed(run, tunes):
    """What `compute` printed, once the vectors lie in the run."""
    assert attributes.main(["compute", f"--run_dir={run}", f"--examples_path={tunes}"]) == 0
    return run / "attributes.safetensors"


def test_vectors_are_written_into_the_run(computed, run):
    vectors = attribute_vectors.read(computed, config_file.read(run))
    assert {"c_diatonic", "note_density", "average_interval"} <= set(vectors)
    assert all(np.linalg.norm(vector) > 0 for vector in vectors.values())
    assert WeightsFile(computed).metadata["windows"] == "31"


def test_a_seed_repeats_the_vectors_of_a_part_of_the_music(run, tunes, tmp_path, capsys):
    for name in ("one", "two"):
        output = tmp_path / f"{name}.safetensors"
        flags = [f"--run_dir={run}", f"--examples_path={tunes}", f"--output={output}", "--seed=2"]
        assert attributes.main(["compute", *flags, "--num_examples=20"]) == 0
        assert f"from 20 windows: {output}" in capsys.readouterr().out
    one, two = (WeightsFile(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert all((one[name] == two[name]).all() for name in one)


def test_what_the_vectors_do_is_printed_drawn_and_given_as_json(computed, run, tmp_path, capsys):
    picture = tmp_path / "figure.png"
    flags = ["evaluate", f"--run_dir={run}", "--num_samples=8"]
    assert attributes.main([*flags, f"--picture={picture}"]) == 0
    text = capsys.readouterr().out
    assert attributes.main([*flags, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert picture.read_bytes().startswith(b"\x89PNG")
    number = figures["relative"]["minus"]["note_density"]["c_diatonic"]
    (line,) = [n for n, row in enumerate(text.splitlines()) if row.startswith("  minus the vector")]
    rows = [row.split() for row in text.splitlines()[line + 1 :]]
    (row,) = [row for row in rows if row[0] == "note_density"]
    assert row[1] == ("-" if number is None else f"{number:.3f}")
    assert figures["samples"] == 8


@pytest.mark.parametrize("name", ["map.png", "map.svg"])
def test_a_map_of_the_posterior_is_drawn(run, tunes, tmp_path, capsys, name):
    flags = [f"--run_dir={run}", f"--examples_path={tunes}", f"--picture={tmp_path / name}"]
    assert attributes.main(["map", *flags, "--attribute=note_density"]) == 0
    assert "31 windows by note_density" in capsys.readouterr().out
    drawn = (tmp_path / name).read_bytes()
    if name.endswith(".png"):
        assert drawn.startswith(b"\x89PNG")
    else:
        assert b"first principal axis" in drawn
        assert b"31 windows" in drawn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give compute, evaluate or map"),
        (["draw"], "cannot read 'draw'; give compute, evaluate or map"),
        (["map", "--examples_path=x", "--picture=map.png"], "--attribute is required"),
        (["map", "--examples_path=x", "--attribute=note_density"], "--picture is required"),
        (
            ["map", "--examples_path=x", "--attribute=swing", "--picture=map.png"],
            "--attribute=swing: expected one of c_diatonic, note_density,",
        ),
        (["compute"], "--examples_path is required"),
        (["compute", "--examples_path=nothing"], "no file matches nothing"),
        (["compute", "--examples_path=x", "--output=vectors.txt"], "name of a .safetensors file"),
        (["evaluate", "--vectors=nowhere.safetensors"], "'nowhere.safetensors' cannot be read"),
        (["evaluate", "--picture=figure.pdf"], "expected the name of a .png or .svg file"),
        (["evaluate", "--run_dir=nowhere"], "--run_dir=nowhere is not a directory"),
        (
            ["evaluate", "--run_dir="],
            "give --config with the name of a model that comes with music_vae",
        ),
    ],
)
def test_a_mistake_is_one_line(run, capsys, arguments, message):
    assert attributes.main([f"--run_dir={run}", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_music_without_attributes_and_music_for_none_are_refused(random_run, run, tmp_path, capsys):
    trio = random_run("flat-trio_16bar")
    assert attributes.main(["evaluate", f"--run_dir={trio}"]) == 2
    assert "attributes are defined for melodies" in capsys.readouterr().err
    empty = tmp_path / "empty.tfrecord"
    tfrecord.write_records(empty, [])
    assert attributes.main(["compute", f"--run_dir={run}", f"--examples_path={empty}"]) == 2
    assert "holds no music for cat-mel_2bar_small (no sequences)" in capsys.readouterr().err


def test_pictures_without_matplotlib_say_what_to_install(computed, run, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    flags = [f"--run_dir={run}", "--picture=figure.png"]
    assert attributes.main(["evaluate", *flags]) == 2
    assert "pip install 'music_vae[plots]'" in capsys.readouterr().err


def test_neither_command_needs_tensorflow(run, computed, tunes, tmp_path):
    compute = [f"--run_dir={run}", f"--examples_path={tunes}", f"--output={tmp_path}/v.safetensors"]
    evaluate = ["evaluate", f"--run_dir={run}"]
    module = "music_vae.commands.attributes"
    assert not loaded_after((module, "compute", *compute), (module, *evaluate))
