"""Fuzz tests try a few damaged inputs in every test run, and many in `make fuzz`.

Every run of the tests tries the same inputs, so that a change is to blame for what it breaks.
`make fuzz` draws new ones each time, and keeps those that fail in `build/fuzz` for the next time.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from support.paths import ROOT

_COMMON = {
    "deadline": None,  # a machine may be busy; `support.bounds` ends what hangs
    "suppress_health_check": list(HealthCheck),
}
settings.register_profile(
    "few", max_examples=25, derandomize=True, database=None, print_blob=True, **_COMMON
)
settings.register_profile(
    "many",
    max_examples=1000,
    database=DirectoryBasedExampleDatabase(ROOT / "build" / "fuzz"),
    **_COMMON,
)
settings.load_profile(os.environ.get("MUSIC_VAE_FUZZ", "few"))
