"""truekeel verify: real servers, equal and not, alone and against each other; and servers that mean ill."""

import json
import math
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from llama_server import LlamaServer
from stub_upstream import Stub
from test_audit import Sampler
from worker_server import Worker

ROOT = Path(__file__).parents[2]
BINARY = os.environ["TRUEKEEL_BIN"]
# Quiet cores need a fifth of it; what is tested is the verdict, not the time.
PATIENCE_S = 400
pytestmark = pytest.mark.timeout(600)
FINE, BAD, USAGE, UNDECIDED, ENVIRONMENT = range(5)


def verify(*arguments, env: dict | None = None, timeout_s: float = 500) -> tuple[int, dict]:
    """Exit code and report."""
    run = subprocess.run([BINARY, "verify", *map(str, arguments), "--json"], capture_output=True, text=True, timeout=timeout_s,
                         env={**os.environ, **(env or {})})
    assert run.stdout, run.stderr
    return run.returncode, json.loads(run.stdout)


def capability(report: dict, name: str, side: str = "target") -> str:
    return next(each["has"] for each in report[side]["capabilities"] if each["name"] == name)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    with LlamaServer(tmp_path_factory.mktemp("llama")) as server:
        yield server


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("worker"), ctx=512, parallel=2) as server:
        yield server


def test_a_stock_llama_server_is_what_it_is(llama):
    code, report = verify(llama.url + "/v1", "--max-seconds", PATIENCE_S)
    assert code == FINE, report
    assert report["target"]["engine"] == "llama.cpp" and report["target"]["window"] == 1024
    assert capability(report, "logprobs") == "yes" and report["target"]["top_logprobs"] == 20
    assert capability(report, "seed") == "yes" and capability(report, "logprobs of prompts") == "no"
    assert capability(report, "tells its sampling defaults") == "yes"
    assert "NOT AUDITED" not in json.dumps(report["target"]["capabilities"])
    assert report["sampler"]["tokens"] >= 200 and report["comparison"] is None
    assert report["sampler"]["would_have_found"]["tail"] <= 0.05


def test_rope_scaling_is_found(llama, tmp_path):
    with LlamaServer(tmp_path, "--rope-scaling", "yarn", "--rope-scale", "4", "--yarn-orig-ctx", "8192") as scaled:
        code, report = verify(scaled.url, "--reference", llama.url, "--no-sampler", "--max-seconds", PATIENCE_S)
    comparison = report["comparison"]
    assert code == BAD and comparison["verdict"] == "bad", report
    assert max(each["lower"] for each in comparison["strata"].values()) > comparison["tolerance"]
    assert comparison["reading"] == "one_token"


def test_linear_scaling_is_found(llama, tmp_path):
    with LlamaServer(tmp_path, "--rope-freq-scale", "0.5", "-c", "1024") as scaled:
        code, report = verify(scaled.url, "--reference", llama.url, "--no-sampler", "--max-seconds", PATIENCE_S)
    assert code == BAD and report["comparison"]["verdict"] == "bad", report


@pytest.mark.parametrize("flags", [["-t", "2", "--poll", "0", "-ub", "64"], ["-ctk", "q8_0", "-ctv", "q8_0", "-fa", "on"]],
                         ids=["threads and batch", "KV q8_0"])
def test_servers_that_differ_in_nothing_that_matters_are_not_accused(llama, tmp_path, flags):
    with LlamaServer(tmp_path, "-c", "1024", *flags) as other:
        code, report = verify(other.url, "--reference", llama.url, "--no-sampler", "--max-tokens", 5000, "--max-seconds", PATIENCE_S)
    assert code in (FINE, UNDECIDED) and report["comparison"]["verdict"] in ("fine", "undecided"), report
    # An answer whose first token ends inside a character has no record here.
    assert report["comparison"]["all"]["contexts"] >= 10 and report["comparison"]["contexts_dropped"] < report["comparison"]["all"]["contexts"] / 2
    assert report["comparison"]["all"]["excess"] < report["comparison"]["tolerance"]


