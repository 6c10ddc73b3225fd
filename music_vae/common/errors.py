"""The errors that commands know: those that are the user's to mend, and the loss of a worker."""


class UserError(ValueError):
    """Something the user gave is wrong; the message says what, and what would be right.

    Commands print the message as one line on stderr and exit with code 2.
    """


class NoExtractedExamplesError(UserError):
    """A sequence that should give exactly one example gives none."""


class MultipleExtractedExamplesError(UserError):
    """A sequence that should give exactly one example gives several."""


class WorkerLostError(Exception):
    """Another process of a cluster has gone; this one cannot go on without it.

    Attributes:
      progressed: Whether this process had taken a step.
    """

    progressed = False
