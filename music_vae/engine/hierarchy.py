"""The hierarchical decoder: conductors make a vector for each segment, and a decoder its steps.

See `nn.hierarchy` for the model. Conductors and decoder take turns here, segment by segment, so
that conductors which read their segments back and those which do not share the code. If nothing is
read back, the segments of a known sequence are decoded as one batch.
"""

import math
from collections.abc import Callable

import numpy as np

from music_vae.common.plans import ConductorPlan, HierarchicalDecoderPlan
from music_vae.engine.decoders import (
    Choice,
    Expected,
    FlatDecoder,
    InitialState,
    Known,
    Samples,
)
from music_vae.engine.encoders import build_encoder, segment_lengths
from music_vae.engine.lstm import LstmStack, last_valid
from music_vae.engine.weights import Weights

Visit = Callable[[np.ndarray], np.ndarray | None]
"""Function that decodes a segment from its embedding `[B, E]`, which is valid until the next call.
It returns the feedback that an autoregressive conductor reads, or None."""


class _Conductor:
    """One level, which turns a vector `[B, Z]` into `[B, E]` for each of `steps` segments."""

    def __init__(self, plan: ConductorPlan, weights: Weights) -> None:
        self.steps, self.feedback_size = plan.steps, plan.feedback_size
        self.lstm = LstmStack([plan.lstm], weights)
        self.initial_state = InitialState(plan.initial_state, weights)


