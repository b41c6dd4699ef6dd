"""The audit of live answers: unseen by clients, quiet on clean servers, and certain of a faulty one."""

import contextlib
import json
import math
import random
import re
import urllib.error
import urllib.request

import pytest
from gateway import Gateway, config, endpoint, wait_until
from llama_server import LlamaServer
from stub_upstream import Stub
from worker_server import MODEL, MODEL_FILE, Worker

SECRET = "zebra-hunter2-quill"
PLAIN = {"temperature": 1, "top_p": 1, "top_k": 0, "min_p": 0}


@pytest.fixture(scope="module", params=["truekeel", "llama.cpp"])
def served(request, tmp_path_factory):
    """(server, gateway before it, engine)"""
    folder = tmp_path_factory.mktemp("served")
    with Worker(folder, ctx=1024) if request.param == "truekeel" else LlamaServer(folder) as server:
        settings = config({"main": [endpoint("s1", server.url, request.param)]}, {"main": 1024}, MODEL, f"gguf:{MODEL_FILE}")
        with Gateway(settings, folder) as gateway:
            yield server, gateway, request.param


def post(url: str, body: dict, headers: dict | None = None) -> str:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json", **(headers or {})})
    with urllib.request.urlopen(request, timeout=60) as answered:
        return answered.read().decode()


def view(gateway: Gateway, name: str) -> dict:
    return json.load(urllib.request.urlopen(f"{gateway.admin}/api/v1/{name}"))


def coverage(gateway: Gateway, name: str = "s1") -> dict:
    return next(server for server in view(gateway, "coverage")["servers"] if server["endpoint"] == name)


def comparable(answer: str) -> str:
    """Without what differs from one answer to the next."""
    answer = re.sub(r'"(id|created)":("[^"]*"|\d+)', r'"\1":0', answer)
    return re.sub(r'"timings":\{[^}]*\}', '"timings":{}', answer)


def chat_body(**more) -> dict:
    return {"model": MODEL, "messages": [{"role": "user", "content": "Name three animals, with emoji."}], "max_tokens": 24, "seed": 5,
            "temperature": 0, "cache_prompt": False, **more}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["chat/completions", "completions"])
def test_an_audited_answer_looks_as_if_nobody_had_asked(served, path, stream):
    server, gateway, _ = served
    body = chat_body(stream=stream)
    if path == "completions":
        del body["messages"]
        body["prompt"] = "A list of animals:"
    before = coverage(gateway)["tokens"]
    audited = post(f"{gateway.url}/v1/{path}", body)
    wait_until(lambda: coverage(gateway)["tokens"] > before, what="tokens audited")
    assert comparable(audited) == comparable(post(f"{server.url}/v1/{path}", body))


@pytest.mark.parametrize("stream", [False, True])
def test_who_asks_for_logprobs_gets_what_was_asked_for(served, stream):
    server, gateway, _ = served
    body = chat_body(stream=stream, logprobs=True, top_logprobs=2)
    assert comparable(post(f"{gateway.url}/v1/chat/completions", body)) == comparable(post(f"{server.url}/v1/chat/completions", body))


def test_official_clients_see_no_logprobs(served):
    _, gateway, _ = served
    ask = {"model": MODEL, "messages": [{"role": "user", "content": "Say hi."}], "max_tokens": 8}
    assert gateway.openai().chat.completions.create(**ask).choices[0].logprobs is None
    chunks = list(gateway.openai().chat.completions.create(stream=True, **ask))
    assert all(getattr(choice, "logprobs", None) is None for chunk in chunks for choice in chunk.choices)
    assert not any("audit" in choice.model_dump() for chunk in chunks for choice in chunk.choices)
    assert gateway.anthropic().messages.create(**ask).content[0].text
    with gateway.anthropic().messages.stream(**ask) as stream:
        assert stream.get_final_message().usage.output_tokens > 0


def test_clean_servers_are_not_accused(served):
    _, gateway, engine = served
    before = coverage(gateway)["tokens"]
    sampling = [PLAIN, {"temperature": 0.7, "top_p": 0.9, "top_k": 40, "min_p": 0}, {"temperature": 0}, {}]
    for turn in range(16):
        ask = chat_body(**sampling[turn % 4], stream=turn % 3 == 0, max_tokens=32)
        del ask["seed"]
        ask["messages"] = [{"role": "user", "content": f"Tell a story about the number {turn}, with emoji."}]
        if not sampling[turn % 4]:
            del ask["temperature"]
        post(f"{gateway.url}/v1/chat/completions", ask, {"x-truekeel-session": f"s{turn}"})
    wait_until(lambda: coverage(gateway)["tokens"] > before + 250, what="tokens audited")
    seen = coverage(gateway)
    assert seen["tokens_lost"]["unreadable"] == seen["tokens_lost"]["dropped"] == 0
    if engine == "truekeel":
        assert seen["tokens_lost"]["missing"] == 0, "every token has a record"
    assert seen["signals"]["audit"]["minutes"]["tail"]["5%"] > 0
    signals = view(gateway, "signals")
    assert signals["alarms"] == 0 and signals["culprits"] == 0
    assert all(standing["violated"] == 0 for standing in signals["invariants"][engine].values()), signals["invariants"][engine]
    counted = re.search(r'truekeel_audit_tokens_total\{endpoint="s1"\} (\d+)', gateway.metrics())
    assert counted and int(counted[1]) >= seen["tokens"]

    def entered() -> bool:
        [every] = [piece for piece in view(gateway, "slices")["slices"] if piece["signal"] == "audit" and piece["slice"] == {"endpoint": "s1"}]
        return every["tokens"] >= seen["tokens"]

    wait_until(entered, what="what is counted to enter as evidence, with the end of its window")
    rho = seen["signals"]["audit"]["rho"]
    assert not seen["signals"]["audit"]["suspect"] and rho["tokens_checked"] > 0 and rho["value"] <= rho["ceiling"]


