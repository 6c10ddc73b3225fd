"""What the commands share that can run on many machines, by Apache Beam."""

import importlib.util

from music_vae.common.errors import UserError

NO_BEAM = "needs Apache Beam: pip install 'music_vae[beam]'"


def require_beam(what: str) -> None:
    """Raises `UserError` if Apache Beam, which `what` needs, is not installed."""
    try:
        found = importlib.util.find_spec("apache_beam")
    except ValueError:  # half imported, or hidden
        found = None
    if found is None:
        raise UserError(f"{what} {NO_BEAM}")


def written(output: str, num_shards: int) -> str:
    """The file that a pipeline writes, or with several shards a pattern of their names."""
    return output if num_shards == 1 else f"{output}-*-of-{num_shards:05d}"
