"""Every config, in a small size, does everything: build, train, save, restore, encode, sample.

The parts of the library that no published config uses are in `VARIANTS`, each reached by changing
values of a config.
"""

import functools
import itertools
import struct

import numpy as np
import pytest
import tensorflow as tf

from music_vae import data
from music_vae.common.batches import Batch
from music_vae.common.errors import UserError
from music_vae.configs import CONFIG_MAP
from music_vae.lstm_models import build_model
from music_vae.trained_model import TrainedModel
from music_vae.training import loop
from music_vae.training.run import Run
from music_vae.training.trainer import Trainer
from music_vae.weights.tf_variables import named_variables
from support.cases import CASES
from support.paths import GOLDEN

SEQUENCES = GOLDEN / "data" / "sequences.bin"


@functools.cache
def golden_sequences():
    from note_seq.protobuf import music_pb2

    content, found, at = SEQUENCES.read_bytes(), [], 0
    while at < len(content):
        (size,) = struct.unpack_from("<I", content, at)
        found.append(music_pb2.NoteSequence.FromString(content[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


@functools.cache
def music_for(converter, augmenter):
    """The first sequences that give this converter something."""
    config = CONFIG_MAP["cat-mel_2bar_small"]
    config = config.replace(
        hparams=config.hparams.replace(max_seq_len=converter.window_steps),
        data_converter=converter,
        note_sequence_augmenter=augmenter,
    )
    found = (s for s in golden_sequences() if converter.extract(s).examples)
    return data.convert(itertools.islice(found, 2), config, augment=True)


@pytest.fixture(scope="module", params=CASES)
def config(request):
    return CASES[request.param]()


@pytest.fixture(scope="module")
def music(config):
    return music_for(config.data_converter, config.note_sequence_augmenter)


@pytest.fixture(scope="module")
def run(config, music, tmp_path_factory):
    """A run of two steps."""
    run = Run(config, tmp_path_factory.mktemp("run"), seed=1)
    # At step 0 beta may be 0, and sigma then has no gradient.
    run.trainer.step.assign(1000)
    loop.train(run, music, num_steps=1002)
    return run


@pytest.fixture(scope="module")
def model(config, run):
    return TrainedModel(config, 2, run.directory)


def all_examples(config, music):
    pieces = range(music.store.num_pieces)
    return [e for piece in pieces for e in music.piece(piece, config.data_converter)]


def first_batch(config, music):
    return Batch(*map(tf.constant, next(data.evaluation_batches(music, config))))


def test_every_weight_gets_a_gradient_and_the_loss_is_finite(config, music):
    trainer = Trainer(build_model(config))
    trainer.step.assign(1000)
    variables = [v.value for v in trainer.model.trainable_variables]
    with tf.GradientTape() as tape:
        loss = trainer.model.elbo_loss(
            first_batch(config, music), step=tf.constant(1000.0), policy=trainer.training_policy()
        )
    gradients = tape.gradient(loss.total, variables)
    assert np.isfinite(float(loss.total))
    for variable, gradient in zip(variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path


def test_names_and_shapes_of_the_weights_follow_from_the_config(config):
    variables = named_variables(build_model(config))
    assert config.model_spec.weight_shapes == {
        name: tuple(v.shape) for name, v in variables.items()
    }


def test_training_moves_weights_and_saves_them_with_the_config(config, run):
    assert run.step == 1002
    fresh = build_model(config)
    for old, new in zip(
        fresh.trainable_variables, run.trainer.model.trainable_variables, strict=True
    ):
        assert old.shape == new.shape
    names = {path.name for path in run.directory.iterdir()}
    assert {"model.ckpt-1002.index", "config.json"} <= names


def test_a_restored_run_has_the_same_weights_and_figures(config, music, run):
    again = Run(config, run.directory.parent)
    assert again.step == run.step
    for old, new in zip(
        run.trainer.model.trainable_variables, again.trainer.model.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(old.numpy(), new.numpy())
    batch = first_batch(config, music)
    figures = [trainer.evaluate([batch]) for trainer in (run.trainer, again.trainer)]
    assert figures[0] == figures[1]
    assert all(np.isfinite(value) for value in figures[0].values())


def controls_of(config, music):
    """A control for sampling: that of the first example, as long as a sample."""
    converter, steps = config.data_converter, config.hparams.max_seq_len
    if not converter.control_depth:
        return None
    control = converter.dense_controls(all_examples(config, music)[0].controls)
    return np.concatenate([control, np.zeros((steps, control.shape[1]))])[:steps]


def test_samples_are_music_that_the_converter_reads_back(config, music, model):
    pieces = model.sample(4, temperature=1.0, c_input=controls_of(config, music), seed=3)
    assert len(pieces) == 4
    assert sum(len(piece.notes) for piece in pieces) > 0
    converter = config.data_converter.for_inference()
    for piece in pieces:
        found = converter.extract(piece)
        assert found.examples or found.skipped or not piece.notes


def test_examples_encode_decode_and_interpolate(config, music, model):
    converter = config.data_converter
    examples = all_examples(config, music)[:2]
    inputs = [converter.dense_inputs(e.inputs) for e in examples]
    controls = None
    if converter.control_depth:
        controls = [converter.dense_controls(e.controls) for e in examples]
    lengths = [e.length for e in examples]
    if not config.hparams.latent_size:
        with pytest.raises(UserError, match="has no encoder"):
            model.encode_tensors(inputs, lengths, controls)
        return
    z, mu, sigma = model.encode_tensors(inputs, lengths, controls, seed=1)
    assert z.shape == mu.shape == sigma.shape == (2, config.hparams.z_size)
    assert (sigma > 0).all()
    path = np.stack([mu[0], (mu[0] + mu[1]) / 2, mu[1]])
    tensors = model.decode_to_tensors(path, c_input=controls_of(config, music), seed=1)
    assert [array.shape[1] for array in tensors] == [converter.output_depth] * 3
    again = model.decode_to_tensors(path, c_input=controls_of(config, music), seed=1)
    for first, second in zip(tensors, again, strict=True):
        np.testing.assert_array_equal(first, second)


def test_pieces_of_one_example_are_interpolated(config, music, model):
    converter = config.data_converter.for_inference()
    examples = all_examples(config, music)
    control, controls = controls_of(config, music), None
    if control is not None:
        controls = [converter.dense_controls(e.controls) for e in examples]
    pieces = converter.from_tensors(
        [converter.dense_outputs(e.outputs) for e in examples], controls
    )
    single = [piece for piece in pieces if len(converter.extract(piece).examples) == 1]
    if not single or not config.hparams.latent_size:
        pytest.skip("no example that is one example again")
    path = model.interpolate(single[0], single[-1], num_steps=3, c_input=control, seed=1)
    assert len(path) == 3
