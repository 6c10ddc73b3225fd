"""Decodes latent vectors to samples, or predicts known steps; see `nn.decoders` for the model.

A step reads [x(t-1), z, control(t)]. z does not change over time, so its product with the weights
is computed once; for a step that is one-hot, the product is a row of the weights. A decoder that
samples reads its own samples, step by step. The predictions for a known sequence (teacher forcing)
are computed layer by layer.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from music_vae.common.plans import CorePlan, DensePlan, FlatDecoderPlan
from music_vae.engine.heads import build_head
from music_vae.engine.lstm import BidirectionalLstm, Entry, LstmStack
from music_vae.engine.products import Dense
from music_vae.engine.weights import Weights

_ENOUGH_ROWS = 256
"""Number of rows of a product of known inputs. More rows make it no quicker, and take more memory
than a processor's cache has."""


class Samples(NamedTuple):
    """Samples of a decoder.

    >>> samples = np.eye(3, dtype=np.float32)[None]  # classes 0, 1, 2
    >>> made = Samples(samples, lengths=np.array([3]), final_state=np.zeros((1, 10)))
    >>> made.samples.argmax(axis=-1)
    array([[0, 1, 2]])

    Attributes:
      samples: float32 `[B, T, D]`; steps after an end token are zeros.
      lengths: `[B]`, steps up to and with the end token; `[B, S]` for a hierarchy.
      final_state: `[B, state_size]` after each example's last step.
    """

    samples: np.ndarray
    lengths: np.ndarray
    final_state: np.ndarray


class Choice(NamedTuple):
    """The temperature and the noise by which an outcome of every step is chosen.

    >>> likeliest = Choice(temperature=0.0, noise=np.full((8, 32, 1), 0.5))

    Attributes:
      temperature: Divides the logits; near 0 the likeliest outcome is taken.
      noise: `[B, T, K]`, uniform in [0, 1), the only source of randomness.
    """

    temperature: float
    noise: np.ndarray


class Known(NamedTuple):
    """Known sequences, whose steps a decoder reads and predicts.

    >>> four_steps = np.eye(3)[[2, 0, 1, 0]][None]
    >>> known = Known(four_steps, controls=np.zeros((1, 4, 0)), lengths=np.array([4]))

    Attributes:
      targets: The sequences, `[B, T, D]`.
      controls: `[B, T, Dc]`; Dc is 0 without controls.
      lengths: `[B]` valid steps; for a hierarchy also `[B, S]`, those of each segment.
    """

    targets: np.ndarray
    controls: np.ndarray
    lengths: np.ndarray


class Expected(NamedTuple):
    """Predictions for known sequences, each step given the steps before it.

    >>> perfect = Expected(np.eye(3)[None], np.zeros((1, 3)), final_state=np.zeros((1, 10)))
    >>> perfect.loss_nats
    array([[0., 0., 0.]])

    Attributes:
      outputs: float32 `[B, T, D]`, the outcomes that were chosen.
      loss_nats: `[B, T]`, negative log-likelihood of the targets; zeros after the valid steps.
      final_state: `[B, state_size]` after each example's last valid step; zeros without one.
    """

    outputs: np.ndarray
    loss_nats: np.ndarray
    final_state: np.ndarray


class InitialState:
    """The layer that makes an initial state `[B, state_size]` of z `[B, z_size]`.

        state = tanh(z . kernel + bias)

    >>> plan = DensePlan("decoder/z_to_initial_state", input_size=1, units=2)
    >>> weights = Weights({plan.kernel: np.array([[1.0, -1.0]]), plan.bias: np.zeros(2)})
    >>> InitialState(plan, weights).of(np.array([[0.5]])).round(2)
    array([[ 0.46, -0.46]], dtype=float32)
    """

    def __init__(self, plan: DensePlan, weights: Weights) -> None:
        self._dense = Dense(plan, weights)

    def of(self, z: np.ndarray) -> np.ndarray:
        """Returns the initial state for z."""
        return np.tanh(self._dense(z))


