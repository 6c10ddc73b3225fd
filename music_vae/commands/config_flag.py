"""Reads `--config`: the name of a published config, Python code of one's own, or a JSON file.

    --config=cat-mel_2bar_small
    --config=my_configs.py:MEL_4BAR          # what the file calls MEL_4BAR
    --config=package.module:MEL_4BAR         # the same in a module that Python finds
    --config=mel_4bar.json                   # a file such as the config.json of a run

Python code is imported here and nowhere else, and only when a command is given its name. A run's
`config.json` may say that it needs such code, but nothing is ever imported because of it.
"""

import dataclasses
import importlib
import importlib.util
import logging
import sys
from pathlib import Path
from types import ModuleType

from music_vae import configs
from music_vae.common import files, own_code
from music_vae.common.errors import UserError, naming
from music_vae.configs import CONFIG_MAP, Config
from music_vae.weights import config_file

EXPECTED = "expected FILE.py:NAME, package.module:NAME, FILE.json or the name of a published config"

_log = logging.getLogger(__name__)


def get_config(text: str, hparams: str = "") -> Config:
    """Returns the config that `--config=text` means, with overrides of its hyper-parameters.

    >>> get_config("cat-mel_2bar_small", "z_size=8").hparams.z_size
    8
    >>> get_config("my_configs.py")
    Traceback (most recent call last):
    music_vae.common.errors.UserError: cannot read --config=my_configs.py; expected
    my_configs.py:NAME

    Args:
      text: The value of the flag.
      hparams: Overrides as `--hparams` gives them, such as "z_size=8,batch_size=32".

    Raises:
      UserError: If there is no such config, or the user's code fails.
    """
    if not is_own(text):
        with naming("config", text):
            return configs.get_config(text, hparams)
    config = _from_file(text) if text.endswith(".json") else _from_code(text)
    if not _is_published_or_new(config):
        raise UserError(
            f"--config={text} has the name {config.name}, which a published config has that is "
            "another; give it a name of its own"
        )
    return config.with_overrides(hparams)


def _is_published_or_new(config: Config) -> bool:
    """Returns True unless another config than this was published under its name.

    Hyper-parameters may differ, as they may with `--hparams`.
    """
    published = CONFIG_MAP.get(config.name, config)
    return all(
        getattr(published, field.name) == getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name != "hparams"
    )


def is_own(text: str) -> bool:
    """Returns True if `text` means code or a file rather than a published config.

    >>> is_own("my_configs.py:MEL_4BAR"), is_own("cat-mel_2bar_small")
    (True, False)
    """
    return text not in CONFIG_MAP and any(mark in text for mark in ":/.")


def shipped_name(text: str) -> str:
    """Returns the name of the published config that `--config=text` means, whose model may ship.

    >>> shipped_name("cat-mel_2bar_mini")
    'cat-mel_2bar_mini'

    Raises:
      UserError: If it means a config of the user's own, of which no model ships.
    """
    name = get_config(text).name
    if name not in CONFIG_MAP:
        raise UserError(
            f"--config={text} is a config of your own; give the model, too, as --run_dir or "
            "--checkpoint_file"
        )
    return name


def read(source: str | Path, text: str | None) -> Config | None:
    """Reads the config that lies beside a checkpoint; returns None if there is none.

    If it needs classes of the user's own, they are those of the config that `--config=text` means.

    >>> read("music_vae/models/cat-mel_2bar_mini", None).name
    'cat-mel_2bar_mini'

    Raises:
      UserError: If it needs classes that this config does not have, or as for `config_file.read`.
    """
    given = get_config(text) if text and is_own(text) else None
    return config_file.read(source, own_code.own_classes(given))


def difference(text: str | None, config: Config) -> str:
    """Returns a phrase that says how the config that `--config=text` means differs from a run's.

    The phrase is empty if nothing was given or both are the same. The hyper-parameters of a config
    of the user's own may differ: those of the run count, which `--hparams` may have set.

    >>> difference("cat-mel_2bar_big", get_config("cat-mel_2bar_small"))
    'not --config=cat-mel_2bar_big'
    >>> difference("cat-mel_2bar_small", get_config("cat-mel_2bar_small", "z_size=8"))
    ''
    """
    if text in (None, "", config.name):
        return ""
    given = get_config(text)
    if given.name != config.name:
        return "" if given.replace(name=config.name) == config else f"not --config={text}"
    others = [
        field.name
        for field in dataclasses.fields(config)
        if getattr(given, field.name) != getattr(config, field.name) and field.name != "hparams"
    ]
    if others:
        return f"when it had another {' and another '.join(others)} than --config={text} has now"
    values = given.hparams.values()
    changed = [
        f"{name}={value} (there {values[name]})"
        for name, value in config.hparams.values().items()
        if value != values[name]
    ]
    if changed:
        _log.info("the run has other sizes than %s, which count: %s", text, ", ".join(changed))
    return ""


