"""What all commands share."""

import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from absl import flags

from music_vae.commands import cli
from music_vae.common.errors import UserError


@pytest.fixture
def values():
    values = cli.new_flags()
    flags.DEFINE_string("name", None, "A name.", flag_values=values)
    flags.DEFINE_boolean("loud", False, "Whether to shout.", flag_values=values)
    return values


def run(values, arguments, body=lambda values: None):
    return cli.Command("program", "Does something.", values, body).main(arguments)


def test_help_shows_usage_and_every_flag_with_its_default(values, capsys):
    assert run(values, ["--help"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("Does something.")
    assert "--name=<string>\n      A name.\n" in output
    assert "--[no]loud\n      Whether to shout. (default: 'false')" in output
    assert "--log=<DEBUG|INFO|WARN|ERROR|FATAL>\n      How much" in output


def test_help_can_be_in_sections_and_leave_flags_out(values, capsys):
    flags.DEFINE_string("old", None, "Has no use any more.", flag_values=values)
    sections = {"who": ["name"], "how": ["loud"]}
    for shown in ({"sections": sections}, {"hidden": ["old"]}):
        command = cli.Command("program", "Does something.", values, print, **shown)
        assert command.main(["--help"]) == 0
        output = capsys.readouterr().out
        assert "--old" not in output
        assert output.endswith("\nAll flags: program --helpfull\n")
        if "sections" in shown:
            name, loud = output.index("\n who\n  --name="), output.index("\n how\n  --[no]loud\n")
            assert name < loud
            assert "--log" not in output
        assert command.main(["--helpfull"]) == 0
        output = capsys.readouterr().out
        assert all(f"\n  --{flag}" in output for flag in ("old=", "name=", "[no]loud", "log="))
        assert "All flags" not in output


def test_what_one_call_was_given_does_not_stay_for_the_next(values):
    seen = []
    run(values, ["--name=x"], lambda v: seen.append(v.name))
    run(values, [], lambda v: seen.append(v.name))
    assert seen == ["x", None]


def test_arguments_that_an_error_names_are_shown_as_flags(values, capsys):
    flags.DEFINE_string("hparams", "", "Overrides.", flag_values=values)

    def mistake(values):
        raise UserError(
            "`name` does not go with `batch_size=3` or `other`", hint="leave out `loud`"
        )

    assert run(values, [], mistake) == 2
    assert capsys.readouterr().err == (
        "program: --name does not go with --hparams=batch_size=3 or `other`; leave out --loud\n"
    )


def test_a_hyper_parameter_is_named_where_no_flag_sets_it(values, capsys):
    def mistake(values):
        raise UserError("with `max_seq_len=32` it makes 2 bars")

    assert run(values, [], mistake) == 2
    assert capsys.readouterr().err == "program: with max_seq_len=32 it makes 2 bars\n"


def test_a_users_mistake_is_one_line_and_a_bug_keeps_its_traceback(values, capsys):
    def mistake(values):
        raise UserError("two\nlines")

    def bug(values):
        raise ZeroDivisionError

    assert run(values, [], mistake) == 2
    assert capsys.readouterr().err == "program: two lines\n"
    with pytest.raises(ZeroDivisionError):
        run(values, [], bug)


def test_required_flags_are_named(values, capsys):
    assert run(values, [], lambda v: cli.require(v, "name")) == 2
    assert capsys.readouterr().err == "program: --name is required: A name.\n"


def test_an_interruption_is_no_traceback(values, capsys):
    def interrupted(values):
        raise KeyboardInterrupt

    assert run(values, [], interrupted) == 130
    assert capsys.readouterr().err == "program: interrupted\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_to_be_ended_by_another_program_is_no_traceback(values, capsys, number):
    left = []

    def work(values):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            left.append("in order")

    assert run(values, [], work) == 128 + number
    assert capsys.readouterr().err == "program: terminated\n"
    assert left == ["in order"]
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so(values):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(values, [], lambda _: os.kill(os.getpid(), signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_too_little_memory_is_one_line(values, capsys):
    assert run(values, [], lambda _: np.zeros(2**50) and None) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("program: there is not enough memory: Unable to allocate 8.00 PiB")


def test_a_library_that_memory_does_not_hold_is_one_line(values, capsys):
    def body(values):
        raise ImportError("a\nlong\nstory: libx.so: failed to map segment from shared object")

    assert run(values, [], body) == 2
    expected = (
        "there is not enough memory: story: libx.so: failed to map segment from shared object"
    )
    assert capsys.readouterr().err == f"program: {expected}\n"


def test_a_missing_library_is_a_bug_and_says_where(values):
    def body(values):
        raise ImportError("no module")

    with pytest.raises(ImportError, match="no module"):
        run(values, [], body)


def test_a_command_in_another_thread_answers_no_signals(values):
    codes = []
    thread = threading.Thread(target=lambda: codes.append(run(values, [])))
    thread.start()
    thread.join()
    assert codes == [0]


def test_the_log_level_is_that_of_this_package(values):
    run(values, ["--log=WARN"])
    assert logging.getLogger("music_vae").level == logging.WARNING
    run(values, ["--log=INFO"])
    assert logging.getLogger("music_vae").level == logging.INFO


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "memory"),
        (["--cache"], "memory"),
        (["--nocache"], "none"),
        (["--cache=True"], "memory"),
        (["--cache=false"], "none"),
        (["--cache=disk"], "disk"),
        (["--cache=none"], "none"),
    ],
)
def test_a_flag_that_was_a_boolean_takes_words_too(arguments, expected, capsys):
    values = cli.new_flags()
    words = {"memory": "memory", "disk": "disk", "none": "none", "true": "memory", "false": "none"}
    cli.define_choice_or_boolean("cache", "memory", words, "Where.", values=values)
    found = []
    assert run(values, arguments, lambda v: found.append(v.cache)) == 0
    assert found == [expected]
    assert run(values, ["--cache=maybe"]) == 2
    assert "<memory|disk|none|true|false>" in capsys.readouterr().err
    assert "--cache=<memory|disk|none>\n      Where." in cli.help_text("p", "Does.", values)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_what_the_output_cannot_say_is_escaped(values, monkeypatch, encoding):
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", output)
    assert run(values, [], lambda values: print("/日本/caf\udce9")) == 0
    assert output.buffer.getvalue() == b"/\\u65e5\\u672c/caf\\udce9\n"
    assert output.errors == "strict"


def test_output_to_a_full_disk_is_one_line_and_exit_code_2():
    code = "from music_vae.commands.checkpoints import main; exit(main(['list']))"
    with open("/dev/full", "wb") as full:
        result = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr == "music_vae_checkpoints: No space left on device\n"
