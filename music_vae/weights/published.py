"""Finds the checkpoints that were published with the original MusicVAE, by their ids.

A file is downloaded when it is first needed, and kept in `cache_dir()` under its published name;
from then on no network is needed. A file that was put there by hand serves as well.
"""

import dataclasses
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from music_vae.common import files
from music_vae.common.cache import cache_dir
from music_vae.common.errors import UserError, did_you_mean
from music_vae.weights import archives

BASE_URL = "https://storage.googleapis.com/magentadata/models/music_vae/weights/tf_checkpoints/"
BASE_URL_VARIABLE = "MUSIC_VAE_CHECKPOINT_BASE_URL"

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Published:
    """A published checkpoint.

    >>> PUBLISHED["cat-drums_2bar_small.lokl"].config
    'cat-drums_2bar_small'

    Attributes:
      id: Name of the checkpoint, which may stand wherever a checkpoint is named.
      config: Name of the config that it was trained with.
      files: Names that its file may have, tried in this order.
    """

    id: str
    config: str
    files: tuple[str, ...]


def _published(id: str, config: str | None = None, *other_files: str) -> Published:
    """Returns a published checkpoint, whose config is called like it unless `config` is given."""
    return Published(id, config or id, (f"{id}.tar", *other_files))


PUBLISHED: Mapping[str, Published] = MappingProxyType(
    {
        entry.id: entry
        for entry in (
            _published("cat-mel_2bar_big"),
            _published("hierdec-mel_16bar"),
            _published("hierdec-trio_16bar"),
            _published("cat-drums_2bar_small.lokl", "cat-drums_2bar_small"),
            _published("cat-drums_2bar_small.hikl", "cat-drums_2bar_small"),
            _published("nade-drums_2bar_full"),
            # Its documentation has both names.
            _published("groovae_4bar", None, "groove_4bar.tar"),
            _published("groovae_2bar_humanize"),
            _published("groovae_2bar_tap_fixed_velocity"),
            _published("groovae_2bar_add_closed_hh"),
            _published("groovae_2bar_hits_control"),
        )
    }
)
"""All published checkpoints by id, read-only."""


def find(path: str | Path) -> Published | None:
    """Returns the published checkpoint with the id `path`; None if `path` is no id.

    A checkpoint that lies at `path` goes first: then the result is None, too.

    >>> find("groovae_4bar").files
    ('groovae_4bar.tar', 'groove_4bar.tar')
    >>> print(find("music_vae/models/groovae_4bar_mini"))
    None
    """
    entry = PUBLISHED.get(str(path))
    return None if entry is None or holds_checkpoint(Path(path)) else entry


def holds_checkpoint(path: Path) -> bool:
    """Returns True if there is a checkpoint at `path`; a folder with music in it is none.

    >>> holds_checkpoint(Path("music_vae/models/groovae_4bar_mini")), holds_checkpoint(Path("docs"))
    (True, False)
    """
    if path.is_file() or Path(f"{path}.index").exists():
        return True
    patterns = ("*.index", "*.safetensors", "train/*.index", "train/*.safetensors")
    return path.is_dir() and any(any(path.glob(pattern)) for pattern in patterns)


def get(id: str) -> Published:
    """Returns the published checkpoint `id`.

    >>> get("hierdec-trio_16bar").files
    ('hierdec-trio_16bar.tar',)
    >>> get("hierdec-trio_16bars")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: there is no published checkpoint 'hierdec-trio_16bars'; did
    you mean hierdec-trio_16bar?

    Raises:
      UserError: If there is none, with the nearest id.
    """
    if id not in PUBLISHED:
        raise UserError(f"there is no published checkpoint {id!r}; {did_you_mean(id, PUBLISHED)}")
    return PUBLISHED[id]


def resolve(path: str | Path, base_url: str | None = None) -> Path:
    """Returns the path of a checkpoint: `path` with `~` expanded, or the file of a published one.

    >>> resolve("~/model.ckpt") == Path.home() / "model.ckpt"
    True

    Args:
      path: A path, or the id of a published checkpoint, which is downloaded if need be.
      base_url: As for `fetch`.

    Raises:
      UserError: If `path` is an id and its file is neither in the cache nor to be downloaded.
    """
    entry = find(path)
    if entry is not None:
        return fetch(entry, base_url)
    if str(path) in PUBLISHED:
        _log.info("%s is a checkpoint here, which goes before the published one", path)
    return files.expand(path)


def cached(entry: Published) -> Path | None:
    """Returns the file of a published checkpoint in the cache, or None if it is not there.

    >>> import tempfile
    >>> from unittest import mock
    >>> with (
    ...     tempfile.TemporaryDirectory() as folder,
    ...     mock.patch.dict(os.environ, MUSIC_VAE_CACHE=folder),
    ... ):
    ...     before = cached(PUBLISHED["groovae_4bar"])
    ...     Path(folder, "groove_4bar.tar").touch()
    ...     before, cached(PUBLISHED["groovae_4bar"]).name
    (None, 'groove_4bar.tar')
    """
    paths = (cache_dir() / name for name in entry.files)
    return next((path for path in paths if path.is_file()), None)


def fetch(entry: Published, base_url: str | None = None) -> Path:
    """Returns the file of a published checkpoint, downloaded unless it is in the cache.

    >>> import tempfile
    >>> from unittest import mock
    >>> with (
    ...     tempfile.TemporaryDirectory() as folder,
    ...     mock.patch.dict(os.environ, MUSIC_VAE_CACHE=folder),
    ... ):
    ...     Path(folder, "cat-mel_2bar_big.tar").touch()  # put there by hand
    ...     fetch(PUBLISHED["cat-mel_2bar_big"]).name
    'cat-mel_2bar_big.tar'

    Args:
      entry: The checkpoint.
      base_url: Address of the folder to download from. None: what the environment variable
        MUSIC_VAE_CHECKPOINT_BASE_URL says, or else where it was published.

    Raises:
      UserError: If it cannot be downloaded, or what came is no checkpoint.
    """
    path = cached(entry)
    if path is not None:
        return path
    from music_vae.weights import downloads

    base = (base_url or os.environ.get(BASE_URL_VARIABLE) or BASE_URL).rstrip("/")
    for name in entry.files:
        path = cache_dir() / name
        try:
            downloads.download(f"{base}/{name}", path, check=archives.check)
        except downloads.NotThereError:
            continue
        return path
    raise UserError(f"{base} has no {' and no '.join(entry.files)}; is the address right?")
