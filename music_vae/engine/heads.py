"""Output distributions: losses, and samples from noise, of a decoder's numbers; see `nn.heads`."""

import abc
from collections.abc import Callable, Sequence

import numpy as np

from music_vae.common.model_constants import HIT_LOG_FLOOR, MIN_TEMPERATURE, NADE_LOG_FLOOR
from music_vae.common.plans import HeadPlan, NadePlan
from music_vae.common.specs import BooleanHeadSpec, GrooveHeadSpec
from music_vae.engine.products import sigmoid
from music_vae.engine.weights import Weights


class Head(abc.ABC):
    """A distribution over one step; see `HeadPlan` for its widths D, P and K."""

    @abc.abstractmethod
    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        """Makes one step of parameters `[B, P]` and noise `[B, K]`; writes it to `out` of zeros.

        Returns the positions of its ones `[B, n]` if it is made of n ones and of zeros, else None.
        """

    @abc.abstractmethod
    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Negative log-likelihood in nats `[B]` of targets `[B, D]`."""


class CategoricalHead(Head):
    """One class per step, or several side by side: a softmax for each of `depths`."""

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
    """The classes `[B]` in whose shares of the unit interval the noise `[B]` falls."""
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    shares = np.cumsum(shares, axis=1)
    passed = np.count_nonzero(shares <= (noise * shares[:, -1])[:, None], axis=1)
    return np.minimum(passed, logits.shape[1] - 1)


class BooleanHead(Head):
    """Independent yes or no for each of `depth` numbers: sigmoid of a logit."""

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
        """Calls `value` with every number and its logits `[B]`; it returns the v_i `[B]`."""
        a, b_dec = parameters[:, : self._num_hidden].copy(), parameters[:, self._num_hidden :]
        for n in range(b_dec.shape[1]):
            v = value(n, sigmoid(a) @ self._w_dec[n, :, 0] + b_dec[:, n])
            a += v[:, None] * self._w_enc[n]


class GrooveHead(Head):
    """Hits (yes or no), velocities (0 to 1) and offsets (-1 to 1) of drums, a third each."""

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


def build_head(plan: HeadPlan, weights: Weights) -> Head:
    """The distribution that a plan says."""
    if plan.nade is not None:
        return NadeHead(plan.nade, weights)
    if plan.one_hots:
        return CategoricalHead(plan.one_hots)
    kinds: dict[type, type[Head]] = {BooleanHeadSpec: BooleanHead, GrooveHeadSpec: GrooveHead}
    return kinds[type(plan.spec)]()


def _surprise(values: np.ndarray, p: np.ndarray, floor: float) -> np.ndarray:
    """-log of the probability of zeros and ones, of which p is that of a one."""
    return -(values * np.log(p + floor) + (1 - values) * np.log(1 - p + floor))


def _cooled(logits: np.ndarray, temperature: float) -> np.ndarray:
    return logits / np.float32(max(temperature, MIN_TEMPERATURE))


def _bernoulli(logits: np.ndarray, temperature: float, noise: np.ndarray) -> np.ndarray:
    """Whether the noise is below sigmoid(logits / temperature)."""
    return noise < sigmoid(_cooled(logits, temperature))
