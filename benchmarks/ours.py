"""Runs this package as `original.py` runs the original.

python ours.py train_steps CONFIG HPARAMS STEPS   # times building and training steps
python ours.py write_inputs CONFIG DIR            # two pieces for an interpolation, 1.mid and 2.mid
python ours.py decode_random CONFIG BATCH REPEATS   # times the NumPy engine on random weights
python ours.py decode CONFIG CHECKPOINT ENGINE COUNT BATCH   # times decoding random points
python ours.py golden ENGINE                      # differences from the original, by model
python ours.py export CONFIG HPARAMS PREFIX OUT   # exports a run, and what it computes
python ours.py examples CONFIG TFRECORD WAY        # times batches: memory, disk, none_1 or none_all
python ours.py waiting CONFIG HPARAMS TFRECORD STEPS   # how long training waits for batches
python ours.py serve_steps CONFIG HPARAMS         # takes as many steps as each line of stdin says
python ours.py serve_products SIZE                # the same with matrix products
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import train_report

SEED = 0
STEP = 1234
TEMPERATURE = 0.5
WARM_UP_STEPS = 2  # which build the graph, and fill the pipeline
ROOT = Path(__file__).parent.parent
TUNE = ROOT / "examples" / "tunes" / "soldiers_joy.mid"
GOLDEN = ROOT / "tests" / "golden" / "models"


def train_steps(arguments: Sequence[str]) -> None:
    """Times building a model, its first training step, and STEPS more on the same batch."""
    config_name, hparams, steps = arguments
    train_report.measure(_builder(config_name, hparams), int(steps))


def serve_steps(arguments: Sequence[str]) -> None:
    """Takes training steps on the same batch, as stdin says."""
    config_name, hparams = arguments
    train_report.serve(_builder(config_name, hparams)())


def _builder(config_name: str, hparams: str) -> Callable[[], train_report.Step]:
    """A function that builds a model, with everything imported already."""
    import example_batch

    from music_vae.common import lazy_imports

    lazy_imports.import_tensorflow()
    import keras
    import tensorflow as tf

    from music_vae.common.batches import Batch
    from music_vae.configs import get_config
    from music_vae.lstm_models import build_model
    from music_vae.nn import latent
    from music_vae.training.devices import ONE_DEVICE
    from music_vae.training.trainer import Trainer

    config = get_config(config_name, hparams)
    arrays = example_batch.example_batch(
        config_name, config.data_converter, config.hparams.batch_size, config.hparams.max_seq_len
    )
    numerics = ONE_DEVICE.fastest(config.hparams.batch_size)

    # What a step imports when it is first taken; the original has it imported by now, too.
    latent.kl_divergence(tf.zeros([1, 1]), tf.ones([1, 1]))

    def build() -> train_report.Step:
        keras.utils.set_random_seed(SEED)
        trainer = Trainer(build_model(config), seed=SEED, numerics=numerics)
        batch = Batch(*(tf.constant(array) for array in arrays))
        return lambda: float(trainer.train_step(batch)[0]["loss"])

    return build


def write_inputs(arguments: Sequence[str]) -> None:
    """Writes two pieces of a tune that each fit the config."""
    config_name, directory = arguments
    from music_vae.configs import get_config
    from music_vae.music import notes_io

    converter = get_config(config_name).data_converter.for_inference()
    (tune,) = notes_io.read_music_file(TUNE)
    pieces = converter.from_tensors(converter.to_tensors(tune).outputs[:2])
    for number, piece in enumerate(pieces, start=1):
        notes_io.write_midi(piece, Path(directory) / f"{number}.mid")


def decode_random(arguments: Sequence[str]) -> None:
    """Times sampling a batch with the NumPy engine, and copying memory, in turn.

    Prints seconds of each, the bytes of weights that a step reads, its multiplications and
    additions for one example, and the steps.
    """
    config_name, batch, repeats = arguments
    import numpy as np

    from music_vae.configs import get_config
    from music_vae.engine.numpy_engine import NumpyEngine

    config, rng = get_config(config_name), np.random.default_rng(SEED)
    shapes = {
        n: s for n, s in config.model_spec.weight_shapes.items() if not n.startswith("encoder")
    }
    weights = {
        name: (rng.random(shape, np.float32) - np.float32(0.5)) / 10
        for name, shape in shapes.items()
    }
    engine = NumpyEngine(config, weights, with_encoder=False)
    steps, size = config.hparams.max_seq_len, int(batch)
    z = rng.standard_normal((size, config.hparams.latent_size), np.float32)
    noise = rng.random((size, steps, engine.noise_size), np.float32)
    controls = np.zeros((size, steps, config.data_converter.control_depth), np.float32)
    source = np.ones(2**26, np.float32)
    target, decoding, copying = np.empty_like(source), [], []
    for _ in range(int(repeats) + 1):  # the first is not counted: it takes new memory
        copying.append(_seconds(lambda: np.copyto(target, source)))
        decoding.append(
            _seconds(lambda: engine.sample(z, controls, noise, temperature=TEMPERATURE))
        )
    numbers = _numbers_per_step(shapes)
    report = {
        "decode_s": decoding[1:],
        "copy_s": copying[1:],
        "copied_bytes": source.nbytes,
        "bytes_per_step": 4 * numbers,
        "operations_per_step": 2 * numbers,
        "steps": steps,
    }
    print(json.dumps(report))


def _numbers_per_step(shapes: dict[str, tuple[int, ...]]) -> int:
    """How many weights a step of the decoders reads: what z meets is read once a sequence."""
    conductors = any("core_decoder" in name for name in shapes)
    numbers = 0
    for name, shape in shapes.items():
        if not name.endswith("/kernel") or "initial_state" in name:
            continue
        if conductors and "core_decoder" not in name:
            continue
        bottom = name.endswith("cell_0/lstm_cell/kernel")
        numbers += shape[1] * (shape[1] // 4 if bottom else shape[0])
    return numbers


def decode(arguments: Sequence[str]) -> None:
    """Times `TrainedModel.decode_to_tensors`, after one batch that is not counted."""
    config_name, checkpoint, engine, count, batch = arguments
    import numpy as np

    from music_vae import TrainedModel, configs

    config = configs.get_config(config_name)
    model = TrainedModel(config, int(batch), checkpoint, with_encoder=False, engine=engine)
    z = np.random.default_rng(SEED).standard_normal((int(count), config.hparams.latent_size))
    model.decode_to_tensors(z[: int(batch)], temperature=TEMPERATURE, seed=SEED)
    print(_seconds(lambda: model.decode_to_tensors(z, temperature=TEMPERATURE, seed=SEED)))


def golden(arguments: Sequence[str]) -> None:
    """Prints, for every golden model, the largest differences relative to the largest value.

    Of the likeliest samples it says in how many steps they differ.
    """
    (engine,) = arguments
    import numpy as np

    from music_vae import TrainedModel
    from music_vae.common.hparams import HParams
    from music_vae.configs import CONFIG_MAP

    for folder in sorted(GOLDEN.iterdir()):
        facts = json.loads((folder / "golden.json").read_text())
        values = np.load(folder / "golden.npz")
        config = CONFIG_MAP[folder.name].replace(hparams=HParams(**facts["hparams"]))
        model = TrainedModel(config, 8, folder, engine=engine)
        controls = values.get("control_sequence")
        inputs, lengths = values["input_sequence"], values["sequence_length"]
        _, mu, sigma = model.encode_tensors(list(inputs), list(lengths), controls)
        expected = values["samples"]
        told = None if controls is None else controls[0]
        samples = model.decode_to_tensors(
            values["z"],
            expected.shape[1],
            facts["sample_temperature"],
            c_input=told,
            seed=SEED,
        )
        report: dict[str, Any] = {"model": folder.name}
        for name, actual in (("mu", mu), ("sigma", sigma)):
            report[name] = float(np.abs(actual - values[name]).max() / np.abs(values[name]).max())
        report["steps"] = int(np.prod(expected.shape[:2]))
        report["different_steps"] = sum(
            int((np.abs(array - row[: len(array)]).max(axis=-1) > 1e-4).sum())
            for array, row in zip(samples, expected, strict=True)
        )
        print(json.dumps(report))


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def export(arguments: Sequence[str]) -> None:
    """Makes a run with random weights, exports it to PREFIX; writes what it computes to OUT.

    The values are those of `original.py compute`, and the lengths.
    """
    config_name, hparams, prefix, out = arguments
    from music_vae.common import lazy_imports

    lazy_imports.import_tensorflow()
    import example_batch
    import numpy as np
    import tensorflow as tf

    from music_vae.common.batches import Batch
    from music_vae.configs import get_config
    from music_vae.export import tf1
    from music_vae.lstm_models import Policy
    from music_vae.training.run import Run

    config = get_config(config_name, hparams)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(config, Path(folder), seed=SEED)
        rng = np.random.default_rng(SEED)
        for variable in run.trainer.model.trainable_variables:  # biases too, which begin at zero
            variable.assign(variable + 0.1 * rng.standard_normal(variable.shape))
        run.trainer.step.assign(STEP)
        run.save()
        tf1.export(folder, prefix)
    arrays = example_batch.example_batch(
        config_name, config.data_converter, config.hparams.batch_size, config.hparams.max_seq_len
    )
    batch, model = Batch(*map(tf.constant, arrays)), run.trainer.model
    mu, sigma = model.encode(batch.inputs, batch.lengths, batch.controls)
    result = model.reconstruct(mu, batch, Policy(0.0, tf.zeros([2], tf.int32)))
    np.savez(
        out,
        mu=mu,
        sigma=sigma,
        logits=result.parameters,
        loss=result.loss_nats,
        global_step=STEP,
        lengths=arrays.lengths,
    )


def examples(arguments: Sequence[str]) -> None:
    """Times the batches, dense, of some epochs; and what goes before the first of them."""
    config_name, path, way = arguments
    from music_vae import data
    from music_vae.common import lazy_imports
    from music_vae.configs import get_config

    lazy_imports.import_note_seq()
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
    from music_vae.common import lazy_imports

    lazy_imports.import_tensorflow()
    from music_vae import data
    from music_vae.configs import get_config
    from music_vae.training import loop
    from music_vae.training.devices import ONE_DEVICE
    from music_vae.training.run import Run

    config = get_config(config_name, hparams)
    numerics = ONE_DEVICE.fastest(config.hparams.batch_size)
    music = data.load(data.TFRecords(path), config, augment=True, num_processes=None)
    waited: list[float] = []
    took: list[float] = []
    prefetched = loop.prefetched

    def timed(*arguments: Any) -> Iterator[Any]:
        batches = iter(prefetched(*arguments))
        while True:
            start = time.perf_counter()
            batch = next(batches)
            waited.append(time.perf_counter() - start)
            start = time.perf_counter()
            yield batch
            took.append(time.perf_counter() - start)

    loop.prefetched = timed
    with tempfile.TemporaryDirectory() as folder:
        run = Run(config, Path(folder), seed=SEED, numerics=numerics)
        loop.train(run, music, num_steps=int(steps) + WARM_UP_STEPS)
    waited, took = waited[WARM_UP_STEPS:], took[WARM_UP_STEPS:]
    waited = waited[: len(took)]
    total_s = sum(waited) + sum(took)
    print(json.dumps({"steps": len(took), "waiting_s": sum(waited), "total_s": total_s}))


def serve_products(arguments: Sequence[str]) -> None:
    """Multiplies two matrices of SIZE x SIZE, as stdin says: what this machine can do."""
    import tensorflow as tf

    (size,) = map(int, arguments)
    a = tf.random.normal([size, size])
    train_report.serve(lambda: float(tf.matmul(a, a)[0, 0]))


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "train_steps": train_steps,
    "write_inputs": write_inputs,
    "decode_random": decode_random,
    "decode": decode,
    "golden": golden,
    "export": export,
    "examples": examples,
    "waiting": waiting,
    "serve_steps": serve_steps,
    "serve_products": serve_products,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](sys.argv[2:])
