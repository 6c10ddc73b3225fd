"""Defines `ArrayModel`, a trained model that encodes and decodes any number of arrays.

An engine computes one batch, with noise that it is given. `ArrayModel` uses an engine: it checks
the arrays, cuts them into batches and draws the noise, so that a seed repeats the results. It knows
how wide the arrays of a representation are, but nothing about notes; `TrainedModel` adds those.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from music_vae.common import checks, seeds
from music_vae.common.chunks import map_chunks
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.engine import ENGINES, Engine, arguments
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.music.converters.base import Converter
from music_vae.weights import locate


class ArrayModel:
    """A model that encodes arrays to latent vectors and decodes latent vectors to arrays.

    >>> from music_vae.configs import get_config
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> model = ArrayModel(config, 8, shipped.folder(config.name))
    >>> scale = np.array([41, 0, 43, 0, 45, 0, 46, 0, 48, 0, 0, 0, 1, 0, 0, 0] * 2)  # C D E F G
    >>> _, mu, _ = model.encode_tensors([config.data_converter.dense_inputs(scale)], [32])
    >>> (again,) = model.decode_to_tensors(mu, temperature=0.01, seed=0)
    >>> again.argmax(axis=-1)[:16]
    array([41, 0, 43, 0, 45, 0, 46, 0, 48, 0, 0, 0, 1, 0, 0, 0])

    Latent vectors are arrays `[N, Z]`, one row for each of N examples. Controls, such as chords,
    are an array `c_input`: `[T, Dc]`, the same for all examples, or `[N, T, Dc]`.

    Sampling is repeatable: the same `seed` gives the same arrays, whatever the batch size. Without
    a seed every call differs.

    Several threads can use a model at once. It can be pickled, for other processes, and copied;
    then its weights are opened again from where they lie, which must not have changed meanwhile.
    """

    def __init__(
        self,
        config: Config,
        batch_size: int,
        checkpoint_dir_or_path: str | Path,
        *,
        with_encoder: bool = True,
        engine: str = ENGINES[0],
    ) -> None:
        """Opens the weights of the model of `config`.

        Args:
          config: Config of the model.
          batch_size: Number of examples that are computed at once.
          checkpoint_dir_or_path: Place of the weights: see `locate.open_weights`.
          with_encoder: If False, the model cannot encode, and needs no weights of an encoder.
          engine: Name of the engine that computes, `numpy` or `tensorflow`. Both make the same
            music.

        Raises:
          UserError: If there are no such weights, or they are of another config.
        """
        arguments.check_config(config)
        checks.check_number("batch_size", batch_size, checks.BATCH_SIZE)
        arguments.check_path("checkpoint_dir_or_path", checkpoint_dir_or_path)
        self._config = config
        self._source = checkpoint_dir_or_path
        self._place = locate.absolute(checkpoint_dir_or_path)
        self._with_encoder, self._engine_name = with_encoder, engine
        self._converter = config.data_converter.for_inference()
        self._batch_size = batch_size
        # A hierarchy makes all its segments, each with padding after its end.
        self._fixed_length = bool(config.model_spec.decoder.conductors)
        self._engine = _engine(engine, config, checkpoint_dir_or_path, with_encoder=with_encoder)

    def __repr__(self) -> str:
        """Says which model it is, as in `<TrainedModel cat-mel_2bar_mini: z 128, 32 steps, ...>`.

        >>> from music_vae import TrainedModel
        >>> TrainedModel.shipped("cat-mel_2bar_mini")
        <TrainedModel cat-mel_2bar_mini: z 128, 32 steps, engine numpy>
        """
        sizes = self._config.hparams
        return (
            f"<{type(self).__name__} {self._config.name}: z {sizes.latent_size}, "
            f"{sizes.max_seq_len} steps, engine {self._engine_name}>"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Returns all but the engine, which holds the weights."""
        return {name: value for name, value in vars(self).items() if name != "_engine"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Opens the weights again, for a copy of a model.

        Raises:
          UserError: If they are no longer there, or are others.
        """
        vars(self).update(state)
        self._engine = _engine(
            self._engine_name, self._config, self._place, with_encoder=self._with_encoder
        )

    @property
    def config(self) -> Config:
        """The config of the model."""
        return self._config

    @property
    def source(self) -> str | Path:
        """The place that the weights were opened from."""
        return self._source

    @property
    def converter(self) -> Converter:
        """The representation of music, as it is used outside training."""
        return self._converter

    @property
    def batch_size(self) -> int:
        """Number of examples that are computed at once."""
        return self._batch_size

    @property
    def workers(self) -> int:
        """Number of threads from which to use the model at once, for the best speed."""
        return self._engine.workers

    def encode_tensors(
        self,
        input_tensors: Sequence[np.ndarray],
        lengths: Sequence[Any],
        control_tensors: Sequence[np.ndarray] | None = None,
        *,
        seed: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Encodes arrays to latent vectors (z, mu, sigma), all `[N, Z]`.

        z is drawn from the posterior N(mu, sigma).

        Args:
          input_tensors: Arrays `[T, Din]` as the converter makes them.
          lengths: Number of valid steps of each.
          control_tensors: Arrays `[T, Dc]`, if the config has controls.
          seed: Seed of z; None: every call draws another z.

        Raises:
          UserError: If there are no arrays, or their shapes or lengths do not fit.
        """
        arrays = arguments.arrays_of("input_tensors", input_tensors, self._converter.input_depth)
        if not arrays:
            raise UserError("there is nothing to encode")
        steps = arguments.lengths_of(lengths, arrays)
        told = self._controls(control_tensors, arrays)
        rng = seeds.generator(seed)

        def encode(chunk: slice) -> tuple[np.ndarray, np.ndarray]:
            inputs, controls = _padded(arrays[chunk]), _padded(told[chunk])
            return self._engine.encode(inputs, np.asarray(steps[chunk], np.int32), controls)

        batches = map_chunks(encode, len(arrays), self._batch_size)
        mu, sigma = (np.concatenate(parts) for parts in zip(*batches, strict=True))
        noise = rng.standard_normal(mu.shape, np.float32)
        return mu + sigma * noise, mu, sigma

    def decode_to_tensors(
        self,
        z: np.ndarray,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        seed: int | None = None,
    ) -> list[np.ndarray]:
        """Decodes latent vectors `[N, Z]` to samples, arrays `[T, Dout]`.

        Args:
          z: The latent vectors.
          length: Number of steps of each sample; None: the config's `max_seq_len`.
          temperature: Divides the decoder's logits: near 0 the likeliest music of a point, above 1
            bolder music.
          c_input: Controls, if the config has any.
          seed: Seed of the random choices; None: every call differs.

        Raises:
          UserError: For a z of the wrong width or not finite, controls that are missing or too
            short, or a temperature or a seed below 0.
        """
        z = self._checked_z(z)
        checks.check_number("temperature", temperature, checks.TEMPERATURE)
        steps = self._steps(length)
        control = self._control(c_input, steps, len(z))
        rng = seeds.generator(seed)
        root = seeds.draw(rng) if seed is None else seed

        def decode(chunk: slice) -> list[np.ndarray]:
            noise = _noise(root, range(chunk.start, chunk.stop), (steps, self._engine.noise_size))
            made, lengths = self._engine.sample(
                z[chunk],
                control[chunk],
                noise,
                temperature=temperature,
                end_token=self._converter.end_token,
            )
            if self._fixed_length:
                return list(made)
            return [array[:n] for array, n in zip(made, lengths, strict=True)]

        batches = map_chunks(decode, len(z), self._batch_size, workers=self.workers)
        return [array for batch in batches for array in batch]

    def reconstruct_tensors(
        self,
        z: np.ndarray,
        output_tensors: Sequence[np.ndarray],
        lengths: Sequence[Any],
        control_tensors: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Predicts each step of known music from z and the steps before it (teacher-forced).

        Args:
          z: Latent vectors `[N, Z]`.
          output_tensors: The music, arrays `[T, Dout]` as the converter makes them.
          lengths: Number of valid steps of each.
          control_tensors: Arrays `[T, Dc]`, if the config has controls.

        Returns:
          The likeliest outcome of every step, arrays `[T, Dout]`; and the negative log-likelihood
          in nats of every step of the music, arrays `[T]`, zeros after the valid ones.
        """

        z = self._checked_z(z)
        arrays = arguments.arrays_of("output_tensors", output_tensors, self._converter.output_depth)
        if len(z) != len(arrays):
            raise UserError(f"{len(arrays)} `output_tensors` need as many `z`, not {len(z)}")
        steps = arguments.lengths_of(lengths, arrays)
        told = self._controls(control_tensors, arrays)

        def reconstruct(chunk: slice) -> list[tuple[np.ndarray, np.ndarray]]:
            made = self._engine.reconstruct(
                z[chunk],
                _padded(arrays[chunk]),
                np.asarray(steps[chunk], np.int32),
                _padded(told[chunk]),
            )
            both = zip(made.outputs, made.loss_nats, arrays[chunk], strict=True)
            return [(outputs[: len(own)], loss[: len(own)]) for outputs, loss, own in both]

        batches = map_chunks(reconstruct, len(arrays), self._batch_size)
        examples = [example for batch in batches for example in batch]
        return [outputs for outputs, _ in examples], [loss for _, loss in examples]

    # -- Checks -------------------------------------------------------------------------------

    def _controls(
        self, given: Sequence[np.ndarray] | None, arrays: Sequence[np.ndarray]
    ) -> list[np.ndarray]:
        """Returns the controls `[T, Dc]` of each array, of width 0 if the config has none."""
        depth = self._converter.control_depth
        if not depth:
            return [np.zeros((len(array), 0), np.float32) for array in arrays]
        if given is None:
            raise UserError(f"{self._config.name} needs `control_tensors`, arrays [T, {depth}]")
        controls = arguments.arrays_of("control_tensors", given, depth)
        if [len(array) for array in controls] != [len(array) for array in arrays]:
            raise UserError("`control_tensors` must be as many and as long as the music")
        return controls

    def _checked_z(self, z: np.ndarray) -> np.ndarray:
        """Returns latent vectors as float32, after checking that they are `[N, Z]` and finite."""
        return arguments.array_of("z", z, ("N", self._config.hparams.latent_size))

    def _steps(self, length: int | None) -> int:
        """Returns the number of steps of a sample for a given `length`."""
        longest = self._config.hparams.max_seq_len
        if length is None:
            return longest
        checks.check_number("length", length, checks.LENGTH)
        if self._fixed_length and length != longest:
            raise UserError(f"`length={length}`: {self._config.name} always makes {longest} steps")
        return length

    def _control(self, c_input: np.ndarray | None, steps: int, number: int) -> np.ndarray:
        """Returns the controls for `steps` steps of `number` examples, `[number, steps, Dc]`."""
        depth = self._converter.control_depth
        if not depth:
            if c_input is not None:
                raise UserError(f"{self._config.name} has no control; `c_input` must be None")
            return np.zeros((number, steps, 0), np.float32)
        if c_input is None:
            raise UserError(f"{self._config.name} needs a control: `c_input` [T, {depth}]")
        each = getattr(c_input, "ndim", 2) == 3
        shape: tuple[str | int, ...] = (number, "T", depth) if each else ("T", depth)
        control = arguments.array_of("c_input", c_input, shape)
        if control.shape[-2] < steps:
            raise UserError(
                f"`c_input` has {control.shape[-2]} rows; expected {steps}, one for each step"
            )
        if not each:
            control = np.broadcast_to(control, (number, *control.shape))
        return control[:, :steps]


def _engine(name: str, config: Config, path: str | Path, *, with_encoder: bool) -> Engine:
    """Returns the engine of that name with the weights at `path`."""
    if name not in ENGINES:
        raise UserError(f"unknown engine {name!r}; known are {', '.join(ENGINES)}")
    if name == "tensorflow":
        from music_vae.engine.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(config, path, with_encoder=with_encoder)
    weights = locate.open_weights(path)
    return NumpyEngine(config, weights, source=str(path), with_encoder=with_encoder)


def _noise(root: int, indices: range, size: tuple[int, int]) -> np.ndarray:
    """Draws uniform numbers `[B, T, K]`; those of an example depend on its index alone."""
    return np.stack(
        [np.random.default_rng([root, index]).random(size, np.float32) for index in indices]
    )


def _padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Stacks arrays `[T, D]` to float32 `[B, T, D]`, with zeros where one is shorter."""
    steps = max(len(array) for array in arrays)
    padded = np.zeros((len(arrays), steps, arrays[0].shape[1]), np.float32)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded
