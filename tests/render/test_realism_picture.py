"""The picture of features and pieces."""

import numpy as np
import pytest

from music_vae.render import realism_picture
from music_vae.render.notebook import beat


@pytest.fixture
def drums():
    return [beat(bass="x.......", snare="....x..."), beat(closed_hihat="x.x.x.x.")]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_features_and_pieces_are_drawn(suffix, drums, tmp_path):
    rng = np.random.default_rng(0)
    features = {
        kind: {f"feature {n}": rng.normal(0, 1, 20) for n in range(7)}
        for kind in ("held-out", "prior")
    }
    path = tmp_path / f"picture.{suffix}"
    pieces = {"held-out": drums, "prior": drums}
    realism_picture.draw(path, features, pieces, title="A model")
    data = path.read_bytes()
    if suffix == "png":
        assert data.startswith(b"\x89PNG")
        return
    text = data.decode()
    words = ("A model", "feature 6", "held-out 2", "prior 1", "Acoustic Snare", "Closed Hi Hat")
    assert [word for word in words if word not in text] == []


def test_features_without_numbers_and_without_spread_do_no_harm(drums, tmp_path):
    nothing, same = np.full(3, np.nan), np.ones(3)
    features = {
        "held-out": {"empty": nothing, "one": nothing, "same": same},
        "prior": {"empty": nothing, "one": same, "same": same},
    }
    path = tmp_path / "picture.svg"
    realism_picture.draw(path, features, {"held-out": drums, "prior": drums}, title="A model")
    text = path.read_text(encoding="utf-8")
    assert ("empty" in text, ">one<" in text, ">same<" in text) == (False, True, True)