def test_every_command_does_what_the_page_says(llama, tmp_path):
    """The second one compares two equal servers."""
    page = (ROOT / "docs" / "verify.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)\n# -> (.*?)\n```", page, re.DOTALL)
    assert len(blocks) == 2
    with LlamaServer(tmp_path, "-c", "1024") as other:
        places = {"build/truekeel": BINARY, "http://127.0.0.1:8000": llama.url, "http://127.0.0.1:8001": other.url}
        for command, expected in blocks:
            for place, actual in places.items():
                command = command.replace(place, actual)
            run = subprocess.run(["bash", "-euo", "pipefail", "-c", command], capture_output=True, text=True, timeout=500)
            assert run.returncode == FINE and expected in run.stdout, f"{command}\n{run.stdout}\n{run.stderr}"


def test_a_worker_with_shards_is_the_worker_without(worker, tmp_path):
    with Worker(tmp_path, "--vocab-shards", 2, ctx=512, parallel=2) as sharded:
        code, report = verify(sharded.url, "--reference", worker.url, "--no-sampler", "--max-seconds", PATIENCE_S)
    assert code == FINE, report
    assert report["comparison"]["reading"] == "score" and report["comparison"]["all"]["upper"] < report["comparison"]["tolerance"]
    assert capability(report, "record of every token") == "yes" and report["target"]["engine"] == "truekeel"


class Chat(Sampler):
    """Answers chat alone; its tokens come from the best five, or with `fault` from beyond them."""

    def token(self, top_k: int) -> dict:
        ranked = super().token(top_k)["top_logprobs"]
        if self.temperature == 0:
            return {**ranked[0], "top_logprobs": ranked}
        weights = [math.exp(entry["logprob"] / self.temperature) for entry in ranked[:top_k]]
        chosen = self.random.choices(ranked[:top_k], weights)[0]
        return {**(self.random.choice(ranked[top_k:]) if self.random.random() < self.fault else chosen), "top_logprobs": ranked}

    def generate(self, request, peer) -> None:
        if not request.path.endswith("/chat/completions"):
            return peer.respond(404, b'{"error":{"message":"no such route"}}')
        self.served = getattr(self, "served", 0) + 1
        self.temperature = request.json.get("temperature", 1)
        request.body = json.dumps({**request.json, "top_k": 5}).encode()
        super().generate(request, peer)


def test_a_sampler_that_does_not_draw_from_what_it_reports_is_found():
    """vLLM states no filter here, and takes none by itself; an engine that is not known may."""
    for engine, expected in (("vllm", (BAD,)), ("openai", (FINE, UNDECIDED))):
        server = Chat(seed=1)
        code, report = verify(server.url, "--model", "m", "--engine", engine, "--max-tokens", 20_000)
        assert code in expected, report
        server.stop()
    assert report["target"]["engine"] == "openai"


def test_a_faulty_sampler_of_an_unknown_engine_is_found():
    server = Chat(fault=0.3, seed=2)
    code, report = verify(server.url, "--model", "m", "--max-tokens", 20_000)
    assert code == BAD and report["sampler"]["alternative"], report
    server.stop()


def behaves(behaviour, *arguments) -> tuple[int, dict, float]:
    server = Stub(behaviour)
    began = time.monotonic()
    try:
        return *verify(server.url, "--model", "m", *arguments), time.monotonic() - began
    finally:
        server.stop()


def endless(request, peer):
    peer.start_stream()
    while True:
        peer.event(b'data: {"choices":[]}\n\n' * 100)


def huge(request, peer):
    peer.start_stream()
    piece = b" " * (1 << 20)
    while True:
        peer.event(piece)


def deep(request, peer):
    peer.respond(200, b'{"choices":' + b"[" * 1_000_000)


def slow(request, peer):
    peer.start_stream()
    while True:
        peer.event(b" ")
        time.sleep(0.2)


