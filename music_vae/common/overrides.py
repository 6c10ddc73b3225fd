"""Reads overrides of hyper-parameters, such as `batch_size=32,enc_rnn_size=[256,512]`."""

import dataclasses
import re
from typing import Any

from music_vae.common.errors import UserError, did_you_mean
from music_vae.common.hparams import HParams

_ASSIGNMENT = re.compile(r"\s*(\w+)\s*=\s*(\[[^\]]*\]|[^,\[\]]*?)\s*(?:,|$)")


def apply_overrides(hparams: HParams, text: str) -> HParams:
    """Returns a copy of `hparams` changed by assignments, `name=value` separated by commas.

    Lists are written in square brackets; a single number stands for a list of one.

    >>> changed = apply_overrides(HParams(), "z_size=64,dec_rnn_size=[128,128],enc_rnn_size=256")
    >>> changed.z_size, changed.dec_rnn_size, changed.enc_rnn_size
    (64, (128, 128), (256,))

    Raises:
      UserError: For an unknown name (with the nearest known one), a value of the wrong type or out
        of range, a name given twice, or text that is not a list of assignments.
    """
    changes: dict[str, Any] = {}
    position = 0
    while position < len(text):
        match = _ASSIGNMENT.match(text, position)
        if not match:
            raise UserError(f"cannot read {text[position:]!r}; expected name=value,name=[1,2]")
        name, value = match.groups()
        if name in changes:
            raise UserError(f"hyper-parameter {name} is given twice")
        changes[name] = _parse(name, value)
        position = match.end()
    return hparams.replace(**changes)


def _parse(name: str, text: str) -> Any:
    """Converts the text of a value to the type of the hyper-parameter `name`."""
    fields = {field.name: field.type for field in dataclasses.fields(HParams)}
    if name not in fields:
        raise UserError(f"unknown hyper-parameter {name!r}; {did_you_mean(name, fields)}")
    kind = fields[name]
    try:
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if kind is int:
            return int(text)
        if kind is float:
            return float(text)
        if kind is str:
            return text.strip("'\"")
        return tuple(int(item) for item in text.strip("[]").split(","))
    except (ValueError, KeyError):
        expected = {bool: "true or false", int: "a whole number", float: "a number"}
        wanted = next((words for each, words in expected.items() if kind is each), "[256,512]")
        raise UserError(f"{name}={text!r} cannot be read; expected {wanted}") from None
