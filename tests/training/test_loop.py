"""The training loop, interrupted: what was trained is saved, and the run goes on as if not."""

import signal

import numpy as np
import pytest

from music_vae.common import interrupts
from music_vae.configs import get_config
from music_vae.data import convert
from music_vae.music.notes_io import read_music_file
from music_vae.training import loop
from music_vae.training.request import Schedule
from music_vae.training.run import Run
from music_vae.training.validation import Validation, read_curve
from music_vae.weights import checkpoint_files, locate
from support.paths import TUNES

CONFIG = get_config(
    "cat-mel_2bar_small",
    "batch_size=4,z_size=2,enc_rnn_size=[3],dec_rnn_size=[3],sampling_schedule=constant,"
    "sampling_rate=0",
)
STEPS = 4


@pytest.fixture(scope="module")
def music():
    return convert(read_music_file(TUNES / "soldiers_joy.mid"), CONFIG, augment=True)


def train(run_dir, music, prepare=lambda run, validation: None):
    """Trains a run; `prepare` puts a signal into its way."""
    run = Run(CONFIG, run_dir, seed=1)
    validation = Validation(run_dir, CONFIG, music, Schedule(every=3), step=run.step)
    prepare(run, validation)
    try:
        with interrupts.raised():
            loop.train(run, music, num_steps=STEPS, validation=validation)
    finally:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    return run


def weights_of(run_dir):
    weights = locate.find_file(run_dir)
    return weights.metadata["step"], np.concatenate([weights[name].ravel() for name in weights])


@pytest.fixture(scope="module")
def whole(music, tmp_path_factory):
    """The weights of a run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder, music)
    return weights_of(folder)


def with_signal(number, owner, name, after):
    """Has a method send a signal the first time that it is called, before or after its work."""
    method, sent = getattr(owner, name), []

    def wrapper(*arguments, **options):
        if not after and not sent:
            sent.append(signal.raise_signal(number))
        result = method(*arguments, **options)
        if after and not sent:
            sent.append(signal.raise_signal(number))
        return result

    setattr(owner, name, wrapper)


PHASES = {
    "before a step": lambda run, _: (run.trainer, "train_step", False),
    "after a step": lambda run, _: (run.trainer, "train_step", True),
    "in a validation": lambda _, validation: (validation, "_keep", False),
    "between the files of a checkpoint": lambda run, _: (run._checkpoints, "save", True),
}


@pytest.mark.slow
def test_a_run_that_is_interrupted_in_every_phase_ends_as_one_that_is_not(tmp_path, music, whole):
    for number, phase in zip([signal.SIGTERM, signal.SIGINT] * 2, PHASES.values(), strict=True):
        runs = []

        def prepare(run, validation, number=number, phase=phase, runs=runs):
            runs.append(run)
            with_signal(number, *phase(run, validation))

        kind = interrupts.Terminated if number == signal.SIGTERM else KeyboardInterrupt
        with pytest.raises(kind):
            train(tmp_path, music, prepare)
        newest = checkpoint_files.find_newest(tmp_path / "train")
        assert newest.name == f"model.ckpt-{runs[0].step}"
        assert weights_of(tmp_path)[0] == str(runs[0].step)
    train(tmp_path, music)
    step, numbers = weights_of(tmp_path)
    assert step == whole[0] == str(STEPS)
    np.testing.assert_array_equal(numbers, whole[1])


def test_a_run_that_ends_before_its_first_validation_is_validated_at_its_end(tmp_path, music):
    run = Run(CONFIG, tmp_path, seed=1)
    validation = Validation(tmp_path, CONFIG, music, Schedule(every=500), step=0)
    loop.train(run, music, num_steps=2, validation=validation)
    assert [line["step"] for line in read_curve(tmp_path)] == [2]
    assert (tmp_path / "best" / "weights.safetensors").exists()


def test_every_tenth_step_is_reported_with_its_metrics(tmp_path, music):
    reported = {}
    loop.train(Run(CONFIG, tmp_path, seed=1), music, num_steps=21, report=reported.__setitem__)
    assert list(reported) == [10, 20]
    for metrics in reported.values():
        assert {"loss", "losses/kl_bits", "metrics/accuracy"} < set(metrics)
        assert all(type(value) is float and np.isfinite(value) for value in metrics.values())
