"""MusicVAE: a latent space of short pieces of music (Roberts et al. 2018)."""

from typing import Any

__version__ = "0.1.0"

__all__ = ["TrainedModel", "__version__"]


def __getattr__(name: str) -> Any:
    """Imports `TrainedModel` when it is first asked for: configs are needed without it."""
    if name == "TrainedModel":
        from music_vae.trained_model import TrainedModel

        return TrainedModel
    raise AttributeError(f"module 'music_vae' has no attribute {name!r}")
