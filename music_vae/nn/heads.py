"""Defines the output distributions: they turn a decoder's numbers into losses, metrics and samples.

Samples are drawn with noise that is an argument, uniform in [0, 1): equal noise gives equal samples
on any engine. Statistics are sums over the valid steps of each example; they add up over examples
and batches, and `summarize` turns the sums into metrics.
"""

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from music_vae.common.model_constants import HIT_LOG_FLOOR, MIN_TEMPERATURE
from music_vae.common.plans import HeadPlan
from music_vae.common.specs import (
    BooleanHeadSpec,
    CategoricalHeadSpec,
    GrooveHeadSpec,
    MixtureGrooveHeadSpec,
    MultiCategoricalHeadSpec,
)
from music_vae.nn.groove_mixture import Mixture, split_parameters
from music_vae.nn.nade import Nade

Statistics = dict[str, tf.Tensor]
Sums = Mapping[str, np.ndarray]


class Head(keras.layers.Layer, abc.ABC):
    """The contract of output distributions over a step of `depth` numbers.

    >>> head = CategoricalHead(depth=4)
    >>> logits, targets = tf.zeros([1, 2, 4]), tf.one_hot([[3, 0]], 4)
    >>> head.loss(logits, targets).numpy().round(3)  # four equal chances: ln 4 a step
    array([[1.386, 1.386]], dtype=float32)
    >>> sums = head.statistics(logits, targets, mask=tf.ones([1, 2]))
    >>> sums = {name: value.numpy().sum(axis=0) for name, value in sums.items()}
    >>> head.summarize(sums)["metrics/accuracy"]  # among equals the first class counts as the guess
    0.5
    """

    def __init__(self, depth: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.depth = depth
        self.built = True

    @abc.abstractmethod
    def loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Returns the negative log-likelihood of the targets in nats, `[B, T]`.

        Args:
          parameters: Parameters of every step's distribution, `[B, T, P]`.
          targets: The steps as they should be, `[B, T, depth]`.
        """

    @abc.abstractmethod
    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Draws one step `[B, depth]`.

        Args:
          parameters: Parameters of the step's distribution, `[B, P]`.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          noise: Uniform numbers in [0, 1), `[B, K]`.
        """

    @abc.abstractmethod
    def statistics(self, parameters: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> Statistics:
        """Returns sums over time per example, each `[B, ...]`, by name.

        Args:
          parameters: Parameters of every step's distribution, `[B, T, P]`.
          targets: The steps as they should be, `[B, T, depth]`.
          mask: 1 for valid steps and 0 for padding, `[B, T]`.
        """

    @abc.abstractmethod
    def summarize(self, sums: Sums) -> dict[str, float]:
        """Returns metrics by their TensorBoard names, given statistics summed over examples."""


class CategoricalHead(Head):
    """One class per step: softmax over `depth` logits; samples are one-hot.

    >>> logits = tf.math.log([[0.2, 0.3, 0.5]])
    >>> head = CategoricalHead(depth=3)
    >>> head.sample(logits, temperature=1.0, noise=tf.constant([[0.4]])).numpy()  # 0.2 < 0.4 < 0.5
    array([[0., 1., 0.]], dtype=float32)
    >>> head.sample(logits, temperature=0.0, noise=tf.constant([[0.4]])).numpy()
    array([[0., 0., 1.]], dtype=float32)
    """

    def loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax_cross_entropy_with_logits(targets, parameters)

    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        # The class is the one in whose share of the unit interval the noise falls.
        shares = tf.cumsum(tf.nn.softmax(_cooled(parameters, temperature)), axis=-1)
        passed = shares <= noise * shares[:, -1:]
        classes = tf.reduce_sum(tf.cast(passed, tf.int32), axis=-1)
        return tf.one_hot(classes, self.depth, dtype=parameters.dtype)

    def statistics(self, parameters: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> Statistics:
        hits = tf.equal(tf.argmax(parameters, axis=-1), tf.argmax(targets, axis=-1))
        correct = mask * tf.cast(hits, mask.dtype)
        return {
            "correct": tf.einsum("btd,bt->bd", targets, correct),
            "total": tf.einsum("btd,bt->bd", targets, mask),
        }

    def summarize(self, sums: Sums) -> dict[str, float]:
        correct, total = np.asarray(sums["correct"]), np.asarray(sums["total"])
        # A class that never occurs counts as 0 in the mean, as in the metrics of the original.
        per_class = np.divide(correct, total, out=np.zeros_like(correct), where=total > 0)
        return {
            "metrics/accuracy": _ratio(correct.sum(), total.sum()),
            "metrics/mean_per_class_accuracy": float(per_class.mean()),
        }


class MultiCategoricalHead(Head):
    """Several classes per step, side by side: one softmax for each of `depths`.

    >>> head = MultiCategoricalHead(depths=[2, 3])
    >>> logits = tf.constant([[5.0, 0.0, 0.0, 5.0, 0.0]])
    >>> head.sample(logits, temperature=0.0, noise=tf.constant([[0.5, 0.5]])).numpy()
    array([[1., 0., 0., 1., 0.]], dtype=float32)
    """

    def __init__(self, depths: Sequence[int], **kwargs: Any) -> None:
        super().__init__(sum(depths), **kwargs)
        self.depths = tuple(depths)
        self.parts = [CategoricalHead(depth, name=f"part_{n}") for n, depth in enumerate(depths)]

    def _split(self, array: tf.Tensor) -> list[tf.Tensor]:
        return tf.split(array, self.depths, axis=-1)

    def loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        pairs = zip(self.parts, self._split(parameters), self._split(targets), strict=True)
        return tf.add_n([part.loss(p, t) for part, p, t in pairs])

    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        noises = tf.split(noise, len(self.parts), axis=-1)
        pairs = zip(self.parts, self._split(parameters), noises, strict=True)
        return tf.concat([part.sample(p, temperature, n) for part, p, n in pairs], axis=-1)

    def statistics(self, parameters: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> Statistics:
        pairs = zip(self.parts, self._split(parameters), self._split(targets), strict=True)
        return {
            f"{name}/{n}": value
            for n, (part, p, t) in enumerate(pairs)
            for name, value in part.statistics(p, t, mask).items()
        }

    def summarize(self, sums: Sums) -> dict[str, float]:
        return {
            f"{name}/output_{n}": value
            for n, part in enumerate(self.parts)
            for name, value in part.summarize(numbered(sums, n)).items()
        }


class BooleanHead(Head):
    """Independent yes or no for each of `depth` numbers: sigmoid of a logit.

    >>> logits = tf.constant([[0.0, 0.0, 5.0]])  # probabilities 0.5, 0.5 and 0.99
    >>> noise = tf.constant([[0.4, 0.6, 0.9]])
    >>> BooleanHead(depth=3).sample(logits, temperature=1.0, noise=noise).numpy()
    array([[1., 0., 1.]], dtype=float32)
    """

    def loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        loss = tf.nn.sigmoid_cross_entropy_with_logits(targets, parameters)
        return tf.reduce_sum(loss, axis=-1)

    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        return _bernoulli(parameters, temperature, noise)

    def statistics(self, parameters: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> Statistics:
        hits = tf.cast(tf.equal(parameters >= 0, targets > 0.5), mask.dtype)
        return {
            "correct": tf.einsum("btd,bt->b", hits, mask),
            "total": self.depth * tf.reduce_sum(mask, axis=1),
        }

    def summarize(self, sums: Sums) -> dict[str, float]:
        return {"metrics/accuracy": _ratio(sums["correct"], sums["total"])}


class NadeHead(Head):
    """A joint distribution over `depth` yes-or-no numbers (Larochelle & Murray 2011).

    A step's parameters are the biases of NADE's hidden units and of its logits, side by side.

    >>> head = NadeHead(depth=3, num_hidden=2)
    >>> _ = head.nade.w_dec_t.assign(tf.zeros([3, 2, 1]))  # now the numbers are independent
    >>> parameters = tf.constant([[0.0, 0.0, 5.0, -5.0, 5.0]])
    >>> head.sample(parameters, temperature=1.0, noise=tf.fill([1, 3], 0.5)).numpy()
    array([[1., 0., 1.]], dtype=float32)
    """

    def __init__(self, depth: int, num_hidden: int, **kwargs: Any) -> None:
        super().__init__(depth, **kwargs)
        self.nade = Nade(depth, num_hidden, name="nade")

    def _split(self, parameters: tf.Tensor) -> list[tf.Tensor]:
        return tf.split(parameters, [self.nade.num_hidden, self.depth], axis=-1)

    def loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        log_likelihood, _ = self.nade.log_likelihood(targets, *self._split(parameters))
        return -log_likelihood

    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        b_enc, b_dec = self._split(parameters)
        return self.nade.sample(
            b_enc,
            b_dec,
            lambda logits, n: _bernoulli(logits, temperature, noise[:, n : n + 1]),
        )

    def statistics(self, parameters: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> Statistics:
        _, probabilities = self.nade.log_likelihood(targets, *self._split(parameters))
        guessed, true = probabilities >= 0.5, targets > 0.5

        def count(condition: tf.Tensor) -> tf.Tensor:
            return tf.einsum("btd,bt->b", tf.cast(condition, mask.dtype), mask)

        whole = tf.reduce_all(tf.equal(guessed, true), axis=-1, keepdims=True)
        return {
            "correct": count(whole),
            "total": tf.reduce_sum(mask, axis=1),
            "true_positives": count(guessed & true),
            "positives": count(true),
            "guesses": count(guessed),
        }

    def summarize(self, sums: Sums) -> dict[str, float]:
        return {
            "metrics/accuracy": _ratio(sums["correct"], sums["total"]),
            "metrics/precision": _ratio(sums["true_positives"], sums["guesses"]),
            "metrics/recall": _ratio(sums["true_positives"], sums["positives"]),
        }


class _SumOfLosses(Head):
    """A head whose loss is a sum of parts that are metrics, too."""

    @abc.abstractmethod
    def _parts_of_loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the parts of the loss by name, each `[B, T]`."""

    def loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        return tf.add_n(list(self._parts_of_loss(parameters, targets).values()))

    def statistics(self, parameters: tf.Tensor, targets: tf.Tensor, mask: tf.Tensor) -> Statistics:
        losses = self._parts_of_loss(parameters, targets)
        sums = {name: tf.reduce_sum(loss * mask, axis=1) for name, loss in losses.items()}
        return sums | {"total": tf.reduce_sum(mask, axis=1)}

    def summarize(self, sums: Sums) -> dict[str, float]:
        return {
            f"metrics/{name}": _ratio(value, sums["total"])
            for name, value in sums.items()
            if name != "total"
        }


class GrooveHead(_SumOfLosses):
    """Hits, velocities and timing offsets of drums, a third each (Gillick et al. 2019).

    A hit is yes or no. Velocities (0 to 1) and offsets (-1 to 1, in half steps) are not drawn: they
    are single values, and their loss is the squared error.

    >>> parameters = tf.constant([[5.0, 0.0, -5.0]])  # one drum: hit, velocity, offset
    >>> GrooveHead(depth=3).sample(parameters, 1.0, noise=tf.constant([[0.5]])).numpy().round(1)
    array([[ 1. ,  0.5, -1. ]], dtype=float32)
    """

    def _parts_of_loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        hits, velocities, offsets = tf.split(targets, 3, axis=-1)
        hit_logits, velocity_logits, offset_logits = tf.split(parameters, 3, axis=-1)
        p = tf.sigmoid(hit_logits)
        surprise = -(
            hits * tf.math.log(p + HIT_LOG_FLOOR) + (1 - hits) * tf.math.log(1 - p + HIT_LOG_FLOOR)
        )
        squares = [
            tf.math.squared_difference(velocities, tf.sigmoid(velocity_logits)),
            tf.math.squared_difference(offsets, tf.tanh(offset_logits)),
        ]
        names = ("hits_loss", "velocities_loss", "offsets_loss")
        losses = zip(names, (surprise, *squares), strict=True)
        return {name: tf.reduce_sum(loss, axis=-1) for name, loss in losses}

    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        hit_logits, velocity_logits, offset_logits = tf.split(parameters, 3, axis=-1)
        hits = _bernoulli(hit_logits, temperature, noise)
        return tf.concat([hits, tf.sigmoid(velocity_logits), tf.tanh(offset_logits)], axis=-1)


class MixtureGrooveHead(_SumOfLosses):
    """Hits, velocities and timing offsets of drums, a third each, all of them drawn.

    The loss of a velocity or an offset is the negative logarithm of its density, and counts where
    there is a hit. Temperature scales how far a value is drawn from the mean of its mixture: at 0
    it is the mean, at 1 it has the spread of the music that was learnt.

    >>> head = MixtureGrooveHead(depth=3, components=1)
    >>> hit, velocity, offset = [5.0], [0.0, 0.0, -9.0], [0.0, -0.5, -9.0]  # logit, mean, scale
    >>> parameters = tf.constant([hit + velocity + offset])
    >>> head.sample(parameters, 1.0, noise=tf.fill([1, 5], 0.5)).numpy().round(2)
    array([[ 1.  ,  0.5 , -0.46]], dtype=float32)
    """

    def __init__(self, depth: int, components: int, **kwargs: Any) -> None:
        super().__init__(depth, **kwargs)
        self.components = components

    def _split(self, parameters: tf.Tensor) -> tuple[tf.Tensor, Mixture, Mixture]:
        return split_parameters(parameters, self.depth // 3, self.components)

    def _parts_of_loss(self, parameters: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
        hits, velocities, offsets = tf.split(targets, 3, axis=-1)
        hit_logits, velocity, offset = self._split(parameters)
        losses = {
            "hits_loss": tf.nn.sigmoid_cross_entropy_with_logits(hits, hit_logits),
            "velocities_loss": -hits * velocity.log_density(velocities),
            "offsets_loss": -hits * offset.log_density(offsets),
        }
        return {name: tf.reduce_sum(loss, axis=-1) for name, loss in losses.items()}

    def sample(self, parameters: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        hit_logits, velocity, offset = self._split(parameters)
        for_hits, *for_velocities, for_component, for_place = tf.split(noise, 5, axis=-1)
        hits = _bernoulli(hit_logits, temperature, for_hits)
        spread = tf.maximum(tf.cast(temperature, parameters.dtype), MIN_TEMPERATURE)
        velocities = tf.clip_by_value(velocity.draw(spread, *for_velocities), 0.0, 1.0)
        offsets = tf.clip_by_value(offset.draw(spread, for_component, for_place), -1.0, 1.0)
        return tf.concat([hits, hits * velocities, hits * offsets], axis=-1)


def build_head(plan: HeadPlan, name: str = "head") -> Head:
    """Builds the output distribution that a plan describes.

    >>> from music_vae.common.model_spec import derive_head
    >>> build_head(derive_head(MultiCategoricalHeadSpec((90, 90, 512)), depth=692)).depths
    (90, 90, 512)
    """
    if plan.nade is not None:
        return NadeHead(plan.depth, plan.nade.num_hidden, name=name)
    if isinstance(plan.spec, MultiCategoricalHeadSpec):
        return MultiCategoricalHead(plan.spec.depths, name=name)
    if isinstance(plan.spec, MixtureGrooveHeadSpec):
        return MixtureGrooveHead(plan.depth, plan.spec.components, name=name)
    kinds: dict[type, type[Head]] = {
        CategoricalHeadSpec: CategoricalHead,
        BooleanHeadSpec: BooleanHead,
        GrooveHeadSpec: GrooveHead,
    }
    return kinds[type(plan.spec)](plan.depth, name=name)


def numbered(sums: Sums, number: int) -> dict[str, np.ndarray]:
    """Returns the statistics of one of several outputs: those called `NAME/number`, as `NAME`.

    >>> numbered({"correct/0": np.array([5]), "correct/1": np.array([7])}, number=1)
    {'correct': array([7])}
    """
    suffix = f"/{number}"
    return {name[: -len(suffix)]: value for name, value in sums.items() if name.endswith(suffix)}


def _cooled(logits: tf.Tensor, temperature: tf.Tensor) -> tf.Tensor:
    return logits / tf.maximum(tf.cast(temperature, logits.dtype), MIN_TEMPERATURE)


def _bernoulli(logits: tf.Tensor, temperature: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Returns 1 where the noise is below sigmoid(logits / temperature), else 0."""
    return tf.cast(noise < tf.sigmoid(_cooled(logits, temperature)), logits.dtype)


def _ratio(part: Any, whole: Any) -> float:
    """Returns part / whole, or 0 if the whole is 0."""
    return float(part) / float(whole) if whole else 0.0
