"""The errors that are the user's to mend: one clear line each, never a traceback."""


class UserError(ValueError):
    """Something the user gave is wrong; the message says what, and what would be right.

    Commands print the message as one line on stderr and exit with code 2.
    """


class NoExtractedExamplesError(UserError):
    """A sequence that should give exactly one example gives none."""


class MultipleExtractedExamplesError(UserError):
    """A sequence that should give exactly one example gives several."""
