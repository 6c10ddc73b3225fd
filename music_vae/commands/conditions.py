"""The arguments by which a musician conditions a model: chords, a key, hits."""

from music_vae.music.converters.base import Converter

_ARGUMENTS = {
    "chords": ("chords", "the chord of every step, as in `chords='C G Am F'`"),
    "key": ("key", "the key, as in `key=Bb`"),
    "hits": ("control_midi", "the hits, as in `control_midi=hits.mid`"),
}
"""For each of `Conditioning.names` the argument that gives it, and a word for it."""

ARGUMENTS = tuple(name for name, _ in _ARGUMENTS.values())


def needed(converter: Converter) -> dict[str, str]:
    """The arguments that condition a model, each with a word for it; empty without conditions."""
    return dict(_ARGUMENTS[name] for name in converter.conditioning.names)
