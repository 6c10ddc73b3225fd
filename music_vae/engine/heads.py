"""Output distributions: losses, and samples from noise, of a decoder's numbers; see `nn.heads`."""

import abc
from collections.abc import Callable, Sequence

import numpy as np

from music_vae.common import weight_names as names
from music_vae.common.hparams import HParams
from music_vae.common.specs import (
    BooleanHeadSpec,
    CategoricalHeadSpec,
    GrooveHeadSpec,
    HeadSpec,
    MultiCategoricalHeadSpec,
)
from music_vae.engine.products import sigmoid
from music_vae.engine.weights import Weights

MIN_TEMPERATURE = 1e-6
"""Below this a temperature of zero is meant: float32 still holds logits divided by it."""

# Added to a probability before its logarithm, as the published models were trained.
_NADE_LOG_FLOOR = 1e-6
_HIT_LOG_FLOOR = 1e-7  # of grooves


class Head(abc.ABC):
    """A distribution over one step of `depth` numbers.

    Attributes:
      depth: Width of a step.
      parameter_size: Width P of what the decoder gives.
      noise_size: How many uniform numbers a sample takes, K.
    """

    def __init__(self, depth: int, *, parameter_size: int, noise_size: int) -> None:
        self.depth = depth
        self.parameter_size = parameter_size
        self.noise_size = noise_size

    @abc.abstractmethod
    def sample(
        self, parameters: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> np.ndarray | None:
        """Makes one step of parameters `[B, P]` and noise `[B, K]`; writes it to `out` of zeros.

        Returns the positions of its ones `[B, n]` if it is made of n ones and of zeros, else None.
        """

    @abc.abstractmethod
    def loss(self, parameters: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Negative log-likelihood in nats `[B]` of targets `[B, depth]`."""


class CategoricalHead(Head):
    """One class per step, or several side by side: a softmax for each of `depths`."""

    def __init__(self, depths: Sequence[int]) -> None:
        super().__init__(sum(depths), parameter_size=sum(depths), noise_size=len(depths))
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

    def __init__(self, depth: int) -> None:
        super().__init__(depth, parameter_size=depth, noise_size=depth)

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

    def __init__(self, depth: int, num_hidden: int, weights: Weights, decoder: str) -> None:
        super().__init__(depth, parameter_size=num_hidden + depth, noise_size=depth)
        self._num_hidden = num_hidden
        self._w_enc = weights.take(names.nade_encoder(decoder), depth, 1, num_hidden)
        self._w_dec = weights.take(names.nade_decoder(decoder), depth, num_hidden, 1)

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
            loss += _surprise(targets[:, n], sigmoid(logits), _NADE_LOG_FLOOR)
            return targets[:, n]

        self._go_through(parameters, add)
        return loss

    def _go_through(
        self, parameters: np.ndarray, value: Callable[[int, np.ndarray], np.ndarray]
    ) -> None:
        """Calls `value` with every number and its logits `[B]`; it returns the v_i `[B]`."""
        a, b_dec = parameters[:, : self._num_hidden].copy(), parameters[:, self._num_hidden :]
        for n in range(self.depth):
            v = value(n, sigmoid(a) @ self._w_dec[n, :, 0] + b_dec[:, n])
            a += v[:, None] * self._w_enc[n]


class GrooveHead(Head):
    """Hits (yes or no), velocities (0 to 1) and offsets (-1 to 1) of drums, a third each."""

    def __init__(self, depth: int) -> None:
        super().__init__(depth, parameter_size=depth, noise_size=depth // 3)

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
        terms = _surprise(was_hit, sigmoid(hits), _HIT_LOG_FLOOR)
        terms += (velocity - sigmoid(velocities)) ** 2 + (offset - np.tanh(offsets)) ** 2
        return terms.sum(axis=1)


def build_head(
    spec: HeadSpec, depth: int, hparams: HParams, weights: Weights, decoder: str
) -> Head:
    """The head that `spec` describes, of the decoder of that name."""
    if isinstance(spec, CategoricalHeadSpec):
        return CategoricalHead([depth])
    if isinstance(spec, MultiCategoricalHeadSpec):
        return CategoricalHead(spec.depths)
    if isinstance(spec, BooleanHeadSpec):
        return BooleanHead(depth)
    if isinstance(spec, GrooveHeadSpec):
        return GrooveHead(depth)
    return NadeHead(depth, hparams.nade_num_hidden, weights, decoder)


def _surprise(values: np.ndarray, p: np.ndarray, floor: float) -> np.ndarray:
    """-log of the probability of zeros and ones, of which p is that of a one."""
    return -(values * np.log(p + floor) + (1 - values) * np.log(1 - p + floor))


def _cooled(logits: np.ndarray, temperature: float) -> np.ndarray:
    return logits / np.float32(max(temperature, MIN_TEMPERATURE))


def _bernoulli(logits: np.ndarray, temperature: float, noise: np.ndarray) -> np.ndarray:
    """Whether the noise is below sigmoid(logits / temperature)."""
    return noise < sigmoid(_cooled(logits, temperature))
