"""Writes a web page that plays an exported model: samples, and a pad between four pieces.

The page is made from the template `demo.html`, into which go the facts about the model and the
place from which the player, the JavaScript library @magenta/music, is loaded.
"""

import hashlib
import html
import json
import logging
import re
import shutil
from base64 import b64encode
from pathlib import Path
from typing import Any

from music_vae.common import files
from music_vae.common.errors import UserError
from music_vae.configs import Config
from music_vae.export import attribute_files, constraint_files, prior_files, tfjs_config
from music_vae.export.tfjs import PLAYER, PLAYER_VERSION

PAGE_FILE = "index.html"
PLAYER_FILE = "magentamusic.js"
PLAYER_URL = f"https://cdn.jsdelivr.net/npm/{PLAYER}@{PLAYER_VERSION}/dist/{PLAYER_FILE}"
PLAYER_INTEGRITY = "sha384-oj8/W05Ba271e6q5zdMVC8iaF0HpQENHdkpkB1em2cs1tYFUtStZwMg6tQVSAuLj"
"""Digest of the player's file in the npm package; the server hands out the same bytes."""

_TEMPLATE = Path(__file__).parent / "demo.html"
_FIELD = re.compile(r"\{\{(\w+)\}\}")
_IN_PACKAGE = f"dist/{PLAYER_FILE}"

_log = logging.getLogger(__name__)


def write(config: Config, folder: Path, player: Path | None, *, decode_only: bool) -> None:
    """Writes the page `index.html` into the folder of an exported model.

    >>> import tempfile
    >>> from music_vae.configs import get_config
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(get_config("groovae_4bar_mini"), Path(folder), None, decode_only=False)
    ...     text = (Path(folder) / PAGE_FILE).read_text(encoding="utf-8")
    >>> "groovae_4bar_mini" in text, PLAYER_URL in text
    (True, True)

    Args:
      config: Config of the model.
      folder: Folder that holds the exported model.
      player: A file of the player, which is copied; None: the page loads it from `PLAYER_URL`.
      decode_only: True if the exported model has no encoder.
    """
    attributes = f'src="{PLAYER_URL}" integrity="{PLAYER_INTEGRITY}" crossorigin="anonymous"'
    if player is not None:
        shutil.copyfile(player, folder / PLAYER_FILE)
        attributes = f'src="{PLAYER_FILE}"'
    model: dict[str, Any] = {
        "name": config.name,
        "encodes": not decode_only,
        "leftOut": list(tfjs_config.left_out(config)),
        "attributes": (folder / attribute_files.ATTRIBUTES_FILE).is_file(),
        "prior": (folder / prior_files.PRIOR_FILE).is_file(),
        "constraint": (folder / constraint_files.CONSTRAINT_FILE).is_file(),
    }
    fields = {
        "title": html.escape(config.name),
        "player": attributes,
        # Within a script element only an end tag could end it.
        "model": json.dumps(model).replace("<", "\\u003c"),
    }
    # In one pass, so that nothing is replaced in the text that was put in.
    template = _TEMPLATE.read_text(encoding="utf-8")
    page = _FIELD.sub(lambda match: fields[match[1]], template)
    (folder / PAGE_FILE).write_text(page, encoding="utf-8")


def find_player(given: str) -> Path:
    """Finds the player's file, given the file itself or a folder.

    The folder may be that of the npm package, or one in which the package was installed. A file
    that is not of the tested release is used, with a warning.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "magentamusic.js").write_text("// another release")
    ...     print(find_player(folder).name)
    magentamusic.js

    Raises:
      UserError: If there is no such file.
    """
    path = files.expand(given)
    folders = (path, path / PLAYER, path / "node_modules" / PLAYER)
    candidates = [folder / name for folder in folders for name in (_IN_PACKAGE, PLAYER_FILE)]
    player = next((file for file in [path, *candidates] if file.is_file()), None)
    if player is None:
        raise UserError(
            f"`player={given}`: there is no {_IN_PACKAGE}; give the folder of {PLAYER} "
            f"{PLAYER_VERSION}, as npm pack or npm install make it, or that file"
        )
    digest = "sha384-" + b64encode(hashlib.sha384(player.read_bytes()).digest()).decode()
    if digest != PLAYER_INTEGRITY:
        _log.warning(
            "%s is not %s of %s %s, with which pages are tested",
            *(player, _IN_PACKAGE, PLAYER, PLAYER_VERSION),
        )
    return player
