"""`music_vae_evaluate --interpolation`: measures and draws how smooth interpolation is."""

import dataclasses

from music_vae.commands.choices import ModelChoice, Sampling, check_at_least
from music_vae.commands.examples import Examples
from music_vae.evaluation import interpolation, language_model
from music_vae.evaluation.evaluator import check_latent
from music_vae.evaluation.metrics import Metrics
from music_vae.render import plotting


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to measure the way between pairs of windows.

    Attributes:
      model: The model.
      examples_path: The music whose windows are the ends.
      train_examples_path: The music that the language model learns.
      sampling: Seed, temperature and batch size.
      pairs: Between how many pairs.
      picture: A .png or .svg file to draw; None: none.
    """

    model: ModelChoice
    examples_path: str
    train_examples_path: str
    sampling: Sampling
    pairs: int = 256
    picture: str | None = None

    def __post_init__(self) -> None:
        check_at_least(self, 1, "pairs")


def measure(request: Request) -> Metrics:
    """The curves of interpolation; the picture is checked and not yet drawn."""
    config = request.model.read_config()
    check_latent(config)
    interpolation.check(config)
    if request.picture:
        plotting.check_picture(request.picture, "picture")
    paths = (request.examples_path, request.train_examples_path)
    windows, corpus = (Examples(path).find(config).windows for path in paths)
    return interpolation.measure(
        request.model.open(config, request.sampling.max_batch_size),
        windows,
        corpus,
        pairs=request.pairs,
        temperature=request.sampling.temperature,
        seed=request.sampling.seed or 0,
    )


def table(found: Metrics) -> str:
    """The curves in columns."""
    lines = [
        f"{found['config']}: {found['pairs']} pairs of {found['windows']} windows at temperature "
        f"{found['temperature']:g}; {language_model.ORDER}-gram model of {found['corpus_windows']} "
        f"windows, {found['end_cost_nats']:.2f} nats for an end",
        f"  {'':10}{'distance to A':>24}{'cost relative to the ends':>28}",
        f"  {'fraction':10}{'model':>12}{'mix':>12}{'model':>16}{'mix':>12}",
    ]
    for step, fraction in enumerate(found["fractions"]):
        (near, cost), (near_mix, cost_mix) = (
            (found[name]["hamming"][step], found[name]["cost"][step]) for name in ("model", "mix")
        )
        lines.append(
            f"  {fraction:<10.1f}{near:>12.4f}{near_mix:>12.4f}{cost:>16.4f}{cost_mix:>12.4f}"
        )
    lines.append(f"The distance of the model's {'never' if found['monotone'] else 'also'} falls.")
    return "\n".join(lines)


def draw(found: Metrics, path: str) -> None:
    """The curves as a picture."""
    names = {"interpolation in the latent space": "model", "mix of the tokens": "mix"}
    panels = {
        label: {line: found[name][figure] for line, name in names.items()}
        for label, figure in (
            ("share of steps unlike A", "hamming"),
            ("language-model cost over that of ends", "cost"),
        )
    }
    plotting.curves(path, found["fractions"], panels, x_label="from A to B")
