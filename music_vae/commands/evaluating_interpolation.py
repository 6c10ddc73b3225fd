"""`music_vae_evaluate --interpolation`: prints and draws how smooth interpolation is."""

import json

from absl import flags

from music_vae.commands import cli, model_flags
from music_vae.configs import Config
from music_vae.dataset.windows import load_windows
from music_vae.evaluation import interpolation, language_model
from music_vae.evaluation.metrics import Metrics
from music_vae.render import plotting


def run(values: flags.FlagValues, config: Config) -> None:
    """Measures the model that the flags name; prints the figures, and draws them."""
    cli.require(values, "train_examples_path")
    interpolation.check(config)
    if values.picture:
        plotting.check_picture(values.picture, "picture")
    windows, _ = load_windows(values.examples_path, config)
    corpus, _ = load_windows(values.train_examples_path, config)
    from music_vae.trained_model import TrainedModel

    checkpoint = model_flags.source(values)
    given = values["temperature"].present
    found = interpolation.measure(
        TrainedModel(config, values.max_batch_size, checkpoint),
        windows,
        corpus,
        pairs=values.interpolation_pairs,
        temperature=values.temperature if given else interpolation.TEMPERATURE,
        seed=values.seed,
    )
    print(json.dumps(found, indent=2) if values.json else table(found))
    if values.picture:
        draw(found, values.picture)


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
