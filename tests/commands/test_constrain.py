"""`music_vae_constrain` on a model of random weights, and samples with what it made."""

import itertools
import json
import shutil

import numpy as np
import pytest

from music_vae import generate
from music_vae.commands import constrain
from music_vae.latent import constraints
from music_vae.latent.small_networks import Owner
from music_vae.weights import config_file
from support.commands import loaded_after
from support.midi_bytes import music_of

TRAINING = ["--num_steps=3", "--hidden=8", "--attribute=note_density,c_diatonic=high"]


@pytest.fixture(scope="module")
def trained(run, tunes):
    """The folder of a constraint that lies with the model."""
    flags = [f"--run_dir={run}", f"--examples_path={tunes}", *TRAINING]
    assert constrain.main(["train", *flags]) == 0
    return run / "constraint"


@pytest.fixture
def sample(tmp_path):
    """Runs `music_vae_generate`; gives the exit code and the notes' bytes of what it wrote."""

    def command(folder, *flags):
        out = tmp_path / "out"
        shutil.rmtree(out, ignore_errors=True)
        arguments = [f"--run_dir={folder}", f"--output_dir={out}", "--seed=1", "--num_outputs=2"]
        code = generate.main([*arguments, *flags])
        return code, [music_of(path) for path in sorted(out.glob("*"))]

    return command


def test_a_constraint_says_what_it_is(trained, run):
    described = json.loads((trained / "network.json").read_text())
    assert (described["kind"], described["config"]) == ("constraint", "cat-mel_2bar_small")
    assert described["options"]["windows"] == 31
    assert described["options"]["steps"] == 3
    found = constraints.read(trained, Owner.of(config_file.read(run), run))
    assert [(a.name, a.sides) for a in found.attributes] == [
        ("note_density", ("high", "low")),
        ("c_diatonic", ("high",)),
    ]


def test_a_seed_repeats_a_constraint(run, trained, tunes, tmp_path):
    flags = [f"--run_dir={run}", f"--examples_path={tunes}", *TRAINING]
    assert constrain.main(["train", *flags, f"--output={tmp_path / 'again'}"]) == 0
    one, two = ((p / "network.json").read_text() for p in (trained, tmp_path / "again"))
    assert json.loads(one)["network_key"] == json.loads(two)["network_key"]


def test_samples_are_moved_by_what_is_asked(run, trained, sample):
    results = {
        flags: sample(run, *flags)
        for flags in (
            (),
            ("--constraint=own",),
            (f"--constraint={trained}",),
            ("--constraint=own", "--attribute=note_density=high"),
            ("--constraint=own", "--attribute=note_density=low,c_diatonic=high"),
        )
    }
    codes, files = zip(*results.values(), strict=True)
    assert set(codes) == {0}
    plain, own, named, high, low = files
    assert own == named
    assert all(one != two for one, two in itertools.combinations((plain, own, high, low), 2))


@pytest.mark.parametrize("output", ["its own", "named"])
def test_a_constraint_is_never_replaced(trained, run, tunes, capsys, output):
    before = {path: path.read_bytes() for path in trained.iterdir()}
    flags = [f"--run_dir={run}", f"--examples_path={tunes}", *TRAINING]
    named = [f"--output={trained}"] if output == "named" else []
    assert constrain.main(["train", *flags, *named]) == 2
    assert f"--output={trained} is not empty" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in trained.iterdir()} == before


def test_what_it_does_is_printed_and_given_as_json(run, trained, tunes, capsys):
    flags = ["evaluate", f"--run_dir={run}", f"--examples_path={tunes}", "--num_samples=8"]
    assert constrain.main(flags) == 0
    text = capsys.readouterr().out
    assert constrain.main([*flags, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert [row["wanted"] for row in figures["wishes"]] == [
        {"note_density": "high"},
        {"note_density": "low"},
        {"c_diatonic": "high"},
    ]
    (row,) = [row for row in figures["wishes"] if row["wanted"] == {"note_density": "low"}]
    columns = [f"{row[name]:.3f}" for name in ("without", "realism", "with", "moved")]
    assert rows["note_density=low"] == columns
    assert figures["music"]["corpus"]["histogram_overlap"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give train or evaluate"),
        (["draw"], "cannot read 'draw'; give train or evaluate"),
        (["train"], "--examples_path is required"),
        (["train", "--examples_path=x", "--attribute=loudness"], "has no 'loudness'; it has"),
        (["train", "--examples_path=x", "--attribute=a=much"], "expected NAME=high or NAME=low"),
        (["train", "--examples_path=x", "--attribute=a=low,a=low"], "--attribute has a twice"),
        (["train", "--examples_path=nothing"], "no file matches nothing"),
        (["evaluate", "--constraint=nowhere"], "'nowhere' holds no constraint"),
        (["evaluate", "--attribute=c_diatonic=low"], "does not know c_diatonic=low; it knows"),
    ],
)
def test_a_mistake_is_one_line(run, trained, capsys, arguments, message):
    assert constrain.main([f"--run_dir={run}", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_model_without_a_constraint_of_its_own_is_told_which_have_one(sample, random_run, capsys):
    drums = random_run("cat-drums_2bar_small")
    message = (
        f"the model has no constraint of its own: there is no {drums / 'constraint'}; of the "
        "models that come with music_vae, cat-mel_2bar_mini has one; music_vae_constrain train "
        "makes one\n"
    )
    assert sample(drums, "--constraint=own") == (2, [])
    assert capsys.readouterr().err == f"music_vae_generate: --constraint=own: {message}"
    assert constrain.main(["evaluate", f"--run_dir={drums}"]) == 2
    assert capsys.readouterr().err == f"music_vae_constrain: {message}"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--attribute=note_density=high"], "or needs --constraint"),
        (["--constraint=nowhere"], "'nowhere' holds no constraint"),
        (["--constraint=own", "--attribute=note_density=+1"], "expected NAME=high or NAME=low"),
        (["--constraint=own", "--attribute=c_diatonic=low"], "does not know c_diatonic=low"),
        (["--constraint=own", "--personal=x"], "give --constraint or --personal"),
        (["--constraint=own", "--mode=similar", "--input_midi=x"], "is for --mode=sample"),
        (["--personal=own"], "'own' holds no personal model"),
    ],
)
def test_a_mistake_with_samples_is_one_line(run, trained, sample, capsys, flags, message):
    assert sample(run, *flags) == (2, [])
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_constraint_of_another_training_is_refused(tiny_run, trained, sample, capsys):
    assert sample(tiny_run, f"--constraint={trained}") == (2, [])
    assert "of cat-mel_2bar_small with other weights" in capsys.readouterr().err


def test_neither_samples_nor_figures_need_tensorflow(run, trained, tmp_path):
    model = f"--run_dir={run}"
    chosen = ["--constraint=own", "--attribute=note_density=high", f"--output_dir={tmp_path}"]
    assert not loaded_after(
        ("music_vae.generate", model, *chosen),
        ("music_vae.commands.constrain", "evaluate", model, "--num_samples=4"),
    )


def test_a_constraint_without_attributes_knows_realism_alone(run, tunes, tmp_path, capsys):
    flags = [f"--run_dir={run}", f"--examples_path={tunes}", f"--output={tmp_path / 'c'}"]
    assert constrain.main(["train", *flags, "--num_steps=2", "--hidden=4"]) == 0
    assert "from 31 windows; knows none" in capsys.readouterr().out
    found = constraints.read(tmp_path / "c", Owner.of(config_file.read(run), run))
    assert np.isfinite(found.apply(np.ones((3, 4)), found.wanted({}))).all()
