"""Measures a trained model on music that it was not trained on: `music_vae_evaluate`.

From Python, make a `Request` and give it to `measure`.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import cli, flag_groups
from music_vae.commands.choices import ModelChoice, Sampling
from music_vae.commands.examples import Examples
from music_vae.common import checks
from music_vae.common.errors import UserError

if TYPE_CHECKING:
    from music_vae.evaluation.metrics import Metrics

PROGRAM = "music_vae_evaluate"
USAGE = """Evaluates a trained MusicVAE model on NoteSequences that it was not trained on.

  music_vae_evaluate --config=cat-mel_2bar_mini --examples_path=test.tfrecord
  music_vae_evaluate --run_dir=RUN --examples_path=test.tfrecord \\
    --train_examples_path=train.tfrecord
  music_vae_evaluate --config=cat-mel_2bar_big --checkpoint_file=cat-mel_2bar_big.tar \\
    --examples_path=test.tfrecord --json

Prints of how many steps the likeliest outcome is right, teacher-forced (told the steps before) and
sampled (having read its own samples, at temperature 1), with z drawn from the window's posterior,
and with the z of another window, which must be far worse; the KL in bits and the loss; for grooves
the errors in time and velocity beside those of the quantised groove; and what samples from the
prior are like beside the windows. --realism judges instead if what the model makes is like music,
and --interpolation how smooth the way from piece to piece is."""

FLAGS = cli.new_flags()
flag_groups.define_model(FLAGS)
flag_groups.define_examples(
    FLAGS, "TFRecords of NoteSequences: a file, a pattern, or a comma-separated list."
)
flags.DEFINE_string(
    "train_examples_path",
    None,
    "What the model was trained on, to look for copies of it among samples.",
    flag_values=FLAGS,
)
cli.define_number(
    "num_samples",
    1000,
    "How many samples from the prior; 0 for none.",
    checks.COUNT_OR_NONE,
    values=FLAGS,
)
flag_groups.define_sampling(FLAGS, 1.0, "Of the samples from the prior.")
flag_groups.define_prior(FLAGS)
flag_groups.define_engine(FLAGS, "give the same figures, up to rounding.")
flag_groups.define_json(FLAGS)
flags.DEFINE_boolean(
    "interpolation",
    False,
    "Measures interpolation instead: distance to the first piece and language-model cost on the "
    "way between pairs of windows, at temperature 0.5 by default. Needs --train_examples_path.",
    flag_values=FLAGS,
)
cli.define_number(
    "interpolation_pairs", 256, "Between how many pairs of windows.", checks.COUNT, values=FLAGS
)
flags.DEFINE_boolean(
    "realism",
    False,
    "Judges instead if the music that the model makes is like music: features, an n-gram model and "
    "a classifier, at temperature 0.5 and with 500 samples by default. Needs --train_examples_path "
    "and scikit-learn.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "constraint",
    None,
    "A folder of music_vae_constrain, whose samples --realism judges, too; 'own' means the one "
    "that lies with the model.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "picture",
    None,
    "A .png or .svg file that --interpolation or --realism draws.",
    flag_values=FLAGS,
)


@dataclasses.dataclass(frozen=True)
class Request:
    """A request to measure a model on music that it was not trained on.

    >>> melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples("test.tfrecord")
    >>> Request(melodies, music, Sampling()).num_samples
    1000
    >>> Request(melodies, music, Sampling(), num_samples=-1)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: `num_samples=-1` must be at least 0

    Attributes:
      model: The model.
      examples: The music.
      sampling: Seed and batch size, and the temperature of samples from the prior.
      train_examples_path: TFRecords that the model was trained on, in which copies are looked for;
        None: they are not looked for.
      num_samples: Number of samples from the prior, or 0.
      engine: Engine that computes, "numpy" or "tensorflow".
      prior: Prior that samples are drawn from, as for `TrainedModel.sample`.

    Raises:
      UserError: If the number of samples is below 0.
    """

    model: ModelChoice
    examples: Examples
    sampling: Sampling
    train_examples_path: str | None = None
    num_samples: int = 1000
    engine: str = "numpy"
    prior: str | None = None

    def __post_init__(self) -> None:
        checks.check_numbers(self, checks.COUNT_OR_NONE, "num_samples")

    @property
    def looks_for_copies(self) -> bool:
        """True if samples are compared with the music that the model was trained on."""
        return bool(self.num_samples and self.train_examples_path)


def measure(request: Request) -> "Metrics":
    """Returns the metrics of a model: of reconstruction, grooves, and samples from the prior.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from music_vae.dataset.music_files import write_tfrecord
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tunes = Path(folder, "tunes.tfrecord")
    ...     _ = write_tfrecord(Path("examples/tunes"), ["soldiers_joy.mid"], tunes, num_processes=1)
    ...     melodies, music = ModelChoice(config="cat-mel_2bar_mini"), Examples(str(tunes))
    ...     metrics = measure(Request(melodies, music, Sampling(seed=0), num_samples=0))
    >>> metrics["examples"]["windows"], round(metrics["accuracy_teacher_forced"], 2)
    (16, 0.99)

    Raises:
      UserError: If the model has no latent space, or the music gives no windows.
    """
    config = request.model.read_config()
    from music_vae.evaluation import reconstruction, samples
    from music_vae.evaluation.evaluator import Evaluator, check_latent

    check_latent(config)
    corpus = request.examples.find(config)
    train_keys = None
    if request.looks_for_copies:
        limit = request.examples.max_damaged
        train = Examples(
            request.train_examples_path or "", max_damaged=limit, argument="train_examples_path"
        )
        train_keys = samples.window_keys(train.find(config).windows, config.data_converter)
    model = request.model.open(config, request.sampling.max_batch_size, engine=request.engine)
    evaluator = Evaluator(model, request.sampling.seed or 0)
    prior = None
    measured = reconstruction.measure(evaluator, corpus.windows)
    if request.num_samples:
        prior = samples.measure(
            evaluator,
            corpus.windows,
            request.num_samples,
            temperature=request.sampling.temperature,
            train_keys=train_keys,
            prior=model.prior(request.prior),
        )
    return {
        "config": config.name,
        "checkpoint": request.model.label(config),
        "examples": {
            "sequences": corpus.num_sequences,
            "windows": corpus.num_windows,
            "windows_evaluated": len(corpus.windows),
        },
        **measured,
        "prior": prior,
    }


def _run(values: flags.FlagValues) -> None:
    _check(values)
    model, examples = flag_groups.model(values), flag_groups.examples(values)
    if values.interpolation:
        _run_interpolation(values, model, examples)
        return
    if values.realism:
        _run_realism(values, model, examples)
        return
    request = Request(
        model,
        examples,
        flag_groups.sampling(values),
        values.train_examples_path,
        values.num_samples,
        values.engine,
        values.prior,
    )
    metrics = measure(request)
    if values.json:
        print(cli.json_text(metrics))
        return
    print(table(metrics))
    if request.num_samples and not request.looks_for_copies:
        print("Copies were not looked for: give --train_examples_path.")


def _check(values: flags.FlagValues) -> None:
    """Raises `UserError` for flags that do not go together."""
    if values.interpolation and values.realism:
        raise UserError("give `interpolation` or `realism`, one of the two")
    if values.constraint and not values.realism:
        raise UserError("`constraint` needs `realism`, which judges its samples")
    if values.picture and not (values.interpolation or values.realism):
        raise UserError("`picture` needs `interpolation` or `realism`, which draw one")


def _run_interpolation(values: flags.FlagValues, model: ModelChoice, examples: Examples) -> None:
    from music_vae.commands import evaluating_interpolation
    from music_vae.evaluation import interpolation

    cli.require(values, "train_examples_path")
    sampling = flag_groups.sampling(values)
    if not values["temperature"].present:
        sampling = dataclasses.replace(sampling, temperature=interpolation.TEMPERATURE)
    metrics = evaluating_interpolation.measure(
        evaluating_interpolation.Request(
            model,
            examples.path,
            values.train_examples_path,
            sampling,
            values.interpolation_pairs,
            values.picture,
            examples.max_damaged,
        )
    )
    print(cli.json_text(metrics) if values.json else evaluating_interpolation.table(metrics))
    if values.picture:
        evaluating_interpolation.draw(metrics, values.picture)


def _run_realism(values: flags.FlagValues, model: ModelChoice, examples: Examples) -> None:
    cli.require(values, "train_examples_path")
    from music_vae.commands import evaluating_realism
    from music_vae.evaluation import realism

    sampling = flag_groups.sampling(values)
    if not values["temperature"].present:
        sampling = dataclasses.replace(sampling, temperature=realism.TEMPERATURE)
    number = values.num_samples if values["num_samples"].present else realism.NUMBER
    judged = evaluating_realism.measure(
        evaluating_realism.Request(
            model,
            examples,
            values.train_examples_path,
            sampling,
            number,
            values.constraint,
            values.prior,
            values.picture,
            values.engine,
        )
    )
    metrics = judged.metrics
    print(cli.json_text(metrics) if values.json else evaluating_realism.table(metrics))
    if values.picture:
        evaluating_realism.draw(judged, model.read_config().data_converter, values.picture)


# -- What is printed ------------------------------------------------------------------------------

_Row = tuple[str, list[Any]]


def table(metrics: "Metrics") -> str:
    """Returns the metrics of `measure` as a table.

    >>> print(table({"config": "mine", "checkpoint": "runs/mine", "groove": None, "prior": None,
    ...     "examples": {"windows_evaluated": 16, "windows": 16, "sequences": 1},
    ...     "accuracy_teacher_forced": 0.85, "accuracy_sampled": 0.75, "accuracy_of_samples": 0.7,
    ...     "shuffled_z": None, "loss_nats_per_step": 0.5, "kl_bits": 40.0}))
    mine from runs/mine: 16 of 16 windows of 1 sequences
                              teacher-forced         sampled
      accuracy                        0.8500          0.7500
      accuracy of the samples              -          0.7000
      accuracy, shuffled z                 -               -
      loss, nats per step             0.5000
      KL, bits                       40.0000
    """
    examples = metrics["examples"]
    head = (
        f"{metrics['config']} from {metrics['checkpoint']}: {examples['windows_evaluated']} of "
        f"{examples['windows']} windows of {examples['sequences']} sequences"
    )
    blocks = [_reconstruction_rows(metrics)]
    if metrics["groove"]:
        blocks.append(_groove_rows(metrics["groove"]))
    if metrics["prior"]:
        blocks.append(_prior_rows(metrics["prior"]))
    rows = [row for block in blocks for row in block]
    wide = max(len(label) for label, _ in rows)
    lines = [_line(label, cells, wide) for label, cells in rows]
    return "\n".join([head, *lines])


def _reconstruction_rows(metrics: "Metrics") -> list[_Row]:
    shuffled = metrics["shuffled_z"] or {}
    rows: list[_Row] = [("", ["teacher-forced", "sampled"])]
    forced, sampled = "accuracy_teacher_forced", "accuracy_sampled"
    for name in metrics:
        if name.startswith(forced):
            part = name.removeprefix(forced)
            label = f"accuracy {part.strip('_')}".strip()
            rows.append((label, [metrics[name], metrics[sampled + part]]))
    rows.append(("accuracy of the samples", [None, metrics["accuracy_of_samples"]]))
    rows.append(("accuracy, shuffled z", [shuffled.get(forced), shuffled.get(sampled)]))
    rows.append(("loss, nats per step", [metrics["loss_nats_per_step"]]))
    rows.append(("KL, bits", [metrics["kl_bits"]]))
    return rows


def _groove_rows(groove: "Metrics") -> list[_Row]:
    columns = [groove["teacher_forced"], groove["sampled"]]
    labels = {
        "precision": "hits made that were played",
        "recall": "played hits that were made",
        "onset_ms": "onset error, ms",
        "onset_baseline_ms": "  quantised: on the step",
        "velocity": "velocity error, of 127",
        "velocity_baseline": "  quantised: all at the mean",
    }
    return [(label, [column[name] for column in columns]) for name, label in labels.items()]


def _prior_rows(prior: "Metrics") -> list[_Row]:
    columns = [prior["samples"], prior["corpus"]]
    labels = {
        "pieces": "pieces",
        "notes_per_bar": "notes per bar",
        "empty_bars": "share of empty bars",
        "copies_of_training_windows": "share of copies of training",
    }
    rows: list[_Row] = [("", ["prior samples", "corpus"])]
    rows += [(label, [column[name] for column in columns]) for name, label in labels.items()]
    return [*rows, ("pitch histogram overlap", [prior["histogram_overlap"]])]


def _line(label: str, cells: Sequence[Any], wide: int) -> str:
    return f"  {label:{wide}}" + "".join(f"{_shown(cell):>16}" for cell in cells)


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


COMMAND = cli.Command(PROGRAM, USAGE, FLAGS, _run)
main = COMMAND.main
console_entry_point = COMMAND.console_entry_point

if __name__ == "__main__":
    console_entry_point()
