"""MusicVAE: a latent space of short pieces of music (Roberts et al. 2018).

    from music_vae import TrainedModel, configs, data, notes_io

The names below come from the rooms of the package when they are first asked for, so that
`import music_vae` takes no time.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "attribute_vectors": "latent.attribute_vectors",
    "attributes": "music.attributes",
    "conditioning": "music.conditioning",
    "configs": "configs",
    "constraints": "latent.constraints",
    "data": "data",
    "grooves": "latent.grooves",
    "latent_space": "latent.latent_space",
    "notebook": "render.notebook",
    "notes_io": "music.notes_io",
    "personal_models": "latent.personal_models",
}
"""The documented modules, and where they lie."""

_FORMER = {
    "archives": "weights.archives",
    "attribute_tool": "commands.attributes",
    "audio": "render.audio",
    "augment": "music.augmentation",
    "cache": "common.cache",
    "checkpoint_files": "weights.checkpoint_files",
    "checkpoint_tool": "commands.checkpoints",
    "checkpoints": "weights.tf_checkpoints",
    "cli": "commands.cli",
    "cluster": "training.cluster",
    "constants": "common.constants",
    "constrain": "commands.constrain",
    "constraint_figures": "evaluation.constraint_effects",
    "constraint_training": "training.constraint_networks",
    "controls_input": "music.conditioning",
    "convert_weights": "weights.convert",
    "converting": "dataset.conversion",
    "dense": "nn.densify",
    "devices": "training.devices",
    "downloads": "weights.downloads",
    "epochs": "dataset.epochs",
    "evaluate": "commands.evaluate",
    "example_cache": "dataset.disk_cache",
    "export_tf1": "export.tf1",
    "export_tool": "commands.export",
    "files": "common.files",
    "imports": "common.lazy_imports",
    "interpolation_figures": "evaluation.interpolation",
    "measures": "evaluation.metrics",
    "personal": "latent.personal_models",
    "personal_training": "training.personal_networks",
    "personalize": "commands.personalize",
    "piano_rolls": "render.piano_rolls",
    "plotting": "render.plotting",
    "pools": "common.pools",
    "preprocess": "commands.preprocess",
    "preprocessing": "dataset.preprocessing",
    "published": "weights.published",
    "rendering": "render.rendering",
    "results_page": "render.results_page",
    "run_config": "weights.config_file",
    "runs": "training.run",
    "schedules": "nn.schedules",
    "shipped": "weights.shipped",
    "small_networks": "latent.small_networks",
    "soundfont": "render.soundfont",
    "synthesizer": "render.synthesizer",
    "tfrecord": "dataset.tfrecord",
    "validation": "training.validation",
    "weight_fit": "weights.fit",
    "weights_file": "weights.safetensors_file",
    "weights_source": "weights.locate",
}
"""Names of modules from before there were rooms, for programs that import them."""

__all__ = ["TrainedModel", "__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: `TrainedModel`, or a module."""
    if name == "TrainedModel":
        return importlib.import_module("music_vae.trained_model").TrainedModel
    path = _PUBLIC.get(name) or _FORMER.get(name)
    if path is None:
        raise AttributeError(f"module 'music_vae' has no attribute {name!r}")
    return importlib.import_module(f"music_vae.{path}")


def __dir__() -> list[str]:
    """The names that are documented, beside those that are there already."""
    return sorted({*globals(), *__all__})
