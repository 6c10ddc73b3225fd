"""The reconstruction of windows, by models whose answers are known."""

import numpy as np
import pytest

from music_vae.configs import get_config
from music_vae.dataset.windows import Window
from music_vae.evaluation.evaluator import Evaluator
from music_vae.evaluation.reconstruction import Truth, accuracy, measure
from music_vae.music.converters.base import Example


class Parrot:
    """A model whose z is the number of the window, and which decodes to the window of that number.

    It stands in for a model that is always right.
    """

    workers = 1

    def __init__(self, config, examples, batch_size=64):
        self.config, self.converter = config, config.data_converter
        self.examples, self.batch_size = examples, batch_size

    def encode_tensors(self, inputs, lengths, controls=None, *, seed=None):
        known = [self.converter.dense_inputs(e.inputs).tobytes() for e in self.examples]
        z = np.array([[known.index(array.tobytes())] for array in inputs], np.float32)
        return z, 2 * np.ones_like(z), np.ones_like(z)

    def decode_to_tensors(self, z, length=None, temperature=1.0, c_input=None, *, seed=None):
        return [self.converter.dense_outputs(self.examples[int(n)].outputs) for n in z[:, 0]]

    def reconstruct_tensors(self, z, outputs, lengths, controls=None):
        return self.decode_to_tensors(z), [np.full(len(array), 0.25) for array in outputs]


def test_a_model_that_is_always_right_is_said_to_be_and_not_with_another_z():
    config = get_config("cat-mel_2bar_small")
    tokens = [np.arange(32) % 7 + 2 + n for n in range(5)]
    examples = [Example(t, t, None, np.array(32)) for t in tokens]
    parrot = Parrot(config, examples, batch_size=2)
    found = measure(Evaluator(parrot), [Window(example, 0.125) for example in examples])
    assert found["accuracy_teacher_forced"] == found["accuracy_sampled"] == 1
    assert found["accuracy_of_samples"] == 1
    assert found["shuffled_z"] == {"accuracy_teacher_forced": 0, "accuracy_sampled": 0}
    assert found["kl_bits"] == pytest.approx(2 / np.log(2))  # mu 2, sigma 1
    assert found["loss_nats_per_step"] == pytest.approx(0.25)


def test_the_sampled_accuracy_is_of_what_is_expected_after_reading_samples():
    """As the original counts: its evaluation of a model that is trained on its samples."""

    class Repeater(Parrot):
        """Samples ones; expects what it has read, one step later and first a two."""

        def decode_to_tensors(self, z, length=None, temperature=1.0, c_input=None, *, seed=None):
            return [self.converter.dense_outputs(np.ones(32, int)) for _ in z]

        def reconstruct_tensors(self, z, outputs, lengths, controls=None):
            first = self.converter.dense_outputs(np.array([2]))
            expected = [np.concatenate([first, array[:-1]]) for array in outputs]
            return expected, [np.zeros(len(array)) for array in outputs]

    config = get_config("cat-mel_2bar_small")
    tokens = np.array([2] + [1] * 15 + [3] * 16)
    example = Example(tokens, tokens, None, np.array(32))
    found = measure(Evaluator(Repeater(config, [example])), [Window(example, 0.125)])
    assert found["accuracy_teacher_forced"] == (1 + 14 + 15) / 32  # after 2, 1s and 3s
    assert found["accuracy_sampled"] == 16 / 32
    assert found["accuracy_of_samples"] == 15 / 32


def test_the_parts_of_a_trio_are_measured_apart():
    config = get_config("hierdec-trio_16bar")
    window = np.tile([5, 6, 7], (256, 1))
    wrong_bass = window + np.array([0, 1, 0])
    examples = [Example(w, w, None, np.array(256)) for w in (window, wrong_bass)]
    parrot = Parrot(config, examples)
    windows = [Window(example, 0.125) for example in examples]
    shuffled = measure(Evaluator(parrot), windows)["shuffled_z"]["accuracy_sampled"]
    assert shuffled == pytest.approx(2 / 3)
    truth = [Truth.of(parrot.converter, window) for window in windows]
    made = parrot.decode_to_tensors(np.array([[1], [0]]))
    assert [accuracy(parrot.converter, truth, made, part) for part in range(3)] == [1, 0, 1]
