"""Tells whether weights fit a config, and which config they fit, by names and shapes."""

import itertools
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from music_vae.common import weight_names as names
from music_vae.common.errors import UserError
from music_vae.common.model_spec import ModelSpec
from music_vae.common.plans import BidirectionalPlan, LstmStackPlan, Shapes
from music_vae.common.weight_names import is_weight
from music_vae.configs import CONFIG_MAP, Config

_MAX_LISTED = 12  # names in an error message

_log = logging.getLogger(__name__)


def check_fit(expected: Shapes, actual: Shapes, source: str, *, with_encoder: bool) -> None:
    """Raises `UserError` unless the variables of a checkpoint are the weights of a model.

    Variables that are no weights, such as those of an optimizer, are ignored.

    >>> expected = {"decoder/output_projection/bias": (90,)}
    >>> actual = {"decoder/output_projection/bias": (512,)}
    >>> check_fit(expected, actual, "my.ckpt", with_encoder=False)
    Traceback (most recent call last):
    music_vae.common.errors.UserError: my.ckpt is a checkpoint of another config or other `hparams`:
    decoder/output_projection/bias has shape [512], expected [90]; it fits no published config, with
    any sizes

    Args:
      expected: Shapes of the weights of the model.
      actual: Shapes of the variables in the checkpoint.
      source: Name of the checkpoint in messages.
      with_encoder: True if the model has an encoder; else weights of one are ignored.
    """
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("weights of %s:\n%s", source, _table(expected, actual))
    missing = [name for name in expected if name not in actual]
    if missing and missing == [name for name in expected if _is_encoder(name)]:
        decoder = {name: shape for name, shape in expected.items() if not _is_encoder(name)}
        check_fit(decoder, actual, source, with_encoder=False)
        raise UserError(
            f"{source} has a decoder and no encoder: the model can sample and decode, but nothing "
            "can be encoded"
        )
    if missing:
        raise UserError(
            f"{source} lacks {len(missing)} of {len(expected)} weights of this config: "
            f"{_listed(missing)}; {describe_fits(actual)}"
        )
    for name, shape in expected.items():
        if actual[name] != shape:
            raise UserError(
                f"{source} is a checkpoint of another config or other `hparams`: {name} has shape "
                f"{list(actual[name])}, expected {list(shape)}; {describe_fits(actual)}"
            )
    more = [name for name in actual if is_weight(name) and name not in expected]
    if not with_encoder:
        more = [name for name in more if not _is_encoder(name)]
    if not more:
        return
    if fitting_configs(actual):
        # The lower layers of a larger model would fit, and make noise.
        raise UserError(
            f"{source} is a checkpoint of another config or other `hparams`: it also holds "
            f"{_listed(more)}; {describe_fits(actual)}"
        )
    _log.warning("%s also holds what this config does not use: %s", source, _listed(more))


def check_finite(name: str, array: np.ndarray) -> np.ndarray:
    """Returns a weight; raises `UserError` if it has numbers that are not finite.

    A model of such weights would make noise, and say nothing.

    >>> check_finite("encoder/mu/bias", np.array([0.5, np.nan], np.float32))
    Traceback (most recent call last):
    music_vae.common.errors.UserError: the weight encoder/mu/bias has numbers that are not finite;
    the training has diverged, or the file is damaged
    """
    if not np.isfinite(array).all():
        raise UserError(
            f"the weight {name} has numbers that are not finite; the training has diverged, or the "
            "file is damaged"
        )
    return array


def _is_encoder(name: str) -> bool:
    return name.startswith(f"{names.ENCODER}/")


def _listed(names: list[str]) -> str:
    """Returns names as part of a sentence: all of them, or the first and how many more.

    They may be from a file, so what does not print is escaped.
    """
    rest = len(names) - _MAX_LISTED
    listed = ", ".join(ascii(name)[1:-1] for name in names[:_MAX_LISTED])
    return listed + (f" and {rest} more" if rest > 0 else "")


def _table(expected: Shapes, actual: Shapes) -> str:
    """Returns a line for every variable on either side, with its state, name and shape."""
    states = {name: "loaded" if name in actual else "missing" for name in expected}
    states |= {name: "ignored" for name in actual if name not in expected}
    shapes = {**expected, **actual}
    return "\n".join(f"  {state:<8} {name} {list(shapes[name])}" for name, state in states.items())


# -- From weights to configs ----------------------------------------------------------------------


