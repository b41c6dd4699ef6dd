"""Who may call the gateway and its admin API, with the official clients as judges."""

import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import anthropic
import openai
import pytest
from gateway import BINARY, Gateway, config, endpoint, wait_until
from stub_upstream import behave_well

ASK = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}


def key_line(name: str, key: str, options: str = "") -> str:
    return f"{name} sha256:{hashlib.sha256(key.encode()).hexdigest()} {options}\n"


@pytest.fixture
def gateway(stub, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(key_line("alice", "key-a", "explain") + key_line("bob", "key-b", "concurrent=1") + key_line("slow", "key-s", "requests_per_s=0.1"))
    started = Gateway(config({"main": [endpoint("e0", stub.url)]}) | {"clients": {"keys": str(keys)}}, tmp_path, "gateway")
    yield started
    started.program.stop()


def openai_client(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)


def anthropic_client(gateway: Gateway, key: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.url, api_key=key, max_retries=0)


def test_a_known_key_is_served_and_goes_no_further(gateway, stub):
    openai_client(gateway, "key-a").chat.completions.create(**ASK)
    anthropic_client(gateway, "key-a").messages.create(**ASK)
    assert len(stub.requests) == 2
    for request in stub.requests:
        assert "key-a" not in json.dumps(dict(request.headers))


def test_an_unknown_key_is_refused_as_each_api_refuses(gateway, stub):
    with pytest.raises(openai.AuthenticationError) as refused:
        openai_client(gateway, "key-x").chat.completions.create(**ASK)
    assert refused.value.code == "invalid_api_key" and "key-x" not in str(refused.value)
    with pytest.raises(anthropic.AuthenticationError):
        anthropic_client(gateway, "key-x").messages.create(**ASK)
    with pytest.raises(urllib.error.HTTPError) as none:
        urllib.request.urlopen(f"{gateway.url}/v1/models")
    assert none.value.code == 401 and none.value.headers["www-authenticate"] == "Bearer"
    assert not stub.requests
    assert 'truekeel_denials_total{reason="unknown_key"} 2' in gateway.metrics()


def test_a_client_waits_for_its_own_calls_alone(gateway, stub):
    release = threading.Event()
    stub.behaviour = lambda request, peer: (release.wait(20), behave_well(request, peer))
    first = threading.Thread(target=lambda: openai_client(gateway, "key-b").chat.completions.create(**ASK))
    first.start()
    wait_until(lambda: len(stub.requests) == 1)
    with pytest.raises(openai.RateLimitError) as refused:
        openai_client(gateway, "key-b").chat.completions.create(**ASK)
    assert refused.value.response.headers["retry-after"] == "1"
    release.set()
    openai_client(gateway, "key-a").chat.completions.create(**ASK)
    first.join()
    openai_client(gateway, "key-b").chat.completions.create(**ASK)


def test_a_client_that_comes_too_fast_is_told_when_to_come_back(gateway):
    client = openai_client(gateway, "key-s")
    client.chat.completions.create(**ASK)
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(**ASK)
    assert 1 <= int(refused.value.response.headers["retry-after"]) <= 10


def test_the_routing_is_explained_to_whom_it_may(gateway):
    def explained(key: str) -> bool:
        client = openai_client(gateway, key)
        answer = client.chat.completions.with_raw_response.create(**ASK, extra_headers={"x-truekeel-explain": "1"})
        return "x-truekeel-explain" in answer.headers

    assert explained("key-a")
    assert not explained("key-b")


def test_a_wrong_file_of_keys_stops_the_start_and_names_the_line(stub, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("# none\nalice sha256:12\n")
    with pytest.raises(AssertionError, match=r"keys:2:7: no hash of a key; write sha256:"):
        Gateway(config({"main": [endpoint("e0", stub.url)]}) | {"clients": {"keys": str(keys)}}, tmp_path, "gateway")


def test_a_crash_leaves_no_dump(stub, tmp_path):
    allowed = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (allowed[1], allowed[1]))
    try:
        gateway = Gateway(config({"main": [endpoint("e0", stub.url)]}), tmp_path, "gateway")
        unprotected = subprocess.Popen(["sleep", "60"])  # dumps where a dump is possible at all
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, allowed)
    assert "Max core file size        0  " not in Path(f"/proc/{unprotected.pid}/limits").read_text()
    unprotected.kill()
    assert "Max core file size        0  " in Path(f"/proc/{gateway.program.pid}/limits").read_text()
    gateway.program.process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(gateway.program.pid, 0)
    assert os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)


