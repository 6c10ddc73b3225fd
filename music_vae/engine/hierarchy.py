"""The hierarchical decoder: conductors give each segment a vector, from which it is decoded.

See `nn.hierarchy`. Conductors and decoder take turns here, segment by segment, so that those which
read their segments back and those which do not are computed alike; but where nothing is read back,
the segments of a known sequence are decoded as one batch.
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
"""Decodes a segment from its embedding `[B, E]`, good until the next; returns what the conductor
reads back of it, if it reads anything back."""


class _Conductor:
    """One level: a vector `[B, Z]` to one vector `[B, E]` for each of `steps` segments."""

    def __init__(self, plan: ConductorPlan, weights: Weights) -> None:
        self.steps, self.feedback_size = plan.steps, plan.feedback_size
        self.lstm = LstmStack([plan.lstm], weights)
        self.initial_state = InitialState(plan.initial_state, weights)


class HierarchicalDecoder:
    """Conductors over a core decoder."""

    def __init__(self, plan: HierarchicalDecoderPlan, weights: Weights) -> None:
        self._plan = plan
        self._core = FlatDecoder(plan.core, weights)
        # Where it is the model's own encoder, its weights are the encoder's.
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
        """Samples of all segments, each beginning with the end of the one before.

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
        """What is expected of all segments, each beginning with the end of the one before.

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
        """`[B, T, D]` as `[B, S, steps of a segment, D]`, zeros where T ends early."""
        batch, steps, depth = array.shape
        padded = np.zeros(
            (batch, self._plan.num_segments * self._plan.core_steps, depth), array.dtype
        )
        padded[:, :steps] = array
        return padded.reshape(batch, self._plan.num_segments, self._plan.core_steps, depth)

    def _embeddings(self, z: np.ndarray) -> np.ndarray:
        """Those of all segments, `[B, S, E]`, of conductors that read nothing back."""
        embeddings: list[np.ndarray] = []
        self._walk(z, lambda embedding: embeddings.append(embedding.copy()))
        return np.stack(embeddings, axis=1)

    def _reconstruct_in_order(
        self, z: np.ndarray, known: Known, choice: Choice, before: np.ndarray
    ) -> Expected:
        """What is expected `[B, S, ...]`, segment by segment, which conductors read back.

        Args:
          z: `[B, Z]`.
          known: Targets `[B, S, T, D]`, controls and lengths by segment.
          choice: Its noise by segment.
          before: `[B, S, D]`, what each segment reads first.
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

        Returns what the level above reads back of this one.
        """
        if level == len(self._conductors):
            return visit(z)
        conductor = self._conductors[level]
        feedback_size = conductor.feedback_size
        (entry,) = conductor.lstm.entries
        constant = entry.bias
        if feedback_size is not None:
            constant = constant + entry.share(feedback_size, z)
        heard: np.ndarray | None = None

        def add_inputs(target: np.ndarray) -> None:
            target[:, 0] += constant
            if heard is not None:
                target[:, 0] += entry.share(0, heard)

        run = conductor.lstm.start(conductor.initial_state.of(z)[None])
        kept = []
        for _ in range(conductor.steps):
            (output,) = run.step(add_inputs)
            following = self._walk(output, visit, level + 1)
            if following is not None:
                kept.append(following)
                heard = None if feedback_size is None else following
        if level == 0:
            return None  # there is no level above that could read anything
        if self._reencoder:
            encoder = self._reencoder[len(self._conductors) - level]
            return encoder.encode(np.stack(kept, axis=1), np.full(len(z), conductor.steps))
        return run.state[0]


def _merged(array: np.ndarray) -> np.ndarray:
    """`[B, S, ...]` as `[B * S, ...]`."""
    return array.reshape(math.prod(array.shape[:2]), *array.shape[2:])


def _last_sample(result: Samples) -> np.ndarray:
    """The last step before the end of each sample, `[B, D]`."""
    return last_valid(result.samples.transpose(1, 0, 2), result.lengths)
