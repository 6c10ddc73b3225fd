"""The commands that setup.py installs, and what they load."""

import json
import re
import subprocess
import sys

from support.paths import ROOT

ENTRY_POINTS = dict(
    re.findall(
        r'(\w+)=(music_vae[\w.]*):console_entry_point"',
        re.sub(r'"\n\s*"', "", (ROOT / "setup.py").read_text(encoding="utf-8")),
    )
)
"""The commands, each with its module."""


def loaded_after(*runs, among=("keras", "matplotlib", "tensorflow")):
    """The modules, of some, that a process of its own has loaded when commands have run in it.

    Args:
      runs: The commands, which have to succeed: the name of each one's module, and its flags.
      among: Names of modules.
    """
    script = (
        "import importlib, json, sys\n"
        f"codes = [importlib.import_module(name).main(flags) for name, *flags in {runs!r}]\n"
        f"print(json.dumps([codes, [name for name in {among!r} if name in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    codes, loaded = json.loads(done.stdout.splitlines()[-1])
    assert not any(codes), done.stderr
    return loaded
