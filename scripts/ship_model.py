"""Puts the best weights of a run into the package, as float16.

    python scripts/ship_model.py --run_dir=runs/cat-mel_2bar_mini

The run is one of a config of the registry as it stands: `music_vae_generate --config=NAME` then
uses these weights where no others are named.
"""

import argparse
import sys
from pathlib import Path

from music_vae.common.errors import UserError
from music_vae.configs import get_config
from music_vae.training import validation
from music_vae.weights import config_file, safetensors_file, shipped
from music_vae.weights.locate import open_weights


def ship(run_dir: Path, models_dir: Path) -> Path:
    """Copies the best weights of a run; returns the folder that they are in.

    Raises:
      UserError: If the run has none, they are not finite in float16, or its config is not that of
        the registry.
    """
    best = run_dir / validation.BEST_DIR
    config = config_file.read(best)
    if config is None:
        raise UserError(f"{best} holds no model; train with --validation_path")
    if get_config(config.name) != config:
        raise UserError(f"{run_dir} was trained with other values than {config.name} has now")
    source, folder = open_weights(best), models_dir / config.name
    step = source.metadata["step"]
    safetensors_file.write(
        folder / safetensors_file.WEIGHTS_FILE, source, {"step": step}, dtype="float16"
    )
    config_file.write(config, folder)
    return folder


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run_dir", type=Path, required=True, help="a run of music_vae_train")
    arguments = parser.parse_args()
    try:
        folder = ship(arguments.run_dir, shipped.MODELS_DIR)
    except UserError as error:
        print(f"ship_model: {error}", file=sys.stderr)
        return 2
    size = (folder / safetensors_file.WEIGHTS_FILE).stat().st_size
    print(f"{folder}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
