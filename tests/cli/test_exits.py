import errno
import subprocess
import sys

import pytest

from dpjax import errors
from dpjax.cli import exits


def _raiser(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UserError, 2),
        (errors.DataError, 3),
        (errors.NotFiniteError, 4),
        (errors.StorageError, 5),
        (errors.Preempted, 75),
    ],
)
def test_each_error_ends_in_one_line_and_its_code(kind, code, capsys):
    assert exits.run(_raiser(kind("wanted a, got b"))) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "wanted a, got b" in printed.err
    assert "Traceback" not in printed.err
    assert printed.err.startswith("error: ") == (kind is not errors.Preempted)


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (3, 3)])
def test_the_command_may_choose_its_code(returned, code):
    assert exits.run(lambda: returned) == code


def test_interrupt_is_130(capsys):
    assert exits.run(_raiser(KeyboardInterrupt())) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        exits.run(lambda: 1 // 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_named_even_below_another_error(number, capsys):
    def function():
        try:
            raise OSError(number, "text of the system", "runs/a/file")
        except OSError as error:
            raise RuntimeError("save failed") from error

    assert exits.run(function) == errors.StorageError.exit_code
    printed = capsys.readouterr().err
    assert "disk is full" in printed
    assert "runs/a/file" in printed


def test_full_disk_reported_as_text_is_recognised(capsys):
    text = "INTERNAL: Error writing x [NO_SPACE='No space left on device']"
    assert exits.run(_raiser(ValueError(text))) == errors.StorageError.exit_code
    assert "disk is full" in capsys.readouterr().err


def test_device_memory_names_the_way_out(capsys):
    text = "RESOURCE_EXHAUSTED: Out of memory allocating 123 bytes.\nmore"
    assert exits.run(_raiser(RuntimeError(text))) == errors.UserError.exit_code
    printed = capsys.readouterr().err
    assert "data.batch_size" in printed
    assert "123 bytes. Lower" in printed


def test_other_system_errors_are_not_called_a_full_disk():
    with pytest.raises(PermissionError):
        exits.run(_raiser(PermissionError(errno.EACCES, "Permission denied", "x")))


def test_a_reader_that_leaves_is_not_an_error():
    code = (
        "import sys\n"
        "from dpjax.cli import exits\n"
        "def talk():\n"
        "    for _ in range(100_000): print('line')\n"
        "sys.exit(exits.run(talk))\n"
    )
    talker = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert talker.stdout.readline() == b"line\n"
    talker.stdout.close()
    assert talker.stderr.read() == b""
    talker.stderr.close()
    assert talker.wait(timeout=60) == 0
