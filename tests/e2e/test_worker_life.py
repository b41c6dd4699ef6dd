"""How a worker starts, refuses, is left, and ends."""

import http.client
import json
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import openai
import pytest
from worker_server import BINARY, MODEL_FILE, Worker, text_of, wait_until

ENDLESS = {"max_tokens": 1900, "extra_body": {"ignore_eos": True}}


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path


def status_of(connection: http.client.HTTPConnection, path: str) -> int:
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status


def run(*flags) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "worker", *map(str, flags)], capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize("flags", [[], ["--model"], ["--model", MODEL_FILE, "--ctx", "no"], ["--model", MODEL_FILE, "--nope"],
                                   ["--model", MODEL_FILE, "--kv-type", "f17"], ["--model", MODEL_FILE, "--vocab-shards", "0"],
                                   ["--model", MODEL_FILE, "--shard-dtype", "fp8"], ["--model", MODEL_FILE, "--rope-scale", "4"]])
def test_a_usage_error_says_so(flags):
    result = run(*flags)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr


def test_what_the_machine_lacks_is_named(folder):
    missing = run("--model", folder / "none.gguf")
    assert (missing.returncode, missing.stderr.strip()) == (4, f"truekeel worker: no model file '{folder / 'none.gguf'}'")
    (folder / "bad.gguf").write_text("no model")
    assert run("--model", folder / "bad.gguf").returncode == 4
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--model", MODEL_FILE, "--port", port, "--ctx", 64, "--parallel", 1, "--threads", 1)
    assert result.returncode == 4
    assert str(port) in result.stderr and "--port" in result.stderr


def test_one_that_leaves_frees_its_slot_and_a_full_queue_refuses(folder):
    with Worker(folder, "--queue", "1", ctx=2048, parallel=1) as worker:
        streams = [worker.client().chat.completions.create(
            model="smol", messages=[{"role": "user", "content": "Go on."}], stream=True, **ENDLESS)]
        next(streams[0])
        waiting = threading.Thread(target=lambda: streams.append(text_of(worker.stream("Say ok.", max_tokens=4))))
        waiting.start()
        wait_until(lambda: worker.metric("truekeel_worker_waiting_requests") == 1)
        with pytest.raises(openai.RateLimitError) as refused:
            worker.chat(max_tokens=1)
        assert refused.value.response.headers["retry-after"] == "1"
        assert refused.value.code == "queue_full"

        generated = worker.metric('truekeel_worker_tokens_total{type="completion"}')
        streams[0].response.close()
        waiting.join(60)
        assert streams[1]
        wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 0)
        # Had the leaver gone on, some 1,900 tokens would have been generated.
        assert worker.metric('truekeel_worker_tokens_total{type="completion"}') - generated < 200


def test_a_client_that_does_not_read_pauses_its_own_answer_only(folder):
    with Worker(folder, ctx=2048, parallel=2) as worker:
        host, port = worker.url.removeprefix("http://").split(":")
        idle = socket.socket()
        # Small segments and a small buffer keep the kernel from taking the whole answer in.
        idle.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect((host, int(port)))
        body = json.dumps({"messages": [{"role": "user", "content": "Go on."}], "stream": True, "max_tokens": 1900,
                           "ignore_eos": True, "logprobs": True, "top_logprobs": 20})
        idle.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 1)

        def tokens_beside(own: int) -> int:
            """How many tokens others got while one that is read got so many."""
            before = worker.metric('truekeel_worker_tokens_total{type="completion"}')
            assert worker.chat(max_tokens=own, extra_body={"ignore_eos": True}).usage.completion_tokens == own
            return worker.metric('truekeel_worker_tokens_total{type="completion"}') - before - own

        wait_until(lambda: tokens_beside(20) == 0)
        assert worker.metric("truekeel_worker_busy_slots") == 1, "paused, not ended"
        assert worker.metric('truekeel_worker_tokens_total{type="completion"}') < 1900, "the answer was generated unread"
        idle.close()
        wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 0)


def test_a_deadline_ends_an_answer_and_drops_one_that_waits(folder):
    def ask(worker, timeout_ms: int, **more):
        return worker.chat("Go on.", extra_headers={"x-truekeel-timeout-ms": str(timeout_ms)}, extra_body={"ignore_eos": True},
                           **{"max_tokens": 1900, **more})

    with Worker(folder, ctx=2048, parallel=1) as worker:
        with pytest.raises(openai.APIStatusError) as late:
            ask(worker, 300)
        assert (late.value.status_code, late.value.code) == (504, "deadline_exceeded")
        wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 0)
        with pytest.raises(openai.APIError, match="deadline"):
            list(ask(worker, 2000, stream=True))
        wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 0)

        running = worker.chat("Go on.", stream=True, **ENDLESS)
        next(running)
        with pytest.raises(openai.APIStatusError) as waited:
            ask(worker, 300)
        assert waited.value.status_code == 504
        assert worker.metric("truekeel_worker_waiting_requests") == 0
        assert worker.metric("truekeel_worker_busy_slots") == 1, "the answer under way goes on"
        running.response.close()
        for ignored in ("0", "soon", "-5", ""):
            assert worker.chat(max_tokens=2, extra_headers={"x-truekeel-timeout-ms": ignored}).usage.completion_tokens > 0
        assert json.loads(worker.get("/ready")) == {"status": "ok"}


def test_sigterm_lets_answers_end(folder):
    with Worker(folder, ctx=512, parallel=2) as worker:
        stream = worker.chat(stream=True, max_tokens=60, extra_body={"ignore_eos": True})
        first = next(iter(stream))
        kept = http.client.HTTPConnection(worker.url.removeprefix("http://"))
        kept.connect()
        worker.program.process.send_signal(signal.SIGTERM)
        wait_until(lambda: status_of(kept, "/ready") == 503)
        chunks = [first, *stream]
        assert chunks[-1].choices[0].finish_reason == "length"
        assert worker.program.process.wait(30) == 0


def test_sigterm_ends_what_takes_too_long_with_an_error(folder):
    with Worker(folder, "--drain", "0", ctx=2048, parallel=2) as worker:
        stream = iter(worker.client().chat.completions.create(
            model="smol", messages=[{"role": "user", "content": "Go on."}], stream=True, **ENDLESS))
        next(stream)
        worker.program.process.send_signal(signal.SIGTERM)
        with pytest.raises(openai.APIError, match="shutting down"):
            list(stream)
        assert worker.program.process.wait(30) == 0


def test_it_is_ready_only_once_it_has_generated_a_token(folder):
    with Worker(folder, ctx=64, parallel=1) as worker:
        assert json.loads(worker.get("/ready")) == {"status": "ok"}
        assert worker.metric('truekeel_worker_tokens_total{type="completion"}') >= 1
