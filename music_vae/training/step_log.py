"""Shows how training goes: beside a progress bar on a terminal, else as lines of the log."""

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from tqdm import tqdm

_log = logging.getLogger(__name__)

_FIRST_LINE_S = 2.0  # after the first step; the time to the next line doubles, up to the last
_LAST_LINE_S = 60.0
_MINUTE_S, _HOUR_S = 60, 3600


class StepLog:
    """Shows the loss, KL divergence and accuracy of steps, how fast they are, and the time left.

    Whoever starts a training wants to know at once if it goes well, and later not to be flooded:
    the lines come every few seconds at first, then every minute.

    >>> bar = tqdm(total=100, disable=True)
    >>> now = iter([0.0, 1.0, 3.0])
    >>> log = StepLog(bar, 100, clock=lambda: next(now))
    >>> [log.is_due(step) for step in (1, 2, 3)]  # after 0, 1 and 3 seconds
    [False, False, True]
    """

    def __init__(
        self, bar: tqdm, num_steps: int | None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Takes the bar that shows figures, where one is shown.

        Args:
          bar: Progress bar of the steps; if it is disabled, lines are logged.
          num_steps: Number of steps in all; None: until interrupted.
          clock: Function that returns the time in seconds.
        """
        self._bar, self._num_steps, self._clock = bar, num_steps, clock
        self._interval_s = _FIRST_LINE_S
        self._first: tuple[int, float] | None = None
        self._last = (0, 0.0)
        self._text = ""

    def is_due(self, step: int) -> bool:
        """Returns True if it is time for a line; to be asked after every step.

        The first step does not count for the speed, as TensorFlow builds the model in it.

        Args:
          step: Number of steps taken in all.
        """
        if not self._bar.disable:
            return False
        now_s = self._clock()
        if self._first is None:
            self._first = self._last = step, now_s
        return now_s - self._last[1] >= self._interval_s

    def needs_figures(self, step: int) -> bool:
        """Returns True if the figures of a step are to be shown: in a line, or as the last ones.

        Args:
          step: Number of steps taken in all.
        """
        return self.is_due(step) or step == self._num_steps

    def show(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Shows the figures of a step; a line only if it is time for one.

        >>> StepLog(tqdm(disable=True), None).show(10, {"loss": 18.25, "losses/kl_bits": 60})

        Args:
          step: Number of steps taken in all.
          metrics: Figures by the names that summaries have.
        """
        shown = figures(metrics)
        self._text = in_words(shown)
        if not self._bar.disable:
            self._bar.set_postfix(shown, refresh=False)
        elif self.is_due(step):
            _log.info("step %d: %s%s", step, self._text, self._speed(step))
            self._last = step, self._clock()
            self._interval_s = min(2 * self._interval_s, _LAST_LINE_S)

    def end(self, step: int) -> None:
        """Logs the last figures that were shown."""
        if self._text:
            _log.info("trained to step %d: %s", step, self._text)

    def _speed(self, step: int) -> str:
        """Returns the steps a second since the last line, and the time left at the usual speed."""
        assert self._first is not None
        (first, first_s), (last, last_s), now_s = self._first, self._last, self._clock()
        text = f", {(step - last) / (now_s - last_s):.3g} steps/s"
        if self._num_steps is not None:
            left_s = (self._num_steps - step) * (now_s - first_s) / (step - first)
            text += f", {duration(left_s)} left"
        return text


def figures(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Returns what is shown of the metrics of a step or a validation, as text by name.

    >>> figures({"loss": 18.2514, "losses/kl_bits": 88.26, "metrics/accuracy": 0.9401})
    {'loss': '18.251', 'KL': '88.3 bits', 'accuracy': '0.940'}
    """
    names = {
        "loss": ("loss", "{:.3f}"),
        "losses/kl_bits": ("KL", "{:.1f} bits"),
        "metrics/accuracy": ("accuracy", "{:.3f}"),
    }
    return {
        shown: text.format(float(metrics[name]))
        for name, (shown, text) in names.items()
        if name in metrics
    }


def in_words(shown: Mapping[str, str]) -> str:
    """Returns figures as the log has them.

    >>> in_words({"loss": "18.251", "KL": "88.3 bits"})
    'loss 18.251 KL 88.3 bits'
    """
    return " ".join(f"{name} {text}" for name, text in shown.items())


def duration(seconds: float) -> str:
    """Returns a duration in words, to one or two places.

    >>> duration(40), duration(200), duration(4800)
    ('40 s', '3 min', '1 h 20 min')
    """
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE_S)
    hours, minutes = divmod(minutes, _HOUR_S // _MINUTE_S)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
