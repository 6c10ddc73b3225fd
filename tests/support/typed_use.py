"""A program that uses the package, for `test_public_face.py`, which checks its types."""

from pathlib import Path

import numpy as np

import music_vae
from music_vae import TrainedModel, configs, grooves, latent_space


def halfway(model: TrainedModel, start: Path, end: str) -> None:
    """Writes the piece half-way between two files."""
    _, mu, _ = model.encode([start, end])
    z: np.ndarray = latent_space.slerp(mu[0], mu[1], 0.5)[np.newaxis]
    music_vae.save(model.decode(z, temperature=0.5, seed=1)[0], "halfway.mid")


melodies: TrainedModel = music_vae.load("melody", batch_size=4)
halfway(melodies, Path("a.mid"), "b.mid")
halfway(TrainedModel(melodies.config, 8, "runs/mine"), Path("a.mid"), "b.mid")
names: list[str] = [model.name for model in music_vae.models()]
config: configs.Config = configs.get_config(names[0])
tune = music_vae.read(b"MThd")
played = grooves.reconstruct(music_vae.load("groove"), tune, playing=grooves.Playing(timing=0.5))

music_vae.load(3)  # error: arg-type
melodies.sample(temperature="hot")  # error: arg-type
melodies.smaple(3)  # error: attr-defined
music_vae.save(tune, 3)  # error: arg-type
number: int = music_vae.models()[0].name  # error: assignment
music_vae.load("melody").interpolate("a.mid", "b.mid", steps=3)  # error: call-arg
