"""Writes the attribute vectors of a model for other programs: `attributes.json`."""

import json
from pathlib import Path

from music_vae.configs import Config
from music_vae.latent import attribute_vectors

ATTRIBUTES_FILE = "attributes.json"

_DIGITS = 6  # significant digits; float32 has seven


def write(config: Config, source: str | Path, folder: Path) -> list[Path]:
    """Writes the vectors as `{name: [numbers]}`, if there are any; returns the paths of the files.

    >>> import tempfile
    >>> from music_vae.weights import shipped
    >>> from music_vae.configs import get_config
    >>> name = "cat-mel_2bar_mini"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write(get_config(name), shipped.folder(name), Path(folder))
    ...     vectors = json.loads((Path(folder) / ATTRIBUTES_FILE).read_text())
    >>> len(vectors["note_density"])
    128

    Args:
      config: Config of the model.
      source: The model, as a folder or a checkpoint; its attribute vectors lie beside it.
      folder: Folder that holds the exported model.
    """
    path = attribute_vectors.default_path(source)
    if not path.is_file():
        return []
    vectors = attribute_vectors.read(path, config)
    listed = {
        name: [float(f"{number:.{_DIGITS}g}") for number in vector.tolist()]
        for name, vector in vectors.items()
    }
    written = folder / ATTRIBUTES_FILE
    written.write_text(json.dumps(listed) + "\n", encoding="utf-8")
    return [written]
