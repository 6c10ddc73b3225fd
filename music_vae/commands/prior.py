"""Fits the prior of a model to music, and says how well it fits: the command `music_vae_prior`.

From Python, make one of the requests and call the function that takes it.
"""

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import choices, cli, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.examples import Examples
from music_vae.common import checks
from music_vae.common.errors import naming

if TYPE_CHECKING:
    from music_vae.dataset.windows import Window
    from music_vae.evaluation.metrics import Metrics
    from music_vae.latent.priors import FittedPrior
    from music_vae.trained_model import TrainedModel

PROGRAM = "music_vae_prior"
USAGE = """Fits a prior to the latent vectors of music, and says how well it fits.

  music_vae_prior fit --run_dir=RUN --examples_path=train.tfrecord
  music_vae_prior evaluate --run_dir=RUN --examples_path=test.tfrecord

A model is trained towards a normal prior, but most points of that are not music. fit encodes the
music that the model was trained on, and writes a mixture of Gaussians over its latent vectors
beside the weights, without components from which copies of that music were drawn.
music_vae_generate then draws samples from it, unless --prior=normal. evaluate prints how likely
latent vectors of other music are under both priors, in bits."""

FLAGS = cli.new_flags()
flag_groups.define_model(FLAGS)
flag_groups.define_examples(
    FLAGS,
    "The music that is encoded: TFRecords of NoteSequences, a file, a pattern, or a "
    "comma-separated list. For fit the music that the model was trained on, for evaluate other.",
)
flags.DEFINE_string(
    "output",
    None,
    "The .safetensors file that fit writes; by default prior.safetensors in --run_dir, or "
    "NAME.prior.safetensors beside --checkpoint_file. Required for a model that comes with "
    "music_vae.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "prior",
    None,
    "The file that evaluate reads; by default where fit puts it.",
    flag_values=FLAGS,
)
cli.define_number(
    "components",
    None,
    "How many components fit gives the mixture; fewer if there is little music. 2000 by default.",
    checks.COMPONENTS,
    values=FLAGS,
)
flag_groups.define_sampling(FLAGS)
flag_groups.define_json(FLAGS)

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FitRequest:
    """A request to fit the prior of a model to music.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> FitRequest(melodies, Examples("train.tfrecord"), Sampling()).components is None
    True
    >>> FitRequest(melodies, Examples("train.tfrecord"), Sampling(), components=0)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `components=0` must be at least 1

    Attributes:
      model: The model.
      examples: The music that it encodes.
      sampling: Seed and batch size.
      output: The .safetensors file to write; None: the one that lies with the model, unless that
        comes with the package.
      components: Number of components of the mixture; None: `priors.NUM_COMPONENTS`.

    Raises:
      UserError: If there are to be no components.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    output: Path | None = None
    components: int | None = None

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.COMPONENTS, "components")


@dataclasses.dataclass(frozen=True)
class EvaluateRequest:
    """A request to measure how well the prior of a model fits music.

    >>> melodies = ModelChoice(config="cat-mel_2bar_mini")
    >>> EvaluateRequest(melodies, Examples("test.tfrecord"), Sampling()).examples.path
    'test.tfrecord'

    Attributes:
      model: The model.
      examples: The music that it encodes, other than that which the prior was fitted to.
      sampling: Seed and batch size.
      prior: The file of the prior; None: the one that lies with the model.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    prior: Path | None = None


def fit(request: FitRequest) -> str:
    """Fits the prior of a model and writes it; returns a message for the user.

    >>> import tempfile
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes, output = Path(folder, "tunes.tfrecord"), Path(folder, "mine.safetensors")
    ...     names = ["devils_dream.mid", "soldiers_joy.mid"]
    ...     _ = write_tfrecord(Path("examples/tunes"), names, tunes, num_processes=1)
    ...     melodies = ModelChoice(config="cat-mel_2bar_mini")
    ...     fit(FitRequest(melodies, Examples(str(tunes)), Sampling(), output))
    'A prior of 2 components from 24 windows: .../mine.safetensors'

    Raises:
      UserError: If the model has no latent space, there is no music for it, or the file to write
        holds something other than a prior.
    """
    config = request.model.read_config(with_latent=True)
    from music_vae.latent import corpus, priors
    from music_vae.latent.small_networks import Owner

    output = choices.output_file(request.model, request.output, priors.default_path)
    if output.exists():
        priors.check_replaceable(output)
        _log.info("the prior in %s will be replaced", output)
    owner = Owner.of(config, request.model.resolve())
    windows = request.examples.find(config).windows
    model = request.model.open(config, request.sampling.max_batch_size)
    _, mu, sigma = corpus.encode_windows(model, windows)
    fitted = priors.fit(
        mu,
        sigma,
        num_components=request.components or priors.NUM_COMPONENTS,
        seed=request.sampling.seed or 0,
    )
    fitted = _without_copies(fitted, model, windows, request.sampling.seed or 0)
    fitted.write(output, owner)
    number = len(fitted.mixture.weights)
    return f"A prior of {number} components from {len(windows)} windows: {output}"


