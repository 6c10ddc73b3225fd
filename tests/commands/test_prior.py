"""`music_vae_prior` on a model of random weights, and the samples that others make with it."""

import json

import pytest

from music_vae import generate
from music_vae.commands import attributes, constrain, evaluate, prior
from music_vae.dataset import tfrecord
from music_vae.latent import priors
from music_vae.latent.small_networks import Owner
from music_vae.weights import config_file, shipped
from music_vae.weights.safetensors_file import WeightsFile
from support import fitted_priors
from support.commands import loaded_after
from support.midi_bytes import music_of


@pytest.fixture(scope="module")
def fitted(run, tunes):
    """The file that `fit` writes into the run."""
    assert prior.main(["fit", f"--run_dir={run}", f"--examples_path={tunes}"]) == 0
    return run / "prior.safetensors"


def test_the_prior_is_written_into_the_run(fitted, run):
    config = config_file.read(run)
    found = priors.read(fitted, Owner.of(config, run))
    assert found.num_windows == 31
    assert found.mixture.means.shape == (3, config.hparams.latent_size)


def test_a_seed_repeats_the_fit_and_the_number_of_components_is_a_choice(
    run, tunes, tmp_path, capsys
):
    for name in ("one", "two"):
        output = tmp_path / f"{name}.safetensors"
        flags = [f"--run_dir={run}", f"--examples_path={tunes}", f"--output={output}", "--seed=2"]
        assert prior.main(["fit", *flags, "--num_examples=20", "--components=1"]) == 0
        assert f"1 components from 20 windows: {output}" in capsys.readouterr().out
    one, two = (WeightsFile(tmp_path / f"{name}.safetensors") for name in ("one", "two"))
    assert all((one[name] == two[name]).all() for name in one)


def test_how_likely_music_is_is_printed_and_given_as_json(fitted, run, tunes, capsys):
    flags = ["evaluate", f"--run_dir={run}", f"--examples_path={tunes}"]
    assert prior.main(flags) == 0
    text = capsys.readouterr().out
    assert prior.main([*flags, "--json"]) == 0
    bits = json.loads(capsys.readouterr().out)
    assert bits["windows"] == bits["fitted_to"] == 31
    assert bits["gain"] == pytest.approx(bits["normal"] - bits["fitted"])
    assert f"gain{bits['gain']:29.1f}" in text
    assert prior.main([*flags, f"--prior={fitted}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == bits


def test_a_prior_is_replaced_with_a_line_and_anything_else_is_not(
    fitted, run, tunes, capsys, caplog
):
    caplog.set_level("INFO", "music_vae")
    before = fitted.read_bytes()
    flags = ["fit", f"--run_dir={run}", f"--examples_path={tunes}", "--components=2"]
    assert prior.main(flags) == 0
    assert f"the prior in {fitted} will be replaced" in caplog.text
    assert fitted.read_bytes() != before
    weights = run / "weights.safetensors"
    before = weights.read_bytes()
    assert prior.main([*flags, f"--output={weights}"]) == 2
    assert "is there and holds no fitted prior; name a file that is not" in capsys.readouterr().err
    assert weights.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give fit or evaluate"),
        (["draw"], "cannot read 'draw'; give fit or evaluate"),
        (["fit"], "--examples_path is required"),
        (["fit", "--examples_path=nothing"], "no file matches nothing"),
        (["fit", "--examples_path=x", "--output=prior.txt"], "name of a .safetensors file"),
        (["fit", "--examples_path=x", "--components=0"], "--components"),
        (["evaluate", "--examples_path=x", "--prior=nowhere.safetensors"], "cannot be read"),
        (
            ["fit", "--examples_path=x", "--run_dir=", "--config=cat-mel_2bar_mini"],
            "--output is required, as cat-mel_2bar_mini comes with music_vae",
        ),
    ],
)
def test_a_mistake_is_one_line(run, capsys, arguments, message):
    assert prior.main([f"--run_dir={run}", *arguments]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if " INFO " not in line]
    assert len(error) == 1
    assert message in error[0]


def test_a_model_that_ships_stays_as_it_was_installed(tunes, tmp_path, caplog):
    caplog.set_level("INFO", "music_vae")
    folder = shipped.folder("cat-mel_2bar_mini")
    before = sorted(folder.rglob("*"))
    flags = ["fit", "--config=cat-mel_2bar_mini", f"--examples_path={tunes}"]
    assert prior.main(flags) == 2
    output = tmp_path / "mine.safetensors"
    assert prior.main([*flags, f"--output={output}", "--num_examples=10"]) == 0
    assert sorted(folder.rglob("*")) == before
    chosen = ["--config=cat-mel_2bar_mini", f"--prior={output}", f"--output_dir={tmp_path}"]
    assert generate.main([*chosen, "--num_outputs=1", "--seed=1"]) == 0
    assert f"samples come from the prior in {output}, fitted to 10 win" in caplog.text


