"""`TrainedModel`: sample, encode, decode and move through a latent space with trained weights."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common.errors import (
    MultipleExtractedExamplesError,
    NoExtractedExamplesError,
    UserError,
)
from music_vae.common.lazy_imports import import_note_seq
from music_vae.common.specs import HierarchicalDecoderSpec
from music_vae.configs import Config, get_config
from music_vae.engine import ENGINES, Engine
from music_vae.engine.numpy_engine import NumpyEngine
from music_vae.latent import latent_space
from music_vae.music.conditioning import extended
from music_vae.music.converters.base import Converter, Tensors
from music_vae.weights import locate, shipped

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

_MAX_SEED = 2**31 - 1


class TrainedModel:
    """A model that makes music; `[N, Z]` are N latent vectors.

    A control, `c_input`, is `[T, Dc]`, the same for all that is made, or `[N, T, Dc]`.

    Sampling is repeatable: the same `seed` gives the same music, whatever the batch size. Without a
    seed every call differs.
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
        """Finds the weights of the model of `config`.

        Args:
          config: What to build.
          batch_size: How many examples are computed at once.
          checkpoint_dir_or_path: See `locate.open_weights`.
          with_encoder: Whether the model can encode; without, it needs no weights for it.
          engine: `numpy`, or `tensorflow`: what computes. Both make the same music.

        Raises:
          UserError: If there are no such weights, or they are of another config.
        """
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size} must be at least 1")
        self._config = config
        self._converter = config.data_converter.for_inference()
        self._batch_size = batch_size
        # A hierarchy makes all its segments, each with padding after its end.
        self._fixed_length = isinstance(config.decoder, HierarchicalDecoderSpec)
        self._engine = _engine(engine, config, checkpoint_dir_or_path, with_encoder=with_encoder)

    @classmethod
    def shipped(cls, config_name: str, batch_size: int = 8) -> "TrainedModel":
        """The model of a config that comes with the package: see `shipped.names`.

        Raises:
          UserError: If there is none.
        """
        folder = shipped.locate(config_name)
        return cls(get_config(config_name), batch_size, folder)

    @property
    def config(self) -> Config:
        """What was built."""
        return self._config

    @property
    def converter(self) -> Converter:
        """The representation of music, as it is used outside training."""
        return self._converter

    @property
    def workers(self) -> int:
        """From how many threads it is best asked at once."""
        return self._engine.workers

    # -- Notes in, notes out ------------------------------------------------------------------

    def sample(
        self,
        n: int | None = None,
        length: int | None = None,
        temperature: float = 1.0,
        same_z: bool = False,
        c_input: np.ndarray | None = None,
        *,
        shift: np.ndarray | None = None,
        prior: latent_space.Prior | None = None,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Music from random points of the latent space.

        Args:
          n: How many; None: `batch_size`.
          length: Steps of each; None: the config's `max_seq_len`.
          temperature: How bold; near 0 gives the likeliest music of a point.
          same_z: Whether all come from one point.
          c_input: Control, where the config has one.
          shift: `[Z]`, added to every point: see `latent_space.attribute_shift`.
          prior: Where points come from, as those of a `Constraint` or a `PersonalModel`.
          seed: Makes the result repeatable.
        """
        count = self._batch_size if n is None else n
        if count < 0:
            raise UserError(f"n={count} must not be below 0")
        rng = _generator(seed)
        size = self._config.hparams.latent_size if prior is None else prior.size
        z = rng.standard_normal((1 if same_z else count, size), np.float32)
        z = z if prior is None else prior.points(z)
        z = np.broadcast_to(z, (count, z.shape[1]))
        z = z if shift is None else z + shift
        return self.decode(
            z, length, temperature, c_input, seed=int(rng.integers(_MAX_SEED, endpoint=True))
        )

    def encode(
        self,
        note_sequences: "Sequence[NoteSequence]",
        assert_same_length: bool = False,
        *,
        seed: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Latent vectors (z, mu, sigma) of pieces that each give exactly one example, all `[N, Z]`.

        z is drawn from the posterior N(mu, sigma).

        Raises:
          NoExtractedExamplesError: If a piece gives no example; it says why.
          MultipleExtractedExamplesError: If a piece gives several.
          UserError: If `assert_same_length` and lengths differ.
        """
        inputs, controls, lengths = self._tensors(note_sequences)
        steps = [len(array) for array in inputs]
        if assert_same_length and len(set(steps)) > 1:
            raise UserError(f"the sequences differ in length: {steps} steps")
        return self.encode_tensors(inputs, lengths, controls, seed=seed)

    def windows(self, note_sequence: "NoteSequence") -> "list[NoteSequence]":
        """The parts of a longer piece that can be encoded, at 120 quarter notes a minute.

        Raises:
          NoExtractedExamplesError: If there are none; it says why.
        """
        tensors = self._converter.to_tensors(note_sequence)
        controls = tensors.controls if self._converter.control_depth else None
        parts = self._converter.from_tensors(tensors.outputs, controls)
        # A part that ends in silence is shorter as notes and may not fit any more.
        fitting = [part for part in parts if len(self._converter.extract(part).examples) == 1]
        if not fitting:
            raise NoExtractedExamplesError(f"the piece gives no example: {_reasons(tensors)}")
        return fitting

    def decode(
        self,
        z: np.ndarray,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Music from latent vectors `[N, Z]`; see `sample` for the other arguments."""
        import_note_seq()
        tensors = self.decode_to_tensors(z, length, temperature, c_input, seed=seed)
        if not self._converter.control_depth or c_input is None:
            return self._converter.from_tensors(tensors)
        told = np.broadcast_to(c_input, (len(tensors), *np.shape(c_input)[-2:]))
        controls = [rows[: len(samples)] for rows, samples in zip(told, tensors, strict=True)]
        return self._converter.from_tensors(tensors, controls)

    def interpolate(
        self,
        start_sequence: "NoteSequence",
        end_sequence: "NoteSequence",
        num_steps: int = 5,
        length: int | None = None,
        temperature: float = 1.0,
        assert_same_length: bool = True,
        c_input: np.ndarray | None = None,
        *,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Music on the way from one piece to another, both ends as the model gives them included.

        The way is an arc between the means of the two posteriors (see `latent_space.slerp`).
        `c_input` is the control of all steps on the way; see `sample` for the other arguments.
        """
        _, mu, _ = self.encode([start_sequence, end_sequence], assert_same_length)
        z = latent_space.interpolate(mu[0], mu[1], num_steps).astype(np.float32)
        return self.decode(z, length, temperature, c_input, seed=seed)

    def interpolate_path(
        self,
        note_sequences: "Sequence[NoteSequence]",
        num_steps: int = 5,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Music on a way through two or more pieces, in equal steps: see `latent_space.path`."""
        _, mu, _ = self.encode(note_sequences)
        z = latent_space.path(mu, num_steps)
        return self.decode(z, length, temperature, c_input, seed=seed)

    def interpolate_grid(
        self,
        note_sequences: "Sequence[NoteSequence]",
        rows: int = 5,
        columns: int = 5,
        *,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        seed: int | None = None,
    ) -> "list[list[NoteSequence]]":
        """Rows of music between four pieces, its corners: see `latent_space.grid`."""
        _, mu, _ = self.encode(note_sequences)
        z = latent_space.grid(mu, rows, columns).reshape(rows * columns, -1)
        pieces = self.decode(z, length, temperature, c_input, seed=seed)
        return [pieces[row * columns : (row + 1) * columns] for row in range(rows)]

    def reconstruct(
        self,
        note_sequences: "Sequence[NoteSequence]",
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        shift: np.ndarray | None = None,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Pieces encoded, to the means of their posteriors, and decoded.

        Where the config has a control and `c_input` is None, each piece is told its own. `shift`
        is added to every z; see `sample` for it and for the other arguments, and
        `grooves.reconstruct` for grooves of any length.
        """
        mu, own = self._means(note_sequences, length)
        z = mu if shift is None else mu + shift
        return self.decode(z, length, temperature, own if c_input is None else c_input, seed=seed)

    def similar(
        self,
        note_sequence: "NoteSequence",
        n: int | None = None,
        similarity: float = 0.8,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """`n` neighbours of a piece: see `latent_space.similar`; and `reconstruct` for the rest."""
        rng = _generator(seed)
        mu, own = self._means([note_sequence], length)
        count = self._batch_size if n is None else n
        z = latent_space.similar(np.repeat(mu, count, axis=0), similarity, rng)
        told = own[0] if c_input is None and own is not None else c_input
        return self.decode(
            z, length, temperature, told, seed=int(rng.integers(_MAX_SEED, endpoint=True))
        )

    def _tensors(
        self, note_sequences: "Sequence[NoteSequence]"
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Inputs, controls and lengths of pieces that each give exactly one example."""
        inputs, controls, lengths = [], [], []
        for number, sequence in enumerate(note_sequences, start=1):
            tensors = self._converter.to_tensors(sequence)
            if not tensors.inputs:
                raise NoExtractedExamplesError(
                    f"sequence {number} gives no example: {_reasons(tensors)}"
                )
            if len(tensors.inputs) > 1:
                raise MultipleExtractedExamplesError(
                    f"sequence {number} gives {len(tensors.inputs)} examples; expected one: cut it "
                    "to the length that the config encodes"
                )
            inputs.append(tensors.inputs[0])
            controls.append(tensors.controls[0])
            lengths.append(tensors.lengths[0])
        return inputs, controls, lengths

    def _means(
        self, note_sequences: "Sequence[NoteSequence]", length: int | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The means of the pieces' posteriors `[N, Z]`, and their own controls `[N, T, Dc]`."""
        inputs, controls, lengths = self._tensors(note_sequences)
        _, mu, _ = self.encode_tensors(inputs, lengths, controls)
        if not self._converter.control_depth:
            return mu, None
        steps = self._config.hparams.max_seq_len if length is None else length
        return mu, np.stack([extended(self._converter, rows, steps) for rows in controls])

    # -- Arrays in, arrays out ----------------------------------------------------------------

    def encode_tensors(
        self,
        input_tensors: Sequence[np.ndarray],
        lengths: Sequence[Any],
        control_tensors: Sequence[np.ndarray] | None = None,
        *,
        seed: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Latent vectors (z, mu, sigma), all `[N, Z]`.

        Args:
          input_tensors: Arrays `[T, Din]` as the converter makes them.
          lengths: The valid steps of each.
          control_tensors: Arrays `[T, Dc]`, where the config has controls.
          seed: Makes z repeatable.
        """
        if not len(input_tensors):
            raise UserError("there is nothing to encode")
        depth = self._converter.control_depth
        if control_tensors is None and depth:
            raise UserError(f"{self._config.name} needs controls [T, {depth}] to encode")
        self._check_inputs(input_tensors, lengths)
        results = []
        for start in range(0, len(input_tensors), self._batch_size):
            chunk = slice(start, start + self._batch_size)
            inputs = _padded(input_tensors[chunk])
            controls = np.zeros((*inputs.shape[:2], 0), np.float32)
            if control_tensors is not None and depth:
                controls = _padded(control_tensors[chunk])
            sizes = np.asarray(lengths[chunk], np.int32)
            results.append(self._engine.encode(inputs, sizes, controls))
        mu, sigma = (np.concatenate(parts) for parts in zip(*results, strict=True))
        noise = _generator(seed).standard_normal(mu.shape, np.float32)
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
        """Samples `[T, Dout]` from latent vectors `[N, Z]`; see `sample` for the other arguments.

        Raises:
          UserError: For a z of the wrong width, a control that is missing or too short, or a
            temperature below 0.
        """
        z = np.asarray(z, np.float32)
        z_size = self._config.hparams.latent_size
        if z.ndim != 2 or z.shape[1] != z_size:
            raise UserError(f"z has shape {list(z.shape)}; {self._config.name} needs [N, {z_size}]")
        if not temperature >= 0:
            raise UserError(f"temperature={temperature} must be a number of at least 0")
        steps = self._config.hparams.max_seq_len if length is None else length
        if steps < 1:
            raise UserError(f"length={steps} must be at least 1 step")
        if self._fixed_length and steps != self._config.hparams.max_seq_len:
            raise UserError(
                f"length={steps}: {self._config.name} always makes "
                f"{self._config.hparams.max_seq_len} steps"
            )
        control = self._control(c_input, steps, len(z))
        root = int(_generator(seed).integers(_MAX_SEED)) if seed is None else seed

        def decode_batch(start: int) -> list[np.ndarray]:
            chunk = z[start : start + self._batch_size]
            controls = control[start : start + self._batch_size]
            noise = self._noise(root, range(start, start + len(chunk)), steps)
            made, lengths = self._engine.sample(
                chunk,
                controls,
                noise,
                temperature=temperature,
                end_token=self._converter.end_token,
            )
            if self._fixed_length:
                return list(made)
            return [array[:n] for array, n in zip(made, lengths, strict=True)]

        with ThreadPoolExecutor(self._engine.workers) as pool:
            batches = pool.map(decode_batch, range(0, len(z), self._batch_size))
            return [array for batch in batches for array in batch]

    def reconstruct_tensors(
        self,
        z: np.ndarray,
        output_tensors: Sequence[np.ndarray],
        lengths: Sequence[Any],
        control_tensors: Sequence[np.ndarray] | None = None,
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """What the model expects at every step of known music, told the steps before.

        Args:
          z: `[N, Z]`.
          output_tensors: The music, arrays `[T, Dout]` as the converter makes them.
          lengths: The valid steps of each.
          control_tensors: Arrays `[T, Dc]`, where the config has controls.

        Returns:
          The likeliest outcome of every step, arrays `[T, Dout]`; and the negative log-likelihood
          in nats of every step of the music, arrays `[T]`, zeros after the valid ones.
        """
        outputs: list[np.ndarray] = []
        losses: list[np.ndarray] = []
        for start in range(0, len(output_tensors), self._batch_size):
            chunk = slice(start, start + self._batch_size)
            targets = _padded(output_tensors[chunk])
            controls = np.zeros((*targets.shape[:2], 0), np.float32)
            if control_tensors is not None:
                controls = _padded(control_tensors[chunk])
            sizes = np.asarray(lengths[chunk], np.int32)
            made = self._engine.reconstruct(
                np.asarray(z[chunk], np.float32), targets, sizes, controls
            )
            steps = [len(array) for array in output_tensors[chunk]]
            outputs += [array[:n] for array, n in zip(made.outputs, steps, strict=True)]
            losses += [array[:n] for array, n in zip(made.loss_nats, steps, strict=True)]
        return outputs, losses

    def _check_inputs(self, inputs: Sequence[np.ndarray], lengths: Sequence[Any]) -> None:
        """Raises `UserError` for inputs of the wrong width and lengths that do not fit them."""
        if len(inputs) != len(lengths):
            raise UserError(f"{len(inputs)} inputs need as many lengths, not {len(lengths)}")
        width = self._converter.input_depth
        for array, length in zip(inputs, lengths, strict=True):
            if np.ndim(array) != 2 or np.shape(array)[1] != width:
                raise UserError(
                    f"an input has shape {list(np.shape(array))}; expected [T, {width}]"
                )
            if np.min(length) < 0 or np.max(length) > len(array):
                raise UserError(f"length {length} does not lie within the {len(array)} steps")

    def _control(self, c_input: np.ndarray | None, steps: int, number: int) -> np.ndarray:
        """The control for `steps` steps of `number` examples, `[number, steps, Dc]`."""
        depth = self._converter.control_depth
        if not depth:
            if c_input is not None:
                raise UserError(f"{self._config.name} has no control; c_input must be None")
            return np.zeros((number, steps, 0), np.float32)
        if c_input is None:
            raise UserError(f"{self._config.name} needs a control: c_input [T, {depth}]")
        control = np.asarray(c_input, np.float32)
        if control.ndim == 2:
            control = np.broadcast_to(control, (number, *control.shape))
        if control.ndim != 3 or control.shape[::2] != (number, depth) or control.shape[1] < steps:
            raise UserError(
                f"c_input has shape {list(np.shape(c_input))}; expected [{steps} or more, {depth}]"
            )
        return control[:, :steps]

    def _noise(self, root: Any, indices: range, steps: int) -> np.ndarray:
        """Uniform numbers `[B, steps, K]`; those of an example depend on its index alone."""
        size = (steps, self._engine.noise_size)
        return np.stack(
            [np.random.default_rng([root, index]).random(size, np.float32) for index in indices]
        )


def _engine(name: str, config: Config, path: str | Path, *, with_encoder: bool) -> Engine:
    """The engine of that name with the weights at `path`."""
    if name not in ENGINES:
        raise UserError(f"unknown engine {name!r}; known are {', '.join(ENGINES)}")
    if name == "tensorflow":
        from music_vae.engine.tensorflow_engine import TensorFlowEngine

        return TensorFlowEngine(config, path, with_encoder=with_encoder)
    weights = locate.open_weights(path)
    return NumpyEngine(config, weights, source=str(path), with_encoder=with_encoder)


def _generator(seed: int | None) -> np.random.Generator:
    """NumPy's generator of random numbers; by chance without a seed."""
    if seed is not None and seed < 0:
        raise UserError(f"seed={seed} must not be below 0")
    return np.random.default_rng(seed)


def _reasons(tensors: Tensors) -> str:
    """Why there are no examples."""
    return ", ".join(tensors.skipped) or "it holds no music for this config"


def _padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays `[T, D]` side by side as float32 `[B, T, D]`, zeros where one is shorter."""
    steps = max(len(array) for array in arrays)
    padded = np.zeros((len(arrays), steps, arrays[0].shape[1]), np.float32)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return padded
