"""Makes files of music from a request: the work of `music_vae_generate`, also for use from Python.

`generate` does all of it, in steps that can be used one by one: `check` the request, `gather` the
material, `open_model`, `make` pieces, bring them `at_tempo`, and `write` them.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.commands import conditions, piece_files, provenance
from music_vae.commands.generate_request import MIXING, SIMILARITY, Request
from music_vae.commands.material import Material, gather
from music_vae.commands.tasks import TASKS
from music_vae.common import files, progress
from music_vae.common.constants import DEFAULT_QPM
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.latent import grooves
from music_vae.music import joining, notes_io, tempos
from music_vae.render.made import Made

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence

    from music_vae.render.rendering import Rendering
    from music_vae.trained_model import TrainedModel

_log = logging.getLogger(__name__)


def generate(request: Request) -> Iterator[Path]:
    """Makes the music that a request asks for, and yields the path of each file once it is written.

    >>> import tempfile
    >>> from music_vae.commands.choices import ModelChoice
    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     request = Request(melodies, Path(folder), num_outputs=2)
    ...     [path.name for path in generate(request)]
    ['cat-mel_2bar_mini_sample_..._seed...-000-of-002.mid', '...-001-of-002.mid']

    Raises:
      UserError: If the model cannot do what is asked for, or a file cannot be read or written.
    """
    request, stamp = request.with_seed(), time.strftime("%Y-%m-%d_%H%M%S")
    config = request.model.read_config()
    check(request, config)
    wanted = prepare_rendering(request)
    material = gather(request, config, stamp)
    pieces = at_tempo(make(open_model(request, config), request, material), request, material)
    _say_how_many_are_silent(pieces)
    if request.join:
        pieces = [joining.joined(pieces)]
    made = write(pieces, request, config, stamp)
    yield from made.paths
    if wanted is not None:
        from music_vae.render import rendering

        yield from rendering.write(wanted, made)


def _say_how_many_are_silent(pieces: "Sequence[NoteSequence]") -> None:
    """Logs how many pieces have no notes, so that nobody takes their files for broken ones."""
    silent = sum(not piece.notes for piece in pieces)
    if silent:
        _log.warning(
            "%d of %d pieces have no notes: a higher temperature may bring some, and a model that "
            "was trained for a few steps needs more training",
            silent,
            len(pieces),
        )


def check(request: Request, config: Config) -> None:
    """Raises `UserError` if the model of `config` cannot do what is asked for, or needs more.

    >>> from music_vae.commands.choices import ModelChoice
    >>> request = Request(ModelChoice(config="cat-mel_2bar_mini"), Path("music"), key="Bb")
    >>> check(request, request.model.read_config())
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `key`: cat-mel_2bar_mini is not conditioned on a key; no ...
    """
    files.check_writable(request.output_dir, "output_dir")
    is_groove = config.data_converter.plays_any_length
    if request.task is not None and TASKS[request.task].for_grooves and not is_groove:
        raise UserError(f"`mode={request.task}` is for models of grooves; {config.name} is none")
    needed = conditions.needed(config.data_converter)
    for name in conditions.ARGUMENTS:
        if getattr(request, name) is not None and name not in needed:
            conditions.refuse(name, config)
    missing = [text for name, text in needed.items() if getattr(request, name) is None]
    starts_from_one = request.mode != "interpolate" and request.inputs
    if missing and not (starts_from_one and len(missing) == len(needed)):  # else it has its own
        raise UserError(f"{config.name} has to be told {' and '.join(missing)}")
    mixing = [name for name in MIXING if getattr(request, name) is not None]
    if mixing and not config.data_converter.plays_any_length:
        raise UserError(f"`{mixing[0]}` is for models of grooves; {config.name} is none")
    if mixing and not config.data_converter.has_numbers:
        raise UserError(f"`{mixing[0]}`: {config.name} has velocities and timing in bins")
    if request.mode != "sample" and not config.hparams.latent_size:
        raise UserError(f"{config.name} has no latent space; `mode=sample` is all it can do")


def prepare_rendering(request: Request) -> "Rendering | None":
    """Finds what is needed to render music, before any is made; None if that is not asked for.

    The code for pictures and sound takes a while to import, so this is done only when needed.

    >>> from music_vae.commands.choices import ModelChoice
    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> prepare_rendering(Request(melodies, Path("music"), render=("gif",)))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `render=gif`: expected some of wav, flac, ogg, png, svg,
    html, not 'gif'
    """
    if not (request.render or request.soundfont or request.loop):
        return None
    from music_vae.render import rendering

    return rendering.prepare(
        request.render, request.soundfont, shape=request.shape, loop=request.loop
    )


# -- Music ----------------------------------------------------------------------------------------


def open_model(request: Request, config: Config) -> "TrainedModel":
    """Opens the model, with its encoder if something has to be encoded.

    >>> from music_vae.commands.choices import ModelChoice
    >>> request = Request(ModelChoice(config="cat-mel_2bar_mini"), Path("music"), num_outputs=3)
    >>> open_model(request, request.model.read_config()).config.name
    'cat-mel_2bar_mini'
    """
    return request.model.open(
        config,
        min(request.sampling.max_batch_size, request.count),
        with_encoder=request.mode != "sample",
        engine=request.engine,
    )


def make(
    model: "TrainedModel", request: Request, material: Material | None = None
) -> "list[NoteSequence]":
    """Makes the pieces that a request asks for, at 120 quarter notes a minute.

    A groove may begin with hits before time zero; such pieces are moved to begin at zero.

    >>> from music_vae.commands.choices import ModelChoice, Sampling
    >>> melodies, settings = ModelChoice(config="cat-mel_2bar_mini"), Sampling(seed=1)
    >>> request = Request(melodies, Path("music"), "similar", num_outputs=2, sampling=settings,
    ...     similarity=0.5, input_midi=(Path("examples/two_bars/durangs_hornpipe.mid"),))
    >>> config = melodies.read_config()
    >>> material = gather(request, config, stamp="now")
    >>> for piece in make(open_model(request, config), request, material):
    ...     [note.pitch for note in piece.notes][:8]
    [74, 76, 74, 74, 71, 69, 74, 76]
    [76, 76, 76, 71, 76, 71, 69, 69]

    Args:
      model: The model that `open_model` opens.
      request: The request.
      material: The material that `gather` finds; None: there is none.
    """
    request, material = request.with_seed(), material or Material()  # so that windows have one seed
    if material.spans:
        return _whole(model, request, material)
    controls: list[np.ndarray | None] = [*material.controls] or [None]
    windows = [
        _MAKERS[request.mode](
            model,
            request,
            material,
            temperature=request.sampling.temperature,
            c_input=c_input,
            seed=request.sampling.seed,
        )
        for c_input in controls
    ]
    converter = model.converter
    window_s = (converter.window_bars or 1) * converter.quarters_per_bar * 60 / DEFAULT_QPM
    made = [
        joining.placed([(number * window_s, part) for number, part in enumerate(parts)])
        for parts in zip(*windows, strict=True)
    ]
    early = map(grooves.without_early_hits, made)
    moved = (piece_files.moved(piece, material.semitones) for piece in early)
    return [piece_files.of_track(piece, material.track, material.program) for piece in moved]


def _whole(model: "TrainedModel", request: Request, material: Material) -> "list[NoteSequence]":
    """Makes pieces of all windows of a piece, joined where they are in it.

    All windows have the same seed, so that what is repeated in the piece stays the same, and each
    of several variations goes the same way in all windows.
    """
    windows = list(zip(material.spans, material.pieces, strict=True))
    takes = []
    for span, piece in progress.bar(windows, "windows", unit="window"):
        own = dataclasses.replace(material, pieces=[piece], spans=())
        begin_s, end_s = (quarter * 60 / DEFAULT_QPM for quarter in span)
        parts = make(model, request, own)
        takes.append([(begin_s, joining.beginning(part, end_s - begin_s)) for part in parts])
    return [joining.placed(parts) for parts in zip(*takes, strict=True)]


def _sample(
    model: "TrainedModel", request: Request, material: Material, **options: Any
) -> "list[NoteSequence]":
    return model.sample(request.count, shift=material.shift, prior=material.prior, **options)


def _interpolate(
    model: "TrainedModel", request: Request, material: Material, **options: Any
) -> "list[NoteSequence]":
    if request.grid is None or request.shape is None:
        return model.interpolate_path(material.pieces, request.count, **options)
    rows = model.interpolate_grid(material.pieces, *request.shape, **options)
    return [piece for row in rows for piece in row]


def _reconstruct(
    model: "TrainedModel", request: Request, material: Material, **options: Any
) -> "list[NoteSequence]":
    (piece,), count, options["shift"] = material.pieces, request.count, material.shift
    if model.converter.plays_any_length:
        options |= {"playing": request.playing, "keeps_tempo": False}  # `at_tempo` gives it
        return grooves.reconstruct(model, piece, count, **options)
    return model.reconstruct([piece] * count, **options)


def _similar(
    model: "TrainedModel", request: Request, material: Material, **options: Any
) -> "list[NoteSequence]":
    similarity = SIMILARITY if request.similarity is None else request.similarity
    options["prior"] = material.prior
    return model.similar(material.pieces[0], request.count, similarity, **options)


def _attribute(
    model: "TrainedModel", request: Request, material: Material, **options: Any
) -> "list[NoteSequence]":
    change = _reconstruct if material.pieces else _sample
    return change(model, request, material, **options)


_MAKERS: dict[str, Callable[..., "list[NoteSequence]"]] = {
    "sample": _sample,
    "interpolate": _interpolate,
    "reconstruct": _reconstruct,
    "similar": _similar,
    "attribute": _attribute,
}


# -- Files ----------------------------------------------------------------------------------------


def at_tempo(
    pieces: "Sequence[NoteSequence]", request: Request, material: Material
) -> "Sequence[NoteSequence]":
    """Returns pieces at the tempo that is asked for, else at that of the first input or its tempos.

    >>> from music_vae.commands.choices import ModelChoice
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 2}], total_time=2)
    >>> slow = Request(ModelChoice(config="cat-mel_2bar_mini"), Path("music"), qpm=60)
    >>> at_tempo([middle_c], slow, Material())[0].notes[0].end_time  # at 120 it was 2 seconds
    4.0
    """
    if request.qpm is not None:
        return tempos.applied(pieces, request.qpm)
    own = material.tempo_map or material.qpm
    if own is None and material.pieces:
        own = tempos.of(material.pieces[0])
    return tempos.applied(pieces, own)


def write(pieces: "Sequence[NoteSequence]", request: Request, config: Config, stamp: str) -> Made:
    """Writes pieces as MIDI files; returns them with their paths, for `rendering.write`.

    Their names hold the seed, and each says how it was made, as `provenance.text` does. No file is
    replaced: if there are files of that name, of another run within the second, those of this one
    have the next free name.

    >>> import tempfile
    >>> from music_vae.commands.choices import ModelChoice, Sampling
    >>> from note_seq.protobuf.music_pb2 import NoteSequence
    >>> middle_c = NoteSequence(notes=[{"pitch": 60, "velocity": 80, "end_time": 2}], total_time=2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     melodies, settings = ModelChoice(config="cat-mel_2bar_mini"), Sampling(seed=7)
    ...     request = Request(melodies, Path(folder), num_outputs=1, sampling=settings)
    ...     made = write([middle_c], request, melodies.read_config(), stamp="now")
    ...     [path.name for path in made.paths]
    ['cat-mel_2bar_mini_sample_now_seed7-000-of-001.mid']

    Args:
      pieces: The pieces.
      request: The request.
      config: The config of its model.
      stamp: Text that makes the names of the files unique, such as the time.
    """
    seed = request.sampling.seed
    wanted = f"{config.name}_{request.mode}_{stamp}" + ("" if seed is None else f"_seed{seed}")
    count = len(pieces)
    texts = [provenance.text(request, config, number, count) for number in range(1, count + 1)]
    grid = None if request.grid is None else request.shape
    with files.free_name(request.output_dir, wanted) as name:
        paths = piece_files.named(request.output_dir, name, count, grid)
        piece_files.write(pieces, paths, texts)
    facts = _facts(request, config, notes_io.tempo_of(pieces[0]))
    title = f"{config.name}: {request.mode}"
    return Made(pieces, paths, name, title, request.shape, facts)


def _facts(request: Request, config: Config, qpm: float) -> dict[str, str]:
    """Returns the facts that the page of results shows, by name."""
    inputs = ", ".join(given.path.name for given in request.inputs)
    return {
        "config": config.name,
        "mode": request.mode,
        "seed": str(request.sampling.seed),
        "temperature": f"{request.sampling.temperature:g}",
        "tempo": f"{qpm:g}",
        **({"input": inputs} if inputs else {}),
        **request.facts(),
    }
