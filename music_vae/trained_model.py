"""Defines `TrainedModel`, which samples, encodes, decodes and interpolates music."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.common import checks, seeds
from music_vae.common.errors import (
    MultipleExtractedExamplesError,
    NoExtractedExamplesError,
    UserError,
)
from music_vae.common.lazy_imports import import_note_seq, import_tensorflow
from music_vae.configs import Config, get_config
from music_vae.engine import ENGINES, arguments
from music_vae.engine.array_model import ArrayModel
from music_vae.latent import latent_space, priors
from music_vae.music import bar_lines, drum_part, pieces, tempos
from music_vae.music.converters.base import Tensors
from music_vae.music.converters.score import Score
from music_vae.weights import named, shipped

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.music.pieces import Piece, Pieces


class TrainedModel(ArrayModel):
    """A model with trained weights that takes notes in and gives notes out.

    It is an `ArrayModel` with music at both ends. What goes in is a NoteSequence, a PrettyMIDI, or
    the path of a MIDI, MusicXML or ABC file; where several pieces may go in, a list of these, or
    one by itself. What comes out are NoteSequences, at the tempo at the beginning of the piece that
    went in, of several the first; without a piece, at 120 quarter notes a minute.

    >>> from music_vae import notes_io
    >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> bars = model.windows(tune)[0]  # the first two bars
    >>> z, mu, sigma = model.encode([bars])
    >>> mu.shape
    (1, 128)
    >>> (again,) = model.decode(mu, temperature=0.01, seed=0)
    >>> [note.pitch for note in again.notes]
    [66, 67, 69, 66, 62, 66, 69, 66, 62, 66]
    >>> [note.pitch for note in again.notes] == [note.pitch for note in bars.notes]
    True

    Latent vectors are arrays `[N, Z]`, one row for each of N pieces. Controls, such as chords, are
    an array `c_input`: `[T, Dc]`, the same for all pieces, or `[N, T, Dc]`, for each its own.

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
        """Opens the weights of the model of `config`; see `ArrayModel` for the arguments."""
        super().__init__(
            config, batch_size, checkpoint_dir_or_path, with_encoder=with_encoder, engine=engine
        )
        self._priors: dict[str | None, latent_space.Prior | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Returns all but the weights and the priors that were read, which are read again."""
        return {**super().__getstate__(), "_priors": {}}

    @classmethod
    def shipped(cls, config_name: str, batch_size: int = 8) -> "TrainedModel":
        """Returns the model of a config that comes with the package: see `shipped.names`.

        Its name can be one of `shipped.ALIASES`, such as "melody".

        >>> TrainedModel.shipped("cat-drums_2bar_mini_lokl").config.name
        'cat-drums_2bar_mini_lokl'

        Raises:
          UserError: If no model of that config comes with the package.
        """
        if not isinstance(config_name, str):
            raise UserError(
                f"`config_name` must be the name of a config, not {checks.value_text(config_name)}"
            )
        config_name = shipped.full_name(config_name)
        folder = shipped.folder(config_name)
        return cls(get_config(config_name), batch_size, folder)

    def prior(self, prior: latent_space.Prior | str | None = None) -> latent_space.Prior | None:
        """Returns the prior that an argument, as for `sample`, stands for; None: N(0, 1).

        >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
        >>> print(model.prior("normal"))
        None

        Raises:
          UserError: As for `priors.find`, and for what is neither a prior nor a text.
        """
        if isinstance(prior, latent_space.Prior):
            return prior
        if not (prior is None or isinstance(prior, str)):
            raise UserError(
                "`prior` must be a Prior, as `prior()` of a personal model or a constraint returns "
                f"it, or the name of one, not {checks.value_text(prior)}"
            )
        if prior not in self._priors:
            self._priors[prior] = priors.choose(prior, self.config, self.source)
        return self._priors[prior]

    def sample(
        self,
        n: int | None = None,
        length: int | None = None,
        temperature: float = 1.0,
        same_z: bool = False,
        c_input: np.ndarray | None = None,
        *,
        shift: np.ndarray | None = None,
        prior: latent_space.Prior | str | None = None,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Samples new music from random points of the latent space.

        >>> model = TrainedModel.shipped("cat-drums_2bar_mini_lokl")
        >>> (beat,) = model.sample(1, length=8, temperature=0.1, seed=2)
        >>> for note in beat.notes:  # 36: bass drum, 38: snare, 42: hi-hat
        ...     print(note.start_time, note.pitch, end="; ")
        0.0 36; 0.125 42; 0.25 42; 0.375 36; 0.5 38; 0.625 42; 0.75 42; 0.875 42;

        Args:
          n: Number of pieces; None: `batch_size`.
          length: Number of steps of each piece; None: the config's `max_seq_len`.
          temperature: Divides the decoder's logits: near 0 the likeliest music of a point, above 1
            bolder music.
          same_z: If True, all pieces come from one point.
          c_input: Controls, if the config has any.
          shift: Vector `[Z]` that is added to every point: see `latent_space.attribute_shift`.
          prior: The distribution of the points: "fitted", the prior of the model that was fitted
            to music, or the name of another file of such a prior; "normal", the standard normal
            distribution; or a `Prior`, such as that of a `Constraint` or a `PersonalModel`. None:
            the fitted one if there is one beside the weights, else the normal one.
          seed: Seed of the points and of the decoder's random choices; None: every call differs.
        """
        count = self._count(n)
        move = self._shift(shift)
        rng = seeds.generator(seed)
        size, chosen = self.config.hparams.latent_size, self.prior(prior)
        z = latent_space.draw(1 if same_z else count, size, rng, chosen)
        z = np.broadcast_to(z, (count, z.shape[1]))
        return self.decode(z + move, length, temperature, c_input, seed=seeds.draw(rng))

    def encode(
        self,
        note_sequences: "Pieces",
        assert_same_length: bool = False,
        *,
        seed: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Encodes pieces to latent vectors (z, mu, sigma), all `[N, Z]`.

        z is drawn from the posterior N(mu, sigma). Each piece must give exactly one example:
        `windows` cuts a longer piece into parts that do. In place of a piece, here and in all other
        methods, can stand `Tensors` of one example, such as those of a `heard_windows.Window`.

        Args:
          note_sequences: The pieces.
          assert_same_length: If True, the pieces must have equal lengths.
          seed: Seed of z; None: every call draws another z.

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

    def windows(self, note_sequence: "Pieces") -> "list[NoteSequence]":
        """Cuts a longer piece, or each of several, into the parts that can be encoded.

        >>> model = load("melody")
        >>> parts = model.windows("examples/tunes/soldiers_joy.mid")  # two bars each
        >>> len(parts), [note.pitch for note in parts[0].notes]
        (16, [66, 67, 69, 66, 62, 66, 69, 66, 62, 66])

        Raises:
          NoExtractedExamplesError: If there are no such parts; it says why.
        """
        given = pieces.listed("note_sequence", note_sequence)
        return [part for piece in given for part in self._parts(piece)]

    def _parts(self, piece: "NoteSequence") -> "list[NoteSequence]":
        """Returns the parts of a piece that can be encoded, at its tempo."""
        tensors = self._examples(piece)
        controls = tensors.controls if self.converter.control_depth else None
        parts = bar_lines.decoded(self.converter, tensors.outputs, controls)
        parts = tempos.applied(parts, tempos.of(piece))
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
        """Decodes latent vectors `[N, Z]` to music; see `sample` for the other arguments.

        Each piece lasts whole bars, rests at its end included, and says its metre.
        """
        import_note_seq()
        tensors = self.decode_to_tensors(z, length, temperature, c_input, seed=seed)
        if not self.converter.control_depth or c_input is None:
            return bar_lines.decoded(self.converter, tensors)
        every = np.broadcast_to(c_input, (len(tensors), *np.shape(c_input)[-2:]))
        controls = [rows[: len(samples)] for rows, samples in zip(every, tensors, strict=True)]
        return bar_lines.decoded(self.converter, tensors, controls)

    def interpolate(
        self,
        start_sequence: "Piece",
        end_sequence: "Piece",
        num_steps: int = 5,
        length: int | None = None,
        temperature: float = 1.0,
        assert_same_length: bool = True,
        c_input: np.ndarray | None = None,
        *,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Interpolates from one piece to another in `num_steps` pieces.

        The points lie on an arc between the means of the two posteriors (see `latent_space.slerp`).
        The first and the last piece are the model's reconstructions of the two ends. `c_input`
        holds the controls of all pieces; see `sample` for the other arguments.

        >>> from music_vae import notes_io
        >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
        >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
        >>> first, *_, last = model.windows(tune)
        >>> for melody in model.interpolate(first, last, 4, temperature=0.1, seed=0):
        ...     print(*(note.pitch for note in melody.notes))
        66 67 69 66 62 66 69 66 62 66
        69 69 69 66 62 67 69 66 62 66
        78 78 74 76 69 74 69 74 66
        78 81 78 74 76 79 76 73 74 74 74
        """
        start = pieces.one("start_sequence", start_sequence)
        end = pieces.one("end_sequence", end_sequence)
        checks.check_number("num_steps", num_steps, checks.COUNT)
        _, mu, _ = self.encode([start, end], assert_same_length)
        z = latent_space.interpolate(mu[0], mu[1], num_steps).astype(np.float32)
        made = self.decode(z, length, temperature, c_input, seed=seed)
        return tempos.applied(made, tempos.of(start))

    def interpolate_path(
        self,
        note_sequences: "Pieces",
        num_steps: int = 5,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Interpolates through two or more pieces, and keeps these: see `latent_space.path`."""
        checks.check_number("num_steps", num_steps, checks.COUNT)
        given = pieces.listed("note_sequences", note_sequences)
        _, mu, _ = self.encode(given)
        z = latent_space.path(mu, num_steps)
        made = self.decode(z, length, temperature, c_input, seed=seed)
        return tempos.applied(made, tempos.of(given[0]))

    def interpolate_grid(
        self,
        note_sequences: "Pieces",
        rows: int = 5,
        columns: int = 5,
        *,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        seed: int | None = None,
    ) -> "list[list[NoteSequence]]":
        """Returns rows of music between four pieces, the corners: see `latent_space.grid`."""
        for name, number in (("rows", rows), ("columns", columns)):
            checks.check_number(name, number, checks.COUNT)
        given = pieces.listed("note_sequences", note_sequences)
        _, mu, _ = self.encode(given)
        z = latent_space.grid(mu, rows, columns).reshape(rows * columns, -1)
        made = self.decode(z, length, temperature, c_input, seed=seed)
        made = tempos.applied(made, tempos.of(given[0]))
        return [made[row * columns : (row + 1) * columns] for row in range(rows)]

    def reconstruct(
        self,
        note_sequences: "Pieces",
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        shift: np.ndarray | None = None,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Encodes pieces, to the means of their posteriors, and decodes them at their own tempos.

        If the config has controls and `c_input` is None, each piece keeps its own controls.
        `grooves.reconstruct` does the same for drum patterns of any length.

        Shifted by an attribute vector, the model plays a piece otherwise, here with more notes:

        >>> from music_vae import attribute_vectors, notes_io
        >>> model = TrainedModel.shipped("cat-mel_2bar_mini")
        >>> density = attribute_vectors.of_shipped("cat-mel_2bar_mini")["note_density"]
        >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
        >>> bars = model.windows(tune)[:1]
        >>> (same,) = model.reconstruct(bars, temperature=0.1, seed=0)
        >>> (denser,) = model.reconstruct(bars, temperature=0.1, shift=density, seed=0)
        >>> len(same.notes), len(denser.notes)
        (10, 26)

        See `sample` for `shift` and the other arguments.
        """
        move = self._shift(shift)
        given = pieces.listed("note_sequences", note_sequences)
        mu, own = self._means(given, length)
        made = self.decode(
            mu + move, length, temperature, own if c_input is None else c_input, seed=seed
        )
        both = zip(made, given, strict=True)
        return [piece for new, old in both for piece in tempos.applied([new], tempos.of(old))]

    def similar(
        self,
        note_sequence: "Piece",
        n: int | None = None,
        similarity: float = 0.8,
        length: int | None = None,
        temperature: float = 1.0,
        c_input: np.ndarray | None = None,
        *,
        prior: latent_space.Prior | str | None = None,
        seed: int | None = None,
    ) -> "list[NoteSequence]":
        """Returns `n` variations of a piece from its neighbourhood in the latent space.

        See `latent_space.similar` for `similarity`, `sample` for `prior`, from which come the
        points towards which the piece is moved, and `reconstruct` for the other arguments.
        """
        piece = pieces.one("note_sequence", note_sequence)
        checks.check_number("similarity", similarity, checks.SHARE)
        count, rng = self._count(n), seeds.generator(seed)
        mu, own = self._means([piece], length)
        z = latent_space.similar(np.repeat(mu, count, axis=0), similarity, rng, self.prior(prior))
        controls = own[0] if c_input is None and own is not None else c_input
        made = self.decode(z, length, temperature, controls, seed=seeds.draw(rng))
        return tempos.applied(made, tempos.of(piece))

    def _examples(self, piece: "NoteSequence | Score | Tensors") -> Tensors:
        """Returns the examples of a piece as the model is to hear it."""
        if isinstance(piece, Tensors):
            return piece
        return self.converter.to_tensors(drum_part.heard(self.converter, piece))

    def _tensors(
        self, note_sequences: "Pieces"
    ) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Returns inputs, controls and lengths of pieces that each give exactly one example."""
        inputs, controls, lengths = [], [], []
        for number, sequence in enumerate(pieces.listed("note_sequences", note_sequences), start=1):
            tensors = self._examples(sequence)
            if not tensors.inputs:
                raise NoExtractedExamplesError(
                    f"sequence {number} gives no example: {_reasons(tensors)}"
                )
            if len(tensors.inputs) > 1:
                raise MultipleExtractedExamplesError(
                    f"sequence {number} gives {len(tensors.inputs)} examples; expected one: cut it "
                    "to the length that the config encodes",
                    hint="`windows` returns such parts of a piece",
                )
            inputs.append(tensors.inputs[0])
            controls.append(tensors.controls[0])
            lengths.append(tensors.lengths[0])
        return inputs, controls, lengths

    def _count(self, n: int | None) -> int:
        """Returns the number of pieces for a given `n`."""
        if n is None:
            return self.batch_size
        checks.check_number("n", n, checks.COUNT_OR_NONE)
        return n

    def _shift(self, shift: np.ndarray | None) -> np.ndarray:
        """Returns the vector `[Z]` that is added to latent vectors: zeros if none is given."""
        size = self.config.hparams.latent_size
        return (
            np.zeros(size, np.float32)
            if shift is None
            else arguments.array_of("shift", shift, (size,))
        )

    def _means(
        self, note_sequences: "Pieces", length: int | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns the means of the posteriors `[N, Z]` and the pieces' controls `[N, T, Dc]`."""
        inputs, controls, lengths = self._tensors(note_sequences)
        _, mu, _ = self.encode_tensors(inputs, lengths, controls)
        if not self.converter.control_depth:
            return mu, None
        steps = self._steps(length)
        return mu, np.stack([self.converter.extended_controls(rows, steps) for rows in controls])


def load(
    source: str | Path,
    *,
    config: Config | str | None = None,
    batch_size: int = 8,
    with_encoder: bool = True,
    engine: str = ENGINES[0],
) -> TrainedModel:
    """Opens a model by its name, or by the path of a run or a checkpoint.

    >>> import music_vae
    >>> model = music_vae.load("melody")
    >>> (tune,) = model.sample(1, temperature=0.5, seed=0)
    >>> [note.pitch for note in tune.notes][:5]
    [74, 74, 69, 72, 76]

    Args:
      source: Name of a model that comes with the package (see `shipped.models`), or its short
        name; id of a published checkpoint, which is downloaded; or the path of a run, of a file of
        weights, or of a checkpoint. If a checkpoint lies at a path, that goes before a name.
      config: The config, or its name, for weights that no `config.json` lies beside.
      batch_size: Number of pieces that are computed at once.
      with_encoder: If False, the model cannot encode, and is opened sooner.
      engine: The engine that computes, "numpy" or "tensorflow". Both make the same music.

    Raises:
      UserError: If there is no such model, or its config is not known.
    """
    found = named.find(source, config)
    if engine == "tensorflow":
        import_tensorflow()
    return TrainedModel(
        found.config, batch_size, found.source, with_encoder=with_encoder, engine=engine
    )


def _reasons(tensors: Tensors) -> str:
    """Returns the reasons for which there are no examples, as a sentence."""
    return ", ".join(tensors.skipped) or "it holds no music for this config"
