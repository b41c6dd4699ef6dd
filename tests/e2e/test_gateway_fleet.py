"""The gateway in front of real servers on a real model: Truekeel's workers and a stock llama-server."""

import asyncio
import json
import os
import socket
import subprocess
from pathlib import Path

import anthropic
import openai
import pytest
from gateway import BINARY, Gateway, config, endpoint, wait_until
from processes import Program

MODEL_FILE = Path(os.environ["TRUEKEEL_MODEL"])
MODEL = "smol"
SHORT, LONG = 2048, 8192


def start_worker(folder: Path, name: str, window: int, slots: int = 4) -> Program:
    return Program([BINARY, "worker", "--model", MODEL_FILE, "--alias", MODEL, "--port", "0", "--ctx", window,
                    "--parallel", slots, "--threads", "1"], folder / f"{name}.log", name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fleet")


@pytest.fixture(scope="module")
def workers(folder):
    """Two short-window workers and a long-window one; they serve every test of this file."""
    programs = {"s1": start_worker(folder, "s1", SHORT), "s2": start_worker(folder, "s2", SHORT),
                "l1": start_worker(folder, "l1", LONG, 2)}
    for program in programs.values():
        program.wait_ready()
    yield programs
    for program in programs.values():
        program.stop()


def settings(workers: dict[str, Program], **more) -> dict:
    def place(name: str) -> dict:
        return endpoint(name, workers[name].url, "truekeel")

    return config({"short": [place("s1"), place("s2")], "long": [place("l1")]}, {"short": SHORT, "long": LONG},
                  model=MODEL, tokenizer=f"gguf:{MODEL_FILE}", **more)


@pytest.fixture(scope="module")
def gateway(workers, folder):
    with Gateway(settings(workers), folder) as running:
        yield running


def chat(gateway: Gateway, text: str = "Say hello.", **more):
    return gateway.chat(text, model=MODEL, temperature=0, **more)


def test_a_call_without_max_tokens_goes_to_the_short_pool(gateway):
    answered, decision = chat(gateway, stop=["."])
    assert decision["pool"] == "short" and answered.choices[0].message.content
    assert answered.usage.completion_tokens > 0


def count(gateway: Gateway, text: str) -> int:
    return gateway.anthropic().messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": text}]).input_tokens


def test_one_token_over_the_boundary_goes_to_the_long_pool(gateway):
    text = "keel " * 900
    prompt = count(gateway, text)
    assert 900 < prompt < SHORT
    fits, over = SHORT - prompt, SHORT - prompt + 1
    answered, decision = chat(gateway, text, max_tokens=fits, stop=[" "])
    assert (decision["pool"], answered.usage.prompt_tokens) == ("short", prompt)
    answered, decision = chat(gateway, text, max_tokens=over, stop=[" "])
    assert (decision["pool"], answered.usage.prompt_tokens) == ("long", prompt)


def test_what_fits_nowhere_is_refused(gateway):
    with pytest.raises(openai.BadRequestError, match="8192|8,192"):
        chat(gateway, " keel" * 9000, max_tokens=1)


def test_a_session_stays_where_it_is_while_it_grows(gateway):
    session = {"x-truekeel-session": "grows"}
    places = {chat(gateway, "word " * length, max_tokens=1, headers=session)[1]["endpoint"] for length in (1, 20, 40)}
    assert len(places) == 1


def test_logprobs_and_unknown_fields_come_through(gateway):
    raw = gateway.openai().chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": "Hi"}], max_tokens=4, logprobs=True, top_logprobs=3, seed=1,
        extra_body={"x_unknown": 1})
    records = raw.parse().choices[0].logprobs.content
    assert len(records) == raw.parse().usage.completion_tokens and len(records[0].top_logprobs) == 3


def test_openai_sync_and_streamed_agree(gateway):
    whole, _ = chat(gateway, max_tokens=12)
    stream = gateway.openai().chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "Say hello."}], temperature=0, max_tokens=12, stream=True,
        stream_options={"include_usage": True})
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_async_clients(gateway):
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        answers = await asyncio.gather(*(client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"Count to {n}."}], max_tokens=8) for n in range(6)))
        assert all(answered.choices[0].finish_reason for answered in answers)
    async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key="x", max_retries=0) as client:
        async with client.messages.stream(model=MODEL, max_tokens=8, messages=[{"role": "user", "content": "Hi"}]) as stream:
            assert await stream.get_final_text()