def _from_file(text: str) -> Config:
    path = files.expand(text)
    if not path.is_file():
        raise UserError(f"--config={text}: there is no such file")
    return config_file.read_file(path)


def _from_code(text: str) -> Config:
    """Imports a file or module of Python code and returns the config in it."""
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        expected = f"expected {text}:NAME" if text.endswith(".py") else EXPECTED
        raise UserError(f"cannot read --config={text}; {expected}")
    module = _import_file(place) if place.endswith(".py") else _import_module(place)
    config = vars(module).get(name)
    if isinstance(config, Config):
        _check(config, text)
        return config
    names = [key for key, value in vars(module).items() if isinstance(value, Config)]
    there = f"it has {', '.join(names)}" if names else "it has none at the top level"
    if name in vars(module):
        raise UserError(
            f"--config={text}: {name} is no Config but a {type(config).__name__}; {there}"
        )
    raise UserError(f"--config={text}: {place} has no config {name}; {there}")


def _check(config: Config, text: str) -> None:
    """Raises `UserError` for a config without a valid model, or that cannot be written to files."""
    try:
        config.model_spec  # noqa: B018  (which derives it)
        config_file.to_text(config)
        for kind in own_code.own_classes(config).values():
            if getattr(sys.modules[kind.__module__], kind.__qualname__, None) is not kind:
                raise UserError(f"the class {kind.__name__} has to stand at the top of its module")
    except UserError as error:
        raise UserError(f"--config={text}: {error}", hint=error.hint) from error
    except Exception as error:  # of the user's own classes, which may do anything
        raise UserError(f"--config={text}: {_failure(error, text)}") from error


def _import_file(text: str) -> ModuleType:
    """Imports the module in a file under the file's name, as if Python had found it by itself.

    Its folder goes to the end of the search path: the file may import what lies beside it, and the
    processes that convert music have to find its classes.
    """
    path = files.expand(text).absolute()
    if not path.is_file():
        raise UserError(f"--config: there is no file {text}")
    if "." in path.stem:
        raise UserError(f"--config: {path.name} has dots in its name; Python can import it without")
    _search(path.parent)
    try:
        spec = importlib.util.find_spec(path.stem)
    except ValueError:  # of a module that runs as a program, such as __main__
        spec = None
    origin = spec.origin if spec is not None else None
    if origin is None or not (Path(origin).is_file() and path.samefile(origin)):
        raise UserError(
            f"--config: {path.name} has the name of another module ({origin}); rename the file"
        )
    return _import(path.stem, text)


def _import_module(text: str) -> ModuleType:
    """Imports a module by its name; it may lie in the folder in which the command was started."""
    if not all(part.isidentifier() for part in text.split(".")):
        raise UserError(f"--config: {text!r} names neither a module nor a .py file; {EXPECTED}")
    _search(Path.cwd())
    return _import(text, text)


def _search(folder: Path) -> None:
    """Adds a folder as the last in which Python looks for modules, so that it hides no other."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
    importlib.invalidate_caches()


def _import(name: str, text: str) -> ModuleType:
    """Imports a module; an error in it becomes a message with the line of the user's code."""
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        missing = getattr(error, "name", None) if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{name}.".startswith(f"{missing}."):
            raise UserError(f"--config: there is no module {text}: {error}") from error
        raise UserError(f"--config: {_failure(error, text)}") from error


def _failure(error: BaseException, text: str) -> str:
    """Returns the place and the reason of an error: the innermost line that is of no library."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{error.filename or text}, line {error.lineno}: {kind}: {error.msg}"
    import sysconfig
    import traceback

    libraries = [
        sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")
    ]
    others = ("<", str(Path(configs.__file__).parent), *libraries)
    lines = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(others)
    ]
    where = f"{lines[-1].filename}, line {lines[-1].lineno}" if lines else text
    hint = getattr(error, "hint", "")
    return f"{where}: {kind}: {error}{'; ' if hint else ''}{hint}"
