"""A TensorFlow checkpoint of any spelling to a file of weights:

python -m music_vae.weights.convert CHECKPOINT TARGET.safetensors

Needs TensorFlow. `locate` runs it once for a checkpoint, in a process of its own.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from music_vae.common import lazy_imports, weight_names
from music_vae.common.errors import EXIT_OK, EXIT_USER_ERROR, UserError
from music_vae.weights import safetensors_file


def convert(checkpoint: str | Path, target: str | Path, metadata: dict[str, str]) -> None:
    """Writes the weights of a checkpoint to `target`, without what belongs to its optimizer.

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
    """Converts `argv[0]` to `argv[1]`; further arguments are metadata, KEY=VALUE."""
    checkpoint, target, *metadata = argv
    try:
        convert(checkpoint, target, dict(item.split("=", 1) for item in metadata))
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return EXIT_USER_ERROR
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
