"""The commands that setup.py installs."""

import re

from support.paths import ROOT

ENTRY_POINTS = dict(
    re.findall(
        r'(\w+)=(music_vae[\w.]*):console_entry_point"',
        re.sub(r'"\n\s*"', "", (ROOT / "setup.py").read_text(encoding="utf-8")),
    )
)
"""The commands, each with its module."""