class _Voice:
    """The parts of a decoder that each of several outputs has for itself: all but the LSTM."""

    def __init__(self, plan: FlatDecoderPlan, weights: Weights) -> None:
        self.head = build_head(plan.head, weights)
        self.control_lstm = None
        if plan.control_lstm is not None:
            self.control_lstm = BidirectionalLstm(plan.control_lstm, weights)
        self.initial_state = InitialState(plan.initial_state, weights)
        # From the LSTM's output `[B, H]` to the parameters of the head, `[B, P]`.
        self.parameters = Dense(plan.output_projection, weights)
        # First columns of z and of the controls in the LSTM's input.
        self._z_at = plan.output_depth
        self._controls_at = plan.output_depth + plan.z_size

    def constant(self, entry: Entry, z: np.ndarray) -> np.ndarray:
        """Returns the contribution of bias and z to every step, `[G, B, H]`."""
        return entry.bias + entry.share(self._z_at, z)

    def control_share(
        self, entry: Entry, controls: np.ndarray, lengths: np.ndarray | None = None
    ) -> np.ndarray | None:
        """Returns the contribution of the controls to each step, `[G, T, B, H]`; None without any.

        Args:
          entry: Entry of the LSTM that reads them.
          controls: `[B, T, Dc]`.
          lengths: `[B]`, valid steps; all by default.
        """
        steps, depth = controls.shape[1:]
        if not depth:
            return None
        if lengths is None:
            if controls.strides[0] == 0:  # the same for all examples
                controls = controls[:1]
            lengths = np.full(len(controls), steps)
        inputs = controls.transpose(1, 0, 2)
        if self.control_lstm is not None:
            inputs = self.control_lstm.outputs(inputs, lengths)
        return entry.share(self._controls_at, inputs)


