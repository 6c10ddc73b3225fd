"""Opens the weights of a model, whatever names them: a file of weights, a run, or a checkpoint.

Needs no TensorFlow: a TensorFlow checkpoint is converted once, in a process of its own, and the
result is kept in the cache.
"""

import hashlib
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from music_vae.common import files
from music_vae.common.cache import cache_dir
from music_vae.common.errors import EXIT_USER_ERROR, UserError
from music_vae.weights import archives, checkpoint_files, published, safetensors_file
from music_vae.weights.config_file import TRAIN_DIR
from music_vae.weights.safetensors_file import SUFFIX, WEIGHTS_FILE, WeightsFile

KEY = "checkpoint_sha256"
"""Name of the metadata that says of which checkpoint the weights of a file are: its key."""

_log = logging.getLogger(__name__)


def open_weights(path: str | Path) -> WeightsFile:
    """Opens the weights that `path` stands for.

    >>> weights = open_weights("music_vae/models/cat-mel_2bar_mini")
    >>> weights["encoder/mu/kernel"].shape  # from both directions of the encoder to z
    (512, 128)

    Args:
      path: Any of what `find_file` takes, or a checkpoint as for `checkpoint_files.open_prefix`.

    Raises:
      UserError: If there are no such weights, or they cannot be read.
    """
    path = published.resolve(path)
    weights = find_file(path)
    if weights is not None:
        return weights
    if archives.is_archive(path):
        key = _key_in_archive(path)
        return _cached(key, lambda target: _convert(path, target, key))
    with checkpoint_files.open_prefix(path) as prefix:
        key = checkpoint_key(prefix)
        return _cached(key, lambda target: _convert(prefix, target, key))


def check_there(path: str | Path) -> None:
    """Raises `UserError` if `path` stands for no weights; downloads, unpacks and reads nothing.

    >>> check_there("music_vae/models/cat-mel_2bar_mini")
    >>> check_there("examples")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: there is no checkpoint in the directory 'examples'

    Args:
      path: Any of what `open_weights` takes.
    """
    expanded = files.expand(path)
    if published.find(path) is None and not _holds_file(expanded):
        checkpoint_files.check_there(path, f"a {SUFFIX} file, ")


def _holds_file(path: Path) -> bool:
    """Returns True if there is a file of weights at `path`, or in it if it is a directory."""
    if path.name.endswith(SUFFIX):
        return path.is_file()
    return any((folder / WEIGHTS_FILE).is_file() for folder in _folders(path))


def _folders(path: Path) -> tuple[Path, ...]:
    """Returns the folders of a directory in which its weights may lie; none of another path."""
    return (path, path / TRAIN_DIR) if path.is_dir() else ()


def absolute(path: str | Path) -> str | Path:
    """Returns what stands for the same weights in another working directory.

    >>> absolute("hierdec-trio_16bar"), absolute("docs") == Path.cwd() / "docs"
    ('hierdec-trio_16bar', True)

    Args:
      path: Any of what `open_weights` takes; the id of a published checkpoint stays as it is.
    """
    return path if published.find(path) is not None else files.expand(path).absolute()


def find_file(path: str | Path) -> WeightsFile | None:
    """Opens the weights at `path` that need no conversion; returns None if there are none.

    >>> find_file("music_vae/models/cat-mel_2bar_mini").metadata["step"]
    '2500'
    >>> print(find_file("tests/golden/models/cat-mel_2bar_small"))  # a TensorFlow checkpoint
    None

    Args:
      path: A `.safetensors` file; a directory: the `weights.safetensors` in it or in its folder
        `train`, if these are the weights of the newest checkpoint there, or there is none; or an
        archive: the `weights.safetensors` in it, if these are the weights of the checkpoint in it,
        or there is none.

    Raises:
      UserError: If there is such a file and it cannot be read.
    """
    path = files.expand(path)
    if path.name.endswith(SUFFIX):
        return WeightsFile(path)
    if archives.is_archive(path):
        return _find_in_archive(path)
    for folder in _folders(path):
        newest, file = checkpoint_files.find_newest(folder), folder / WEIGHTS_FILE
        if file.is_file():
            weights = WeightsFile(file)
            if newest is None or weights.metadata.get(KEY) == checkpoint_key(newest):
                return weights
        if newest is not None:
            return None
    return None


