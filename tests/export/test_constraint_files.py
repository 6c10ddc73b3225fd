"""The latent constraint in exported folders: its numbers, and how programs move points by them."""

import json

import numpy as np
import onnxruntime
import pytest

from music_vae.commands import export, material
from music_vae.commands.choices import ModelChoice
from music_vae.commands.generate_request import Request
from music_vae.export import constraint_files, quantization
from music_vae.latent import constraints
from music_vae.latent.small_networks import NETWORK_FILE, Owner
from music_vae.weights import config_file
from support import exported_arrays, fitted_priors, latent_constraints

EVEN = "z_size=8,enc_rnn_size=[16],dec_rnn_size=[12,12]"
SHIPPED = "cat-mel_2bar_mini"
CLOSE = 1e-5  # of sums of some hundred float32 numbers, added in another order
FORMATS = ("tfjs", "onnx")


@pytest.fixture
def run(random_run):
    return random_run("cat-mel_2bar_small", EVEN)


def exported(folder, *flags):
    assert export.main([*flags, f"--output_dir={folder}"]) == 0
    return folder


def wishes(constraint):
    """No wish, then each side of each attribute, then all attributes at once."""
    yield {}
    for attribute in constraint.attributes:
        yield from ({attribute.name: side} for side in attribute.sides)
    yield {attribute.name: attribute.sides[-1] for attribute in constraint.attributes}