class FlatDecoder:
    """A decoder without a hierarchy: an LSTM stack that reads z at every step.

    A decoder of several outputs, such as the three voices of a trio, has a stack for each of them;
    all run in one loop.

    With weights of zero, apart from the output's bias, the logits of three classes are always 0, 1
    and 2, so that their probabilities are 0.09, 0.24 and 0.67. The noise chooses among them.

    >>> from music_vae.common.hparams import HParams
    >>> from music_vae.common.model_spec import flat_decoder, shapes_of
    >>> from music_vae.common.specs import FlatDecoderSpec
    >>> plan = flat_decoder(FlatDecoderSpec(), HParams(dec_rnn_size=(5,)), z_size=4, depth=3)
    >>> arrays = {name: np.zeros(shape) for name, shape in shapes_of(plan).items()}
    >>> arrays[plan.output_projection.bias] = np.array([0.0, 1.0, 2.0])
    >>> decoder = FlatDecoder(plan, Weights(arrays))
    >>> z, no_controls = np.zeros((1, 4)), np.zeros((1, 3, 0))
    >>> noise = np.array([[[0.05], [0.2], [0.9]]])  # of three steps
    >>> decoder.sample(z, no_controls, noise, temperature=1.0).samples.argmax(axis=-1)
    array([[0, 1, 2]])
    >>> known = Known(np.eye(3)[None], no_controls, np.array([3]))
    >>> decoder.reconstruct(z, known, Choice(0.0, noise)).loss_nats.round(2)
    array([[2.41, 1.41, 0.41]], dtype=float32)
    """

    def __init__(self, plan: CorePlan, weights: Weights) -> None:
        voices = plan.voices
        self._voices = [_Voice(voice, weights) for voice in voices]
        self._lstm = LstmStack([voice.lstm for voice in voices], weights)
        self._depth, self._state_size = plan.output_depth, plan.state_size
        self._parts = _slices([voice.output_depth for voice in voices])
        self._chances = _slices([voice.noise_size for voice in voices])

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
          noise: `[B, T, K]`, uniform in [0, 1), the only source of randomness.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          end_token: Class that ends an example.
          first: `[B, D]`, the step before the first; zeros by default.
        """
        batch, steps = noise.shape[:2]
        entries = self._lstm.entries
        pairs = list(zip(self._voices, entries, strict=True))
        constant = np.stack([voice.constant(entry, z) for voice, entry in pairs], axis=1)
        control_shares = [voice.control_share(entry, controls) for voice, entry in pairs]
        run = self._lstm.start(np.stack([voice.initial_state.of(z) for voice in self._voices]))
        samples = np.zeros((batch, steps, self._depth), np.float32)
        lengths, ended = np.full(batch, steps, np.int32), np.zeros(batch, bool)
        final_state = np.zeros((batch, self._state_size), np.float32)
        feedback = self._feedback(np.zeros_like(samples[:, 0]) if first is None else first)

        def add_inputs(target: np.ndarray) -> None:
            target += constant
            for d, (own, control) in enumerate(zip(feedback, control_shares, strict=True)):
                target[:, d] += own
                if control is not None:
                    target[:, d] += control[:, t]

        for t in range(steps):
            hidden = run.step(add_inputs)
            feedback = self._sample_step(hidden, temperature, noise[:, t], samples[:, t])
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

    def _feedback(self, steps: np.ndarray) -> list[np.ndarray]:
        """Returns the contribution of steps `[..., D]` to the next, `[G, ..., H]` by output."""
        pairs = zip(self._lstm.entries, self._parts, strict=True)
        return [entry.share(0, steps[..., part]) for entry, part in pairs]

    def _sample_step(
        self, hidden: np.ndarray, temperature: float, noise: np.ndarray, out: np.ndarray
    ) -> list[np.ndarray]:
        """Writes a step to `out` `[B, D]`; returns its contribution to the next, by output."""
        shares = []
        entries = self._lstm.entries
        for n, (voice, entry, h) in enumerate(zip(self._voices, entries, hidden, strict=True)):
            own, chance = out[:, self._parts[n]], noise[:, self._chances[n]]
            ones = voice.head.sample(voice.parameters(h), temperature, chance, own)
            shares.append(entry.share(0, own) if ones is None else entry.share_of_ones(0, ones))
        return shares

    # -- Towards known targets ----------------------------------------------------------------

    def reconstruct(
        self,
        z: np.ndarray,
        known: Known,
        choice: Choice,
        first: np.ndarray | None = None,
    ) -> Expected:
        """Predicts every step of known sequences, each step reading the known step before it.

        Args:
          z: `[B, Z]`; Z is 0 for an unconditional model.
          known: The sequences.
          choice: Temperature and noise by which outcomes are chosen.
          first: `[B, D]`, the step before the first; zeros by default.
        """
        targets, noise = (x.transpose(1, 0, 2) for x in (known.targets, choice.noise))
        steps, batch = targets.shape[:2]
        read = np.zeros_like(targets, np.float32)
        read[1:] = targets[:-1]
        if first is not None:
            read[0] = first
        entries = self._lstm.entries
        pairs = list(zip(self._voices, entries, strict=True))
        constant = [voice.constant(entry, z)[:, None] for voice, entry in pairs]
        control_shares = [
            voice.control_share(entry, known.controls, known.lengths) for voice, entry in pairs
        ]
        run = self._lstm.start(np.stack([voice.initial_state.of(z) for voice in self._voices]))
        outputs = np.zeros((steps, batch, self._depth), np.float32)
        losses = np.zeros((steps, batch), np.float32)
        final_state = np.zeros((batch, self._state_size), np.float32)
        for now in _stretches(steps, batch, known.lengths):
            shares = self._feedback(read[now])
            for share, same, control in zip(shares, constant, control_shares, strict=True):
                share += same
                if control is not None:
                    share += control[:, now]
            hidden, _ = run.steps(shares)
            losses[now] = self._expect(
                hidden, targets[now], outputs[now], choice.temperature, noise[now]
            )
            ending = known.lengths == now.stop
            if ending.any():
                final_state[ending] = _flat(run.state)[ending]
        losses[np.arange(steps)[:, None] >= known.lengths] = 0
        return Expected(outputs.transpose(1, 0, 2), losses.T, final_state)

    def _expect(
        self,
        hidden: np.ndarray,
        targets: np.ndarray,
        out: np.ndarray,
        temperature: float,
        noise: np.ndarray,
    ) -> np.ndarray:
        """Writes outcomes of some steps to `out` `[T, B, D]`; returns losses `[T, B]`."""
        losses = np.zeros(len(targets) * targets.shape[1], np.float32)
        targets, out, noise = (x.reshape(len(losses), -1) for x in (targets, out, noise))
        for n, (voice, h) in enumerate(zip(self._voices, hidden, strict=True)):
            part = self._parts[n]
            parameters = voice.parameters(h.reshape(len(losses), -1))
            losses += voice.head.loss(parameters, targets[:, part])
            voice.head.sample(parameters, temperature, noise[:, self._chances[n]], out[:, part])
        return losses.reshape(hidden.shape[1:3])


def _stretches(steps: int, batch: int, lengths: np.ndarray) -> list[slice]:
    """Cuts all steps into stretches that make efficient products and end at each length."""
    ends = set(range(0, steps, math.ceil(_ENOUGH_ROWS / batch)))
    ends |= {int(length) for length in lengths} | {0, steps}
    return [slice(*pair) for pair in itertools.pairwise(sorted(ends))]


def _slices(sizes: Sequence[int]) -> list[slice]:
    """Returns the places of parts of these sizes that stand side by side."""
    ends = list(itertools.accumulate(sizes, initial=0))
    return [slice(*pair) for pair in itertools.pairwise(ends)]


def _flat(state: np.ndarray) -> np.ndarray:
    """Reshapes `[D, B, S]` to `[B, D * S]`."""
    return state.transpose(1, 0, 2).reshape(state.shape[1], -1)
