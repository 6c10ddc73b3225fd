"""Decoders: a latent vector to samples, each step reading the one before; see `nn.decoders`.

A step reads [x(t-1), z, control(t)]. z does not change over time, so its product with the weights
is taken once; a sample that is one-hot looks up its row of the weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from music_vae import weight_names as names
from music_vae.engine import heads
from music_vae.engine.lstm import BidirectionalLstm, Entry, LstmStack
from music_vae.engine.products import Matrices, project
from music_vae.engine.weights import Weights
from music_vae.specs import FlatDecoderSpec, HParams


class Samples(NamedTuple):
    """What a decoder made.

    Attributes:
      samples: float32 `[B, T, D]`; steps after an end token are zeros.
      lengths: `[B]`, steps up to and with the end token; `[B, S]` for a hierarchy.
      final_state: `[B, state_size]` after each example's last step.
    """

    samples: np.ndarray
    lengths: np.ndarray
    final_state: np.ndarray


class InitialState:
    """Initial states `[B, state_size]` of z `[B, z_size]`: tanh(z . kernel + bias)."""

    def __init__(self, weights: Weights, scope: str, z_size: int, state_size: int) -> None:
        self._kernel, self._bias = weights.dense(scope, z_size, state_size)

    def of(self, z: np.ndarray) -> np.ndarray:
        return np.tanh(z @ self._kernel + self._bias)


class _Voice:
    """What one of several outputs has for itself: all but the steps of its LSTM."""

    def __init__(
        self,
        spec: FlatDecoderSpec,
        weights: Weights,
        scope: str,
        hparams: HParams,
        *,
        z_size: int,
        depth: int,
        control_depth: int,
    ) -> None:
        self.decoder = names.flat_decoder(scope)
        self.head = heads.build_head(spec.head, depth, hparams, weights, self.decoder)
        self.z_size = z_size
        self.control_lstm = None
        if spec.preprocess_controls:
            self.control_lstm = BidirectionalLstm(
                weights,
                names.control_preprocessing(scope),
                control_depth,
                hparams.control_preprocessing_rnn_size,
                residual=hparams.residual_decoder,
            )
            control_depth = self.control_lstm.output_size
        self.input_size = depth + z_size + control_depth
        self.initial_state = InitialState(
            weights, names.decoder_state(self.decoder), z_size, 2 * sum(hparams.dec_rnn_size)
        )
        kernel, self._bias = weights.dense(
            names.output_projection(self.decoder),
            hparams.dec_rnn_size[-1],
            self.head.parameter_size,
        )
        self._kernel = Matrices([kernel])

    def parameters(self, hidden: np.ndarray) -> np.ndarray:
        """What the head makes a step of, `[B, P]`, from the LSTM's output `[B, H]`."""
        out = np.empty((1, len(hidden), len(self._bias)), np.float32)
        self._kernel.multiply(hidden[None], out)
        return out[0] + self._bias

    def constant(self, entry: Entry, z: np.ndarray) -> np.ndarray:
        """What enters every step alike, `[B, W]`."""
        return entry.bias + entry.share(self.head.depth, z)

    def control_share(self, entry: Entry, controls: np.ndarray) -> np.ndarray | None:
        """What the controls `[B, T, Dc]` contribute to each step, `[T, B, W]`; None without any."""
        steps, depth = controls.shape[1:]
        if not depth:
            return None
        if controls.strides[0] == 0:  # the same for all examples
            controls = controls[:1]
        told = controls.transpose(1, 0, 2)
        if self.control_lstm is not None:
            told = self.control_lstm.outputs(told, np.full(told.shape[1], steps))
        return entry.share(self.head.depth + self.z_size, told)


