"""Converts a TensorFlow checkpoint to a `.safetensors` file, which needs no TensorFlow to be read.

    python -m music_vae.weights.convert CHECKPOINT TARGET.safetensors

The conversion needs TensorFlow. `locate` runs it once for a checkpoint, in a process of its own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from music_vae.common import lazy_imports, weight_names
from music_vae.common.errors import EXIT_OK, EXIT_USER_ERROR, UserError
from music_vae.weights import safetensors_file


def convert(checkpoint: str | Path, target: str | Path, metadata: dict[str, str]) -> None:
    """Writes the weights of a checkpoint to `target`, without the variables of its optimizer.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     target = f"{folder}/weights.safetensors"
    ...     convert("tests/golden/models/cat-mel_2bar_small", target, {"step": "1"})
    ...     weights = safetensors_file.WeightsFile(target)
    >>> weights.metadata["step"], weights["encoder/mu/bias"].shape
    ('1', (12,))

    Args:
      checkpoint: Any of what `checkpoint_files.open_prefix` takes.
      target: The file to write.
      metadata: Texts to keep beside the weights.

    Raises:
      UserError: If there is no checkpoint, or it cannot be read or holds no weights.
    """
    lazy_imports.import_tensorflow()
    from music_vae.weights import tf_checkpoints

    with tf_checkpoints.open_checkpoint(checkpoint) as weights:
        kept = {name: weights[name] for name in weights if weight_names.is_weight(name)}
    if not kept:
        raise UserError(f"the checkpoint {str(checkpoint)!r} holds no weights")
    safetensors_file.write(target, kept, metadata)


def main(argv: Sequence[str]) -> int:
    """Converts `argv[0]` to `argv[1]`; further arguments are metadata, KEY=VALUE.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     main(["tests/golden/models/cat-mel_2bar_small", f"{folder}/weights.safetensors"])
    0

    Returns:
      The exit code of the process.
    """
    checkpoint, target, *metadata = argv
    try:
        convert(checkpoint, target, dict(item.split("=", 1) for item in metadata))
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return EXIT_USER_ERROR
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
