"""What is compiled where, and what cannot be combined."""

import pytest

from music_vae.common.errors import UserError
from music_vae.nn.numerics import Numerics, fastest


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"gpu": False, "one_device": True}, Numerics(jit=True)),
        ({"gpu": False, "one_device": True, "cores": 4, "batch_size": 512}, Numerics(towers=4)),
        ({"gpu": False, "one_device": True, "cores": 64, "batch_size": 512}, Numerics(towers=8)),
        ({"gpu": False, "one_device": True, "cores": 4, "batch_size": 32}, Numerics(towers=2)),
        ({"gpu": False, "one_device": True, "cores": 4, "batch_size": 50}, Numerics(towers=2)),
        ({"gpu": False, "one_device": True, "cores": 2, "batch_size": 51}, Numerics(jit=True)),
        (
            {"gpu": False, "one_device": True, "cores": 2, "batch_size": 512, "jit": True},
            Numerics(jit=True),
        ),
        (
            {"gpu": False, "one_device": False, "cores": 2, "batch_size": 512},
            Numerics(jit=True),
        ),
        ({"gpu": False, "one_device": False}, Numerics(jit=True)),
        (
            {"gpu": True, "one_device": True, "cores": 4, "batch_size": 512},
            Numerics(jit=True, whole_step=True),
        ),
        ({"gpu": True, "one_device": True}, Numerics(jit=True, whole_step=True)),
        ({"gpu": True, "one_device": False}, Numerics(jit=True, cudnn=True)),
        ({"gpu": True, "one_device": True, "cudnn": True}, Numerics(jit=True, cudnn=True)),
        ({"gpu": True, "one_device": True, "jit": False}, Numerics(cudnn=True)),
        ({"gpu": True, "one_device": True, "jit": False, "cudnn": False}, Numerics()),
        (
            {"gpu": True, "one_device": False, "products": "bfloat16"},
            Numerics(jit=True, products="bfloat16"),
        ),
    ],
)
def test_what_is_fastest_depends_on_the_devices(asked, found):
    assert fastest(**asked) == found


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"gpu": False, "one_device": True, "cudnn": True}, "NVIDIA's GPUs, and there is none"),
        (
            {"gpu": True, "one_device": True, "cudnn": True, "products": "float16"},
            "cuDNN computes in float32: take it or float16",
        ),
    ],
)
def test_cudnn_is_refused_where_it_cannot_be(asked, message):
    with pytest.raises(UserError, match=message):
        fastest(**asked)


def test_a_whole_step_and_cudnn_exclude_each_other():
    with pytest.raises(UserError, match="take one of the two"):
        Numerics(whole_step=True, cudnn=True)
