"""Fitted priors: what they draw, the file they are kept in, and what is refused."""

import json
import struct

import numpy as np
import pytest

from music_vae import TrainedModel
from music_vae.common import checks
from music_vae.common.errors import UserError
from music_vae.latent import gaussian_mixture, priors
from music_vae.latent.small_networks import Owner
from music_vae.weights import config_file, safetensors_file
from support import fitted_priors

OWNER = Owner("some-config", 3, "key")


def posteriors(number=2000, seed=0):
    """Posteriors around three points of a latent space of 3 dimensions, half of them around one."""
    rng = np.random.default_rng(seed)
    points = np.array([[2.0, 2.0, 0.0], [-2.0, 2.0, 0.0], [0.0, -2.0, 1.0]])
    mu = points[rng.choice(3, number, p=[0.5, 0.3, 0.2])]
    return mu + rng.normal(0, 0.2, mu.shape), np.full(mu.shape, 0.3), points


def normal(number, prior, seed=1):
    return np.random.default_rng(seed).standard_normal((number, prior.size), np.float32)


def test_points_are_drawn_from_the_aggregate_posterior():
    mu, sigma, points = posteriors()
    prior = priors.fit(mu, sigma, num_components=3).prior(spread=1, noise=1)
    drawn = prior.points(normal(4000, prior))
    nearest = np.argmin(((drawn[:, None] - points) ** 2).sum(axis=-1), axis=1)
    np.testing.assert_allclose(np.bincount(nearest) / 4000, [0.5, 0.3, 0.2], atol=0.03)
    for number, point in enumerate(points):
        own = drawn[nearest == number]
        np.testing.assert_allclose(own.mean(axis=0), point, atol=0.1)
        np.testing.assert_allclose(own.std(axis=0), np.hypot(0.2, 0.3), atol=0.05)


def test_less_spread_and_noise_keep_points_nearer_to_the_components():
    mu, sigma, _ = posteriors()
    fitted = priors.fit(mu, sigma, num_components=3)
    spreads = []
    for spread, noise in ((1, 1), (0, 1), (0, 0)):
        prior = fitted.prior(spread, noise)
        numbers = np.zeros((500, prior.size))
        numbers[:, 1:] = normal(500, prior)[:, 1:]  # the first chooses the component
        spreads.append(prior.points(numbers).std(axis=0).mean())
    np.testing.assert_allclose(spreads, [np.hypot(0.2, 0.3), 0.3, 0], atol=0.03)


def test_the_same_numbers_give_the_same_points_in_any_batch():
    mu, sigma, _ = posteriors()
    prior = priors.fit(mu, sigma, num_components=8).prior()
    numbers = normal(10, prior)
    whole = prior.points(numbers)
    parts = np.concatenate([prior.points(numbers[:3]), prior.points(numbers[3:])])
    np.testing.assert_allclose(whole, parts, atol=1e-6)
    extremes = np.zeros((2, prior.size))
    extremes[:, 0] = [-40, 40]  # as far as any random number is
    assert np.isfinite(prior.points(extremes)).all()


def test_other_music_is_likelier_than_under_the_normal_prior():
    mu, sigma, _ = posteriors()
    fitted = priors.fit(mu, sigma, num_components=3)
    other, sigma, _ = posteriors(seed=1)
    z = other + sigma * np.random.default_rng(2).standard_normal(other.shape)
    plain = -(z**2 + np.log(2 * np.pi)).sum(axis=1).mean() / 2
    assert fitted.log_density(z).mean() > plain + 1


def test_little_music_gets_few_components_and_none_is_refused():
    mu, sigma, _ = posteriors(25)
    assert len(priors.fit(mu, sigma).mixture.weights) == 2
    assert len(priors.fit(mu[:1], sigma[:1]).mixture.weights) == 1
    with pytest.raises(UserError, match="cannot be fitted to 0 posteriors"):
        priors.fit(mu[:0], sigma[:0])
    with pytest.raises(UserError, match="not all are finite"):
        priors.fit(mu * np.nan, sigma)
    with pytest.raises(UserError, match="`components=99999` must be at most 16384"):
        priors.fit(mu, sigma, num_components=99_999)


# -- The file -------------------------------------------------------------------------------------


@pytest.fixture
def written(tmp_path):
    mu, sigma, _ = posteriors(200)
    fitted = priors.fit(mu, sigma, num_components=4)
    fitted.write(tmp_path / "prior.safetensors", OWNER)
    return fitted, tmp_path / "prior.safetensors"


def test_a_prior_is_read_as_it_was_written(written):
    fitted, path = written
    found = priors.read(path, OWNER)
    assert found.num_windows == 200
    prior = fitted.prior()
    numbers = normal(50, prior)
    np.testing.assert_allclose(
        found.prior().points(numbers), prior.points(numbers), atol=0.02
    )  # float16


def test_a_prior_of_other_weights_is_refused(written):
    _, path = written
    with pytest.raises(UserError, match=r"prior of another model: of some-config with other w"):
        priors.read(path, OWNER._replace(weights_key="other"))
    with pytest.raises(UserError, match="arrays that make no prior over 5 numbers"):
        priors.read(path, OWNER._replace(z_size=5))