def test_music_for_none_and_a_model_without_z_are_refused(random_run, run, tmp_path, capsys):
    empty = tmp_path / "empty.tfrecord"
    tfrecord.write_records(empty, [])
    assert prior.main(["fit", f"--run_dir={run}", f"--examples_path={empty}"]) == 2
    assert "holds no music for cat-mel_2bar_small (no sequences)" in capsys.readouterr().err
    flat = random_run("cat-mel_2bar_small", "z_size=0,enc_rnn_size=[8],dec_rnn_size=[8]")
    assert prior.main(["fit", f"--run_dir={flat}", f"--examples_path={empty}"]) == 2
    assert "cat-mel_2bar_small has no latent space" in capsys.readouterr().err


def test_a_prior_needs_no_tensorflow(run, tunes, tmp_path):
    flags = [f"--run_dir={run}", f"--examples_path={tunes}"]
    file = f"{tmp_path}/p.safetensors"
    module = "music_vae.commands.prior"
    assert not loaded_after(
        (module, "fit", *flags, f"--output={file}"), (module, "evaluate", *flags, f"--prior={file}")
    )


# -- Music from it --------------------------------------------------------------------------------


@pytest.fixture
def beside(random_run):
    """A run with a prior whose points lie together, far from those of N(0, 1)."""
    run = random_run("cat-mel_2bar_small")
    fitted_priors.narrow(run)
    return run


def made(tmp_path, name, *flags):
    """The MIDI files that a command writes with a seed, in their order."""
    folder = tmp_path / name
    assert generate.main([*flags, "--num_outputs=3", "--seed=1", f"--output_dir={folder}"]) == 0
    return [music_of(path) for path in sorted(folder.glob("*.mid"))]


@pytest.mark.parametrize("mode", ["sample", "similar", "attribute"])
def test_random_points_come_from_the_fitted_prior_by_default(
    beside, tunes, windows, tmp_path, capsys, caplog, mode
):
    caplog.set_level("INFO", "music_vae")
    flags = [f"--run_dir={beside}", f"--mode={mode}"]
    if mode == "similar":
        flags += [f"--input_midi={windows[1]}", "--similarity=0.1"]
    if mode == "attribute":
        assert attributes.main(["compute", f"--run_dir={beside}", f"--examples_path={tunes}"]) == 0
        flags += ["--attribute=note_density=0.1"]
    default = made(tmp_path, "default", *flags)
    assert "samples come from the prior in" in caplog.text
    assert made(tmp_path, "fitted", *flags, "--prior=fitted") == default
    normal = made(tmp_path, "normal", *flags, "--prior=normal")
    assert normal != default
    (beside / "prior.safetensors").unlink()
    assert made(tmp_path, "without", *flags) == normal
    assert generate.main([*flags, "--prior=fitted", f"--output_dir={tmp_path / 'none'}"]) == 2
    assert "--prior=fitted: there is no" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--prior=gaussian"], "--prior=gaussian: expected fitted, normal or the name of a .safe"),
        (["--prior=fitted", "--constraint=own"], "give --prior, --constraint or --personal, one"),
        (["--prior=fitted", "--mode=reconstruct", "--input_midi=a.mid"], "--prior is for --mode="),
        (
            ["--prior=fitted", "--mode=attribute", "--attribute=note_density=1", "--input_midi=a"],
            "--prior is for samples; --input_midi gives a piece instead",
        ),
    ],
)
def test_a_prior_from_which_nothing_is_drawn_is_refused(beside, tmp_path, capsys, flags, message):
    assert generate.main([f"--run_dir={beside}", f"--output_dir={tmp_path}", *flags]) == 2
    assert message in capsys.readouterr().err


def test_a_constraint_moves_points_of_the_normal_prior(beside, tunes, tmp_path):
    flags = [f"--run_dir={beside}"]
    few = ["--num_steps=2", "--hidden=4"]
    assert constrain.main(["train", *flags, f"--examples_path={tunes}", *few]) == 0
    moved = made(tmp_path, "moved", *flags, "--constraint=own")
    (beside / "prior.safetensors").unlink()
    assert made(tmp_path, "again", *flags, "--constraint=own") == moved


def test_samples_that_are_evaluated_come_from_it_too(beside, tunes, capsys):
    flags = [f"--run_dir={beside}", f"--examples_path={tunes}", "--num_examples=4", "--json"]

    def samples(*more):
        assert evaluate.main([*flags, "--num_samples=8", *more]) == 0
        return json.loads(capsys.readouterr().out)["prior"]

    default, normal = samples(), samples("--prior=normal")
    assert default == samples("--prior=fitted") != normal
    (beside / "prior.safetensors").unlink()
    assert samples() == normal
