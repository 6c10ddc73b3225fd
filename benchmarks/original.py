"""Runs magenta 2.1.4, which this package re-implements, under its own interpreter.

python original.py make_checkpoint CONFIG PREFIX   # random weights, full size
python original.py generate --FLAG=VALUE ...       # its music_vae_generate
"""

import os
import sys
from collections.abc import Callable, Sequence

import numpy

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
    model.sample(1, max_length=1, z=tf.zeros([1, config.hparams.z_size]), temperature=1.0)
    os.makedirs(os.path.dirname(os.path.abspath(prefix)), exist_ok=True)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False)


def generate(arguments: Sequence[str]) -> None:
    """Its console script, with these arguments."""
    sys.argv = ["music_vae_generate", *arguments]
    from magenta.models.music_vae import music_vae_generate

    music_vae_generate.console_entry_point()


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "make_checkpoint": make_checkpoint,
    "generate": generate,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
