"""Judges if the music that a model makes is like music: `music_vae_evaluate --realism`."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.examples import Examples
from music_vae.common import checks
from music_vae.common.errors import naming
from music_vae.configs import Config
from music_vae.evaluation import drawing, learning, realism
from music_vae.evaluation.evaluator import Evaluator, check_latent
from music_vae.evaluation.metrics import Metrics
from music_vae.latent import constraints, grooves, priors
from music_vae.latent.latent_space import Prior
from music_vae.latent.small_networks import Owner
from music_vae.music.converters.base import Converter
from music_vae.render import plotting, realism_picture

if TYPE_CHECKING:
    from note_seq.protobuf.music_pb2 import NoteSequence


_PICTURED = 4  # pieces of each kind
_SAMPLES = checks.Range(10, checks.COUNT.most)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to judge the music of a model.

    >>> melodies, test = ModelChoice(config="cat-mel_2bar_mini"), Examples("test.tfrecord")
    >>> Request(melodies, test, "train.tfrecord", Sampling(temperature=0.5)).num_samples
    500
    >>> Request(melodies, test, "train.tfrecord", Sampling(), num_samples=1)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `num_samples=1` must be at least 10

    Attributes:
      model: The model.
      examples: Music that the model was not trained on.
      train_examples_path: TFRecords of the music that it was trained on.
      sampling: Seed, temperature and batch size.
      num_samples: Number of samples, and the largest number of windows of each kind.
      constraint: A folder of a latent constraint, whose samples are judged, too; "own" for the one
        that lies with the model; None for none.
      prior: Prior that samples are drawn from, as for `TrainedModel.sample`.
      picture: A .png or .svg file that will be drawn, whose name is checked; None: no picture.
      engine: Engine that computes, "numpy" or "tensorflow".

    Raises:
      UserError: If there are to be too few samples.
    """

    model: ModelChoice
    examples: Examples
    train_examples_path: str
    sampling: Sampling
    num_samples: int = realism.NUMBER
    constraint: str | None = None
    prior: str | None = None
    picture: str | None = None
    engine: str = "numpy"

    def __post_init__(self) -> None:
        checks.check_numbers(self, _SAMPLES, "num_samples")


def measure(request: Request) -> realism.Judged:
    """Judges the music of a model.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes = Path(folder, "tunes.tfrecord")
    ...     names = ["soldiers_joy.mid", "fishers_hornpipe.mid"]
    ...     _ = write_tfrecord(Path("examples/tunes"), names, tunes, num_processes=1)
    ...     melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples(str(tunes))
    ...     judged = measure(Request(melodies, music, str(tunes), Sampling(0, 0.5), num_samples=10))
    >>> list(judged.metrics["music"])
    ['training', 'prior', 'posterior', 'reconstructions']

    Raises:
      UserError: If scikit-learn is missing, the model has no latent space, or there is no music.
    """
    learning.require_scikit_learn()
    if request.picture:
        plotting.check_picture(request.picture, "picture")
    config = request.model.read_config()
    check_latent(config)
    judged_priors = _priors(request, config)
    corpus = request.examples.find(config)
    training = Examples(
        request.train_examples_path,
        max_damaged=request.examples.max_damaged,
        argument="train_examples_path",
    ).find(config)
    model = request.model.open(config, request.sampling.max_batch_size, engine=request.engine)
    judged = realism.judge(
        Evaluator(model, request.sampling.seed or 0),
        corpus.windows,
        training.windows,
        number=request.num_samples,
        priors=judged_priors,
        temperature=request.sampling.temperature,
    )
    head = {
        "config": config.name,
        "checkpoint": request.model.label(config),
        "examples": {
            "sequences": corpus.num_sequences,
            "windows": corpus.num_windows,
            "training_sequences": training.num_sequences,
            "training_windows": training.num_windows,
        },
    }
    return judged._replace(metrics={**head, **judged.metrics})


def _priors(request: Request, config: Config) -> dict[str, Prior | None]:
    """Returns the priors whose samples are judged, by name."""
    source = request.model.resolve()
    judged: dict[str, Prior | None] = {realism.PRIOR: priors.choose(request.prior, config, source)}
    if request.constraint:
        with naming("constraint", request.constraint):
            folder = constraints.folder_of(request.constraint, source)
            constraint = constraints.read(folder, Owner.of(config, source))
        judged["constraint"] = constraint.prior({}, config.hparams.latent_size)
    return judged


def draw(judged: realism.Judged, converter: Converter, path: str) -> None:
    """Draws the features of the music, and pieces of each kind.

    The reconstructions are those of the real pieces over them.

    >>> draw(realism.Judged({"config": "mine"}, {}, {}), None, "figure.gif")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `picture=figure.gif`: expected the name of a .png or .svg
    file
    """
    plotting.check_picture(path, "picture")
    kinds = [kind for kind in judged.music if kind not in (realism.TRAINING, drawing.POSTERIOR)]
    order = [realism.HELD_OUT, drawing.RECONSTRUCTIONS]
    kinds = [*order, *(kind for kind in kinds if kind not in order)]
    metrics = judged.metrics
    realism_picture.draw(
        path,
        {kind: judged.features[kind] for kind in kinds},
        {kind: _pieces(converter, judged.music[kind].outputs) for kind in kinds},
        title=f"{metrics['config']} from {metrics['checkpoint']}, at temperature "
        f"{metrics['temperature']:g}",
    )


