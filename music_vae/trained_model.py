"""`TrainedModel`: sample, encode, decode and move through a latent space with trained weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from music_vae.common import seeds
from music_vae.common.errors import (
    MultipleExtractedExamplesError,
    NoExtractedExamplesError,
    UserError,
)
from music_vae.common.lazy_imports import import_note_seq
from music_vae.configs import get_config
from music_vae.engine.array_model import ArrayModel
from music_vae.latent import latent_space
from music_vae.music.converters.base import Tensors
from music_vae.weights import shipped

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


class TrainedModel(ArrayModel):
    """A model that makes music: an `ArrayModel` with notes at both ends.

    `[N, Z]` are N latent vectors. A control, `c_input`, is `[T, Dc]`, the same for all that is
    made, or `[N, T, Dc]`.

    Sampling is repeatable: the same `seed` gives the same music, whatever the batch size. Without a
    seed every call differs.
    """

    @classmethod
    def shipped(cls, config_name: str, batch_size: int = 8) -> "TrainedModel":
        """The model of a config that comes with the package: see `shipped.names`.

        Raises:
          UserError: If there is none.
        """
        folder = shipped.folder(config_name)
        return cls(get_config(config_name), batch_size, folder)

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
        count = self.batch_size if n is None else n
        if count < 0:
            raise UserError(f"n={count} must not be below 0")
        rng = seeds.generator(seed)
        size = self.config.hparams.latent_size if prior is None else prior.size
        z = rng.standard_normal((1 if same_z else count, size), np.float32)
        z = z if prior is None else prior.points(z)
        z = np.broadcast_to(z, (count, z.shape[1]))
        z = z if shift is None else z + shift
        return self.decode(z, length, temperature, c_input, seed=seeds.draw(rng))

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
        tensors = self.converter.to_tensors(note_sequence)
        controls = tensors.controls if self.converter.control_depth else None
        parts = self.converter.from_tensors(tensors.outputs, controls)
        # A part that ends in silence is shorter as notes and may not fit any more.
        fitting = [part for part in parts if len(self.converter.extract(part).examples) == 1]
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
        if not self.converter.control_depth or c_input is None:
            return self.converter.from_tensors(tensors)
        told = np.broadcast_to(c_input, (len(tensors), *np.shape(c_input)[-2:]))
        controls = [rows[: len(samples)] for rows, samples in zip(told, tensors, strict=True)]
        return self.converter.from_tensors(tensors, controls)

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
        rng = seeds.generator(seed)
        mu, own = self._means([note_sequence], length)
        count = self.batch_size if n is None else n
        z = latent_space.similar(np.repeat(mu, count, axis=0), similarity, rng)
        told = own[0] if c_input is None and own is not None else c_input
        return self.decode(z, length, temperature, told, seed=seeds.draw(rng))

    def _tensors(
        self, note_sequences: "Sequence[NoteSequence]"
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Inputs, controls and lengths of pieces that each give exactly one example."""
        inputs, controls, lengths = [], [], []
        for number, sequence in enumerate(note_sequences, start=1):
            tensors = self.converter.to_tensors(sequence)
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
        if not self.converter.control_depth:
            return mu, None
        steps = self.config.hparams.max_seq_len if length is None else length
        return mu, np.stack([self.converter.extended_controls(rows, steps) for rows in controls])


def _reasons(tensors: Tensors) -> str:
    """Why there are no examples."""
    return ", ".join(tensors.skipped) or "it holds no music for this config"
