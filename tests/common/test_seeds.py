"""Seeds that are drawn stay what they are: music of a seed that is known depends on them."""

import subprocess
import sys

import numpy as np
import pytest

from music_vae.common import seeds
from music_vae.common.errors import UserError


def test_a_generator_gives_the_same_seeds_as_ever():
    rng = np.random.default_rng(1)
    assert [seeds.draw(rng) for _ in range(3)] == [1016164991, 1099128569, 1621709875]


def test_a_seed_by_chance_is_one_that_can_be_given():
    drawn = {seeds.draw() for _ in range(8)}
    assert len(drawn) > 1
    assert all(0 <= seed < 2**31 <= seeds.MAX_SEED for seed in drawn)


def test_the_limit_is_known_without_numpy():
    code = "import sys; from music_vae.common import seeds; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_generator_repeats_for_a_seed_and_differs_without():
    one, two = (seeds.generator(5).random() for _ in range(2))
    assert one == two == np.random.default_rng(5).random()
    assert seeds.generator(None).random() != seeds.generator(None).random()
    with pytest.raises(UserError, match="`seed=-1` must not be below 0"):
        seeds.generator(-1)