def test_anthropic_messages(gateway):
    client = gateway.anthropic()
    message = client.messages.create(model=MODEL, max_tokens=5, extra_body={"temperature": 0}, system="Be brief.",
                                     messages=[{"role": "user", "content": [{"type": "text", "text": "Say hello."}]}])
    assert message.stop_reason == "max_tokens" and message.usage.output_tokens == 5
    counted = client.messages.count_tokens(model=MODEL, system="Be brief.", messages=[{"role": "user", "content": "Say hello."}])
    assert counted.input_tokens == message.usage.input_tokens
    with client.messages.stream(model=MODEL, max_tokens=5, extra_body={"temperature": 0}, system="Be brief.",
                                messages=[{"role": "user", "content": "Say hello."}]) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop"
    assert final.content[0].text == message.content[0].text and final.stop_reason == "max_tokens"
    assert final.usage.output_tokens == 5


def test_completions(gateway):
    answered = gateway.openai().completions.create(model=MODEL, prompt="The keel of a ship", max_tokens=4, temperature=0)
    assert answered.choices[0].text and answered.usage.completion_tokens == 4


def test_a_worker_killed_in_mid_stream(workers, folder):
    doomed = start_worker(folder, "doomed", SHORT).wait_ready()
    with Gateway(settings({**workers, "s1": doomed}), folder, "kill") as gateway:
        session = next(str(n) for n in range(100)
                       if chat(gateway, max_tokens=1, headers={"x-truekeel-session": str(n)})[1]["endpoint"] == "s1")
        stream = gateway.openai().chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Tell a long story."}], stream=True, max_tokens=1500,
            extra_headers={"x-truekeel-session": session})
        for _ in range(3):
            next(iter(stream))
        doomed.kill()
        with pytest.raises(openai.APIError):
            list(stream)
        answered, decision = chat(gateway, max_tokens=2, headers={"x-truekeel-session": session})
        assert decision["endpoint"] == "s2" and answered.choices


def test_a_client_that_leaves_frees_the_slot(gateway, workers):
    host, port = gateway.url.removeprefix("http://").split(":")
    body = json.dumps({"model": MODEL, "stream": True, "max_tokens": 1500, "messages": [{"role": "user", "content": "Tell a story."}]}).encode()
    client = socket.create_connection((host, int(port)))
    client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    assert client.recv(1000)
    assert sum(gateway.endpoint(name)["in_flight"] for name in ("s1", "s2")) == 1
    client.close()
    wait_until(lambda: sum(gateway.endpoint(name)["in_flight"] for name in ("s1", "s2")) == 0, 5, "slot freed")


@pytest.fixture(scope="module")
def llama_server(folder):
    """A stock llama-server; it prints no readiness line of ours, so its port is chosen here."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (folder / "llama-server.log").open("wb")
    server = subprocess.Popen([os.environ["TRUEKEEL_LLAMA_SERVER"], "-m", MODEL_FILE, "--port", str(port), "--host", "127.0.0.1",
                               "-c", "4096", "-np", "2", "-t", "1", "--no-webui"], stdout=log, stderr=log)
    yield f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


def test_a_stock_llama_server(llama_server, folder):
    pools = config({"main": [endpoint("stock", llama_server, "llama.cpp")]}, {"main": SHORT}, model=MODEL, tokenizer="endpoint")
    with Gateway(pools, folder, "stock") as gateway:
        answered, decision = chat(gateway, max_tokens=6)
        assert decision["endpoint"] == "stock" and answered.usage.completion_tokens == 6
        assert count(gateway, "Say hello.") == answered.usage.prompt_tokens
        stream = gateway.openai().chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "Say hello."}],
                                                          temperature=0, max_tokens=6, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == answered.choices[0].message.content
        with gateway.anthropic().messages.stream(model=MODEL, max_tokens=6, extra_body={"temperature": 0},
                                                messages=[{"role": "user", "content": "Say hello."}]) as stream:
            assert stream.get_final_text() == answered.choices[0].message.content
        with pytest.raises(openai.BadRequestError):
            chat(gateway, "word " * 3000, max_tokens=1)


def test_explain_is_for_loopback_and_says_how_the_length_was_found(gateway):
    short = chat(gateway, "hi", max_tokens=1)[1]
    assert short["counted"] == "bound"
    near = chat(gateway, "keel " * 1500, max_tokens=1)[1]
    assert near["counted"] == "exact"
    raw = gateway.openai().chat.completions.with_raw_response.create(model=MODEL, messages=[{"role": "user", "content": "hi"}], max_tokens=1)
    assert "x-truekeel-explain" not in raw.headers and raw.headers["x-truekeel-request-id"].startswith("req_")
