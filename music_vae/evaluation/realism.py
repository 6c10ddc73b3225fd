"""Judges if the music that a model makes is like music: features, an n-gram model, a classifier.

Samples of the prior, music from the posteriors of held-out windows and their reconstructions are
set beside those windows. Windows that the model was trained on stand beside them as the floor: they
are real, so nothing can be nearer than they are but by chance.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from music_vae.common import progress
from music_vae.common.constants import MAX_MIDI_VELOCITY
from music_vae.dataset.windows import Window
from music_vae.evaluation import (
    drawing,
    groove_playing,
    learning,
    two_sample,
)
from music_vae.evaluation.drawing import Music
from music_vae.evaluation.evaluator import Evaluator
from music_vae.evaluation.metrics import Metrics
from music_vae.evaluation.surprise import Surprise, key, tokens
from music_vae.latent.latent_space import Prior
from music_vae.music import features
from music_vae.music.converters.base import Converter
from music_vae.music.symbols import Beat

HELD_OUT, TRAINING, PRIOR = "held-out", "training", "prior"
"""Names of the music that is real, and of samples of the prior."""

TEMPERATURE = 0.5
"""The temperature at which music is made by default."""

NUMBER = 500
"""The number of windows of each kind by default."""

_Features = dict[str, np.ndarray]
_Measured = Mapping[str, _Features]

_TRAINING_PIECES = 1 << 32  # their numbers begin here, so that they differ from held-out ones


class Judged(NamedTuple):
    """The figures of a model's music, and the music itself.

    >>> Judged({"temperature": 0.5}, features={}, music={}).metrics
    {'temperature': 0.5}

    Attributes:
      metrics: The figures; see `judge`.
      features: By kind of music, the features of its windows `[N]` by name.
      music: The windows by kind of music.
    """

    metrics: Metrics
    features: dict[str, _Features]
    music: dict[str, Music]


def judge(
    evaluator: Evaluator,
    windows: Sequence[Window],
    training: Sequence[Window],
    *,
    number: int = NUMBER,
    priors: Mapping[str, Prior | None] | None = None,
    temperature: float = TEMPERATURE,
) -> Judged:
    """Judges the music of a model; needs scikit-learn.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.engine.array_model import ArrayModel
    >>> from music_vae.music import notes_io
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> names = [f"examples/tunes/{name}.mid" for name in ("soldiers_joy", "fishers_hornpipe")]
    >>> windows = read_windows([tune for name in names for tune in notes_io.read_music_file(name)],
    ...     config)
    >>> evaluator = Evaluator(ArrayModel(config, 8, shipped.folder(config.name)))
    >>> figures = judge(evaluator, windows, windows, number=8).metrics
    >>> {name: round(row["dist"], 1) for name, row in figures["music"].items()}
    {'training': 0.0, 'prior': 3.3, 'posterior': 0.3, 'reconstructions': 0.0}

    Args:
      evaluator: The model.
      windows: Music that it was not trained on.
      training: Music that it was trained on.
      number: Largest number of windows of each kind.
      priors: Priors by the name of their samples; None: the model's own.
      temperature: Temperature at which music is made.

    Returns:
      Among its metrics are, by kind of music under `music`: `dist`, the mean over all features of
      the difference of their means from those of held-out windows, in standard deviations of these;
      `auc_features` and `auc_windows`, see `two_sample.auc`; `bits_per_step` to an n-gram model of
      the training music; and `copies`, the share of windows that are windows of the training music.

    Raises:
      UserError: If scikit-learn is missing, or there is music of a single piece.
    """
    learning.require_scikit_learn()
    converter, seed = evaluator.converter, evaluator.seed
    for own in (windows, training):
        two_sample.check_pieces(len({window.piece for window in own}))
    most = drawing.most_per_piece(windows, number)
    held_out, learned = (
        drawing.drawn_windows(own, number, most, seed) for own in (windows, training)
    )
    priors = priors or {PRIOR: None}
    music = {
        HELD_OUT: _windows_as_music(converter, held_out),
        TRAINING: _windows_as_music(converter, learned, first=_TRAINING_PIECES),
        **drawing.draw(evaluator, held_out, number, priors, temperature=temperature),
    }
    measured = _measured(converter, music)
    rows = _rows(converter, music, measured, Surprise.of(converter, training), seed)
    result: Metrics = {
        "temperature": temperature,
        "training_windows": len(training),
        "held_out": rows.pop(HELD_OUT),
        "music": rows,
        "features": {n: _of_feature(n, measured) for n in measured[HELD_OUT]},
    }
    if groove_playing.has_playing(converter):
        made = music[drawing.RECONSTRUCTIONS].outputs
        result["groove"] = groove_playing.measure(converter, held_out, made, training, seed=seed)
    return Judged(result, measured, music)


def _rows(
    converter: Converter,
    music: Mapping[str, Music],
    measured: _Measured,
    surprise: Surprise,
    seed: int,
) -> dict[str, Metrics]:
    """Returns the figures of each kind of music."""
    rows = {}
    for kind in progress.bar(list(music), "telling apart"):
        rows[kind] = {
            "windows": len(music[kind].outputs),
            "pieces": len(set(music[kind].pieces.tolist())),
            **surprise.measure(music[kind].outputs),
        }
        if kind == TRAINING:
            rows[kind] |= {"bits_per_step": None, "copies": None}  # which are known by heart
        if kind != HELD_OUT:
            rows[kind] |= _differences(converter, music, measured, kind, seed)
    return rows


def raw_windows(converter: Converter, outputs: Sequence[np.ndarray]) -> Any:
    """Returns windows as rows of a sparse matrix, for a classifier.

    Drums are their hits, with velocities and delays if they have such. Other music is the symbol of
    every step, one-hot, whatever the key.

    >>> from music_vae.configs import get_config
    >>> converter = get_config("cat-drums_2bar_small").data_converter
    >>> bass_drum = converter.dense_outputs(np.array([1] + [0] * 31))
    >>> raw_windows(converter, [bass_drum, bass_drum]).shape  # of nine drums
    (2, 288)

    Args:
      converter: The representation of the music.
      outputs: Dense outputs `[T, output_depth]` of each window.
    """
    from scipy import sparse

    if converter.has_hits:
        hits = [_raw_hits(converter, array) for array in outputs]
        size = max(map(len, hits))
        return sparse.csr_matrix(np.stack([np.pad(row, (0, size - len(row))) for row in hits]))
    found = [np.asarray(tokens(converter, array)) for array in outputs]
    owners = np.repeat(np.arange(len(found)), [array.size for array in found])
    places = np.concatenate([np.arange(array.size) for array in found])
    symbols = np.concatenate([array.reshape(-1) for array in found])
    different, columns = np.unique(np.stack([places, symbols]), axis=1, return_inverse=True)
    shape = len(found), different.shape[1]
    return sparse.csr_matrix((np.ones(len(owners)), (owners, columns.reshape(-1))), shape)


def _raw_hits(converter: Converter, outputs: np.ndarray) -> np.ndarray:
    """Returns hits, velocities and delays, each about as large as the others, `[N]`."""
    ((_, beat),) = converter.voices(outputs)
    assert isinstance(beat, Beat)
    parts = [beat.hits]
    if beat.velocities is not None and beat.delays is not None:
        parts += [beat.velocities * beat.hits / MAX_MIDI_VELOCITY, 2 * beat.delays * beat.hits]
    return np.concatenate(parts, axis=1, dtype=np.float32).reshape(-1)


def _windows_as_music(converter: Converter, windows: Sequence[Window], first: int = 0) -> Music:
    outputs = [converter.dense_outputs(window.example.outputs) for window in windows]
    return Music(outputs, first + np.array([window.piece for window in windows]))


def _measured(converter: Converter, music: Mapping[str, Music]) -> dict[str, _Features]:
    """Returns the features of all windows, by kind of music; NaN where a window does not have one.

    Features that no window has are left out.
    """
    found = {
        kind: [features.measure(converter, array) for array in made.outputs]
        for kind, made in progress.bar(music.items(), "measuring", total=len(music))
    }
    names = dict.fromkeys(name for own in found.values() for values in own for name in values)
    measured: dict[str, _Features] = {kind: {} for kind in found}
    for name in names:
        columns = {
            kind: np.array([values.get(name, math.nan) for values in own])
            for kind, own in found.items()
        }
        if any(np.isfinite(column).any() for column in columns.values()):
            for kind, column in columns.items():
                measured[kind][name] = column
    return measured


def _of_feature(name: str, measured: _Measured) -> Metrics:
    """Returns a feature's spread in held-out windows, and its means by kind of music."""
    means = {kind: _number(np.nanmean, own[name]) for kind, own in measured.items()}
    return {"spread": _number(np.nanstd, measured[HELD_OUT][name]), **means}