class Sampler(Stub):
    """A server in llama-server's shape whose tokens come from one distribution; `fault` draws outside of top-k."""

    def __init__(self, fault: float = 0, seed: int = 1, behaviour=None):
        self.fault, self.random = fault, random.Random(seed)
        masses = [0.6 * 0.45**i for i in range(20)]
        self.logprobs = [math.log(mass) for mass in masses]
        self.masses = masses
        super().__init__(behaviour or self.generate)

    def token(self, top_k: int) -> dict:
        chosen = self.random.choices(range(top_k), self.masses[:top_k])[0]
        if self.random.random() < self.fault:
            chosen = self.random.randrange(top_k, 20)
        entries = [{"id": i, "token": "x", "bytes": [120], "logprob": logprob} for i, logprob in enumerate(self.logprobs)]
        return {**entries[chosen], "top_logprobs": entries}

    def generate(self, request, peer) -> None:
        ask = request.json
        records = [self.token(ask.get("top_k", 5)) for _ in range(30)]
        choice = {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "x" * 30}}
        if ask.get("logprobs"):
            choice["logprobs"] = {"content": records}
        usage = {"prompt_tokens": 5, "completion_tokens": 30, "total_tokens": 35}
        peer.respond(200, json.dumps({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "fp",
                                      "choices": [choice], "usage": usage}).encode())


SAMPLED = {"model": "m", "messages": [{"role": "user", "content": SECRET}], "max_tokens": 64, "temperature": 1, "top_p": 1, "min_p": 0, "top_k": 5}


def test_a_faulty_server_is_found_and_named_and_nothing_is_written_down(tmp_path):
    clean, faulty = Sampler(seed=1), Sampler(fault=0.05, seed=2)
    state = tmp_path / "audit.state"
    settings = config({"main": [endpoint("good", clean.url, "llama.cpp"), endpoint("bad", faulty.url, "llama.cpp")]},
                      evidence={"state_file": str(state)})
    with Gateway(settings, tmp_path) as gateway:
        # A culprit is named after a number of windows with evidence, so a fast machine sends more until then.
        for turn in range(10_000):
            answer = post(f"{gateway.url}/v1/chat/completions", SAMPLED, {"x-truekeel-session": f"{SECRET}{turn}", "user-agent": SECRET})
            assert "logprobs" not in answer
            if turn % 20 == 19 and view(gateway, "signals")["culprits"]:
                break
        wait_until(lambda: view(gateway, "signals")["culprits"] == 1, what="culprit")
        culprits = [piece for piece in view(gateway, "slices")["slices"] if piece["culprit"]]
        assert [piece["slice"] for piece in culprits] == [{"endpoint": "bad"}]
        assert 'truekeel_audit_findings_total{kind="culprit"} 1' in gateway.metrics()
        log = (tmp_path / "gateway.log").read_text()
        assert re.search(r"audit\.culprit.*endpoint bad", log), log[-2000:]
        shown = gateway.metrics() + json.dumps([view(gateway, name) for name in ("slices", "signals", "coverage")])
        gateway.program.stop()
    written = state.read_bytes() + (tmp_path / "gateway.log").read_bytes() + shown.encode()
    assert SECRET.encode() not in written
    with Gateway(settings, tmp_path, "again") as gateway:
        assert view(gateway, "signals")["signals"][0]["culprits"] == ["endpoint=bad"], "known after a restart"
    for server in (clean, faulty):
        server.stop()