def changed(path, **arrays):
    """Writes the file again, with some arrays that are others."""
    file = safetensors_file.WeightsFile(path)
    kept = {name: np.array(array) for name, array in file.items()}
    metadata = dict(file.metadata)
    safetensors_file.write(path, {**kept, **arrays}, metadata, dtype="float16")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"means": np.full((4, 3), np.nan)}, "has numbers that no prior has"),
        ({"means": np.full((4, 3), 5000.0)}, "has numbers that no prior has"),
        ({"within": np.full((4, 3), -1.0)}, "has weights or deviations below 0"),
        ({"weights": np.full(4, -1.0)}, "has weights or deviations below 0"),
        ({"weights": np.zeros(4)}, "has no component of any weight"),
        ({"means": np.zeros((5, 3))}, "arrays that make no prior"),
        ({"weights": np.zeros((2, 2))}, "arrays that make no prior"),
        ({"weights": np.zeros(())}, "arrays that make no prior"),
        ({"axes": np.zeros((3, 4))}, "arrays that make no prior"),
        ({"more": np.zeros(3)}, "holds no fitted prior"),
    ],
)
def test_a_damaged_prior_is_refused(written, arrays, message):
    _, path = written
    changed(path, **arrays)
    with pytest.raises(UserError, match=message):
        priors.read(path, OWNER)


def test_a_prior_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    number = checks.COMPONENTS.most + 1
    arrays = dict.fromkeys(gaussian_mixture.Mixture._fields, np.zeros((number, 3)))
    arrays |= {"weights": np.ones(number), "axes": np.eye(3)}
    path = tmp_path / "prior.safetensors"
    metadata = {"kind": "fitted prior", "weights_key": "key"}
    safetensors_file.write(path, arrays, metadata, dtype="float16")
    with pytest.raises(UserError, match="arrays that make no prior"):
        priors.read(path, OWNER)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a file of weights",
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        (lambda h: struct.pack("<Q", len(h)) + h)(
            json.dumps(
                {"means": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
            ).encode()
        ),
    ],
)
def test_a_file_of_anything_is_refused(tmp_path, content):
    path = tmp_path / "prior.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"prior\.safetensors"):
        priors.read(path, OWNER)


def test_weights_are_no_prior(tmp_path):
    safetensors_file.write(tmp_path / "w.safetensors", {"a": np.ones(3)})
    with pytest.raises(UserError, match="holds no fitted prior; music_vae_prior makes one"):
        priors.read(tmp_path / "w.safetensors", OWNER)
    with pytest.raises(UserError, match="holds no fitted prior; name a file that is not there"):
        priors.check_replaceable(tmp_path / "w.safetensors")


# -- The choice -----------------------------------------------------------------------------------


@pytest.fixture
def run(random_run):
    return random_run("cat-mel_2bar_small")


def test_the_fitted_prior_is_chosen_where_there_is_one(run, tmp_path, caplog):
    caplog.set_level("INFO", "music_vae")
    config = config_file.read(run)
    assert priors.choose(None, config, run) is None
    assert not caplog.text
    with pytest.raises(
        UserError, match=r"`prior=fitted`: there is no .*prior\.safetensors; of the mod"
    ):
        priors.choose("fitted", config, run)
    fitted_priors.narrow(run)
    for choice in (None, "fitted"):
        prior = priors.choose(choice, config, run)
        np.testing.assert_allclose(prior.points(normal(5, prior)), 3, atol=0.1)
    assert f"the prior in {run / 'prior.safetensors'}, fitted to 20 windows" in caplog.text
    assert priors.choose("normal", config, run) is None
    fitted_priors.narrow(run, tmp_path / "mine.safetensors", at=-2.0)
    prior = priors.choose(str(tmp_path / "mine.safetensors"), config, run)
    np.testing.assert_allclose(prior.points(normal(5, prior)), -2, atol=0.1)


def test_a_prior_of_an_earlier_training_is_not_passed_over_in_silence(run, random_run):
    fitted_priors.narrow(run)
    weights = run / safetensors_file.WEIGHTS_FILE
    other = {name: array + 1 for name, array in safetensors_file.WeightsFile(weights).items()}
    safetensors_file.write(weights, other)
    for choice in (None, "fitted"):
        with pytest.raises(UserError, match="prior of another model") as caught:
            priors.choose(choice, config_file.read(run), run)
        assert caught.value.hint == "`prior=normal` draws without it"
    assert priors.choose("normal", config_file.read(run), run) is None


def notes(pieces):
    return [[(n.pitch, n.start_time, n.end_time) for n in piece.notes] for piece in pieces]


def test_a_model_samples_from_the_prior_that_it_is_told(run):
    def sample(**options):
        return notes(TrainedModel(config_file.read(run), 4, run).sample(4, seed=1, **options))

    before = sample()
    assert before == sample(prior="normal")
    fitted_priors.narrow(run)
    assert sample(prior="normal") == before
    assert sample() == sample(prior="fitted") != before
    size = config_file.read(run).hparams.latent_size
    plain = np.random.default_rng(1).standard_normal((4, size), np.float32)
    model = TrainedModel(config_file.read(run), 4, run)
    rng = np.random.default_rng(1)
    rng.standard_normal((4, size), np.float32)
    seed = int(rng.integers(2**31 - 1, endpoint=True))
    assert notes(model.decode(plain, seed=seed)) == before  # what N(0, 1) always gave


def test_similar_pieces_move_towards_the_prior(run, tunes):
    from music_vae.data import read_note_sequences

    model = TrainedModel(config_file.read(run), 4, run)
    (tune, *_) = read_note_sequences(str(tunes))
    piece = model.windows(tune)[0]

    def similar(**options):
        return notes(model.similar(piece, 2, similarity=0.2, seed=1, **options))

    before = similar()
    fitted_priors.narrow(run)
    model = TrainedModel(config_file.read(run), 4, run)
    assert similar(prior="normal") == before
    assert similar() == similar(prior="fitted") != before
