"""Identifies classes of a user's own: a converter, augmenter or spec from outside this package.

`config.json` contains the names of classes. For a class of this package the name is enough; for
another one the file also has the place of its code, so that a reader can name what is missing. Such
a file never causes an import: see `json_values.from_json`.
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
    """Returns True for a class that is not part of this package.

    >>> is_own(UserError), is_own(Path)
    (False, True)
    """
    return kind.__module__.partition(".")[0] != _PACKAGE


def own_classes(value: Any) -> dict[str, type]:
    """Returns, by name, the classes in a value of dataclasses that are not part of this package.

    >>> Mine = dataclasses.make_dataclass("Mine", ["size"])
    >>> list(own_classes((Mine(3), "text", Mine(4))))
    ['Mine']

    Raises:
      UserError: If two of them have one name.
    """
    classes: dict[str, type] = {}
    for kind in _classes(value):
        if is_own(kind) and classes.setdefault(kind.__name__, kind) is not kind:
            raise UserError(
                f"two classes have the name {kind.__name__}, in "
                f"{classes[kind.__name__].__module__} and in {kind.__module__}; a config "
                "needs names that tell its classes apart"
            )
    return classes


def source_files(value: Any) -> list[Path]:
    """Returns the Python files in the folders of a value's own classes.

    A cache of results that these classes computed is out of date when one of the files changes.

    >>> from music_vae.common.hparams import HParams
    >>> source_files(HParams())  # a class of this package
    []
    """
    bases = {base for kind in _classes(value) for base in kind.__mro__ if is_own(base)}
    files = {_file(base) for base in bases if base.__module__ not in sys.stdlib_module_names}
    folders = {file.parent for file in files if file is not None}
    return sorted(path for folder in folders for path in folder.glob("*.py"))


def location(kind: type) -> dict[str, str | None]:
    """Returns the place of a class's code: its module and the name of its file.

    Folders are left out, as they are private to this machine.

    >>> location(Path)["file"].endswith(".py")
    True
    """
    file = _file(kind)
    return {"module": kind.__module__, "file": file.name if file else None}


def missing(name: str, code: Any) -> UserError:
    """Returns the error for a class that a file names and that was not given.

    >>> print(missing("Mine", {"module": "my_configs", "file": "my_configs.py"}))
    it needs the class 'Mine' of my_configs.py, which is not a part of music_vae

    Args:
      name: Name of the class.
      code: Its `location`, from a file that anybody may have written.
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
    """Yields the classes of all dataclasses in a value, including the value itself."""
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
