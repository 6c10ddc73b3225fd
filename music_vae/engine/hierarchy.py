"""The hierarchical decoder: conductors give each segment a vector, from which it is decoded.

See `nn.hierarchy`. Conductors and decoder take turns here, segment by segment, so that those which
read their segments back and those which do not are computed alike.
"""

from collections.abc import Callable

import numpy as np

from music_vae import weight_names as names
from music_vae.engine.decoders import FlatDecoder, InitialState, Samples
from music_vae.engine.encoders import HierarchicalEncoder
from music_vae.engine.lstm import LstmStack, last_valid
from music_vae.engine.weights import Weights
from music_vae.specs import HierarchicalDecoderSpec, HParams

_NO_INPUT_SIZE = 1  # of the zeros that a conductor reads when it reads nothing back

Visit = Callable[[np.ndarray], np.ndarray]
"""Decodes a segment from its embedding `[B, E]`; returns what the conductor reads back of it."""


class _Conductor:
    """One level: a vector `[B, Z]` to one vector `[B, E]` for each of `steps` segments."""

    def __init__(
        self,
        weights: Weights,
        level: int,
        hparams: HParams,
        *,
        z_size: int,
        steps: int,
        feedback_size: int | None,
    ) -> None:
        """`feedback_size` is the width of what is read back; None if nothing is."""
        scope = names.conductor("", level)
        sizes = hparams.dec_rnn_size
        self.steps = steps
        self.feedback_size = feedback_size
        self.lstm = LstmStack(
            weights,
            [[names.conductor_layer(scope, index) for index in range(len(sizes))]],
            [_NO_INPUT_SIZE if feedback_size is None else feedback_size + z_size],
            sizes,
            residual=hparams.residual_decoder,
        )
        state = names.conductor_state(scope)
        self.initial_state = InitialState(weights, state, z_size, self.lstm.state_size)


class HierarchicalDecoder:
    """Conductors over a core decoder."""

    def __init__(
        self,
        spec: HierarchicalDecoderSpec,
        weights: Weights,
        hparams: HParams,
        *,
        core: FlatDecoder,
        reencoder: HierarchicalEncoder | None,
    ) -> None:
        """Args:
        spec: Level lengths, and which levels read back.
        weights: Where the weights are.
        hparams: Sizes.
        core: What decodes a segment.
        reencoder: What encodes segments to be read back; their final state is by default.
        """
        *level_lengths, self._core_steps = spec.level_lengths
        self._core = core
        self._reencoder = reencoder
        self.noise_size = core.noise_size
        self._conductors = []
        for level, steps in enumerate(level_lengths):
            feedback_size = None
            if level in spec.autoregressive_levels:
                last = level == len(level_lengths) - 1
                feedback_size = core.state_size if last else 2 * sum(hparams.dec_rnn_size)
                if reencoder is not None:
                    feedback_size = reencoder.levels[0].output_size
            self._conductors.append(
                _Conductor(
                    weights,
                    level,
                    hparams,
                    z_size=hparams.dec_rnn_size[-1] if level else hparams.latent_size,
                    steps=steps,
                    feedback_size=feedback_size,
                )
            )

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
            start = len(results) * self._core_steps
            now = slice(start, start + self._core_steps)
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
            if self._reencoder is None:
                return results[-1].final_state
            return self._reencoder.levels[0].encode(results[-1].samples, results[-1].lengths)

        self._walk(z, visit)
        return Samples(
            np.concatenate([result.samples for result in results], axis=1),
            np.stack([result.lengths for result in results], axis=1),
            results[-1].final_state,
        )

    def _walk(self, z: np.ndarray, visit: Visit, level: int = 0) -> np.ndarray:
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
            target += constant
            if heard is not None:
                target[0] += entry.share(0, heard)

        run = conductor.lstm.start(conductor.initial_state.of(z)[None])
        kept = []
        for _ in range(conductor.steps):
            (output,) = run.step(add_inputs)
            kept.append(self._walk(output, visit, level + 1))
            if feedback_size is not None:
                heard = kept[-1]
        if level == 0:
            return z  # there is no level above that could read anything
        if self._reencoder is not None:
            encoder = self._reencoder.levels[len(self._conductors) - level]
            return encoder.encode(np.stack(kept, axis=1), np.full(len(z), conductor.steps))
        return run.state[0]


def _last_sample(result: Samples) -> np.ndarray:
    """The last step before the end of each sample, `[B, D]`."""
    return last_valid(result.samples.transpose(1, 0, 2), result.lengths)
