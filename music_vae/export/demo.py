"""A web page that plays an exported model: samples, and a pad between four pieces.

The page is `demo.html`, to which is told what the model is and where its player comes from.
"""

import hashlib
import html
import json
import logging
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.export import tfjs_config
from music_vae.export.tfjs import PLAYER, PLAYER_VERSION
from music_vae.latent import attribute_vectors

PAGE_FILE = "index.html"
ATTRIBUTES_FILE = "attributes.json"
PLAYER_FILE = "magentamusic.js"
PLAYER_URL = f"https://cdn.jsdelivr.net/npm/{PLAYER}@{PLAYER_VERSION}/dist/{PLAYER_FILE}"
PLAYER_INTEGRITY = "sha384-oj8/W05Ba271e6q5zdMVC8iaF0HpQENHdkpkB1em2cs1tYFUtStZwMg6tQVSAuLj"
"""Of that file in the npm package, which the server hands out as it is."""

_TEMPLATE = Path(__file__).parent / "demo.html"
_IN_PACKAGE = f"dist/{PLAYER_FILE}"
_DIGITS = 6  # of attribute vectors; float32 has seven

_log = logging.getLogger(__name__)


def write(config: Config, folder: Path, player: Path | None, *, decode_only: bool) -> None:
    """Writes the page into the folder of an exported model.

    Args:
      config: The model's.
      folder: Of the model.
      player: A file of the player, which is copied; None: the page loads it from `PLAYER_URL`.
      decode_only: Whether the exported model has no encoder.
    """
    attributes = f'src="{PLAYER_URL}" integrity="{PLAYER_INTEGRITY}" crossorigin="anonymous"'
    if player is not None:
        shutil.copyfile(player, folder / PLAYER_FILE)
        attributes = f'src="{PLAYER_FILE}"'
    model: dict[str, Any] = {
        "name": config.name,
        "encodes": not decode_only,
        "leftOut": list(tfjs_config.left_out(config)),
        "attributes": (folder / ATTRIBUTES_FILE).is_file(),
    }
    page = _TEMPLATE.read_text(encoding="utf-8")
    for mark, text in {
        "{{title}}": html.escape(config.name),
        "{{player}}": attributes,
        # Within a script element only an end tag could end it.
        "{{model}}": json.dumps(model).replace("<", "\\u003c"),
    }.items():
        page = page.replace(mark, text)
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")


def find_player(given: str) -> Path:
    """The player's file in a file or folder: of the package, or one it was installed in.

    Raises:
      UserError: If there is none.
    """
    path = Path(given).expanduser()
    folders = (path, path / PLAYER, path / "node_modules" / PLAYER)
    candidates = [folder / name for folder in folders for name in (_IN_PACKAGE, PLAYER_FILE)]
    found = next((file for file in [path, *candidates] if file.is_file()), None)
    if found is None:
        raise UserError(
            f"`player={given}`: there is no {_IN_PACKAGE}; give the folder of {PLAYER} "
            f"{PLAYER_VERSION}, as npm pack or npm install make it, or that file"
        )
    digest = "sha384-" + b64encode(hashlib.sha384(found.read_bytes()).digest()).decode()
    if digest != PLAYER_INTEGRITY:
        _log.warning(
            "%s is not %s of %s %s, with which pages are tested",
            *(found, _IN_PACKAGE, PLAYER, PLAYER_VERSION),
        )
    return found


def write_attributes(config: Config, source: str | Path, folder: Path) -> None:
    """Writes the attribute vectors of a model as `{name: [numbers]}`, if it has any."""
    path = attribute_vectors.default_path(source)
    if not path.is_file():
        return
    vectors = attribute_vectors.read(path, config)
    listed = {
        name: [float(f"{number:.{_DIGITS}g}") for number in vector.tolist()]
        for name, vector in vectors.items()
    }
    (folder / ATTRIBUTES_FILE).write_text(json.dumps(listed) + "\n", encoding="utf-8")