def as_described(folder, point, sides):
    """A point moved as `constraint.json` says."""
    described, arrays = exported_arrays.read(folder / "constraint.json")
    asked = [sides.get(attribute["name"], "any") for attribute in described["attributes"]]
    x = np.concatenate([point, [described["labels"][side] for side in asked]])
    for n in range(len(arrays) // 2):
        x = np.maximum(x, 0) if n else x
        x = x @ arrays[f"layer_{n}/kernel"] + arrays[f"layer_{n}/bias"]
    target, gate = np.split(x, 2)
    g = 1 / (1 + np.exp(-gate))
    return (1 - g) * point + g * target


def test_points_that_are_moved_as_the_file_says_are_ours(run, tmp_path):
    constraint = latent_constraints.beside(run)
    assert len(constraint_files.write(constraint, tmp_path)) == 2
    normal = np.random.default_rng(1).standard_normal((3, 8))
    for sides in wishes(constraint):
        ours = constraint.prior(sides, 8).points(normal)
        assert np.abs(ours - normal).max() > 0.1
        made = [as_described(tmp_path, point, sides) for point in normal]
        np.testing.assert_allclose(made, ours, atol=CLOSE)


def test_points_begin_where_those_of_music_vae_generate_do(run, tmp_path):
    fitted_priors.narrow(run)
    latent_constraints.beside(run)
    folder = exported(tmp_path / "model", f"--run_dir={run}")
    request = Request(
        ModelChoice(run_dir=run),
        tmp_path,
        "sample",
        constraint="own",
        attribute=("average_interval=low",),
    )
    prior = material.gather(request, request.model.read_config(), stamp="now").prior
    normal = np.random.default_rng(1).standard_normal((3, 8))
    made = [as_described(folder, point, {"average_interval": "low"}) for point in normal]
    np.testing.assert_allclose(made, prior.points(normal), atol=CLOSE)


def in_onnxruntime(folder, constraint, normal, sides):
    """Points moved by `constraint.onnx`, told what is wanted as `model.json` says."""
    described = json.loads((folder / "model.json").read_text())["constraint"]
    assert [entry["name"] for entry in described["attributes"]] == [
        attribute.name for attribute in constraint.attributes
    ]
    asked = [sides.get(entry["name"], "any") for entry in described["attributes"]]
    labels = np.float32([[described["labels"][side] for side in asked]] * len(normal))
    given = {"normal": normal} | ({"wanted": labels} if asked else {})
    return onnxruntime.InferenceSession(folder / "constraint.onnx").run(["z"], given)[0]


@pytest.mark.parametrize("quantize", [None, *quantization.TYPES])
def test_onnxruntime_moves_points_as_the_shipped_constraint_does(tmp_path, quantize):
    flags = [f"--config={SHIPPED}", "--format=onnx", *[f"--quantize={quantize}"] * bool(quantize)]
    folder = exported(tmp_path / "model", *flags)
    constraint = constraints.of_shipped(SHIPPED)
    normal = np.random.default_rng(1).standard_normal((64, 128), np.float32)
    moved = []
    for sides in wishes(constraint):
        moved.append(in_onnxruntime(folder, constraint, normal, sides))
        ours = constraint.prior(sides, 128).points(normal)
        np.testing.assert_allclose(moved[-1], ours, rtol=0, atol=CLOSE)
    assert all(np.abs(one - moved[0]).max() > 0.1 for one in moved[1:])
    described = json.loads((folder / "model.json").read_text())
    assert described["constraint"]["attributes"] == [
        {"name": name, "threshold": threshold, "sides": list(sides)}
        for name, threshold, sides in constraint.attributes
    ]
    assert "constraint.labels has for the wanted side" in described["use"]["constraint"]


@pytest.mark.parametrize(
    "known", [latent_constraints.KNOWN, [], [constraints.Attribute("note_density", 0.5, ())]]
)
def test_the_example_of_model_json_runs_with_any_constraint(run, tmp_path, monkeypatch, known):
    constraint = latent_constraints.beside(run, known)
    folder = exported(tmp_path / "model", f"--run_dir={run}", "--format=onnx")
    example = json.loads((folder / "model.json").read_text())["example"]
    monkeypatch.chdir(folder)
    names = {}
    exec("\n".join(example), names)
    assert names["samples"].shape == (1, 32, 90)
    normal = np.random.default_rng(1).standard_normal((1, 8), np.float32)
    sides = {known[0].name: known[0].sides[0]} if known and known[0].sides else {}
    ours = constraint.prior(sides, 8).points(normal)
    np.testing.assert_allclose(names["z"], ours, atol=CLOSE)


@pytest.mark.node
@pytest.mark.parametrize("name", ["small", SHIPPED])
def test_the_page_moves_points_as_we_do(node, run, tmp_path, name):
    if name == SHIPPED:
        constraint, flag = constraints.of_shipped(name), f"--config={name}"
    else:
        constraint, flag = latent_constraints.beside(run), f"--run_dir={run}"
    folder = exported(tmp_path / "page", flag, "--demo")
    size = json.loads((folder / "constraint.json").read_text())["z"]
    normal = np.random.default_rng(1).standard_normal((8, size))
    asked = list(wishes(constraint))
    cases = [
        {"points": normal.tolist(), "wanted": constraint.wanted(sides).tolist()} for sides in asked
    ]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    node("page_code.cjs", folder, tmp_path / "cases.json", tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    for sides, made in zip(asked, results, strict=True):
        ours = constraint.prior(sides, size).points(normal)
        np.testing.assert_allclose(made, ours, rtol=0, atol=CLOSE)


def has_constraint(folder, form):
    """That an export has a constraint, or none, in all that it says and holds."""
    files = {path.name for path in folder.iterdir()}
    if form == "tfjs":
        found = "constraint.json" in files, "constraint.bin" in files
        found += ('"constraint": true' in (folder / "index.html").read_text(encoding="utf-8"),)
    else:
        described = json.loads((folder / "model.json").read_text())
        found = "constraint.onnx" in files, bool(described["constraint"])
        found += ("constraint" in described["use"], "constraint" in "".join(described["example"]))
    assert len(set(found)) == 1
    return found[0]


@pytest.mark.parametrize("form", FORMATS)
def test_exports_carry_the_models_own_constraint_another_or_none(run, tmp_path, form):
    flags = [f"--run_dir={run}", f"--format={form}", *["--demo"] * (form == "tfjs")]
    assert not has_constraint(exported(tmp_path / "without", *flags), form)
    latent_constraints.beside(run, folder=tmp_path / "other")
    other = exported(tmp_path / "a", *flags, f"--constraint={tmp_path / 'other'}")
    assert has_constraint(other, form)
    latent_constraints.beside(run)
    assert has_constraint(exported(tmp_path / "b", *flags), form)
    assert has_constraint(exported(tmp_path / "c", *flags, "--constraint=own"), form)
    assert not has_constraint(exported(tmp_path / "d", *flags, "--constraint=none"), form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": "cat-mel_2bar_big"}, "of another model: of cat-mel_2bar_big with z of 8"),
        ({"weights_key": "x"}, "of another model: of cat-mel_2bar_small with other weights"),
    ],
)
def test_a_constraint_of_another_model_is_refused(run, tmp_path, capsys, form, change, message):
    owner = Owner.of(config_file.read(run), run)._replace(**change)
    latent_constraints.beside(run, owner=owner)
    folder = tmp_path / "model"
    flags = [f"--run_dir={run}", f"--format={form}", f"--output_dir={folder}"]
    for given in ([], ["--constraint=own"]):
        assert export.main([*flags, *given]) == 2
        error = capsys.readouterr().err
        assert message.replace("cat-mel_2bar_big", "'cat-mel_2bar_big'") in error
        assert error.rstrip().endswith("; --constraint=none leaves it out")
        assert len([line for line in error.splitlines() if "constraint" in line]) == 1
        assert not folder.exists()
    exported(folder, *flags[:2], "--constraint=none")


@pytest.mark.parametrize("form", FORMATS)
def test_a_constraint_that_is_not_there_is_refused(run, tmp_path, capsys, form):
    flags = [f"--run_dir={run}", f"--format={form}", f"--output_dir={tmp_path / 'model'}"]
    assert export.main([*flags, "--constraint=own"]) == 2
    assert "--constraint=own: the model has no constraint of its own" in capsys.readouterr().err
    assert export.main([*flags, f"--constraint={tmp_path / 'nowhere'}"]) == 2
    assert "nowhere' holds no constraint: there is no network.json" in capsys.readouterr().err
    constraints.own_folder(run).mkdir()
    assert export.main(flags) == 2
    assert f"there is no {NETWORK_FILE} in it" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