class FlatDecoder:
    """One LSTM stack that sees z at every step; or one for each of several outputs, in one loop."""

    def __init__(
        self,
        specs: Sequence[FlatDecoderSpec],
        weights: Weights,
        scopes: Sequence[str],
        hparams: HParams,
        *,
        z_size: int,
        depths: Sequence[int],
        control_depth: int,
    ) -> None:
        """Args:
        specs: What each output's decoder is.
        weights: Where the weights are.
        scopes: The names of the outputs' decoders.
        hparams: Sizes.
        z_size: Width of z.
        depths: Widths of the outputs, which stand side by side.
        control_depth: Width of the controls.
        """
        self._voices = [
            _Voice(
                spec,
                weights,
                scope,
                hparams,
                z_size=z_size,
                depth=depth,
                control_depth=control_depth,
            )
            for spec, scope, depth in zip(specs, scopes, depths, strict=True)
        ]
        layers = range(len(hparams.dec_rnn_size))
        self._lstm = LstmStack(
            weights,
            [[names.stacked_layer(voice.decoder, n) for n in layers] for voice in self._voices],
            [voice.input_size for voice in self._voices],
            hparams.dec_rnn_size,
            residual=hparams.residual_decoder,
        )
        self.output_depth = sum(depths)
        self.noise_size = sum(voice.head.noise_size for voice in self._voices)
        self.state_size = len(self._voices) * self._lstm.state_size

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
        """Samples of at most T steps, each step reading the sample before it.

        Args:
          z: `[B, Z]`; Z is 0 for an unconditional model.
          controls: `[B, T, Dc]`; Dc is 0 without controls.
          noise: `[B, T, K]`, uniform in [0, 1): all the chance there is.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          end_token: Class that ends an example.
          first: `[B, D]`, what the first step reads; zeros by default.
        """
        batch, steps = noise.shape[:2]
        entries = self._lstm.entries
        pairs = list(zip(self._voices, entries, strict=True))
        constant = np.stack([voice.constant(entry, z) for voice, entry in pairs])
        told = [voice.control_share(entry, controls) for voice, entry in pairs]
        run = self._lstm.start(np.stack([voice.initial_state.of(z) for voice in self._voices]))
        samples = np.zeros((batch, steps, self.output_depth), np.float32)
        lengths, ended = np.full(batch, steps, np.int32), np.zeros(batch, bool)
        final_state = np.zeros((batch, self.state_size), np.float32)
        heard = self._heard(np.zeros_like(samples[:, 0]) if first is None else first)

        def add_inputs(target: np.ndarray) -> None:
            target += constant
            for part, own, control in zip(target, heard, told, strict=True):
                part += own
                if control is not None:
                    part += control[t]

        for t in range(steps):
            hidden = run.step(add_inputs)
            heard = self._sample_step(hidden, temperature, noise[:, t], samples[:, t])
            if end_token is None:
                continue
            ending = ~ended & (samples[:, t, end_token] > 0)
            if ending.any():
                lengths[ending] = t + 1
                final_state[ending] = _flat(run.state)[ending]
                ended |= ending
                if ended.all():
                    break
        final_state[~ended] = _flat(run.state)[~ended]
        samples[np.arange(steps) >= lengths[:, None]] = 0
        return Samples(samples, lengths, final_state)

    def _heard(self, first: np.ndarray) -> list[np.ndarray]:
        """What a step `[B, D]` contributes to the next, `[B, W]` for each output."""
        shares, start = [], 0
        for voice, entry in zip(self._voices, self._lstm.entries, strict=True):
            end = start + voice.head.depth
            shares.append(entry.share(0, first[:, start:end]))
            start = end
        return shares

    def _sample_step(
        self, hidden: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> list[np.ndarray]:
        """Writes a step to `out` `[B, D]`; returns what it contributes to the next."""
        shares, start, used = [], 0, 0
        for voice, entry, h in zip(self._voices, self._lstm.entries, hidden, strict=True):
            head = voice.head
            own = out[:, start : start + head.depth]
            chance = noise[:, used : used + head.noise_size]
            ones = head.sample(voice.parameters(h), temperature, chance, own)
            rows = entry.rows(0, head.depth)
            shares.append(project(own, rows) if ones is None else _sum_of_rows(rows, ones))
            start, used = start + head.depth, used + head.noise_size
        return shares


def _sum_of_rows(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The sum of the rows at positions `[B, n]`, `[B, W]`."""
    total = rows[positions[:, 0]]
    for n in range(1, positions.shape[1]):
        total += rows[positions[:, n]]
    return total


def _flat(state: np.ndarray) -> np.ndarray:
    """`[D, B, S]` as `[B, D * S]`."""
    return state.transpose(1, 0, 2).reshape(state.shape[1], -1)
