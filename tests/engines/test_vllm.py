"""A real vLLM behind the gateway's audit, and before truekeel verify."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from gateway import Gateway, config, endpoint, wait_until
from test_audit import PLAIN, comparable, coverage, post, view
from test_verify import BAD, FINE, UNDECIDED, capability, verify
from vllm_server import MODEL, YARN, Vllm

# On two quiet cores each takes two or three minutes.
pytestmark = pytest.mark.timeout(2400)

CHATS = 24


def show(reference, report: dict) -> None:
    """What docs/verify.md tells of it."""
    found = report["comparison"]
    noise = f"own noise {found['within_target']:.3f} and {found['within_reference']:.3f}"
    print(f"{reference.dtype}: {found['verdict']} after {report['seconds']:.0f} s, {found['all']}, {noise}")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Vllm(tmp_path_factory.mktemp("vllm")) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(server, tmp_path_factory):
    settings = config({"main": [endpoint("s1", server.url, "vllm")]}, {"main": 2048}, MODEL, "endpoint")
    settings["health"] = {"probe_interval_s": 5, "probe_timeout_s": 60}
    settings["models"][0]["defaults"] = {"temperature": 1, "top_p": 1, "top_k": 0, "min_p": 0}  # vLLM does not tell
    with Gateway(settings, tmp_path_factory.mktemp("gateway")) as running:
        yield running


def chat_body(turn: int, **more) -> dict:
    return {"model": MODEL, "messages": [{"role": "user", "content": f"Tell a story about the number {turn}, with emoji."}],
            "max_tokens": 24, **more}


def shape(answer: str) -> str:
    """An answer without its logprobs: the same question beside others, or from what is cached, gives slightly other ones."""
    return re.sub(r'"logprob":-?[\d.e-]+', '"logprob":0', comparable(answer))


@pytest.mark.parametrize("stream", [False, True])
def test_an_audited_answer_looks_as_if_nobody_had_asked(server, gateway, stream):
    body = chat_body(7, temperature=0, stream=stream)
    before = coverage(gateway)["tokens"]
    audited = post(f"{gateway.url}/v1/chat/completions", body)
    wait_until(lambda: coverage(gateway)["tokens"] > before, what="tokens audited")
    assert comparable(audited) == comparable(post(f"{server.url}/v1/chat/completions", body))


@pytest.mark.parametrize("stream", [False, True])
def test_who_asks_for_logprobs_gets_what_was_asked_for(server, gateway, stream):
    body = chat_body(8, temperature=0, stream=stream, logprobs=True, top_logprobs=2)
    assert shape(post(f"{gateway.url}/v1/chat/completions", body)) == shape(post(f"{server.url}/v1/chat/completions", body))


def test_a_clean_server_is_not_accused(gateway):
    before = coverage(gateway)["tokens"]
    sampling = [PLAIN, {"temperature": 0.7, "top_p": 0.9, "top_k": 40}, {"temperature": 0}, {}]

    def chat(turn: int) -> int:
        body = chat_body(turn, **sampling[turn % 4], stream=turn % 3 == 0)
        if body["stream"]:
            body["stream_options"] = {"include_usage": True}
        answer = post(f"{gateway.url}/v1/chat/completions", body, {"x-truekeel-session": f"s{turn}"})
        return json.loads(answer.split("data: ")[-2] if body["stream"] else answer)["usage"]["completion_tokens"]

    with ThreadPoolExecutor(8) as threads:
        tokens = sum(threads.map(chat, range(CHATS)))
    wait_until(lambda: coverage(gateway)["tokens"] >= before + tokens, what="every token audited")
    seen = coverage(gateway)
    assert not any(seen["tokens_lost"].values()), "vLLM gives a record for every token"
    signals = view(gateway, "signals")
    assert signals["alarms"] == 0 and signals["culprits"] == 0
    invariants = signals["invariants"]["vllm"]
    assert all(standing["violated"] == 0 for standing in invariants.values()), invariants
    assert invariants["records_complete"]["kept"] >= CHATS


def test_alone_it_is_not_accused(server):
    code, report = verify(server.url, "--concurrency", 8, "--max-seconds", 240, timeout_s=300)
    assert code in (FINE, UNDECIDED) and report["sampler"]["verdict"] in ("fine", "undecided"), report
    assert report["target"]["engine"] == "vllm" and report["target"]["top_logprobs"] == 20
    assert capability(report, "record of every token") == capability(report, "logprobs of prompts") == "yes"
    assert report["sampler"]["tokens"] > 0, report


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def reference(request, tmp_path_factory):
    """bf16 differs from itself by up to .75 nats at a position."""
    if request.param == "float32":
        yield request.getfixturevalue("server")
        return
    with Vllm(tmp_path_factory.mktemp(request.param), dtype=request.param) as running:
        yield running


def against(reference, folder, *flags, seconds=300):
    with Vllm(folder, *flags, dtype=reference.dtype, core=1) as target:
        return verify(target.url, "--reference", reference.url, "--no-sampler", "--concurrency", 8, "--max-seconds", seconds,
                      timeout_s=seconds + 60)


def test_rope_scaling_is_found(reference, tmp_path):
    code, report = against(reference, tmp_path, "--hf-overrides", json.dumps(YARN), seconds=900)
    show(reference, report)
    assert code == BAD and report["comparison"]["verdict"] == "bad", report
    assert report["comparison"]["reading"] == "prompt_logprobs"


def test_two_equal_ones_are_not_accused(reference, tmp_path):
    code, report = against(reference, tmp_path)
    show(reference, report)
    assert code in (FINE, UNDECIDED) and report["comparison"]["verdict"] in ("fine", "undecided"), report
    assert report["comparison"]["all"]["contexts"] > 0 and report["comparison"]["all"]["excess"] < report["comparison"]["tolerance"]
