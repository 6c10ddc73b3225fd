"""Whether weights fit a config, and which config they are of, by names and shapes alone."""

import itertools
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from music_vae.common import weight_names as names
from music_vae.common.errors import UserError
from music_vae.common.model_spec import ModelSpec
from music_vae.common.plans import BidirectionalPlan, LstmStackPlan, Shapes
from music_vae.common.weight_names import is_weight
from music_vae.configs import CONFIG_MAP

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
                f"{source} is a checkpoint of another config or other `hparams`: {name} has shape "
                f"{list(found[name])}, expected {list(shape)}; {describe_fits(found)}"
            )
    more = [name for name in found if is_weight(name) and name not in expected]
    if not with_encoder:
        more = [name for name in more if not name.startswith(f"{names.ENCODER}/")]
    if not more:
        return
    if fitting_configs(found):
        # The lower layers of a larger model would fit, and make noise.
        raise UserError(
            f"{source} is a checkpoint of another config or other `hparams`: it also holds "
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
    weights = {name: tuple(shape) for name, shape in shapes.items() if is_weight(name)}
    # A number by itself is no weight, and has no size to be read off.
    sized = {name: shape for name, shape in weights.items() if shape}
    fits = []
    for config in CONFIG_MAP.values():
        values = config.hparams.values()
        sizes = _sizes(config.model_spec, sized)
        changes = {name: value for name, value in sizes.items() if values[name] != value}
        try:
            resized = config.replace(hparams=config.hparams.replace(**changes))
            expected = resized.model_spec.weight_shapes
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
        by_overrides.setdefault(fit.hparams, []).append(f"`config={fit.config}`")
    alternatives = [
        " or ".join(configs) + (f" with `hparams={overrides}`" if overrides else "")
        for overrides, configs in by_overrides.items()
    ]
    return f"it fits {'; or '.join(alternatives)}"


def _sizes(spec: ModelSpec, shapes: Shapes) -> dict[str, Any]:
    """The hyper-parameters of a model that has such parts and weights of these shapes.

    Only those that can be read off weights that are there.
    """
    sizes: dict[str, Any] = {}
    voice = spec.decoder.voices[0]
    decoder = _read_layers(voice.lstm, shapes)
    encoder = _Layers((), False)
    if spec.encoder is not None and spec.posterior is not None:
        encoder = _read_layers(spec.encoder.levels[0].lstm, shapes)
        if spec.posterior.mu.bias in shapes:
            sizes["z_size"] = shapes[spec.posterior.mu.bias][0]
    if encoder.units:
        sizes["enc_rnn_size"] = encoder.units
    if decoder.units:
        sizes["dec_rnn_size"] = decoder.units
    if voice.head.nade is not None and voice.head.nade.encoder in shapes:
        sizes["nade_num_hidden"] = shapes[voice.head.nade.encoder][-1]
    residual = {"residual_encoder": encoder.residual, "residual_decoder": decoder.residual}
    return sizes | residual


class _Layers(NamedTuple):
    """LSTM layers: their units from the bottom up, and whether they are residual."""

    units: tuple[int, ...]
    residual: bool


def _read_layers(lstm: LstmStackPlan | BidirectionalPlan, shapes: Shapes) -> _Layers:
    """The layers, more or fewer than planned, whose weights are there."""
    units, residual = [], False
    for number in itertools.count():
        plain, projected = (names.bias(cell) for cell in lstm.cell_names(number))
        if plain not in shapes and projected not in shapes:
            break
        residual |= projected in shapes
        units.append(shapes[projected if projected in shapes else plain][0] // 4)
    return _Layers(tuple(units), residual)


def _overrides(changes: Mapping[str, Any]) -> str:
    def text(value: Any) -> str:
        if isinstance(value, tuple):
            return f"[{','.join(map(str, value))}]"
        return str(value).lower() if isinstance(value, bool) else str(value)

    return ",".join(f"{name}={text(value)}" for name, value in changes.items())
