"""Output distributions of a decoder, with their losses and samples; see `nn.heads` for the models.

A head turns the decoder's output of a step, the parameters of a distribution, into a sample or into
the loss of a known step. A sample is a function of noise that it is given.
"""

import abc
from collections.abc import Callable, Sequence

import numpy as np

from music_vae.common.model_constants import HIT_LOG_FLOOR, MIN_TEMPERATURE, NADE_LOG_FLOOR
from music_vae.common.plans import HeadPlan, NadePlan
from music_vae.common.specs import BooleanHeadSpec, GrooveHeadSpec, MixtureGrooveHeadSpec
from music_vae.engine.groove_mixture import split_parameters
from music_vae.engine.products import sigmoid
from music_vae.engine.weights import Weights


class Head(abc.ABC):
    """Defines the methods of a distribution over one step; see `HeadPlan` for its widths D, P, K.

    >>> head: Head = BooleanHead()
    >>> head.loss(np.zeros((1, 2)), np.array([[1.0, 0.0]])).round(3)  # two even chances: 2 ln 2
    array([1.386])
    """

    @abc.abstractmethod
    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        """Samples one step from parameters `[B, P]` and noise `[B, K]`.

        Args:
          parameters: Parameters of the distribution.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          noise: Uniform numbers in [0, 1).
          out: Zeros `[B, D]`, to which the sample is written.

        Returns:
          The positions `[B, n]` of the ones in a sample of n ones and of zeros; None for other
          samples.
        """

    @abc.abstractmethod
    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Computes the negative log-likelihood in nats `[B]` of targets `[B, D]`."""


class CategoricalHead(Head):
    """One class per step, or several side by side: a softmax for each of `depths`.

    >>> head = CategoricalHead([3])
    >>> logits = np.log([[0.2, 0.5, 0.3]])
    >>> sample = np.zeros((1, 3))
    >>> head.sample(logits, temperature=1.0, noise=np.array([[0.6]]), out=sample)  # 0.2 to 0.7
    array([[1]])
    >>> sample
    array([[0., 1., 0.]])
    >>> np.exp(-head.loss(logits, sample)).round(3)
    array([0.5], dtype=float32)
    """

    def __init__(self, depths: Sequence[int]) -> None:
        self._ends = np.cumsum(depths)

    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        logits = _cooled(parameters, temperature)
        positions = np.empty(noise.shape, np.intp)
        start = 0
        for part, end in enumerate(self._ends):
            positions[:, part] = start + _choose(logits[:, start:end], noise[:, part])
            start = end
        out[np.arange(len(out))[:, None], positions] = 1
        return positions

    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        # -sum(x * log softmax(logits)), where log softmax(l) = l - log(sum(exp(l))).
        loss, start = np.zeros(len(parameters), np.float32), 0
        for end in self._ends:
            logits, true = parameters[:, start:end], targets[:, start:end]
            logits = logits - logits.max(axis=1, keepdims=True)
            loss -= np.einsum("bd,bd->b", true, logits)
            loss += true.sum(axis=1) * np.log(np.exp(logits, out=logits).sum(axis=1))
            start = end
        return loss


def _choose(logits: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Returns the classes `[B]` in whose shares of the unit interval the noise `[B]` falls."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares = np.cumsum(shares, axis=1)
    passed = np.count_nonzero(shares <= (noise * shares[:, -1])[:, None], axis=1)
    return np.minimum(passed, logits.shape[1] - 1)


class BooleanHead(Head):
    """An independent yes or no for each number: the probability is the sigmoid of a logit.

    >>> sample = np.zeros((1, 3))
    >>> BooleanHead().sample(np.array([[2.0, 0.0, -2.0]]), 1.0, np.full((1, 3), 0.4), sample)
    >>> sample  # the probabilities are 0.88, 0.5 and 0.12
    array([[1., 1., 0.]])
    """

    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        out[...] = _bernoulli(parameters, temperature, noise)
        return None

    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        # -log(sigmoid(l)) = log(1 + exp(-l)) = log(1 + exp(l)) - l
        return np.sum(np.logaddexp(parameters, 0) - parameters * targets, axis=1)


class NadeHead(Head):
    """A joint distribution over yes-or-no numbers (Larochelle & Murray 2011); see `nn.nade`.

    a_0 = b_enc
    p(v_i = 1 | v_0 ... v_{i-1}) = sigmoid(w_dec_i . sigmoid(a_i) + b_dec_i)
    a_{i+1} = a_i + v_i * w_enc_i

    With weights of zero the numbers are independent, and only their biases count:

    >>> plan = NadePlan("w_enc", "w_dec", depth=3, num_hidden=2)
    >>> head = NadeHead(plan, Weights({n: np.zeros(shape) for n, shape in plan.shapes.items()}))
    >>> sample, parameters = np.zeros((1, 3)), np.array([[0.0, 0.0, 2.0, 0.0, -2.0]])
    >>> head.sample(parameters, 1.0, np.full((1, 3), 0.4), sample)
    >>> sample
    array([[1., 1., 0.]])
    """

    def __init__(self, plan: NadePlan, weights: Weights) -> None:
        self._num_hidden = plan.num_hidden
        self._w_enc, self._w_dec = weights.take(plan.encoder), weights.take(plan.decoder)

    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        def choose(n: int, logits: np.ndarray) -> np.ndarray:
            out[:, n] = _bernoulli(logits, temperature, noise[:, n])
            return out[:, n]

        self._go_through(parameters, choose)
        return None

    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        loss = np.zeros(len(parameters), np.float32)

        def add(n: int, logits: np.ndarray) -> np.ndarray:
            nonlocal loss
            loss += _surprise(targets[:, n], sigmoid(logits), NADE_LOG_FLOOR)
            return targets[:, n]

        self._go_through(parameters, add)
        return loss

    def _go_through(
        self, parameters: np.ndarray, value: Callable[[int, np.ndarray], np.ndarray]
    ) -> None:
        """Calls `value` with each index i and its logits `[B]`; it returns v_i `[B]`."""
        a, b_dec = parameters[:, : self._num_hidden].copy(), parameters[:, self._num_hidden :]
        for n in range(b_dec.shape[1]):
            v = value(n, sigmoid(a) @ self._w_dec[n, :, 0] + b_dec[:, n])
            a += v[:, None] * self._w_enc[n]


class GrooveHead(Head):
    """Hits (yes or no), velocities (0 to 1) and offsets (-1 to 1) of drums, a third each.

    Only the hits are random; velocities and offsets are taken as they are predicted.

    >>> sample = np.zeros((1, 3))
    >>> GrooveHead().sample(np.array([[2.0, 1.0, -0.5]]), 1.0, np.array([[0.4]]), sample)
    >>> sample.round(2)  # a loud hit that comes early
    array([[ 1. , 0.73, -0.46]])
    """

    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        hits, velocities, offsets = np.split(parameters, 3, axis=1)
        parts = (_bernoulli(hits, temperature, noise), sigmoid(velocities), np.tanh(offsets))
        np.concatenate(parts, axis=1, out=out)
        return None

    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        hits, velocities, offsets = np.split(parameters, 3, axis=1)
        was_hit, velocity, offset = np.split(targets, 3, axis=1)
        terms = _surprise(was_hit, sigmoid(hits), HIT_LOG_FLOOR)
        terms += (velocity - sigmoid(velocities)) ** 2 + (offset - np.tanh(offsets)) ** 2
        return terms.sum(axis=1)


class MixtureGrooveHead(Head):
    """Hits, velocities and offsets of drums, a third each, all of them random.

    >>> head, sample = MixtureGrooveHead(components=1), np.zeros((1, 3))
    >>> hit, velocity, offset = [5.0], [0.0, 0.0, -9.0], [0.0, -0.5, -9.0]  # logit, mean, scale
    >>> head.sample(np.array([hit + velocity + offset]), 1.0, np.full((1, 5), 0.5), sample)
    >>> sample.round(2)
    array([[ 1.  ,  0.5 , -0.46]])
    """

    def __init__(self, components: int) -> None:
        self._components = components

    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        logits, velocity, offset = split_parameters(parameters, self._components)
        for_hits, *for_velocities, for_component, for_place = np.split(noise, 5, axis=1)
        spread = np.float32(max(temperature, MIN_TEMPERATURE))
        hits = _bernoulli(logits, temperature, for_hits)
        velocities = np.clip(velocity.draw(spread, *for_velocities), 0, 1)
        offsets = np.clip(offset.draw(spread, for_component, for_place), -1, 1)
        np.concatenate([hits, hits * velocities, hits * offsets], axis=1, out=out)
        return None

    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        logits, velocity, offset = split_parameters(parameters, self._components)
        hits, velocities, offsets = np.split(targets, 3, axis=1)
        terms = np.logaddexp(logits, 0) - hits * logits
        terms -= hits * (velocity.log_density(velocities) + offset.log_density(offsets))
        return terms.sum(axis=1)


def build_head(plan: HeadPlan, weights: Weights) -> Head:
    """Builds the distribution of a plan.

    >>> from music_vae.configs import get_config
    >>> spec = get_config("groovae_2bar_humanize").model_spec
    >>> type(build_head(spec.decoder.head, Weights({}))).__name__
    'GrooveHead'
    """
    if plan.nade is not None:
        return NadeHead(plan.nade, weights)
    if plan.one_hots:
        return CategoricalHead(plan.one_hots)
    if isinstance(plan.spec, MixtureGrooveHeadSpec):
        return MixtureGrooveHead(plan.spec.components)
    kinds: dict[type, type[Head]] = {BooleanHeadSpec: BooleanHead, GrooveHeadSpec: GrooveHead}
    return kinds[type(plan.spec)]()


def _surprise(values: np.ndarray, p: np.ndarray, floor: float) -> np.ndarray:
    """Returns minus the log-probability of zeros and ones, if p is the probability of a one."""
    return -(values * np.log(p + floor) + (1 - values) * np.log(1 - p + floor))


def _cooled(logits: np.ndarray, temperature: float) -> np.ndarray:
    return logits / np.float32(max(temperature, MIN_TEMPERATURE))


def _bernoulli(logits: np.ndarray, temperature: float, noise: np.ndarray) -> np.ndarray:
    """Returns True where the noise is below sigmoid(logits / temperature)."""
    return noise < sigmoid(_cooled(logits, temperature))
