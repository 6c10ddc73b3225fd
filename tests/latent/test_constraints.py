"""Latent constraints: the actor's formula, labels, wishes, and the folder that one is kept in."""

import itertools
import json

import numpy as np
import pytest

from music_vae.common.errors import UserError
from music_vae.latent import constraints, small_networks
from music_vae.latent.constraints import Attribute, Constraint
from music_vae.latent.small_networks import Owner
from music_vae.training import constraint_networks
from music_vae.weights import safetensors_file

OWNER = Owner("some-config", 2, "key")
ATTRIBUTE = {"name": "a", "threshold": 1, "sides": ["high"]}


def layers(inputs=3, outputs=4):
    rng = np.random.default_rng(0)
    sizes = [inputs, 5, outputs]
    arrays = [(rng.normal(size=shape), np.ones(shape[1])) for shape in itertools.pairwise(sizes)]
    return [tuple(a.astype(np.float16).astype(np.float32) for a in layer) for layer in arrays]


def test_the_actor_mixes_a_point_with_a_target_by_a_gate():
    kernel = np.zeros((3, 4))
    bias = np.array([10.0, 10.0, 0.0, 100.0])  # the target, then the gate's logits
    found = Constraint([(kernel, bias)], [Attribute("a", 1, ("high",))])
    np.testing.assert_allclose(found.apply([[2.0, 3.0]], found.wanted({})), [[6.0, 10.0]])


def test_what_is_wanted_reaches_the_actor_behind_z():
    kernel = np.zeros((4, 4))
    kernel[3, 0] = 1  # the second attribute is the target of the first number
    bias = np.array([0, 0, 100.0, -100.0])
    known = [Attribute("a", 1, ("low",)), Attribute("b", 1, ("high", "low"))]
    found = Constraint([(kernel, bias)], known)
    for sides, target in (({}, 0), ({"b": "high"}, 1), ({"b": "low", "a": "low"}, -1)):
        moved = found.apply([[5.0, 7.0]], found.wanted(sides))
        np.testing.assert_allclose(moved, [[target, 7.0]], atol=1e-6)


def test_values_are_split_as_evenly_as_can_be():
    assert constraints.even_split(np.array([0, 0, 0, np.nan, 1, 2])) == 1
    assert constraints.even_split(np.array([0, 1, 1, 1])) == 1
    assert constraints.even_split(np.array([1, 2, 3, 4])) == 3
    with pytest.raises(UserError, match="it is 2 everywhere"):
        constraints.even_split(np.array([2, 2, np.nan]))


def test_labels_are_high_from_the_threshold_on():
    labels = Attribute("a", 2.0, ("high",)).labels(np.array([1, 2, 3, np.nan]))
    np.testing.assert_array_equal(labels, [-1, 1, 1, 0])


def test_wishes_are_read():
    parse = constraints.parse_sides
    assert parse(["a=high,b=low", "c=low"], "attribute") == {"a": "high", "b": "low", "c": "low"}
    both = parse(["a,b=low", "c=low", "c=high"], "attribute", all_by_default=True)
    assert both == {"a": ("high", "low"), "b": ("low",), "c": ("low", "high")}
    for texts in (["a"], ["a=up"], ["=high"], ["a=high,a=low"], [""]):
        with pytest.raises(UserError, match="`attribute"):
            parse(texts, "attribute")


