"""Runs magenta 2.1.4, which this package re-implements, under its own interpreter.

python original.py make_checkpoint CONFIG PREFIX   # random weights, full size
python original.py generate --FLAG=VALUE ...       # its music_vae_generate
python original.py train_steps CONFIG HPARAMS STEPS   # times building and training steps
python original.py serve_steps CONFIG HPARAMS      # takes as many steps as each line of stdin says
"""

import os
import sys
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


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "make_checkpoint": make_checkpoint,
    "generate": generate,
    "train_steps": train_steps,
    "serve_steps": serve_steps,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
