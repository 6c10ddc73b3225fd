"""Classes that are not this package's: those of a researcher's own converter, augmenter or spec.

`config.json` holds the names of classes. For one of ours that is enough; of another it also says
where the code stood, for a reader to say what is missing. Nothing is ever imported by what such a
file says: see `json_values.from_json`.
"""

import dataclasses
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from music_vae.common.errors import UserError

_PACKAGE = __name__.partition(".")[0]
_FILE = re.compile(r"[\w-]{1,100}\.py")
_MODULE = re.compile(r"[\w.]{1,100}")


def is_own(kind: type) -> bool:
    """Tells classes that are not this package's.

    >>> is_own(UserError), is_own(Path)
    (False, True)
    """
    return kind.__module__.partition(".")[0] != _PACKAGE


def own_classes(value: Any) -> dict[str, type]:
    """The classes by name that a value made of dataclasses has, and this package has not.

    >>> Mine = dataclasses.make_dataclass("Mine", ["size"])
    >>> list(own_classes((Mine(3), "text", Mine(4))))
    ['Mine']

    Raises:
      UserError: If two of them have one name.
    """
    found: dict[str, type] = {}
    for kind in _classes(value):
        if is_own(kind) and found.setdefault(kind.__name__, kind) is not kind:
            raise UserError(
                f"two classes have the name {kind.__name__}, in {found[kind.__name__].__module__} "
                f"and in {kind.__module__}; a config needs names that tell its classes apart"
            )
    return found


def source_files(value: Any) -> list[Path]:
    """The Python files beside those that have a value's own classes, and these themselves.

    What is kept because it took long to make, and was made by such classes, has to be made again
    when one of these files changes.

    >>> from music_vae.common.hparams import HParams
    >>> source_files(HParams())  # a class of this package
    []
    """
    bases = {base for kind in _classes(value) for base in kind.__mro__ if is_own(base)}
    files = {_file(base) for base in bases if base.__module__ not in sys.stdlib_module_names}
    folders = {file.parent for file in files if file is not None}
    return sorted(path for folder in folders for path in folder.glob("*.py"))


def location(kind: type) -> dict[str, str | None]:
    """The place of a class's code: its module and its file's name.

    Folders are left out: they are of this machine, and nobody else's business.

    >>> location(Path)["file"].endswith(".py")
    True
    """
    file = _file(kind)
    return {"module": kind.__module__, "file": file.name if file else None}


def missing(name: str, code: Any) -> UserError:
    """The error for a class that a file names and the reader was not given.

    >>> print(missing("Mine", {"module": "my_configs", "file": "my_configs.py"}))
    it needs the class 'Mine' of my_configs.py, which is not a part of music_vae

    Args:
      name: The class.
      code: Its `location`, by a file that anybody may have written.
    """
    known = code if isinstance(code, dict) else {}
    file, module = str(known.get("file")), str(known.get("module"))
    place = "FILE.py"
    if _FILE.fullmatch(file):
        place = file
    if _MODULE.fullmatch(module) and "." in module:
        place = module
    where = "" if place == "FILE.py" else f" of {place}"
    return UserError(
        f"it needs the class {name[:100]!r}{where}, which is not a part of music_vae",
        hint=f"give the config that the model was trained with, `config={place}:NAME`, to have "
        "that code imported",
    )


def _classes(value: Any) -> Iterator[type]:
    """The classes of all dataclasses in a value, itself included."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _classes(item)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for field in dataclasses.fields(value):
            yield from _classes(getattr(value, field.name))


def _file(kind: type) -> Path | None:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Path(file) if file else None
