"""The command line, and what the demo says."""

import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from fastgrad import models
from fastgrad.cli import app
from fastgrad.commands.demo import STORIES
from fastgrad.commands.demos.digits_net import numpy_loss


@pytest.mark.slow
def test_the_demo_runs_and_finds_its_planted_bug():
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0, result.output
    assert all(f"  {name} " in result.output.split("1,797")[0] for name in STORIES)
    assert "1,797 real handwritten digits" in result.output
    assert "The gradient is right: all 2,410 entries" in result.output
    wrong = result.output.split("2. ")[1]
    assert re.search(r"The gradient is wrong: 3\d\d of 2,410 entries .* in W2;", wrong)
    assert "measured on 20 entries, not all" in result.output


def test_an_unknown_demo_is_told_which_there_are():
    result = CliRunner().invoke(app, ["demo", "digit"])
    assert result.exit_code == 2
    assert "no demo is called 'digit'; there are digits, million" in result.output


def test_the_plain_loop_differences_the_same_loss():
    X, y = models.digits()
    params = models.two_layer.init(64, 32, 10)
    expected = models.two_layer.loss(params, X, y, 0.01)
    assert np.isclose(numpy_loss(params, X, y, 0.01), expected, rtol=1e-12)


def test_python_m_fastgrad_lists_its_commands():
    result = subprocess.run(
        [sys.executable, "-m", "fastgrad", "--help"], capture_output=True, text=True, check=True
    )
    assert "demo" in result.stdout
