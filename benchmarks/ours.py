"""Runs this package as `original.py` runs the original.

python ours.py train_steps CONFIG HPARAMS STEPS   # times building and training steps
python ours.py examples CONFIG TFRECORD WAY        # times batches: memory, disk, none_1 or none_all
python ours.py waiting CONFIG HPARAMS TFRECORD STEPS   # how long training waits for batches
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import example_batch
import train_report

SEED = 0
WARM_UP_STEPS = 2  # which build the graph, and fill the pipeline


def train_steps(arguments: Sequence[str]) -> None:
    """Times building a model, its first training step, and STEPS more on the same batch."""
    config_name, hparams, steps = arguments
    from music_vae import imports

    imports.import_tensorflow()
    import keras
    import tensorflow as tf

    from music_vae.configs import get_config
    from music_vae.lstm_models import build_model
    from music_vae.nn import latent
    from music_vae.specs import Batch
    from music_vae.trainer import Trainer

    config = get_config(config_name, hparams)
    arrays = example_batch.example_batch(
        config_name, config.data_converter, config.hparams.batch_size, config.hparams.max_seq_len
    )

    # What a step imports when it is first taken; the original has it imported by now, too.
    latent.kl_divergence(tf.zeros([1, 1]), tf.ones([1, 1]))

    def build() -> train_report.Step:
        keras.utils.set_random_seed(SEED)
        trainer = Trainer(build_model(config), seed=SEED)
        batch = Batch(*(tf.constant(array) for array in arrays))
        return lambda: float(trainer.train_step(batch)[0]["loss"])

    train_report.measure(build, int(steps))


def examples(arguments: Sequence[str]) -> None:
    """Times the batches, dense, of some epochs; and what goes before the first of them."""
    config_name, path, way = arguments
    from music_vae import data, imports
    from music_vae.configs import get_config

    imports.import_note_seq()
    config = get_config(config_name)
    cache, _, processes = way.partition("_")
    start = time.perf_counter()
    music = data.load(
        data.TFRecords(path),
        config,
        augment=True,
        cache=cache,
        num_processes={"1": 0, "all": os.cpu_count()}.get(processes),
    )
    if processes == "all":
        next(data.evaluation_batches(music, config))  # starts the processes
    start_s = time.perf_counter() - start
    epochs, number = (1, 0) if cache == "none" else (10, 0)
    start = time.perf_counter()
    for epoch in range(epochs):
        drawn = music.shuffled(config, SEED, epoch)
        while (stacked := drawn.take(config.hparams.batch_size)) is not None:
            number += len(data.dense_batch(stacked, config.data_converter).lengths)
    seconds = time.perf_counter() - start
    music.close()
    print(json.dumps({"examples": number, "seconds": seconds, "start_s": start_s}))


def waiting(arguments: Sequence[str]) -> None:
    """Trains for some steps as a run does; adds up how long it waits for their batches."""
    config_name, hparams, path, steps = arguments
    from music_vae import imports

    imports.import_tensorflow()
    from music_vae import data, runs
    from music_vae.configs import get_config

    config = get_config(config_name, hparams)
    music = data.load(data.TFRecords(path), config, augment=True, num_processes=None)
    waited: list[float] = []
    took: list[float] = []
    prefetched = runs._prefetched

    def timed(*arguments: Any) -> Iterator[Any]:
        batches = iter(prefetched(*arguments))
        while True:
            start = time.perf_counter()
            batch = next(batches)
            waited.append(time.perf_counter() - start)
            start = time.perf_counter()
            yield batch
            took.append(time.perf_counter() - start)

    runs._prefetched = timed
    with tempfile.TemporaryDirectory() as folder:
        run = runs.Run(config, Path(folder), seed=SEED)
        runs.train(run, music, num_steps=int(steps) + WARM_UP_STEPS)
    waited, took = waited[WARM_UP_STEPS:], took[WARM_UP_STEPS:]
    waited = waited[: len(took)]
    total_s = sum(waited) + sum(took)
    print(json.dumps({"steps": len(took), "waiting_s": sum(waited), "total_s": total_s}))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train_steps": train_steps,
    "examples": examples,
    "waiting": waiting,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
