"""Components of a prior that make copies of the music it was fitted to are left out."""

import numpy as np

from music_vae.latent import prior_copies
from music_vae.latent.gaussian_mixture import Mixture
from music_vae.latent.priors import FittedPrior
from support.stand_ins import Scale


class Steps(Scale):
    """A model of one note at each step, whose pitch is the first number of z, rounded."""

    def decode_to_tensors(self, z, length, temperature, *, seed):
        assert temperature == prior_copies.TEMPERATURE
        return [self.piece(row[0]) for row in z]

    def piece(self, number):
        tokens = np.full(32, 40, np.int16)
        tokens[16:] += round(number)  # keys are the same in any transposition
        return self.converter.dense_outputs(tokens)

    def key(self, number):
        return self.converter.window_key(self.converter.symbols(self.piece(number)))


def prior_at(*places):
    """A prior with a component at each place of the first axis, and nothing around it."""
    means = np.zeros((len(places), 3))
    means[:, 0] = places
    weights = np.arange(1, len(places) + 1) / sum(range(1, len(places) + 1))
    narrow = np.full(means.shape, 1e-6)
    return FittedPrior(Mixture(weights, means, narrow, narrow), np.eye(3), num_windows=9)


def test_components_of_which_copies_are_drawn_are_left_out():
    model = Steps()
    left = prior_copies.without_copies(prior_at(1, 2, 5), model, {model.key(2), model.key(7)})
    assert left.mixture.means[:, 0].tolist() == [1, 5]
    np.testing.assert_allclose(left.mixture.weights, [1 / 4, 3 / 4])  # they were 1/6 and 3/6
    assert left.num_windows == 9


def test_a_prior_of_copies_alone_stays_with_a_warning(caplog):
    model, prior = Steps(), prior_at(1, 2)
    assert prior_copies.without_copies(prior, model, {model.key(1), model.key(2)}) is prior
    assert "all components of the prior make copies" in caplog.text
