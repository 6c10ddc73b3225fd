"""MusicVAE: a latent space of short pieces of music (Roberts et al. 2018).

    import music_vae

    model = music_vae.load("melody")
    music_vae.save(model.sample(1)[0], "melody.mid")

The names below come from the rooms of the package when they are first asked for, so that
`import music_vae` takes no time.
"""

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from music_vae import configs as configs
    from music_vae import data as data
    from music_vae.latent import attribute_vectors as attribute_vectors
    from music_vae.latent import constraints as constraints
    from music_vae.latent import grooves as grooves
    from music_vae.latent import latent_space as latent_space
    from music_vae.latent import personal_models as personal_models
    from music_vae.latent import priors as priors
    from music_vae.music import attributes as attributes
    from music_vae.music import conditioning as conditioning
    from music_vae.music import notes_io as notes_io
    from music_vae.music.pieces import read as read
    from music_vae.music.pieces import save as save
    from music_vae.render import notebook as notebook
    from music_vae.trained_model import TrainedModel as TrainedModel
    from music_vae.trained_model import load as load
    from music_vae.weights.shipped import models as models

__version__ = "0.1.0"

_HOMES = {
    "TrainedModel": "trained_model",
    "load": "trained_model",
    "models": "weights.shipped",
    "read": "music.pieces",
    "save": "music.pieces",
}
"""The class and the functions that most programs need, and the modules that define them."""

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
    "priors": "latent.priors",
}
"""The documented modules, and where they lie."""

_FORMER = {
    "archives": "weights.archives",
    "attribute_tool": "commands.attributes",
    "audio": "render.audio",
    "augment": "music.augmentation",
    "beam_pipelines": "dataset.beam_pipelines",
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
    "dense_networks": "training.dense_networks",
    "devices": "training.devices",
    "downloads": "weights.downloads",
    "drum_augment": "music.drum_augmentation",
    "epochs": "dataset.epochs",
    "errors": "common.errors",
    "evaluate": "commands.evaluate",
    "example_cache": "dataset.disk_cache",
    "example_store": "dataset.example_store",
    "export_tf1": "export.tf1",
    "export_tool": "commands.export",
    "files": "common.files",
    "imports": "common.lazy_imports",
    "interpolation_figures": "evaluation.interpolation",
    "language_model": "evaluation.language_model",
    "measures": "evaluation.metrics",
    "overrides": "common.overrides",
    "personal": "latent.personal_models",
    "personal_training": "training.personal_networks",
    "personalize": "commands.personalize",
    "piano_rolls": "render.piano_rolls",
    "piece_files": "commands.piece_files",
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
    "sources": "dataset.sources",
    "specs": "common.specs",
    "synthesizer": "render.synthesizer",
    "tfrecord": "dataset.tfrecord",
    "trainer": "training.trainer",
    "validation": "training.validation",
    "weight_fit": "weights.fit",
    "weight_names": "common.weight_names",
    "weights_file": "weights.safetensors_file",
    "weights_source": "weights.locate",
}
"""Names of modules from before there were rooms, for programs that import them."""


class _ModulesElsewhere:
    """Finds the modules that lie in a room by the names that they have without it.

    So `import music_vae.notes_io` and `from music_vae.notes_io import write_midi` work, and give
    the one module `music_vae.music.notes_io`. It is the last that is asked: only for a name of this
    package that no file has.
    """

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Returns the spec of such a module, as finders of `sys.meta_path` do; None for others."""
        del path, target
        package, _, last = name.rpartition(".")
        place = _PUBLIC.get(last) or _FORMER.get(last)
        if package != __name__ or place is None:
            return None
        loader: Any = _Loader(place)
        return ModuleSpec(name, loader)


class _Loader:
    """Loads a module by the name of the place where it lies.

    It is no `importlib.abc.Loader`, which takes longer to import than this package.
    """

    def __init__(self, place: str) -> None:
        self._place = f"{__name__}.{place}"

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._place)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec  # which the import system has set to that of the name


sys.meta_path.append(_ModulesElsewhere)

__all__ = ["__version__", *_HOMES, *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Imports what is asked for: a module, or a name of one, such as `TrainedModel`."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"music_vae.{_HOMES[name]}"), name)
    path = _PUBLIC.get(name) or _FORMER.get(name)
    if path is None:
        raise AttributeError(f"module 'music_vae' has no attribute {name!r}")
    return importlib.import_module(f"music_vae.{path}")


def __dir__() -> list[str]:
    """The names that are documented, beside those that are there already."""
    return sorted({*globals(), *__all__})
