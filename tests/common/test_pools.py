"""Results come in order, from however many processes, and a death takes one item with it."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from music_vae.common import pools


# What the processes do; they import it from this module.
def square(number):
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 17:
        raise ZeroDivisionError("seventeen")
    return number * number, os.getpid()


def bad_luck(number):
    return -number, 0


@pytest.mark.parametrize("num_processes", [0, 1, 2, None])
def test_results_come_in_order(num_processes):
    with pools.Pool(square, num_processes, died=bad_luck) as pool:
        found = list(pool.map(range(10)))
        assert [result for result, _ in found] == [n * n for n in range(10)]
        assert len(list(pool.map([]))) == 0
        alone = {process for _, process in found} == {os.getpid()}
        assert alone == (num_processes in (0, None))  # little work is not worth a process


def test_by_default_processes_are_started_when_the_work_takes_long(monkeypatch):
    monkeypatch.setattr(pools, "_ALONE_S", 0.0)
    with pools.Pool(square, None, died=bad_luck) as pool:
        assert all(process != os.getpid() for _, process in pool.map(range(3)))


def test_an_item_whose_process_dies_has_the_result_for_that():
    with pools.Pool(square, 2, died=bad_luck) as pool:
        found = [result for result, _ in pool.map([3, 13, 4, 13, *range(5)])]
        assert found == [9, -13, 16, -13, 0, 1, 4, 9, 16]
        assert [result for result, _ in pool.map([5])] == [25]


def test_an_exception_comes_out():
    with pools.Pool(square, 1, died=bad_luck) as pool, pytest.raises(ZeroDivisionError):
        list(pool.map([1, 17, 2]))


def test_processes_do_not_import_tensorflow_when_their_parent_has(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from music_vae.common import pools\n"
        "def work(_): return sorted({'note_seq', 'tensorflow'} & set(sys.modules))\n"
        "if __name__ == '__main__':\n"
        "    import tensorflow\n"
        "    with pools.Pool(work, 1, died=work) as pool: print(*pool.map([0]))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['note_seq']"


def test_processes_that_cannot_start_are_not_blamed_on_items(monkeypatch):
    """As where there is too little memory for what they import."""

    def dying(size):
        return ProcessPoolExecutor(
            size, mp_context=get_context("spawn"), initializer=os._exit, initargs=(1,)
        )

    monkeypatch.setattr(pools, "_new_executor", dying)
    with (
        pools.Pool(square, 1, died=bad_luck) as pool,
        pytest.raises(MemoryError, match="processes to work in cannot be started"),
    ):
        list(pool.map(range(10)))