def overloaded(request, peer):
    peer.respond(503, b'{"error":{"message":"overloaded"}}')


HOSTILE = {
    "endless stream": endless,
    "huge body": huge,
    "deep nesting": deep,
    "slow": slow,
    "junk": lambda request, peer: peer.respond(200, bytes(range(256)) * 64),
    "error 500": lambda request, peer: peer.respond(500, b'{"error":{"message":"out of memory \x1b[31m"}}'),
    "reset": lambda request, peer: peer.reset(),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_hostile_server_is_an_error_within_the_time(how):
    code, report, seconds = behaves(HOSTILE[how], "--max-seconds", 3)
    assert code == ENVIRONMENT and report["verdict"] == "failed", report
    assert seconds < 15 and report["target"]["trouble"] and "\x1b" not in report["target"]["trouble"]


def test_a_server_that_turns_hostile_in_mid_audit_is_left_alone():
    server = Chat(seed=4)
    server.behaviour = lambda request, peer: server.generate(request, peer) if getattr(server, "served", 0) < 6 else overloaded(request, peer)
    code, report = verify(server.url, "--model", "m", "--max-seconds", 30)
    assert code == UNDECIDED and "overloaded" in report["sampler"]["summary"], report
    assert len(server.requests) < 40, "it asks on and on"
    server.stop()


def test_without_logprobs_nothing_can_be_decided(stub):
    code, report = verify(stub.url, "--model", "m")
    assert code == UNDECIDED and capability(report, "logprobs") == "no", report
    assert capability(report, "tells its sampling defaults") == "no"
    assert "NOT AUDITED" in json.dumps(report["target"]["capabilities"])


def test_the_key_goes_along_and_nowhere_else(stub):
    secret = "sk-" + "".join(random.choices("abcdef", k=20))
    run = subprocess.run([BINARY, "verify", stub.url, "--model", "m", "--key-env", "THE_KEY"], capture_output=True, text=True,
                         env={**os.environ, "THE_KEY": secret})
    assert run.returncode == UNDECIDED and secret not in run.stdout + run.stderr
    assert all(request.headers["authorization"] == f"Bearer {secret}" for request in stub.requests)


@pytest.mark.parametrize("arguments, words", [
    (["nonsense://x"], "nonsense"),
    (["http://127.0.0.1:1", "--key-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"),
    (["http://127.0.0.1:1", "--engine", "abacus"], "engines are"),
    (["http://127.0.0.1:1", "--concurrency", "0"], "concurrency"),
])
def test_wrong_usage_is_told(arguments, words):
    run = subprocess.run([BINARY, "verify", *arguments], capture_output=True, text=True)
    assert run.returncode == USAGE and words in run.stderr


def test_the_page_is_written_and_loads_nothing(stub, tmp_path):
    verify(stub.url, "--model", "m", "--html", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.startswith("<!doctype html>") and stub.url in page and "undecided" in page
    assert not re.search(r"<script|src=|<link|@import|url\(", page)
    assert verify(stub.url, "--model", "m", "--html", tmp_path)[0] == ENVIRONMENT, "a folder cannot be written"


def test_nobody_there():
    assert verify("http://127.0.0.1:1")[0] == ENVIRONMENT


def test_an_interrupt_reports_what_is_known(llama):
    running = subprocess.Popen([BINARY, "verify", llama.url, "--reference", llama.url, "--json"], stdout=subprocess.PIPE, text=True)
    time.sleep(6)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=30)
    report = json.loads(out)
    assert report["interrupted"] and report["target"]["capabilities"], report
    assert running.returncode == UNDECIDED, report


def test_a_worker_whose_sampler_is_faulty_is_found(tmp_path):
    with Worker(tmp_path, "--drill", "--fault", "tail:0.05", ctx=512, parallel=2) as faulty:
        code, report = verify(faulty.url, "--max-seconds", PATIENCE_S)
    assert code == BAD and report["sampler"]["verdict"] == "bad", report
