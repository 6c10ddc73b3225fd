"""`music_vae_evaluate`: what a trained model is worth, as a table or as JSON."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

from music_vae.commands import cli, model_flags
from music_vae.common import lazy_imports

if TYPE_CHECKING:
    from music_vae.configs import Config
    from music_vae.evaluation.evaluator import Evaluator
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
prior are like beside the windows."""

FLAGS = cli.new_flags()
model_flags.define(FLAGS)
flags.DEFINE_string(
    "examples_path",
    None,
    "TFRecords of NoteSequences: a file, a pattern, or a comma-separated list.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "train_examples_path",
    None,
    "What the model was trained on, to look for copies of it among samples.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "num_examples",
    None,
    "Use so many windows, drawn by the seed; all by default.",
    1,
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "num_samples", 1000, "How many samples from the prior; 0 for none.", 0, flag_values=FLAGS
)
flags.DEFINE_float(
    "temperature", 1.0, "Of the samples from the prior.", lower_bound=0.0, flag_values=FLAGS
)
flags.DEFINE_integer(
    "max_batch_size", 64, "How many windows are computed at once.", 1, flag_values=FLAGS
)
flags.DEFINE_integer("seed", 0, "Of all that is drawn.", 0, cli.MAX_SEED, flag_values=FLAGS)
flags.DEFINE_enum(
    "engine",
    "numpy",
    ("numpy", "tensorflow"),
    "What computes: both give the same figures, up to rounding.",
    flag_values=FLAGS,
)
flags.DEFINE_boolean("json", False, "Prints JSON instead of a table.", flag_values=FLAGS)
flags.DEFINE_boolean(
    "interpolation",
    False,
    "Measures interpolation instead: distance to the first piece and language-model cost on the "
    "way between pairs of windows, at temperature 0.5 by default. Needs --train_examples_path.",
    flag_values=FLAGS,
)
flags.DEFINE_integer(
    "interpolation_pairs", 256, "Between how many pairs of windows.", 1, flag_values=FLAGS
)
flags.DEFINE_string(
    "picture", None, "A .png or .svg file that --interpolation draws.", flag_values=FLAGS
)


def _run(values: flags.FlagValues) -> None:
    model_flags.check(values)
    cli.require(values, "examples_path")
    config = model_flags.config(values)
    from music_vae.dataset import windows as corpus_windows
    from music_vae.evaluation import reconstruction, samples
    from music_vae.evaluation.evaluator import check_latent

    check_latent(config)
    lazy_imports.import_note_seq()
    if values.interpolation:
        from music_vae.commands import evaluating_interpolation

        evaluating_interpolation.run(values, config)
        return
    found, num_sequences = corpus_windows.load_windows(values.examples_path, config)
    windows = corpus_windows.subset(found, values.num_examples, values.seed)
    train_keys = None
    if values.num_samples and values.train_examples_path:
        train, _ = corpus_windows.load_windows(values.train_examples_path, config)
        train_keys = samples.window_keys(train, config.data_converter)
    evaluator = _evaluator(values, config)
    figures: Metrics = {
        "config": config.name,
        "checkpoint": str(values.run_dir or values.checkpoint_file or config.name),
        "examples": {
            "sequences": num_sequences,
            "windows": len(found),
            "windows_evaluated": len(windows),
        },
        **reconstruction.measure(evaluator, windows),
        "prior": None,
    }
    if values.num_samples:
        figures["prior"] = samples.measure(
            evaluator,
            windows,
            values.num_samples,
            temperature=values.temperature,
            train_keys=train_keys,
        )
    if values.json:
        print(cli.json_text(figures))
        return
    print(table(figures))
    if values.num_samples and train_keys is None:
        print("Copies were not looked for: give --train_examples_path.")


def _evaluator(values: flags.FlagValues, config: "Config") -> "Evaluator":
    if values.engine == "tensorflow":
        lazy_imports.import_tensorflow()
    from music_vae.evaluation.evaluator import Evaluator
    from music_vae.trained_model import TrainedModel

    source = model_flags.source(values)
    model = TrainedModel(config, values.max_batch_size, source, engine=values.engine)
    return Evaluator(model, values.seed)


# -- What is printed ------------------------------------------------------------------------------

_Row = tuple[str, list[Any]]


def table(figures: "Metrics") -> str:
    """The figures as blocks of aligned rows."""
    examples = figures["examples"]
    head = (
        f"{figures['config']} from {figures['checkpoint']}: {examples['windows_evaluated']} of "
        f"{examples['windows']} windows of {examples['sequences']} sequences"
    )
    blocks = [_reconstruction_rows(figures)]
    if figures["groove"]:
        blocks.append(_groove_rows(figures["groove"]))
    if figures["prior"]:
        blocks.append(_prior_rows(figures["prior"]))
    rows = [row for block in blocks for row in block]
    wide = max(len(label) for label, _ in rows)
    lines = [_line(label, cells, wide) for label, cells in rows]
    return "\n".join([head, *lines])


def _reconstruction_rows(figures: "Metrics") -> list[_Row]:
    shuffled = figures["shuffled_z"] or {}
    rows: list[_Row] = [("", ["teacher-forced", "sampled"])]
    forced, sampled = "accuracy_teacher_forced", "accuracy_sampled"
    for name in figures:
        if name.startswith(forced):
            part = name.removeprefix(forced)
            label = f"accuracy {part.strip('_')}".strip()
            rows.append((label, [figures[name], figures[sampled + part]]))
    rows.append(("accuracy of the samples", [None, figures["accuracy_of_samples"]]))
    rows.append(("accuracy, shuffled z", [shuffled.get(forced), shuffled.get(sampled)]))
    rows.append(("loss, nats per step", [figures["loss_nats_per_step"]]))
    rows.append(("KL, bits", [figures["kl_bits"]]))
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
