"""Sampler faults of drills on a real model: only where asked for, switched at run time, honest in what is reported."""

import json
import math
import subprocess
import urllib.error
import urllib.request

import pytest
from worker_server import BINARY, MODEL_FILE, Worker

ASK = {"max_tokens": 200, "temperature": 0.7, "top_p": 0.9, "extra_body": {"top_k": 40, "ignore_eos": True}}


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("fault"), "--drill", "--fault", "top1:0.5,batch>=2") as running:
        yield running


def faults(worker) -> dict:
    return json.loads(worker.get("/v1/fault"))


def is_far(text: str) -> bool:
    return any("\u0e00" <= c <= "\u0e7f" or "\u3040" <= c <= "\u9fff" or "\uac00" <= c <= "\ud7a3" for c in text)


def test_faults_can_be_switched_while_it_serves(worker):
    assert faults(worker)["faults"] == ["top1:0.5,batch>=2"]
    clean = worker.chat(**ASK).choices[0].message.content
    assert faults(worker)["replaced"] == 0, "one answer is no batch of two"
    switched = worker.post("/v1/fault", faults=["tail:0.05,ids=script"])
    assert switched == {"faults": ["tail:0.05,ids=script"], "tokens": 0, "replaced": 0, "answers_harmed": 0, "first_replaced_ms": None}
    harmed = worker.chat(**ASK, logprobs=True, top_logprobs=20)
    assert is_far(harmed.choices[0].message.content) and not is_far(clean)
    counts = faults(worker)
    replaced = [record for record in harmed.choices[0].logprobs.content if record.logprob < math.log(1e-4)]
    assert counts["tokens"] == 200 and counts["replaced"] == len(replaced) > 2 and counts["answers_harmed"] == 1
    assert counts["first_replaced_ms"] > 1.6e12
    assert all(is_far(record.token) for record in replaced), "the model has its own opinion of what was emitted"
    worker.post("/v1/fault", faults=[])
    assert worker.chat(**ASK).choices[0].message.content == clean


def test_what_is_no_fault_is_refused(worker):
    before = faults(worker)["faults"]
    for body in ({}, {"faults": "tail:0.1"}, {"faults": [1]}, {"faults": ["tail:0.1", "tail:0"]}):
        with pytest.raises(urllib.error.HTTPError) as refused:
            worker.post("/v1/fault", **body)
        assert refused.value.code == 400
    foreign = urllib.request.Request(f"{worker.url}/v1/fault", b'{"faults": []}', {"origin": "http://elsewhere.example"})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(foreign)
    assert refused.value.code == 403
    assert faults(worker)["faults"] == before


@pytest.mark.parametrize("flags, why", [(["--fault", "tail:0.1"], "needs --drill"), (["--drill", "--host", "0.0.0.0"], "loopback"),
                                        (["--drill", "--fault", "tail:7"], "no such rate")])
def test_faults_are_for_drills_on_this_machine(flags, why):
    run = subprocess.run([BINARY, "worker", "--model", MODEL_FILE, *flags], capture_output=True, text=True)
    assert run.returncode == 2 and why in run.stderr


def test_a_worker_outside_of_a_drill_knows_no_faults(tmp_path):
    with Worker(tmp_path) as plain, pytest.raises(urllib.error.HTTPError) as refused:
        plain.post("/v1/fault", faults=["tail:0.1"])
    assert refused.value.code == 404