class Fit(NamedTuple):
    """A config whose model has exactly the weights of a checkpoint.

    >>> from music_vae.configs import get_config
    >>> fit = Fit("cat-drums_2bar_small", "z_size=8")
    >>> get_config(fit.config, fit.hparams).hparams.z_size
    8

    Attributes:
      config: Name of the config.
      hparams: Hyper-parameters that must differ from the config's, as `get_config` reads them;
        empty if none must.
    """

    config: str
    hparams: str


def fitting_configs(shapes: Shapes, own: Mapping[str, Config] | None = None) -> list[Fit]:
    """Returns the configs whose weights have these names and shapes.

    Configs that fit as they are go first: only if there are none, those are returned that fit with
    other sizes, which can be told from the shapes.

    >>> from music_vae.configs import get_config
    >>> fitting_configs(get_config("nade-drums_2bar_full").model_spec.weight_shapes)
    [Fit(config='nade-drums_2bar_full', hparams='')]

    Args:
      shapes: Shapes of variables by name; those that are no weights are ignored. If none is of an
        encoder, they are compared with decoders alone.
      own: Configs to try besides the published ones, each by the name that it has in the result.
    """
    weights = {name: tuple(shape) for name, shape in shapes.items() if is_weight(name)}
    # A number by itself is no weight, and has no size to be read off.
    sized = {name: shape for name, shape in weights.items() if shape}
    with_encoder = any(map(_is_encoder, sized))
    fits = []
    for name, config in {**CONFIG_MAP, **(own or {})}.items():
        values = config.hparams.values()
        sizes = _sizes(config.model_spec, sized)
        changes = {name: value for name, value in sizes.items() if values[name] != value}
        try:
            resized = config.replace(hparams=config.hparams.replace(**changes))
            spec = resized.model_spec
            expected = (spec if with_encoder else spec.without_encoder()).weight_shapes
        except UserError:  # no size at all
            continue
        if expected == weights:
            fits.append(Fit(name, _overrides(changes)))
    return [fit for fit in fits if not fit.hparams] or fits


def describe_fits(shapes: Shapes) -> str:
    """Returns which configs fit, as the end of an error message.

    >>> from music_vae.configs import get_config
    >>> small = get_config("nade-drums_2bar_full", "z_size=8")
    >>> describe_fits(small.model_spec.weight_shapes)
    'it fits `config=nade-drums_2bar_full` with `hparams=z_size=8`'
    """
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
    """Returns the hyper-parameters of a model of the given structure with weights of these shapes.

    Only those hyper-parameters are there that the given weights tell.
    """
    sizes: dict[str, Any] = {}
    voice = spec.decoder.voices[0]
    top = spec.decoder.conductors[0] if spec.decoder.conductors else voice
    if top.z_size and top.initial_state.kernel in shapes:
        sizes["z_size"] = shapes[top.initial_state.kernel][0]
    decoder = _read_layers(voice.lstm, shapes)
    encoder = _Layers((), False)
    if spec.encoder is not None and spec.posterior is not None:
        encoder = _read_layers(spec.encoder.levels[0].lstm, shapes)
    if encoder.units:
        sizes["enc_rnn_size"] = encoder.units
    if decoder.units:
        sizes["dec_rnn_size"] = decoder.units
    if voice.head.nade is not None and voice.head.nade.encoder in shapes:
        sizes["nade_num_hidden"] = shapes[voice.head.nade.encoder][-1]
    residual = {"residual_encoder": encoder.residual, "residual_decoder": decoder.residual}
    return sizes | residual


class _Layers(NamedTuple):
    """A stack of LSTM layers.

    Attributes:
      units: Number of units of each layer, from the bottom up.
      residual: True if the layers are residual.
    """

    units: tuple[int, ...]
    residual: bool


def _read_layers(lstm: LstmStackPlan | BidirectionalPlan, shapes: Shapes) -> _Layers:
    """Returns the layers whose weights are there, which may be more or fewer than planned."""
    units, residual = [], False
    for number in itertools.count():
        plain, projected = (names.bias(cell) for cell in lstm.cell_names(number))
        if plain not in shapes and projected not in shapes:
            break
        residual |= projected in shapes
        units.append(shapes[projected if projected in shapes else plain][0] // 4)
    return _Layers(tuple(units), residual)


def _overrides(changes: Mapping[str, Any]) -> str:
    """Returns hyper-parameters as `get_config` reads them: 'z_size=8,enc_rnn_size=[16,16]'."""

    def text(value: Any) -> str:
        if isinstance(value, tuple):
            return f"[{','.join(map(str, value))}]"
        return str(value).lower() if isinstance(value, bool) else str(value)

    return ",".join(f"{name}={text(value)}" for name, value in changes.items())
