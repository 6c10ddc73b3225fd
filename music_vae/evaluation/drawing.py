"""Draws the music of a model that is judged, and the real music beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from music_vae.dataset.windows import Window, subset
from music_vae.evaluation.evaluator import Evaluator
from music_vae.latent.corpus import encode_windows
from music_vae.latent.latent_space import Prior

POSTERIOR, RECONSTRUCTIONS = "posterior", "reconstructions"
"""Names of the music that is decoded from the posteriors of windows, and from their means."""


class Music(NamedTuple):
    """Windows of music, each with the piece that it is from.

    >>> Music(outputs=[np.zeros((32, 90))], pieces=np.array([7])).pieces
    array([7])

    Attributes:
      outputs: Dense outputs `[T, output_depth]` of each window.
      pieces: Number of the piece that each belongs to, `[N]`; different for different corpora.
    """

    outputs: list[np.ndarray]
    pieces: np.ndarray


def most_per_piece(windows: Sequence[Window], number: int) -> int:
    """Returns the fewest windows of a piece that are enough for so many windows of all pieces.

    >>> from music_vae.music.converters.base import Example
    >>> tokens = np.array([41, 0, 43, 0], np.int16)
    >>> example = Example(tokens, tokens, None, np.int32(4))
    >>> windows = [Window(example, 0.125, piece) for piece in (0, 0, 0, 0, 1, 2)]
    >>> most_per_piece(windows, 4)  # two of the first piece, one of each other
    2

    Args:
      windows: The windows of a corpus.
      number: Number of windows that are wanted; if there are fewer, all of a piece are counted.
    """
    counts = np.array(sorted(Counter(window.piece for window in windows).values()))
    most = 1
    while most < counts.max() and np.minimum(counts, most).sum() < number:
        most += 1
    return most


def drawn_windows(windows: Sequence[Window], number: int, most: int, seed: int) -> Sequence[Window]:
    """Draws windows at random, no more than `most` of a piece, in their order.

    The windows of a long piece are like each other; so few of them stand for it.

    >>> from music_vae.music.converters.base import Example
    >>> tokens = np.array([41, 0, 43, 0], np.int16)
    >>> example = Example(tokens, tokens, None, np.int32(4))
    >>> windows = [Window(example, 0.125, piece) for piece in (0, 0, 0, 0, 1, 2)]
    >>> [window.piece for window in drawn_windows(windows, 9, most=2, seed=0)]
    [0, 0, 1, 2]

    Args:
      windows: The windows of a corpus.
      number: Largest number of windows.
      most: Largest number of windows of a piece.
      seed: Seed of the random generator.
    """
    of_piece: Counter[int] = Counter()
    chosen = []
    for index in np.random.default_rng([seed, 10]).permutation(len(windows)).tolist():
        piece = windows[index].piece
        of_piece[piece] += 1
        if of_piece[piece] <= most:
            chosen.append(index)
    return subset([windows[index] for index in sorted(chosen)], number, seed)


def draw(
    evaluator: Evaluator,
    windows: Sequence[Window],
    number: int,
    priors: Mapping[str, Prior | None],
    *,
    temperature: float,
) -> dict[str, Music]:
    """Draws the music of a model: samples of each prior, and of the posteriors of windows.

    The last two sets are decoded from z that are drawn from the windows' posteriors, and from the
    means of these. What is made of a window belongs to the window's piece.

    >>> from music_vae.configs import get_config
    >>> from music_vae.dataset.windows import read_windows
    >>> from music_vae.engine.array_model import ArrayModel
    >>> from music_vae.music import notes_io
    >>> from music_vae.weights import shipped
    >>> config = get_config("cat-mel_2bar_mini")
    >>> (tune,) = notes_io.read_music_file("examples/tunes/soldiers_joy.mid")
    >>> evaluator = Evaluator(ArrayModel(config, 8, shipped.folder(config.name)))
    >>> windows = read_windows([tune], config)[:4]
    >>> music = draw(evaluator, windows, 2, {"samples": None}, temperature=0.5)
    >>> {name: len(made.outputs) for name, made in music.items()}
    {'samples': 2, 'posterior': 4, 'reconstructions': 4}

    Args:
      evaluator: The model.
      windows: Music that it was not trained on. If the model has controls, samples take those of
        the windows in turn.
      number: Number of samples of each prior.
      priors: Priors by the name of their samples.
      temperature: Temperature at which all is decoded.
    """
    model = evaluator.model
    alone = -1 - np.arange(number)  # each sample is a piece of its own
    music = {}
    for name, prior in priors.items():
        music[name] = Music(evaluator.draw(number, windows, name, temperature, prior), alone)
    z, mu, _ = encode_windows(model, windows, chunk_size=model.batch_size, seed=evaluator.seed)
    pieces = np.array([window.piece for window in windows])
    for name, points in ((POSTERIOR, z), (RECONSTRUCTIONS, mu)):
        music[name] = Music(evaluator.sample(points, windows, name, temperature), pieces)
    return music