def test_a_constraint_is_read_as_it_was_written(tmp_path):
    known = [Attribute("a", 0.5, ("high", "low"))]
    written = Constraint(layers(), known)
    written.write(tmp_path, OWNER, {"steps": 3})
    found = constraints.read(tmp_path, OWNER)
    assert found.attributes == tuple(known)
    z, wanted = np.ones((2, 2)), found.wanted({"a": "low"})
    np.testing.assert_array_equal(found.apply(z, wanted), written.apply(z, wanted))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": "other"}, "of another model: of 'other' with z of 2"),
        ({"z_size": 9}, "of another model: of 'some-config' with z of 9"),
        ({"weights_key": "x"}, "of another model: of some-config with other weights"),
        (
            {"kind": "personal model"},
            "holds a network of the kind 'personal model'; expected a constraint",
        ),
        ({"format_version": 2}, "has format version 2"),
        ({"format_version": None}, "has format version null"),
        ({"config": "\x1b[31mred"}, r"of another model: of '\\x1b\[31mred' with z"),
        ({"z_size": "\x1b[31m"}, r"with z of '\\x1b\[31m' numbers"),
        ({"kind": "\x1b[31m"}, r"of the kind '\\x1b\[31m'; expected a constraint"),
        ({"format_version": "\x1b[31m"}, r"has format version '\\x1b\[31m'; this"),
        ({"kind": ["x"] * 10**5}, "of the kind a list of 100000; expected"),
        ({"network_key": "x"}, "are of two networks"),
        ({"options": 3}, "describes no network"),
        *(
            ({"options": {"attributes": entries}}, "does not describe its attributes")
            for entries in (
                3,
                None,
                [3],
                [{"name": "a"}],
                [{**ATTRIBUTE, "sides": ["up"]}],
                [{**ATTRIBUTE, "sides": [["high"]]}],
                [{**ATTRIBUTE, "sides": "high"}],
                [{**ATTRIBUTE, "threshold": 10**400}],
                [{**ATTRIBUTE, "threshold": float("nan")}],
                [{**ATTRIBUTE, "threshold": True}],
                [{**ATTRIBUTE, "name": ["a"]}],
                [{**ATTRIBUTE, "name": "\x1b[31m"}],
                [{**ATTRIBUTE, "name": "a" * 1000}],
                [ATTRIBUTE, ATTRIBUTE],
            )
        ),
        ({"kind": "x" * 100_000}, "of the kind 'x{59}[.]{3}; expected a constraint"),
        ({"config": ["x" * 100_000]}, "of another model: of a list of 1 with z of 2"),
        ({"options": {"attributes": []}}, "from 3 to 4 numbers; expected one from 2 to 4"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
    Constraint(layers(), [Attribute("a", 0.5, ("high",))]).write(tmp_path, OWNER, {})
    path = tmp_path / small_networks.NETWORK_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UserError, match=message):
        constraints.read(tmp_path, OWNER)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000])
def test_a_description_that_is_none_is_refused(tmp_path, text):
    (tmp_path / small_networks.NETWORK_FILE).write_text(text)
    with pytest.raises(UserError, match=r"is not JSON|describes no network"):
        constraints.read(tmp_path, OWNER)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([(np.full((3, 4), np.inf), np.zeros(4))], "not numbers"),
        ([(np.ones((3, 5)), np.ones(5)), (np.ones((6, 4)), np.ones(4))], "do not make a network"),
        ([(np.ones((3, 4)), np.ones(5))], "do not make a network"),
        ([], "do not make a network"),
    ],
)
def test_weights_that_are_no_network_are_refused(tmp_path, found, message):
    small_networks.write(tmp_path, "constraint", OWNER, found, {"attributes": []})
    with pytest.raises(UserError, match=message):
        constraints.read(tmp_path, OWNER)


def test_the_key_of_weights_is_the_same_in_half_precision_and_another_after_training():
    rng = np.random.default_rng(0)
    weights = {"a": rng.normal(size=(3, 40)).astype(np.float32), "b": np.ones(3, np.float32)}
    key = safetensors_file.weights_key(weights)
    assert key == safetensors_file.weights_key(
        {n: w.astype(np.float16) for n, w in weights.items()}
    )
    assert key != safetensors_file.weights_key({**weights, "b": weights["b"] * 1.01})
    assert key != safetensors_file.weights_key({"a": weights["a"], "c": weights["b"]})


def test_training_moves_the_prior_to_the_posteriors_and_to_what_is_wanted():
    """Posteriors lie at x = -2 or 2, high where x is 2; y is not encoded at all."""
    rng = np.random.default_rng(0)
    side = rng.choice([-1.0, 1.0], 512)
    mu = np.stack([2 * side, np.zeros(512)], axis=1)
    sigma = np.tile([0.4, 1.0], (512, 1))
    data = constraint_networks.Encoded(mu, sigma, side[:, None])
    settings = constraint_networks.Settings(hidden=(32, 32), batch_size=64)
    actor, losses = constraint_networks.train(data, [(1, -1)], range(800), settings)
    assert np.isfinite(losses).all()
    found = Constraint(actor, [Attribute("a", 0, ("high", "low"))])
    z = rng.standard_normal((200, 2))
    for name, sign in (("high", 1), ("low", -1)):
        moved = found.apply(z, found.wanted({"a": name}))
        assert np.mean(sign * moved[:, 0] > 1) > 0.95 > np.mean(sign * z[:, 0] > 1)
    real = found.apply(z, found.wanted({}))
    near = [np.mean(np.abs(np.abs(points[:, 0]) - 2) < 0.8) for points in (z, real)]
    assert near[0] < 0.3 < 0.7 < near[1]
    assert np.mean(np.abs(real[:, 1] - z[:, 1])) < 0.15  # nothing asks for another y