def signals_of(gateway: Gateway, body: dict) -> list[dict]:
    """What each signal did with a request, as `truekeel explain` has it."""
    request = urllib.request.Request(f"{gateway.url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answered:
        answered.read()
        record = f"{gateway.admin}/api/v1/requests/{answered.headers['x-truekeel-request-id']}"

    def written():
        """The record is made when the exchange is over on both sides: just after its last byte."""
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(record) as known:
            return json.load(known)["signals"]

    return wait_until(written, what="the request's record")


def test_explain_says_whether_an_answer_was_looked_at(tmp_path):
    server = Sampler()
    with Gateway(config({"main": [endpoint("s1", server.url, "llama.cpp")]}), tmp_path) as gateway:
        looked = "what its server said of its tokens went into the evidence; no single answer is judged"
        assert signals_of(gateway, SAMPLED) == [{"signal": "audit", "looked": True, "said": looked}]
        assert signals_of(gateway, {**SAMPLED, "n": 2}) == [{"signal": "audit", "looked": False, "said": "several_answers"}]
    server.stop()


def test_a_server_that_refuses_logprobs_is_asked_once(tmp_path):
    def refuse(request, peer):
        if request.json.get("logprobs"):
            return peer.respond(400, b'{"error":{"message":"logprobs is not supported","type":"invalid_request_error","code":400}}')
        return server.generate(request, peer)

    server = Sampler(behaviour=refuse)
    with Gateway(config({"main": [endpoint("s1", server.url, "llama.cpp")]}), tmp_path) as gateway:
        refused = [{"signal": "audit", "looked": False, "said": "refused"}]
        assert signals_of(gateway, SAMPLED) == refused
        for _ in range(2):
            assert json.loads(post(f"{gateway.url}/v1/chat/completions", SAMPLED))["usage"]["completion_tokens"] == 30
        assert signals_of(gateway, SAMPLED) == refused
        asked = [request for request in server.requests if request.path.endswith("completions")]
        assert ["logprobs" in request.json for request in asked] == [True, False, False, False, False]
        assert coverage(gateway)["signals"]["audit"]["missing"] == "the server refuses to give logprobs"
    server.stop()


def test_coverage_says_that_an_unknown_temperature_hides_a_server_and_what_to_do(tmp_path):
    server = Sampler()
    silent = {name: value for name, value in SAMPLED.items() if name not in ("temperature", "top_p", "min_p", "top_k")}
    settings = config({"main": [endpoint("s1", server.url, "vllm")]})
    with Gateway(settings, tmp_path) as gateway:
        assert signals_of(gateway, silent) == [{"signal": "audit", "looked": False, "said": "temperature_unknown"}]
        seen = coverage(gateway)["signals"]["audit"]
        assert seen["missing"].startswith("NOT AUDITED: ") and "defaults: {temperature" in seen["missing"], seen
        for _ in range(40):
            post(f"{gateway.url}/v1/chat/completions", SAMPLED)
        seen = wait_until(lambda: (now := coverage(gateway)["signals"]["audit"]) and "missing" not in now and now, what="enough tokens")
        assert seen["missing_in_part"].startswith("NOT AUDITED: "), seen
    assert re.search(r"config\.advice.*answers of s1 .*NOT AUDITED", gateway.program.log.read_text())
    settings["models"][0]["defaults"] = {"temperature": 1, "top_p": 1, "top_k": 5, "min_p": 0}
    with Gateway(settings, tmp_path, "stated") as gateway:
        assert signals_of(gateway, silent)[0]["looked"]
        assert "NOT AUDITED" not in json.dumps(coverage(gateway))
    assert "NOT AUDITED" not in gateway.program.log.read_text()
    server.stop()


def test_a_server_that_refuses_all_that_is_added_is_asked_once(tmp_path):
    def refuse(request, peer):
        for field in ("logprobs", "max_tokens"):
            if field in request.json:
                return peer.respond(400, json.dumps({"error": {"message": f"unknown field {field}", "type": "invalid_request_error"}}).encode())
        return server.generate(request, peer)

    server = Sampler(behaviour=refuse)
    with Gateway(config({"main": [endpoint("s1", server.url, "llama.cpp")]}), tmp_path) as gateway:
        ask = {name: value for name, value in SAMPLED.items() if name != "max_tokens"}
        before = len(server.requests)
        for _ in range(2):
            assert json.loads(post(f"{gateway.url}/v1/chat/completions", ask))["usage"]["completion_tokens"] == 30
        asked = [request.json for request in server.requests[before:] if request.path.endswith("completions")]
        assert [("logprobs" in one, "max_tokens" in one) for one in asked] == [(True, True), (False, True), (False, False), (False, False)]
    server.stop()


def test_an_answer_without_the_added_limit_may_be_longer(tmp_path):
    def refuse(request, peer):
        if "max_tokens" in request.json and request.json.get("messages") == SAMPLED["messages"]:
            return peer.respond(400, b'{"error":{"message":"unknown field max_tokens","type":"invalid_request_error"}}')
        return server.generate(request, peer)

    server = Sampler(behaviour=refuse)
    settings = config({"main": [endpoint("s1", server.url, "llama.cpp")]})
    settings["models"][0]["default_max_output"] = 16
    with Gateway(settings, tmp_path) as gateway:
        ask = {name: value for name, value in SAMPLED.items() if name != "max_tokens"}
        assert json.loads(post(f"{gateway.url}/v1/chat/completions", ask))["usage"]["completion_tokens"] == 30
        wait_until(lambda: coverage(gateway)["tokens"] == 30, what="tokens audited")
        assert view(gateway, "signals")["invariants"]["llama.cpp"]["usage_adds_up"] == {"state": "armed", "proven": True, "kept": 1, "violated": 0}
    server.stop()
