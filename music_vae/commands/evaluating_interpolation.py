"""Measures and draws how smooth interpolation is: `music_vae_evaluate --interpolation`."""

import dataclasses

from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.examples import Examples
from music_vae.common import checks
from music_vae.common.constants import MAX_DAMAGED
from music_vae.evaluation import interpolation, language_model
from music_vae.evaluation.evaluator import check_latent
from music_vae.evaluation.metrics import Metrics
from music_vae.render import plotting


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to measure interpolation between pairs of windows.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> Request(melodies, "test.tfrecord", "train.tfrecord", Sampling(temperature=0.5)).pairs
    256
    >>> Request(melodies, "test.tfrecord", "train.tfrecord", Sampling(), pairs=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `pairs=0` must be at least 1

    Attributes:
      model: The model.
      examples_path: TFRecords of the music between whose windows the model interpolates.
      train_examples_path: TFRecords of the music that the language model learns.
      sampling: Seed, temperature and batch size.
      pairs: Number of pairs of windows.
      picture: A .png or .svg file that will be drawn, whose name is checked; None: no picture.
      max_damaged: Largest share of the records that may be damaged, and are then left out.

    Raises:
      UserError: If there are to be no pairs.
    """

    model: ModelChoice
    examples_path: str
    train_examples_path: str
    sampling: Sampling
    pairs: int = 256
    picture: str | None = None
    max_damaged: float = MAX_DAMAGED

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.COUNT, "pairs")
        checks.check_numbers(self, checks.SHARE, "max_damaged")


def measure(request: Request) -> Metrics:
    """Measures the curves of interpolation; `draw` draws them.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes = Path(folder, "tunes.tfrecord")
    ...     _ = write_tfrecord(Path("examples/tunes"), ["soldiers_joy.mid"], tunes, num_processes=1)
    ...     melodies, sampling = ModelChoice(config="cat-mel_2bar_mini"), Sampling(seed=0)
    ...     curves = measure(Request(melodies, str(tunes), str(tunes), sampling, pairs=4))
    >>> [round(share, 2) for share in curves["model"]["hamming"]]  # of steps unlike the first end
    [0.0, 0.01, 0.07, 0.2, 0.32, 0.39, 0.45, 0.46, 0.48, 0.48, 0.48]

    Raises:
      UserError: If the model cannot interpolate one-hot classes, or there is no music.
    """
    config = request.model.read_config()
    check_latent(config)
    interpolation.check(config)
    if request.picture:
        plotting.check_picture(request.picture, "picture")
    windows, corpus = (
        Examples(getattr(request, name), max_damaged=request.max_damaged, argument=name)
        .find(config)
        .windows
        for name in ("examples_path", "train_examples_path")
    )
    return interpolation.measure(
        request.model.open(config, request.sampling.max_batch_size),
        windows,
        corpus,
        pairs=request.pairs,
        temperature=request.sampling.temperature,
        seed=request.sampling.seed or 0,
    )


def table(curves: Metrics) -> str:
    """Returns the curves of `measure` in columns.

    >>> line = {"hamming": [0.0, 0.9], "cost": [1.0, 1.0]}
    >>> print(table({"config": "mine", "pairs": 4, "windows": 16, "temperature": 0.5,
    ...     "corpus_windows": 16, "end_cost_nats": 1.2, "fractions": [0.0, 1.0], "model": line,
    ...     "mix": line, "monotone": True}))
    mine: 4 pairs of 16 windows at temperature 0.5; 5-gram model of 16 windows, 1.20 nats for an end
                           distance to A   cost relative to the ends
      fraction         model         mix           model         mix
      0.0             0.0000      0.0000          1.0000      1.0000
      1.0             0.9000      0.9000          1.0000      1.0000
    The distance of the model's never falls.
    """
    lines = [
        f"{curves['config']}: {curves['pairs']} pairs of {curves['windows']} windows at "
        f"temperature {curves['temperature']:g}; {language_model.ORDER}-gram model of "
        f"{curves['corpus_windows']} windows, {curves['end_cost_nats']:.2f} nats for an end",
        f"  {'':10}{'distance to A':>24}{'cost relative to the ends':>28}",
        f"  {'fraction':10}{'model':>12}{'mix':>12}{'model':>16}{'mix':>12}",
    ]
    for step, fraction in enumerate(curves["fractions"]):
        (near, cost), (near_mix, cost_mix) = (
            (curves[name]["hamming"][step], curves[name]["cost"][step]) for name in ("model", "mix")
        )
        lines.append(
            f"  {fraction:<10.1f}{near:>12.4f}{near_mix:>12.4f}{cost:>16.4f}{cost_mix:>12.4f}"
        )
    lines.append(f"The distance of the model's {'never' if curves['monotone'] else 'also'} falls.")
    return "\n".join(lines)


def draw(curves: Metrics, path: str) -> None:
    """Draws the curves of `measure` as a picture.

    >>> import pathlib, tempfile
    >>> line = {"hamming": [0.0, 0.5, 0.9], "cost": [1.0, 1.1, 1.0]}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw({"fractions": [0.0, 0.5, 1.0], "model": line, "mix": line}, f"{folder}/way.svg")
    ...     [path.name for path in pathlib.Path(folder).iterdir()]
    ['way.svg']
    """
    names = {"interpolation in the latent space": "model", "mix of the tokens": "mix"}
    panels = {
        label: {line: curves[name][metric] for line, name in names.items()}
        for label, metric in (
            ("share of steps unlike A", "hamming"),
            ("language-model cost over that of ends", "cost"),
        )
    }
    plotting.curves(path, curves["fractions"], panels, x_label="from A to B")