def _number(function: Any, values: np.ndarray) -> float:
    """Returns a function of the values that are numbers; NaN if there are none."""
    return float(function(values)) if np.isfinite(values).any() else math.nan


def _differences(
    converter: Converter,
    music: Mapping[str, Music],
    measured: _Measured,
    kind: str,
    seed: int,
) -> Metrics:
    """Returns how far music is from held-out windows, and how well it is told from them."""
    made, real = music[kind], music[HELD_OUT]
    pieces = _pieces(converter, made, real), real.pieces.tolist()
    own, true = (np.stack(list(measured[name].values()), axis=1) for name in (kind, HELD_OUT))
    raw = raw_windows(converter, [*made.outputs, *real.outputs])
    return {
        "dist": _distance(own, true),
        "auc_features": two_sample.auc(own, true, pieces, learning.trees, seed)._asdict(),
        "auc_windows": two_sample.auc(
            raw[: len(own)], raw[len(own) :], pieces, learning.linear, seed
        )._asdict(),
    }


def _pieces(converter: Converter, made: Music, real: Music) -> list[int]:
    """Returns the pieces of what was made; a copy of a real window is of that window's piece.

    Copies in another key count, too. Else a classifier would learn that one of the two is real, and
    take the other for made.
    """
    owners: dict[bytes, list[int]] = {}
    for outputs, piece in zip(real.outputs, real.pieces.tolist(), strict=True):
        owners.setdefault(key(converter, outputs, any_key=True), []).append(piece)
    known = set(real.pieces.tolist())
    turns: Counter[bytes] = Counter()
    pieces = []
    for outputs, piece in zip(made.outputs, made.pieces.tolist(), strict=True):
        own = key(converter, outputs, any_key=True)
        if piece not in known and own in owners:  # of several equal windows each in its turn
            piece = owners[own][turns[own] % len(owners[own])]
            turns[own] += 1
        pieces.append(piece)
    return pieces


def _distance(made: np.ndarray, real: np.ndarray) -> float:
    """Returns the mean distance of the features `[N, F]`, of those that vary in real music."""
    distances = []
    for own, true in zip(made.T, real.T, strict=True):
        spread = _number(np.nanstd, true)
        if spread > 0 and np.isfinite(own).any():
            distances.append(abs(np.nanmean(own) - np.nanmean(true)) / spread)
    return float(np.mean(distances)) if distances else math.nan
