"""Drills: a real fault in a real fleet is found, blamed on the right servers and contained; and nothing stays behind."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from worker_server import BINARY, wait_until

# A drill takes less than a minute alone on two cores; other tests may run beside it.
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
FIELDS = ["drill", "seed", "rate", "detected", "signal", "ttd_s", "tokens_to_detect", "requests_to_detect", "culprit", "culprit_correct",
          "action", "contained_s", "verified", "ttr_s", "false_alarms", "requests_harmed_before", "requests_harmed_after", "requests_lost",
          "sessions_left"]


def drill(*arguments) -> list[str]:
    return [BINARY, "drill", *arguments]


def descendants(pid: int) -> list[int]:
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in children]


def five_children(running: subprocess.Popen) -> list[int]:
    wait_until(lambda: len(descendants(running.pid)) == 5)
    return descendants(running.pid)


def folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("truekeel-drill-*"))


def documented() -> list[tuple[str, str]]:
    """(command, first line of its output) of each block of the page."""
    blocks = re.findall(r"```sh\n\$ truekeel (.*)\n(.*)", (ROOT / "docs/drills.md").read_text())
    assert len(blocks) == 2
    return blocks


@pytest.mark.parametrize("command, shown", documented())
def test_the_page_shows_what_happens(command, shown):
    run = subprocess.run([BINARY, *command.split()], capture_output=True, text=True, timeout=560)
    assert run.returncode == 0 and run.stdout.startswith(shown), run.stdout + run.stderr


def test_a_lost_best_token_is_found_and_contained():
    before = folders()
    run = subprocess.run(drill("run", "topk", "--rate", "0.1", "--seed", "2", "--json"), capture_output=True, text=True, timeout=560)
    assert run.returncode == 0, run.stdout + run.stderr
    report = json.loads(run.stdout)
    assert list(report) == FIELDS
    assert report["detected"] and report["culprit_correct"] and report["signal"] == "audit"
    assert 0 <= report["ttd_s"] <= report["contained_s"] and report["tokens_to_detect"] > 0 and report["requests_to_detect"] > 0
    assert report["verified"] is None and report["ttr_s"] is None
    assert report["requests_harmed_before"] > 0 and report["requests_lost"] == report["false_alarms"] == report["sessions_left"] == 0
    assert folders() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_drill_leaves_no_process(number):
    before = folders()
    running = subprocess.Popen(drill("run", "corruption", "--seed", "3"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    children = five_children(running)
    running.send_signal(number)
    out, errors = running.communicate(timeout=60)
    wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    if number == signal.SIGINT:
        assert running.returncode == 3 and "interrupted" in errors and out == ""
        assert folders() == before
    for left in folders() - before:
        shutil.rmtree(left)


def test_a_server_that_dies_is_reported_with_its_log():
    running = subprocess.Popen(drill("run", "corruption"), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    worker = next(child for child in five_children(running) if b"worker" in Path(f"/proc/{child}/cmdline").read_bytes())
    os.kill(worker, signal.SIGKILL)
    out, errors = running.communicate(timeout=120)
    assert running.returncode == 4 and out == ""
    assert re.search(r"s[1-4] has ended\. Its log ends with:", errors) and "ready at http://" in errors


@pytest.mark.parametrize("arguments, why", [(["run", "flood"], "flood is no drill"), (["run", "topk", "--rate", "0"], "above 0"), ([], "subcommand"),
                                            (["run"], "NAME")])
def test_wrong_usage_is_refused(arguments, why):
    run = subprocess.run(drill(*arguments), capture_output=True, text=True)
    assert run.returncode == 2 and why in run.stderr


def test_a_model_that_is_none_is_told():
    run = subprocess.run(drill("run", "topk", "--model", __file__), capture_output=True, text=True, timeout=60)
    assert run.returncode == 4 and "s1 has ended" in run.stderr


def test_the_list_is_json_too():
    run = subprocess.run(drill("list", "--json"), capture_output=True, text=True)
    assert [each["name"] for each in json.loads(run.stdout)["drills"]] == ["corruption", "topk"]