def _pieces(converter: Converter, outputs: Sequence[np.ndarray]) -> "list[NoteSequence]":
    """Returns some pieces from all over the outputs, the same places for as many outputs."""
    places = np.linspace(0, len(outputs) - 1, _PICTURED).round().astype(int).tolist()
    pieces = converter.from_tensors([outputs[place] for place in places])
    return [grooves.without_early_hits(piece) for piece in pieces]


# -- What is printed ------------------------------------------------------------------------------

_WIDE = 17


def table(metrics: Metrics) -> str:
    """Returns the figures of `measure` as tables.

    >>> row = {"windows": 9, "pieces": 3, "dist": 0.25, "bits_per_step": 2.5, "copies": 0.0,
    ...     "auc_features": {"value": 0.9, "low": 0.8, "high": 1.0}}
    >>> row["auc_windows"] = row["auc_features"]
    >>> print(table({"config": "mine", "checkpoint": "runs/mine", "temperature": 0.5,
    ...     "examples": {"sequences": 3}, "training_windows": 99, "music": {"prior": row},
    ...     "held_out": {"windows": 9, "pieces": 3, "bits_per_step": 1.5, "copies": 0.1},
    ...     "features": {"rests": {"spread": 0.1, "held-out": 0.2, "prior": 0.3}}}))
    mine from runs/mine, at temperature 0.5: 9 windows of 3 held-out pieces, 99 training windows
                             held-out            prior
      AUC, features                 -  0.90 (0.80-1.00)
      AUC, windows                  -  0.90 (0.80-1.00)
      dist                          -             0.25
      bits a step                1.50             2.50
      copies                    0.100            0.000
    <BLANKLINE>
                             held-out            prior
      rests              0.200 ± 0.100            0.300
    """
    held_out = metrics["held_out"]
    head = (
        f"{metrics['config']} from {metrics['checkpoint']}, at temperature "
        f"{metrics['temperature']:g}: {held_out['windows']} windows of {held_out['pieces']} "
        f"held-out pieces, {metrics['training_windows']} training windows"
    )
    blocks = [_rows_of_music(metrics), _rows_of_features(metrics)]
    if "groove" in metrics:
        blocks += _groove_blocks(metrics["groove"])
    wide = max(len(label) for block in blocks for label, _ in block) + 2
    lines = [
        [f"  {label:{wide}}" + "".join(_cell(c) for c in cells) for label, cells in block]
        for block in blocks
    ]
    return "\n".join([head, "\n\n".join("\n".join(own).rstrip() for own in lines)])


_Row = tuple[str, list[str]]


def _rows_of_music(metrics: Metrics) -> list[_Row]:
    kinds = {"held-out": metrics["held_out"], **metrics["music"]}
    rows = [("", list(kinds))]
    for name, label in (("auc_features", "AUC, features"), ("auc_windows", "AUC, windows")):
        rows.append((label, [_estimate(row.get(name), 2) for row in kinds.values()]))
    for name, label, digits in (
        ("dist", "dist", 2),
        ("bits_per_step", "bits a step", 2),
        ("copies", "copies", 3),
    ):
        rows.append((label, [_number(row.get(name), digits) for row in kinds.values()]))
    return rows


def _rows_of_features(metrics: Metrics) -> list[_Row]:
    kinds = ["held-out", *metrics["music"]]
    rows = [("", kinds)]
    for name, means in metrics["features"].items():
        cells = [_number(means[kind], 3) for kind in kinds]
        cells[0] += f" ± {_number(means['spread'], 3)}"
        rows.append((name, cells))
    return rows


def _groove_blocks(groove: Metrics) -> Iterator[list[_Row]]:
    players = list(groove["onset_ms"])
    errors: list[_Row] = [("the drummer's hits that the model keeps", players)]
    everywhere: list[_Row] = [("all of the drummer's hits", players)]
    for figure, label in (("onset_ms", "onset error, ms"), ("velocity", "velocity error, of 127")):
        errors.append((label, [_estimate(groove[figure][name], 1) for name in players]))
        everywhere.append(
            (label, [_estimate(groove["all_hits"][figure].get(name), 1) for name in players])
        )
    yield errors
    yield everywhere
    rows: list[_Row] = [
        ("share of hits kept", [_estimate(groove["hits_kept"], 2)]),
        ("hits added, by those played", [_number(groove["hits_added"], 2)]),
    ]
    for part in ("timing", "velocities"):
        rows.append((f"spread of {part}, by the drummer's", [_number(groove[part]["spread"], 2)]))
        rows.append((f"correlation of {part}", [_number(groove[part]["correlation"], 2)]))
    yield rows


def _cell(text: str) -> str:
    return f" {text:>{_WIDE}}"


def _estimate(found: Mapping[str, float] | None, digits: int) -> str:
    if found is None:
        return "-"
    value, low, high = (f"{found[name]:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} ({low}-{high})"


def _number(value: Any, digits: int) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"
