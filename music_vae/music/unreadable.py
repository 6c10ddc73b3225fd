"""Defines the error that is raised for a music file that cannot be read."""

import textwrap
from pathlib import Path

from music_vae.common.errors import UserError


class UnreadableMusicError(UserError):
    """Says why a music file gives no notes.

    `reason` is short and the same for all files with the same trouble, so that it can be counted;
    `detail` is about this file alone and may be empty.

    >>> str(UnreadableMusicError("no such file", path=Path("tune.mid")))
    'tune.mid: no such file'
    """

    def __init__(self, reason: str, detail: str = "", *, path: Path | None = None) -> None:
        self.reason = reason
        self.detail = textwrap.shorten(detail, 160, placeholder="...")
        where = f"{path}: " if path else ""
        super().__init__(where + reason + (f": {self.detail}" if self.detail else ""))
