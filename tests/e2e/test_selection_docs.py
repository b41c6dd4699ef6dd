"""What docs/selection.md shows is run as it is written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = os.environ["TRUEKEEL_BUILD"]
PAGE = (ROOT / "docs" / "selection.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", blocks("sh"))
def test_every_command_prints_what_the_page_says(block):
    expected = re.search(r"^# -> (.*)$", block, re.MULTILINE)[1]
    script = re.sub(r"(?<![-\w/])build(?=[/ ])", BUILD, block)
    run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0 and expected in run.stdout, f"{run.stdout}\n{run.stderr}"


@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_on_the_page_runs(block):
    env = os.environ | {"PYTHONPATH": str(ROOT / "python"), "TRUEKEEL_SELECT_LIBRARY": f"{BUILD}/python/libtruekeel_select.so"}
    run = subprocess.run([sys.executable, "-c", block], env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0 and re.match(r"\[\d \d\] \[", run.stdout), f"{run.stdout}\n{run.stderr}"