def beside(source: str | Path, name: str) -> Path:
    """Returns the path at which a thing that belongs to a model lies beside its weights.

    >>> beside("models/mel.safetensors", "prior.safetensors").name
    'mel.prior.safetensors'
    >>> beside("models/mel.ckpt", "constraint").name, beside("examples", "constraint").name
    ('mel.constraint', 'constraint')

    Args:
      source: The run, the folder or the file of the model.
      name: Name of the thing. In a folder, which holds one model, it is called that; beside a file
        `mel.safetensors` or a checkpoint `mel.ckpt` it is called `mel.` and the name.
    """
    path = files.expand(source)
    if path.is_dir():
        return (path.parent if path.name == TRAIN_DIR else path) / name
    return path.with_name(f"{path.name.partition('.')[0]}.{name}")


def checkpoint_key(prefix: Path) -> str:
    """Returns a digest that identifies the content of a checkpoint.

    Only the index of the checkpoint is read, which has a checksum of every variable.

    >>> checkpoint_key(Path("tests/golden/models/cat-mel_2bar_small/model.ckpt"))[:8]
    'd066d34c'
    """
    return hashlib.sha256(checkpoint_files.index_of(prefix).read_bytes()).hexdigest()


def _find_in_archive(archive: Path) -> WeightsFile | None:
    """Opens the weights in an archive that need no conversion; returns None if there are none."""
    with archives.open_member(archive, WEIGHTS_FILE) as content:
        if content is None:
            return None
        digest = hashlib.sha256()
        for piece in content:
            digest.update(piece)
    weights = _cached(
        digest.hexdigest(), lambda target: _unpack(archive, target), is_converted=False
    )
    try:
        key = _key_in_archive(archive)
    except UserError:
        return weights  # there is no checkpoint beside them
    return weights if weights.metadata.get(KEY) == key else None


def _cached(key: str, make: Callable[[Path], None], *, is_converted: bool = True) -> WeightsFile:
    """Opens the weights of `key` in the cache; `make` writes the file if no good one is there.

    A file that was not converted but copied may be of another program, without a checksum.
    """
    target = cache_dir() / "weights" / f"{key}{SUFFIX}"
    if target.is_file():
        try:
            weights = WeightsFile(target)
            weights.check_numbers(needs_checksum=is_converted)
            return weights
        except UserError as error:
            _log.warning("%s; it is made again", error)
    make(target)
    return WeightsFile(target)


def _unpack(archive: Path, target: Path) -> None:
    """Copies the `weights.safetensors` in an archive to `target`, where it can be mapped."""
    with files.atomic_path(target) as temporary:
        with (
            archives.open_member(archive, WEIGHTS_FILE) as content,
            temporary.open("wb") as output,
        ):
            output.writelines(content or ())
        try:
            WeightsFile(temporary)
        except UserError as error:
            reason = str(error).replace(str(temporary), f"{archive}/{WEIGHTS_FILE}")
            raise UserError(reason) from error


def _key_in_archive(archive: Path) -> str:
    """Returns the `checkpoint_key` of the checkpoint in an archive."""
    return hashlib.sha256(archives.read_index(archive)).hexdigest()


def _convert(checkpoint: Path, target: Path, key: str) -> None:
    """Writes the weights of a checkpoint to `target`, in a process that has TensorFlow."""
    if "tensorflow" in sys.modules:
        from music_vae.weights import convert

        convert.convert(checkpoint, target, {KEY: key})
        return
    _log.info("converting the TensorFlow checkpoint %s once, to %s", checkpoint, target)
    command = [sys.executable, "-m", "music_vae.weights.convert"]
    result = subprocess.run(
        [*command, str(checkpoint), str(target), f"{KEY}={key}"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"it ended with {result.returncode}"]
        if result.returncode == EXIT_USER_ERROR:
            raise UserError(lines[-1])
        raise UserError(f"the checkpoint {str(checkpoint)!r} was not converted: {lines[-1]}")


def write_beside(prefix: Path, weights: Mapping[str, np.ndarray], step: int) -> None:
    """Writes the weights of a checkpoint of a run as the `weights.safetensors` beside it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     prefix = Path(folder) / "model.ckpt-100"
    ...     _ = checkpoint_files.index_of(prefix).write_bytes(b"an index")
    ...     write_beside(prefix, {"decoder/output_projection/bias": np.zeros(90)}, step=100)
    ...     find_file(folder).metadata["step"]
    '100'

    Args:
      prefix: Prefix of the newest checkpoint of the run.
      weights: The weights in that checkpoint, by published name.
      step: Number of training steps after which they were saved.
    """
    metadata = {KEY: checkpoint_key(prefix), "step": str(step)}
    safetensors_file.write(prefix.parent / WEIGHTS_FILE, weights, metadata)
