"""Runs magenta 2.1.4, which this package re-implements, under its own interpreter.

python original.py make_checkpoint CONFIG PREFIX   # random weights, full size
python original.py generate --FLAG=VALUE ...       # its music_vae_generate
python original.py train_steps CONFIG HPARAMS STEPS   # times building and training steps
python original.py compute CONFIG HPARAMS PREFIX OUT   # what it computes with a checkpoint
python original.py examples CONFIG TFRECORD           # times transposing and converting
python original.py serve_steps CONFIG HPARAMS      # takes as many steps as each line of stdin says
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import example_batch
import numpy
import train_report

SEED = 0

# Names that magenta 2.1.4 uses and NumPy 1.24 removed.
numpy.bool = bool
numpy.int = int


def make_checkpoint(arguments: Sequence[str]) -> None:
    """Writes a TF1 checkpoint of a config with freshly drawn weights, sampling graph and all."""
    import tensorflow.compat.v1 as tf
    from magenta.models.music_vae import configs

    config_name, prefix = arguments
    config = configs.CONFIG_MAP[config_name]
    converter, model = config.data_converter, config.model
    converter.set_mode("infer")
    config.hparams.batch_size = 1
    tf.disable_v2_behavior()
    tf.set_random_seed(SEED)
    model.build(config.hparams, converter.output_depth, is_training=False)
    # The layers own no variable before they are called.
    inputs = tf.zeros([1, config.hparams.max_seq_len, converter.input_depth])
    lengths = tf.fill([1, *converter.length_shape], config.hparams.max_seq_len)
    controls = tf.zeros([1, config.hparams.max_seq_len, converter.control_depth])
    model.encode(inputs, lengths, controls)
    # A hierarchical decoder samples no other length.
    model.sample(
        1,
        max_length=config.hparams.max_seq_len,
        z=tf.zeros([1, config.hparams.z_size]),
        temperature=1.0,
    )
    os.makedirs(os.path.dirname(os.path.abspath(prefix)), exist_ok=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False)


def generate(arguments: Sequence[str]) -> None:
    """Its console script, with these arguments."""
    sys.argv = ["music_vae_generate", *arguments]
    from magenta.models.music_vae import music_vae_generate

    music_vae_generate.console_entry_point()


def train_steps(arguments: Sequence[str]) -> None:
    """Times building a graph, its first training step, and STEPS more on the same batch."""
    config_name, hparams, steps = arguments
    train_report.measure(_builder(config_name, hparams), int(steps))


def serve_steps(arguments: Sequence[str]) -> None:
    """Takes training steps on the same batch, as stdin says."""
    config_name, hparams = arguments
    train_report.serve(_builder(config_name, hparams)())


def _builder(config_name: str, hparams: str) -> Callable[[], train_report.Step]:
    """A function that builds a graph, with everything imported already."""
    import tensorflow.compat.v1 as tf
    from magenta.models.music_vae import configs

    config = configs.CONFIG_MAP[config_name]
    config.hparams.parse(hparams)
    tf.disable_v2_behavior()
    tf.logging.set_verbosity(tf.logging.ERROR)
    batch = example_batch.example_batch(
        config_name, config.data_converter, config.hparams.batch_size, config.hparams.max_seq_len
    )

    def build() -> train_report.Step:
        tf.set_random_seed(SEED)
        loss, train = _training_graph(config, batch)
        session = tf.Session()
        session.run(tf.global_variables_initializer())
        return lambda: float(session.run([loss, train])[0])

    return build


def _training_graph(config: Any, batch: example_batch.ExampleBatch) -> tuple[Any, Any]:
    """Loss and training operation, as its `music_vae_train.train` makes them.

    That function reads its music with tf.data; here it is a constant.
    """
    import tensorflow.compat.v1 as tf

    model = config.model
    model.build(config.hparams, config.data_converter.output_depth, is_training=True)
    controls = tf.constant(batch.controls) if batch.controls.shape[-1] else None
    inputs, targets, lengths = (
        tf.constant(array) for array in (batch.inputs, batch.targets, batch.lengths)
    )
    optimizer = model.train(inputs, targets, lengths, controls)
    gradients, variables = zip(*optimizer.compute_gradients(model.loss), strict=True)
    norm = tf.global_norm(gradients)
    if config.hparams.clip_mode != "global_norm":
        raise ValueError(f"clip_mode={config.hparams.clip_mode}; expected global_norm")
    clipped = tf.cond(
        norm < config.hparams.grad_norm_clip_to_zero,
        lambda: tf.clip_by_global_norm(gradients, config.hparams.grad_clip, use_norm=norm)[0],
        lambda: [tf.zeros(tf.shape(gradient)) for gradient in gradients],
    )
    pairs = list(zip(clipped, variables, strict=True))
    return model.loss, optimizer.apply_gradients(pairs, global_step=model.global_step)


def compute(arguments: Sequence[str]) -> None:
    """Restores a checkpoint with `tf.train.Saver`; writes what an example batch gives to OUT.

    mu, sigma, the teacher-forced logits for z = mu, `[B, T, P]`, their loss, and the global step.
    """
    config_name, hparams, prefix, out = arguments
    import tensorflow.compat.v1 as tf
    from magenta.models.music_vae import configs

    config = configs.CONFIG_MAP[config_name]
    config.hparams.parse(hparams)
    tf.disable_v2_behavior()
    tf.logging.set_verbosity(tf.logging.ERROR)
    steps, converter = config.hparams.max_seq_len, config.data_converter
    batch = example_batch.example_batch(config_name, converter, config.hparams.batch_size, steps)
    controls = tf.constant(batch.controls) if batch.controls.shape[-1] else None
    inputs, targets, lengths = (
        tf.constant(array) for array in (batch.inputs, batch.targets, batch.lengths)
    )
    model = config.model
    model.build(config.hparams, converter.output_depth, is_training=False)
    posterior = model.encode(inputs, lengths, controls)
    before = tf.pad(targets[:, :-1], [[0, 0], [1, 0], [0, 0]])
    calls = _recorded_logits()
    loss = model.decoder.reconstruction_loss(before, targets, lengths, posterior.mean(), controls)
    values = {
        "mu": posterior.mean(),
        "sigma": posterior.stddev(),
        "loss": loss[0],
        "global_step": tf.train.get_global_step(),
    }
    with tf.Session() as session:
        tf.train.Saver().restore(session, prefix)
        logits, computed = session.run([calls, values])
    computed["logits"] = _joined_logits(logits, converter.output_depth, steps)
    numpy.savez(out, **computed)


def _recorded_logits() -> list[Any]:
    """A list to which every flat decoder adds the logits of its losses, `[B, T, P]`.

    The decoders above them hand logits on in some cases only.
    """
    from magenta.models.music_vae import lstm_models

    decoder, calls = lstm_models.BaseLstmDecoder, []
    reconstruction_loss = decoder.reconstruction_loss

    def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = reconstruction_loss(self, *args, **kwargs)
        calls.append(result[-1].rnn_output)
        return result

    decoder.reconstruction_loss = recorded
    return calls


def _joined_logits(calls: Sequence[Any], depth: int, steps: int) -> Any:
    """Logits of segments, each with its outputs in turn, side by side; padded with zeros."""
    parts = 1
    while sum(array.shape[-1] for array in calls[:parts]) < depth:
        parts += 1
    segment_steps = steps // (len(calls) // parts)
    padded = [
        numpy.pad(array, [(0, 0), (0, segment_steps - array.shape[1]), (0, 0)]) for array in calls
    ]
    segments = [
        numpy.concatenate(padded[start : start + parts], axis=-1)
        for start in range(0, len(padded), parts)
    ]
    return numpy.concatenate(segments, axis=1)


def examples(arguments: Sequence[str]) -> None:
    """Times transposing and converting every sequence of a TFRecord file, as in training."""
    config_name, path = arguments
    import tensorflow as tf
    from magenta.models.music_vae import configs
    from note_seq import NoteSequence

    config = configs.CONFIG_MAP[config_name]
    config.data_converter.set_mode("train")
    records = [record.numpy() for record in tf.data.TFRecordDataset(path)]
    number, start = 0, time.perf_counter()
    for record in records:
        sequence = NoteSequence.FromString(record)
        if config.note_sequence_augmenter:
            sequence = config.note_sequence_augmenter.augment(sequence)
        number += len(config.data_converter.to_tensors(sequence).inputs)
    print(json.dumps({"examples": number, "seconds": time.perf_counter() - start}))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "make_checkpoint": make_checkpoint,
    "generate": generate,
    "train_steps": train_steps,
    "compute": compute,
    "examples": examples,
    "serve_steps": serve_steps,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