def test_a_strangers_body_is_not_read(gateway, stub):
    host, port = gateway.url.removeprefix("http://").split(":")
    for path, shape in (("/v1/chat/completions", "invalid_api_key"), ("/v1/messages", "authentication_error")):
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(f"POST {path} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer key-x\r\nContent-Length: 60000000\r\n"
                               "Expect: 100-continue\r\n\r\n".encode())
            answered = connection.recv(65536).decode()
            assert answered.startswith("HTTP/1.1 401") and "connection: close" in answered and shape in answered
    assert not stub.requests


TOKEN = "a token of the tests, long enough"


def ask(url: str, token: str | None = None, data: bytes | None = None) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers)) as answered:
            return answered.status, answered.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_beyond_loopback_the_admin_api_wants_its_token(stub, tmp_path):
    settings = config({"main": [endpoint("e0", stub.url)]}) | {"admin": "0.0.0.0:0", "admin_token_env": "ADMIN_TOKEN"}
    with Gateway(settings, tmp_path, env={"ADMIN_TOKEN": TOKEN}) as gateway:
        for path in ("/api/v1/fleet", "/metrics", "/api/v1/incidents", "/api/v1/events"):
            assert ask(gateway.admin + path)[0] == 401
            assert ask(gateway.admin + path, TOKEN[:-1])[0] == 401
        assert ask(gateway.admin + "/api/v1/endpoints/e0/drain", "wrong", b"")[0] == 401
        assert ask(gateway.admin + "/livez")[0] == ask(gateway.admin + "/readyz")[0] == 200
        assert ask(gateway.admin + "/api/v1/endpoints/e0/drain", TOKEN, b"")[0] == 200
        status, metrics = ask(gateway.admin + "/metrics", TOKEN)
        assert status == 200 and 'truekeel_denials_total{reason="admin"} 9' in metrics
        command = [BINARY, "incidents", "--admin", gateway.admin]
        assert subprocess.run(command, capture_output=True).returncode != 0
        assert subprocess.run(command, env={**os.environ, "TRUEKEEL_ADMIN_TOKEN": TOKEN}, capture_output=True).returncode == 0
        assert TOKEN not in gateway.program.log_tail(1000)


@pytest.mark.parametrize("token", [None, "short"])
def test_without_a_token_it_does_not_start(stub, tmp_path, token):
    settings = config({"main": [endpoint("e0", stub.url)]}) | {"admin": "0.0.0.0:0", "admin_token_env": "ADMIN_TOKEN"}
    with pytest.raises(AssertionError, match=r"variable ADMIN_TOKEN .admin_token_env.: it has \d characters"):
        Gateway(settings, tmp_path, env={"ADMIN_TOKEN": token} if token else {})


@pytest.mark.parametrize("headers, status", [
    ({}, 200),
    ({"Host": "localhost:9090", "Origin": "http://127.0.0.1:9090"}, 200),
    ({"Host": "rebound.example.com"}, 403),
    ({"Host": "127.0.0.1.example.com"}, 403),
    ({"Origin": "https://example.com"}, 403),
    ({"Origin": "null"}, 403),
])
def test_the_admin_api_answers_nobody_elses_pages(gateway, headers, status):
    request = urllib.request.Request(f"{gateway.admin}/api/v1/fleet", headers=headers)
    try:
        assert urllib.request.urlopen(request).status == status
    except urllib.error.HTTPError as error:
        assert error.code == status
        assert json.loads(error.read())["status"] == status
