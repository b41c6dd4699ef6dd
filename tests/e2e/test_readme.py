"""The README's five-minute tour, run as it is written, against the fleet that ./dev run starts."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from gateway import Program

ROOT = Path(__file__).parents[2]


def tour() -> list[str]:
    """The shell blocks of the tour."""
    text = (ROOT / "README.md").read_text()
    section = text.split("## Five-minute tour")[1].split("\n## ")[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    runner = Program([sys.executable, ROOT / "tools/run/fleet.py", "--port", "0", "--admin-port", "0"],
                     tmp_path_factory.mktemp("tour") / "run.log", "./dev run")
    runner.wait_ready()
    yield runner
    assert runner.stop(30) == 0


def test_every_command_does_what_the_readme_says(fleet):
    admin = re.search(r"admin: (http://\S+?)\)", "\n".join(fleet.lines))[1]
    places = {"localhost:8080": fleet.url, "localhost:9090": admin, "build/truekeel": os.environ["TRUEKEEL_BIN"]}
    assert len(tour()) >= 5
    for block in tour():
        for place, actual in places.items():
            block = block.replace(place, actual)
        commands = re.split(r"^# -> (.*)\n", block, flags=re.MULTILINE)
        for command, expected in zip(commands[::2], commands[1::2]):
            run = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=100)
            assert run.returncode == 0 and expected in run.stdout, f"{command}\n{run.stdout}\n{run.stderr}"


def test_every_link_leads_somewhere():
    for page in [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_a_stop_leaves_no_process_behind(tmp_path):
    runner = Program([sys.executable, ROOT / "tools/run/fleet.py", "--port", "0", "--admin-port", "0"], tmp_path / "run.log", "./dev run")
    runner.wait_ready()
    children = subprocess.run(["pgrep", "-P", str(runner.pid)], capture_output=True, text=True).stdout.split()
    assert len(children) == 4
    assert runner.stop(30) == 0
    for child in children:
        assert not Path(f"/proc/{child}").exists()