def _without_copies(
    fitted: "FittedPrior", model: "TrainedModel", windows: "Sequence[Window]", seed: int
) -> "FittedPrior":
    """Leaves out what makes copies of windows, where there can be such and nothing has to be told.

    Grooves have timing and velocities that never are the same.
    """
    if model.converter.control_depth or model.converter.has_numbers:
        return fitted
    from music_vae.evaluation import samples
    from music_vae.latent import prior_copies

    keys = samples.window_keys(windows, model.config.data_converter)
    return prior_copies.without_copies(fitted, model, keys, seed=seed)


def evaluate(request: EvaluateRequest) -> "Metrics":
    """Measures how likely z of music, drawn from its posteriors, are under both priors.

    >>> import tempfile
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes, output = Path(folder, "tunes.tfrecord"), Path(folder, "mine.safetensors")
    ...     _ = write_tfrecord(Path("examples/tunes"), ["soldiers_joy.mid"], tunes, num_processes=1)
    ...     melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples(str(tunes))
    ...     _ = fit(FitRequest(melodies, music, Sampling(), output))
    ...     bits = evaluate(EvaluateRequest(melodies, music, Sampling(), output))
    >>> bits["fitted"] < bits["normal"], bits["windows"]
    (True, 16)

    Returns:
      The mean number of bits that a z costs, minus the binary logarithm of its density, under the
      `fitted` and the `normal` prior; the `gain`, normal minus fitted; the mean `kl` of the
      posteriors to the normal prior; and the numbers of `windows` and of those `fitted_to`.

    Raises:
      UserError: If there is no prior, or it is of another model.
    """
    config = request.model.read_config(with_latent=True)
    from music_vae.evaluation import prior_fit
    from music_vae.latent import corpus, priors
    from music_vae.latent.small_networks import Owner

    source = request.model.resolve()
    with naming("prior", request.prior):
        fitted = priors.read(request.prior or priors.default_path(source), Owner.of(config, source))
    windows = request.examples.find(config).windows
    model = request.model.open(config, request.sampling.max_batch_size)
    z, mu, sigma = corpus.encode_windows(model, windows, seed=request.sampling.seed or 0)
    return {"config": config.name, **prior_fit.measure(fitted, z, mu, sigma)}


def _run(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    command = cli.subcommand(PROGRAM, {"fit": _fit, "evaluate": _evaluate}, arguments)
    command(values, flag_groups.model(values), flag_groups.sampling(values))


def _fit(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    output = cli.expand(values.output) if values.output else None
    music = flag_groups.examples(values)
    print(fit(FitRequest(model, music, sampling, output, values.components)))


def _evaluate(values: flags.FlagValues, model: ModelChoice, sampling: Sampling) -> None:
    prior = cli.expand(values.prior) if values.prior else None
    metrics = evaluate(EvaluateRequest(model, flag_groups.examples(values), sampling, prior))
    print(cli.json_text(metrics) if values.json else table(metrics))


def table(metrics: Mapping[str, Any]) -> str:
    """Returns the metrics of `evaluate` as text.

    >>> print(table({"config": "mine", "windows": 100, "fitted_to": 900, "normal": 180.0,
    ...     "fitted": 150.0, "gain": 30.0, "kl": 90.0}))
    mine: z of 100 windows, in bits; fitted to 900 windows
      normal prior                180.0
      fitted prior                150.0
      gain                         30.0
      KL to the normal prior       90.0
    """
    labels = {
        "normal": "normal prior",
        "fitted": "fitted prior",
        "gain": "gain",
        "kl": "KL to the normal prior",
    }
    lines = [
        f"{metrics['config']}: z of {metrics['windows']} windows, in bits; fitted to "
        f"{metrics['fitted_to']} windows"
    ]
    lines += [f"  {label:24}{metrics[name]:9.1f}" for name, label in labels.items()]
    return "\n".join(lines)


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run, takes_arguments=True)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
