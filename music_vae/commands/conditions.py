"""Names the arguments by which a musician conditions a model: chords, a key, hits."""

from music_vae.music.converters.base import Converter

_ARGUMENTS = {
    "chords": ("chords", "the chord of every step, as in `chords='C G Am F'`"),
    "key": ("key", "the key, as in `key=Bb`"),
    "hits": ("control_midi", "the hits, as in `control_midi=hits.mid`"),
}
"""For each of `Conditioning.names`: the argument that gives it, and a phrase for messages."""

ARGUMENTS = tuple(name for name, _ in _ARGUMENTS.values())
"""Names of all arguments that may condition a model."""


def needed(converter: Converter) -> dict[str, str]:
    """Returns the arguments that condition a model, each with a phrase for messages.

    >>> from music_vae.configs import get_config
    >>> needed(get_config("hier-multiperf_vel_1bar_med_chords").data_converter)
    {'chords': "the chord of every step, as in `chords='C G Am F'`"}
    >>> needed(get_config("cat-mel_2bar_mini").data_converter)  # not conditioned on anything
    {}
    """
    return dict(_ARGUMENTS[name] for name in converter.conditioning.names)
