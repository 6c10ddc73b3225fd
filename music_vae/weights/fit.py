"""Whether weights fit a config, and which config they are of, by names and shapes alone."""

import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from music_vae.common.errors import UserError
from music_vae.common.weight_names import is_weight
from music_vae.configs import CONFIG_MAP

Shapes = Mapping[str, tuple[int, ...]]

_MAX_LISTED = 12  # names in an error

_log = logging.getLogger(__name__)


def check_fit(expected: Shapes, found: Shapes, source: str, *, with_encoder: bool) -> None:
    """Raises `UserError` unless `found` holds `expected`, and is of no other config besides.

    Args:
      expected: Shapes of the model's weights.
      found: Shapes of the checkpoint's variables.
      source: What to call the checkpoint.
      with_encoder: Whether the model has an encoder, and would need the checkpoint's.
    """
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("weights of %s:\n%s", source, _table(expected, found))
    missing = [name for name in expected if name not in found]
    if missing:
        raise UserError(
            f"{source} lacks {len(missing)} of {len(expected)} weights of this config: "
            f"{_listed(missing)}; {describe_fits(found)}"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise UserError(
                f"{source} is a checkpoint of another config or other --hparams: {name} has shape "
                f"{list(found[name])}, expected {list(shape)}; {describe_fits(found)}"
            )
    more = [name for name in found if is_weight(name) and name not in expected]
    if not with_encoder:
        more = [name for name in more if not name.startswith("encoder/")]
    if not more:
        return
    if fitting_configs(found):
        # The lower layers of a larger model would fit, and make noise.
        raise UserError(
            f"{source} is a checkpoint of another config or other --hparams: it also holds "
            f"{_listed(more)}; {describe_fits(found)}"
        )
    _log.warning("%s also holds what this config does not use: %s", source, _listed(more))


def _listed(names: list[str]) -> str:
    """Names in a sentence: all of them, or the first and how many more."""
    rest = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _table(expected: Shapes, found: Shapes) -> str:
    """A line for every variable on either side: loaded, ignored or missing, name and shape."""
    states = {name: "loaded" if name in found else "missing" for name in expected}
    states |= {name: "ignored" for name in found if name not in expected}
    return "\n".join(
        f"  {state:<8} {name} {list({**expected, **found}[name])}" for name, state in states.items()
    )


# -- The other way round --------------------------------------------------------------------------


class Fit(NamedTuple):
    """A config that has just these weights.

    Attributes:
      config: Its name.
      hparams: The overrides it needs, as on the command line; empty if none.
    """

    config: str
    hparams: str


def fitting_configs(shapes: Shapes) -> list[Fit]:
    """The published configs whose weights have these names and shapes.

    Those that have them as they are; or, if there are none, those that have them with other sizes,
    which are read off the shapes.
    """
    from music_vae.engine.numpy_engine import weight_shapes  # which checks its weights here

    weights = {name: tuple(shape) for name, shape in shapes.items() if is_weight(name)}
    # A number by itself is no weight, and has no size to be read off.
    sizes = _sizes({name: shape for name, shape in weights.items() if shape})
    fits = []
    for config in CONFIG_MAP.values():
        changes = {
            name: value for name, value in sizes.items() if config.hparams.values()[name] != value
        }
        try:
            expected = weight_shapes(config.replace(hparams=config.hparams.replace(**changes)))
        except UserError:  # no size at all
            continue
        if expected == weights:
            fits.append(Fit(config.name, _overrides(changes)))
    return [fit for fit in fits if not fit.hparams] or fits


def describe_fits(shapes: Shapes) -> str:
    """Which configs fit, as the end of a sentence on weights that do not fit another."""
    fits = fitting_configs(shapes)
    if not fits:
        return "it fits no published config, with any sizes"
    by_overrides: dict[str, list[str]] = {}
    for fit in fits:
        by_overrides.setdefault(fit.hparams, []).append(f"--config={fit.config}")
    alternatives = [
        " or ".join(names) + (f" with --hparams={overrides}" if overrides else "")
        for overrides, names in by_overrides.items()
    ]
    return f"it fits {'; or '.join(alternatives)}"


def _sizes(shapes: Shapes) -> dict[str, Any]:
    """The hyper-parameters that can be read off the weights of a checkpoint."""
    sizes: dict[str, Any] = {}
    if "encoder/mu/bias" in shapes:
        sizes["z_size"] = shapes["encoder/mu/bias"][0]
    if units := _units(shapes, r"encoder/(hierarchical_level_0/)?(multi_rnn_cell/)?"):
        sizes["enc_rnn_size"] = units
    if units := _units(shapes, r"(core_decoder/)?(core_decoder_0/)?decoder/multi_rnn_cell/"):
        sizes["dec_rnn_size"] = units
    hidden = [shape[-1] for name, shape in shapes.items() if name.endswith("/nade/w_enc")]
    if hidden:
        sizes["nade_num_hidden"] = hidden[0]
    projected = [name for name in shapes if "/input_projection_wrapper/" in name]
    sizes["residual_encoder"] = any(name.startswith("encoder/") for name in projected)
    sizes["residual_decoder"] = any(not name.startswith("encoder/") for name in projected)
    return sizes


def _units(shapes: Shapes, scope: str) -> tuple[int, ...]:
    """Units of the LSTM cells in a scope, from the bottom up; forward ones where there are two."""
    pattern = re.compile(
        rf"{scope}cell_(?P<index>\d+)/(bidirectional_rnn/fw/multi_rnn_cell/cell_0/)?"
        "(input_projection_wrapper/)?lstm_cell/bias"
    )
    found = {
        int(match["index"]): shape[0] // 4
        for name, shape in shapes.items()
        if (match := pattern.fullmatch(name))
    }
    return tuple(found[index] for index in sorted(found))


def _overrides(changes: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, tuple):
            return f"[{','.join(map(str, value))}]"
        return str(value).lower() if isinstance(value, bool) else str(value)

    return ",".join(f"{name}={text(value)}" for name, value in changes.items())