class HierarchicalDecoder:
    """One or more levels of conductors over a core decoder.

    Here a conductor makes 2 vectors of z, and the core decodes each to 4 steps of 3 classes:

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import StepDepths, derive_decoder, shapes_of
    >>> from music_vae.common.specs import HierarchicalDecoderSpec
    >>> spec = HierarchicalDecoderSpec(level_lengths=(2, 4))
    >>> plan = derive_decoder(spec, HParams(dec_rnn_size=(5,), max_seq_len=8), StepDepths(3, 3))
    >>> weights = Weights({name: np.zeros(shape) for name, shape in shapes_of(plan).items()})
    >>> decoder, z = HierarchicalDecoder(plan, weights), np.zeros((1, plan.conductors[0].z_size))
    >>> noise = np.array([0.1, 0.5, 0.9, 0.5] * 2).reshape(1, 8, 1)
    >>> made = decoder.sample(z, np.zeros((1, 8, 0)), noise, temperature=1.0)
    >>> made.samples.argmax(axis=-1), made.lengths  # all classes are equally likely
    (array([[0, 1, 2, 1, 0, 1, 2, 1]]), array([[4, 4]], dtype=int32))
    """

    def __init__(self, plan: HierarchicalDecoderPlan, weights: Weights) -> None:
        self._plan = plan
        self._core = FlatDecoder(plan.core, weights)
        # If it is the model's own encoder, its weights are the encoder's.
        self._reencoder = [build_encoder(level, weights) for level in plan.reencoder]
        self._conductors = [_Conductor(conductor, weights) for conductor in plan.conductors]

    def sample(
        self,
        z: np.ndarray,
        controls: np.ndarray,
        noise: np.ndarray,
        *,
        temperature: float,
        end_token: int | None = None,
        first: np.ndarray | None = None,
    ) -> Samples:
        """Samples all segments; each reads the last step of the segment before it first.

        See `FlatDecoder.sample`.
        """
        results: list[Samples] = []

        def visit(embedding: np.ndarray) -> np.ndarray:
            start = len(results) * self._plan.core_steps
            now = slice(start, start + self._plan.core_steps)
            results.append(
                self._core.sample(
                    embedding,
                    controls[:, now],
                    noise[:, now],
                    temperature=temperature,
                    end_token=end_token,
                    first=_last_sample(results[-1]) if results else first,
                )
            )
            if not self._reencoder:
                return results[-1].final_state
            return self._reencoder[0].encode(results[-1].samples, results[-1].lengths)

        self._walk(z, visit)
        return Samples(
            np.concatenate([result.samples for result in results], axis=1),
            np.stack([result.lengths for result in results], axis=1),
            results[-1].final_state,
        )

    def reconstruct(self, z: np.ndarray, known: Known, choice: Choice) -> Expected:
        """Predicts all segments; each reads the last step of the segment before it first.

        See `FlatDecoder.reconstruct`.
        """
        steps = known.targets.shape[1]
        targets, controls, noise = (
            self._segments(x) for x in (known.targets, known.controls, choice.noise)
        )
        lengths = segment_lengths(known.lengths, self._plan.num_segments, self._plan.core_steps)
        before = np.zeros_like(targets[:, :, 0])
        before[:, 1:] = targets[:, :-1, -1]
        if self._plan.reads_back:
            result = self._reconstruct_in_order(
                z, Known(targets, controls, lengths), choice._replace(noise=noise), before
            )
        else:
            merged = Known(*(_merged(x) for x in (targets, controls, lengths)))
            result = self._core.reconstruct(
                _merged(self._embeddings(z)),
                merged,
                choice._replace(noise=_merged(noise)),
                _merged(before),
            )
        batch = len(targets)
        return Expected(
            result.outputs.reshape(batch, -1, self._plan.output_depth)[:, :steps],
            result.loss_nats.reshape(batch, -1)[:, :steps],
            result.final_state.reshape(batch, self._plan.num_segments, -1)[:, -1],
        )

    def _segments(self, array: np.ndarray) -> np.ndarray:
        """Reshapes `[B, T, D]` to `[B, S, steps of a segment, D]`, with zeros if T is too short."""
        batch, steps, depth = array.shape
        padded = np.zeros(
            (batch, self._plan.num_segments * self._plan.core_steps, depth), array.dtype
        )
        padded[:, :steps] = array
        return padded.reshape(batch, self._plan.num_segments, self._plan.core_steps, depth)

    def _embeddings(self, z: np.ndarray) -> np.ndarray:
        """Returns the embeddings of all segments, `[B, S, E]`, if nothing is read back."""
        embeddings: list[np.ndarray] = []
        self._walk(z, lambda embedding: embeddings.append(embedding.copy()))
        return np.stack(embeddings, axis=1)

    def _reconstruct_in_order(
        self, z: np.ndarray, known: Known, choice: Choice, before: np.ndarray
    ) -> Expected:
        """Predicts segment by segment, `[B, S, ...]`, because conductors read segments back.

        Args:
          z: `[B, Z]`.
          known: Targets `[B, S, T, D]`, with controls and lengths by segment too.
          choice: Temperature, and noise by segment.
          before: `[B, S, D]`, the step that each segment reads first.
        """
        results: list[Expected] = []

        def visit(embedding: np.ndarray) -> np.ndarray:
            n = len(results)
            segment = Known(*(array[:, n] for array in known))
            noise = choice.noise[:, n]
            results.append(
                self._core.reconstruct(
                    embedding, segment, choice._replace(noise=noise), before[:, n]
                )
            )
            if not self._reencoder:
                return results[-1].final_state
            return self._reencoder[0].encode(segment.targets, segment.lengths)

        self._walk(z, visit)
        return Expected(*(np.stack(arrays, axis=1) for arrays in zip(*results, strict=True)))

    # -- Both ---------------------------------------------------------------------------------

    def _walk(self, z: np.ndarray, visit: Visit, level: int = 0) -> np.ndarray | None:
        """Calls `visit` with the embedding of every segment in order.

        Returns the feedback that the level above reads, if it reads any.
        """
        if level == len(self._conductors):
            return visit(z)
        conductor = self._conductors[level]
        feedback_size = conductor.feedback_size
        (entry,) = conductor.lstm.entries
        constant = entry.bias
        if feedback_size is not None:
            constant = constant + entry.share(feedback_size, z)
        feedback: np.ndarray | None = None

        def add_inputs(target: np.ndarray) -> None:
            target[:, 0] += constant
            if feedback is not None:
                target[:, 0] += entry.share(0, feedback)

        run = conductor.lstm.start(conductor.initial_state.of(z)[None])
        kept = []
        for _ in range(conductor.steps):
            (output,) = run.step(add_inputs)
            following = self._walk(output, visit, level + 1)
            if following is not None:
                kept.append(following)
                feedback = None if feedback_size is None else following
        if level == 0:
            return None  # there is no level above that could read anything
        if self._reencoder:
            encoder = self._reencoder[len(self._conductors) - level]
            return encoder.encode(np.stack(kept, axis=1), np.full(len(z), conductor.steps))
        return run.state[0]


def _merged(array: np.ndarray) -> np.ndarray:
    """Reshapes `[B, S, ...]` to `[B * S, ...]`."""
    return array.reshape(math.prod(array.shape[:2]), *array.shape[2:])


def _last_sample(result: Samples) -> np.ndarray:
    """Returns the last step before the end of each sample, `[B, D]`."""
    return last_valid(result.samples.transpose(1, 0, 2), result.lengths)
