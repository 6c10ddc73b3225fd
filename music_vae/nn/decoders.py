"""Decoders: a latent vector to the parameters of a distribution over every step, or to samples.

A step reads [x(t-1), z, control(t)]. Where x(t-1) comes from is the input policy: the target
(teacher forcing), the model's own sample (free running), or one of the two by chance (scheduled
sampling). Samples carry no gradient, so training draws all inputs first and then computes every
layer over the whole, now known, sequence.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from music_vae.nn.heads import CategoricalHead
from music_vae.nn.rnn import LstmStack, LstmState
from music_vae.specs import DecoderSpec, HParams

_Z_INITIALIZER_STDDEV = 0.001


class Samples(NamedTuple):
    """What a free-running decoder made.

    Attributes:
      samples: `[B, T, D]`; steps after an end token are zeros.
      lengths: `[B]` int32, steps up to and with the end token.
    """

    samples: tf.Tensor
    lengths: tf.Tensor


class FlatDecoder(keras.layers.Layer):
    """One LSTM stack over the whole sequence that sees z at every step."""

    def __init__(
        self,
        head: CategoricalHead,
        hparams: HParams,
        *,
        z_size: int,
        output_depth: int,
        control_depth: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.head = head
        self.output_depth = output_depth
        self.lstm = LstmStack(
            output_depth + z_size + control_depth, hparams.dec_rnn_size, name="lstm"
        )
        self.z_to_initial_state = keras.layers.Dense(
            self.lstm.state_size,
            activation="tanh",
            kernel_initializer=keras.initializers.RandomNormal(stddev=_Z_INITIALIZER_STDDEV),
            name="z_to_initial_state",
        )
        self.z_to_initial_state.build((None, z_size))
        self.output_projection = keras.layers.Dense(head.parameter_size, name="output_projection")
        self.output_projection.build((None, self.lstm.sizes[-1]))
        self.built = True

    def initial_states(self, z: tf.Tensor) -> tuple[LstmState, ...]:
        """The state of every layer before the first step, from z `[B, Z]`."""
        return self.lstm.split_state(self.z_to_initial_state(z))

    def call(self, z: tf.Tensor, inputs: tf.Tensor, controls: tf.Tensor) -> tf.Tensor:
        """Output parameters `[B, T, P]` for known inputs.

        Args:
          z: `[B, Z]`.
          inputs: `[B, T, D]`, step t holding x(t-1) (see `shifted` and `scheduled_inputs`).
          controls: `[B, T, Dc]`, Dc being 0 without controls.
        """
        parts = [_time_major(inputs), z]
        if controls.shape[-1]:
            parts.append(_time_major(controls))
        hidden = self.lstm.sequence(parts, self.initial_states(z))
        return tf.transpose(self.output_projection(hidden), [1, 0, 2])

    def scheduled_inputs(
        self,
        z: tf.Tensor,
        targets: tf.Tensor,
        controls: tf.Tensor,
        probability: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """Inputs `[B, T, D]` in which each step is, with `probability`, the model's own sample.

        The choice falls per example and step (Bengio et al. 2015). No gradient flows through it.
        """
        batch, steps = tf.shape(targets)[0], tf.shape(targets)[1]
        noise = tf.random.stateless_uniform([batch, steps, self.head.noise_size + 1], seed)
        own = _time_major(noise[:, :, :1] < probability)
        given = _time_major(targets)
        _, inputs = self._run(
            z,
            controls,
            noise[:, :, 1:],
            temperature=1.0,
            following=lambda t, sample: tf.where(own[t], sample, given[t]),
            end_token=None,
        )
        return tf.stop_gradient(inputs)

    def sample(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        end_token: int | None = None,
    ) -> Samples:
        """Samples of at most T steps, each step reading the sample before it.

        Args:
          z: `[B, Z]`.
          controls: `[B, T, Dc]`.
          noise: `[B, T, head.noise_size]`, uniform in [0, 1): all the chance there is.
          temperature: Divides the logits; near 0 the likeliest outcome is taken.
          end_token: Class that ends an example.
        """
        samples, _ = self._run(
            z,
            controls,
            noise,
            temperature=temperature,
            following=lambda t, sample: sample,
            end_token=end_token,
        )
        if end_token is None:
            return Samples(samples, tf.fill([tf.shape(z)[0]], tf.shape(samples)[1]))
        ended = tf.cumsum(samples[:, :, end_token], axis=1, exclusive=True) > 0
        lengths = tf.reduce_sum(tf.cast(~ended, tf.int32), axis=1)
        return Samples(tf.where(ended[..., None], tf.zeros_like(samples), samples), lengths)

    def _run(
        self,
        z: tf.Tensor,
        controls: tf.Tensor,
        noise: tf.Tensor,
        *,
        temperature: tf.Tensor | float,
        following: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        end_token: int | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Runs step by step; returns every step's sample and its input, both `[B, T, D]`.

        `following` makes the next step's input of a step's number and sample.
        """
        cell, batch = self.lstm.cells[0], tf.shape(z)[0]
        width, z_end = self.output_depth, self.output_depth + z.shape[-1]
        kernel = tf.convert_to_tensor(cell.kernel)
        # z is the same at every step: its product with the kernel is taken once.
        constant = z @ kernel[width:z_end] + tf.convert_to_tensor(cell.bias)
        told, chance = _time_major(controls), _time_major(noise)
        length = tf.shape(noise)[1]

        def body(t: Any, x: Any, states: Any, ended: Any, samples: Any, inputs: Any) -> Any:
            projected = constant + x @ kernel[:width]
            if controls.shape[-1]:
                projected += told[t] @ kernel[z_end : cell.input_size]
            hidden, states = self.lstm.step_projected(projected, states)
            sample = self.head.sample(self.output_projection(hidden), temperature, chance[t])
            if end_token is not None:
                ended |= sample[:, end_token] > 0
            samples, inputs = samples.write(t, sample), inputs.write(t, x)
            return t + 1, following(t, sample), states, ended, samples, inputs

        arrays = [tf.TensorArray(z.dtype, length, element_shape=[None, width]) for _ in range(2)]
        start = (0, tf.zeros([batch, width], z.dtype), self.initial_states(z))
        *_, samples, inputs = tf.while_loop(
            lambda t, x, states, ended, *_: (t < length) & ~tf.reduce_all(ended),
            body,
            (*start, tf.zeros([batch], tf.bool), *arrays),
        )
        return tf.transpose(samples.stack(), [1, 0, 2]), tf.transpose(inputs.stack(), [1, 0, 2])


def shifted(targets: tf.Tensor) -> tf.Tensor:
    """Teacher forcing's inputs: `[B, T, D]` one step later, zeros first."""
    return tf.pad(targets[:, :-1], [[0, 0], [1, 0], [0, 0]])


def build_decoder(
    spec: DecoderSpec, hparams: HParams, *, output_depth: int, control_depth: int
) -> FlatDecoder:
    """The decoder that `spec` describes."""
    del spec
    return FlatDecoder(
        CategoricalHead(output_depth, name="head"),
        hparams,
        z_size=hparams.z_size,
        output_depth=output_depth,
        control_depth=control_depth,
        name="decoder",
    )


def _time_major(sequence: tf.Tensor) -> tf.Tensor:
    return tf.transpose(sequence, [1, 0, 2])
