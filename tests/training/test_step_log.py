"""What a training says of itself where no progress bar can be seen."""

import pytest
from tqdm import tqdm

from music_vae.training.step_log import StepLog, duration, figures


class Clock:
    """A time that tests set."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def lines(caplog, clock, *, steps, step_s, num_steps):
    caplog.set_level("INFO")
    log = StepLog(tqdm(disable=True), num_steps, clock=clock)
    for step in range(1, steps + 1):
        clock.now_s += step_s
        if log.is_due(step):
            log.show(step, {"loss": 20.0 - step / 100, "losses/kl_bits": 60, "unknown": 1})
    log.end(steps)
    return caplog.messages


def test_lines_come_every_few_seconds_at_first_and_then_every_minute(caplog, clock):
    *found, last = lines(caplog, clock, steps=1000, step_s=0.5, num_steps=2000)
    # 2, 4, 8, 16 and 32 seconds apart, and then 60.
    steps = [int(line.split(":")[0].removeprefix("step ")) for line in found]
    assert steps == [5, 13, 29, 61, 125, *range(245, 1001, 120)]
    assert found[0] == "step 5: loss 19.950 KL 60.0 bits, 2 steps/s, 17 min left"
    assert found[5] == "step 245: loss 17.550 KL 60.0 bits, 2 steps/s, 15 min left"
    assert last == "trained to step 1000: loss 10.350 KL 60.0 bits"


def test_slow_steps_have_a_line_each_until_lines_come_every_minute(caplog, clock):
    *found, _ = lines(caplog, clock, steps=12, step_s=20.0, num_steps=None)
    assert [line.split(":")[0] for line in found] == [
        *("step 2", "step 3", "step 4", "step 5", "step 7", "step 10"),
    ]
    assert all(line.endswith(", 0.05 steps/s") for line in found)


def test_the_first_step_does_not_count_for_the_speed(caplog, clock):
    caplog.set_level("INFO")
    log = StepLog(tqdm(disable=True), 101, clock=clock)
    clock.now_s += 300
    assert not log.is_due(1)
    clock.now_s += 5
    log.show(11, {"loss": 1.0})
    assert caplog.messages == ["step 11: loss 1.000, 2 steps/s, 45 s left"]


def test_a_training_of_a_few_steps_ends_with_its_figures(caplog, clock):
    caplog.set_level("INFO")
    log = StepLog(tqdm(disable=True), 3, clock=clock)
    asked = {step: log.needs_figures(step) for step in (1, 2, 3)}
    assert asked == {1: False, 2: False, 3: True}
    log.show(3, {"loss": 18.0})
    log.end(3)
    assert caplog.messages == ["trained to step 3: loss 18.000"]


def test_a_bar_shows_the_figures_and_the_log_only_the_last(caplog, clock, capsys):
    caplog.set_level("INFO")
    bar = tqdm(total=10, disable=False)
    log = StepLog(bar, 10, clock=clock)
    clock.now_s += 1000
    assert not log.is_due(1)
    log.show(1, {"loss": 2.5, "metrics/accuracy": 0.25})
    assert not caplog.messages
    log.end(1)
    bar.close()
    assert caplog.messages == ["trained to step 1: loss 2.500 accuracy 0.250"]
    assert "loss=2.500, accuracy=0.250" in capsys.readouterr().err


def test_without_figures_nothing_is_said(caplog, clock):
    caplog.set_level("INFO")
    StepLog(tqdm(disable=True), 10, clock=clock).end(0)
    assert not caplog.messages


def test_figures_without_a_kl_divergence_are_shown_without(clock):
    assert figures({"loss": 3}) == {"loss": "3.000"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3540, "59 min"), (3580, "1 h 0 min")],
)
def test_durations_are_in_words(seconds, text):
    assert duration(seconds) == text
