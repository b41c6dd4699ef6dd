"""The gateway in front of servers that misbehave on command."""

import json
import socket
import time
import urllib.error
import urllib.request

import anthropic
import openai
import pytest
from gateway import Gateway, config, endpoint, wait_until
from stub_upstream import Stub, answer, behave_well, chunk


@pytest.fixture
def serve(tmp_path):
    """serve(settings) starts a gateway that ends with the test."""
    started = []

    def start(settings: dict, **more) -> Gateway:
        gateway = Gateway(settings, tmp_path, f"gateway{len(started)}", **more)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.program.stop()


def one_pool(*stubs: Stub) -> dict:
    return config({"main": [endpoint(f"e{number}", stub.url) for number, stub in enumerate(stubs)]})


def post(url: str, body: bytes, headers: dict | None = None) -> tuple[int, dict, bytes]:
    request = urllib.request.Request(url, data=body, headers={"content-type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answered:
            return answered.status, dict(answered.headers), answered.read()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read()


def test_an_openai_body_travels_byte_for_byte(serve, stub):
    gateway = serve(one_pool(stub))
    body = b'{ "model":"m", "messages":[{"role":"user","content":"h\\u00e9"}], "max_tokens": 1.0e1, "n":1, "x_unknown": [1.50, {"k":null}] ,"response_format":{"type":"json_object"}}'
    status, headers, _ = post(f"{gateway.url}/v1/chat/completions", body)
    assert status == 200
    assert stub.requests[0].body == body
    assert stub.requests[0].headers["x-request-id"] == headers["x-truekeel-request-id"]


def test_the_default_limit_is_added_and_nothing_else_changes(serve, stub):
    gateway = serve(one_pool(stub))
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}], "temperature":0.70}'
    post(f"{gateway.url}/v1/chat/completions", body)
    sent = stub.requests[0]
    assert b'"temperature":0.70' in sent.body
    assert [value for key, value in sent.json.items() if "max" in key] == [512]


def test_a_server_that_refuses_the_added_limit_is_asked_once_without(serve, stub):
    def refuse_limit(request, peer):
        field = next((key for key in request.json if "max" in key), None)
        if field:
            return peer.respond(400, json.dumps({"error": {"message": f"Unsupported parameter: {field}", "type": "invalid_request_error", "param": field, "code": None}}).encode())
        behave_well(request, peer)

    stub.behaviour = refuse_limit
    gateway = serve(one_pool(stub))
    for _ in range(2):
        assert gateway.chat()[0].choices[0].message.content == "hello"
    assert len(stub.requests) == 3  # the second call remembers


def test_streams_pass_unchanged(serve, stub):
    gateway = serve(one_pool(stub))
    status, headers, body = post(f"{gateway.url}/v1/chat/completions", b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}')
    assert status == 200 and headers["content-type"].startswith("text/event-stream")
    assert body.endswith(b"data: [DONE]\n\n") and body.count(b"data: ") == 5


def test_a_stream_that_is_cut_ends_with_an_error_event(serve, stub):
    def cut(request, peer):
        peer.start_stream()
        peer.event(chunk({"content": "half"}))
        peer.send(b"100\r\ndata: {\"cho")
        peer.reset()

    stub.behaviour = cut
    gateway = serve(one_pool(stub))
    with pytest.raises(openai.APIError, match="inference server"):
        for _ in gateway.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
            pass
    with pytest.raises(anthropic.APIError), gateway.anthropic().messages.stream(
            model="m", max_tokens=10, messages=[{"role": "user", "content": "x"}]) as stream:
        for _ in stream:
            pass


def test_a_stream_without_its_end_is_no_clean_end(serve, stub):
    def stop_short(request, peer):
        peer.start_stream()
        peer.event(chunk({"content": "half"}))
        peer.end_stream()

    stub.behaviour = stop_short
    gateway = serve(one_pool(stub))
    with pytest.raises(openai.APIError):
        list(gateway.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True))


def test_errors_keep_their_shape_and_retry_after(serve, stub):
    stub.behaviour = lambda request, peer: peer.respond(429, b'{"error":{"message":"slow down","type":"x","param":null,"code":null}}', extra="retry-after: 7\r\n")
    gateway = serve(one_pool(stub))
    with pytest.raises(openai.RateLimitError, match="slow down") as caught:
        gateway.chat()
    assert caught.value.response.headers["retry-after"] == "7"
    with pytest.raises(anthropic.RateLimitError, match="slow down") as caught:
        gateway.anthropic().messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    assert caught.value.response.headers["retry-after"] == "7"


def test_a_proxys_html_error_becomes_json(serve, stub):
    stub.behaviour = lambda request, peer: peer.respond(502, b"<html>Bad Gateway</html>", "text/html")
    gateway = serve(one_pool(stub))
    with pytest.raises(openai.InternalServerError) as caught:
        gateway.chat()
    assert caught.value.response.json()["error"]["message"]


def test_failures_before_the_first_byte_are_tried_elsewhere(serve, stub):
    bad = Stub(lambda request, peer: peer.reset())
    gateway = serve(one_pool(stub, bad))
    for session in range(10):
        assert gateway.chat(headers={"x-truekeel-session": str(session)})[0].choices[0].message.content == "hello"
    assert bad.requests
    bad.stop()


def test_a_kept_connection_that_turns_out_dead_is_replaced(serve, stub):
    gateway = serve(one_pool(stub))
    used, died = set(), []

    def die_when_used_again(request, peer):
        if peer.socket in used and not died:
            died.append(request)
            return peer.reset()
        used.add(peer.socket)
        behave_well(request, peer)

    stub.behaviour = die_when_used_again
    while not died:  # each of the gateway's threads keeps connections of its own
        assert gateway.chat()[0].choices[0].message.content == "hello"
    assert stub.requests[-1].body == died[0].body


def test_what_a_client_does_wrong_is_not_retried_and_ejects_nobody(serve, stub):
    other = Stub()
    for server in (stub, other):
        server.behaviour = lambda request, peer: peer.respond(400, b'{"error":{"message":"bad","type":"invalid_request_error","param":"messages","code":null}}')
    gateway = serve(one_pool(stub, other))
    for session in range(20):
        with pytest.raises(openai.BadRequestError):
            gateway.chat(headers={"x-truekeel-session": str(session)}, max_tokens=5)
    assert len(stub.requests) + len(other.requests) == 20
    assert {gateway.endpoint(name)["state"] for name in ("e0", "e1")} == {"ready"}
    other.stop()


def test_a_dead_server_gives_a_json_502_or_503(serve, stub):
    gateway = serve(one_pool(stub))
    stub.stop()
    with pytest.raises(openai.InternalServerError) as caught:
        gateway.chat()
    assert caught.value.status_code in (502, 503)
    with pytest.raises(anthropic.APIStatusError) as caught:
        gateway.anthropic().messages.create(model="m", max_tokens=5, messages=[{"role": "user", "content": "x"}])
    assert caught.value.response.json()["type"] == "error"


def test_accepting_connections_is_not_being_ready(serve):
    hung = Stub(answer_probes=False)
    gateway = serve(one_pool(hung), wait=False)
    time.sleep(1)
    assert gateway.endpoint("e0")["state"] != "ready"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{gateway.admin}/readyz")
    assert caught.value.code == 503
    hung.stop()


def test_a_client_that_leaves_cancels_upstream(serve, stub):
    closed = []

    def wait(request, peer):
        if request.json.get("stream"):
            peer.start_stream()
            peer.event(chunk({"content": "a"}))
        closed.append(peer.wait_closed(10))

    stub.behaviour = wait
    gateway = serve(one_pool(stub))
    host, port = gateway.url.removeprefix("http://").split(":")
    for stream in (b"false", b"true"):
        body = b'{"model":"m","stream":' + stream + b',"messages":[{"role":"user","content":"x"}]}'
        client = socket.create_connection((host, int(port)))
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        count = len(stub.requests)
        wait_until(lambda: len(stub.requests) > count or stub.requests, what="request upstream")
        time.sleep(0.2)
        client.close()
        wait_until(lambda: closed, 5, "upstream connection closed")
        assert closed.pop() is True
    assert gateway.endpoint("e0")["state"] == "ready"


def test_a_slow_reader_costs_bounded_memory(serve, stub):
    sent = [0]

    def flood(request, peer):
        peer.start_stream()
        event = chunk({"content": "x" * 60_000})
        for _ in range(4000):  # 240 MB
            peer.event(event)
            sent[0] += len(event)

    stub.behaviour = flood
    gateway = serve(one_pool(stub))
    before = gateway.resident_kib()
    host, port = gateway.url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}'
    client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    previous = -1
    while previous != sent[0] or sent[0] == 0:
        previous = sent[0]
        time.sleep(0.5)
    assert sent[0] < 100e6  # the sender is held back, by the kernels' buffers and ours
    assert gateway.resident_kib() - before < 32 * 1024
    client.close()


def test_body_limit(serve, stub):
    gateway = serve(one_pool(stub))
    frame = b'{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"%s"}}]}]}'
    room = 64 * 2**20 - len(frame) + 2
    status, _, _ = post(f"{gateway.url}/v1/chat/completions", frame % (b"x" * room))
    assert status == 200 and len(stub.requests[0].body) > 64 * 2**20
    status, _, body = post(f"{gateway.url}/v1/chat/completions", frame % (b"x" * (room + 1)))
    assert status == 413 and json.loads(body)["error"]["message"]


def test_unknown_model_bad_json_and_bad_paths(serve, stub):
    gateway = serve(one_pool(stub))
    with pytest.raises(openai.NotFoundError, match="'?m'?"):
        gateway.chat(model="nope")
    status, _, body = post(f"{gateway.url}/v1/chat/completions", b'{"model":')
    assert status == 400 and json.loads(body)["error"]["type"] == "invalid_request_error"
    status, _, body = post(f"{gateway.url}/v1/messages", b'{"model":"m"}')
    assert status == 400 and json.loads(body)["type"] == "error"
    status, _, _ = post(f"{gateway.url}/v1/nothing", b"{}")
    assert status == 404
    status, headers, _ = post(f"{gateway.url}/v1/models", b"{}")
    assert status == 405 and headers["allow"] == "GET"
    assert [model.id for model in gateway.openai().models.list()] == ["m"]
    assert not stub.requests


def test_nothing_fits_is_a_400_with_the_limit(serve, stub):
    gateway = serve(config({"main": [endpoint("e0", stub.url)]}, {"main": 1000}))
    with pytest.raises(openai.BadRequestError, match="1000|1,000") as caught:
        gateway.chat("x", max_tokens=1001)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(anthropic.BadRequestError, match="1000|1,000"):
        gateway.anthropic().messages.create(model="m", max_tokens=1001, messages=[{"role": "user", "content": "x"}])
    assert not stub.requests


def test_unknown_length_takes_its_upper_bound(serve, stub):
    long = Stub()
    gateway = serve(config({"short": [endpoint("s", stub.url)], "long": [endpoint("l", long.url)]}, {"short": 2048, "long": 32768}))
    assert gateway.chat("x" * 100)[1]["pool"] == "short"
    assert gateway.chat("x" * 2000)[1]["pool"] == "long"  # `bound` cannot know that these are few tokens
    image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]
    gateway.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": image}], max_tokens=5)
    assert len(long.requests) == 2
    long.stop()


def sessions_of(gateway: Gateway, count: int = 40) -> dict[str, str]:
    return {str(session): gateway.chat(headers={"x-truekeel-session": str(session)}, max_tokens=5)[1]["endpoint"] for session in range(count)}


def test_two_gateways_with_one_secret_agree_and_a_death_moves_only_its_sessions(serve):
    stubs = [Stub() for _ in range(3)]
    first, second = serve(one_pool(*stubs)), serve(one_pool(*stubs))
    before = sessions_of(first)
    assert before == sessions_of(second) and set(before.values()) == {"e0", "e1", "e2"}
    stubs[1].stop()
    wait_until(lambda: first.endpoint("e1")["state"] == "unready", what="e1 unready")
    after = sessions_of(first)
    assert all(after[session] == place for session, place in before.items() if place != "e1")
    assert "e1" not in after.values()
    for server in (stubs[0], stubs[2]):
        server.stop()


def test_drain_undrain_and_unstick(serve, stub):
    other = Stub()
    gateway = serve(one_pool(stub, other))
    before = sessions_of(gateway)
    assert gateway.act("endpoints/e0/drain")["drained"] is True
    assert set(sessions_of(gateway).values()) == {"e1"}
    gateway.act("endpoints/e0/undrain")
    assert sessions_of(gateway) == before
    epoch = gateway.act("affinity/main/unstick")["epoch"]
    after = sessions_of(gateway)
    assert after != before and gateway.chat()[1]["epoch"] == epoch
    with pytest.raises(urllib.error.HTTPError) as caught:
        gateway.act("endpoints/nobody/drain")
    assert caught.value.code == 404 and caught.value.headers["content-type"] == "application/problem+json"
    other.stop()


def test_metrics_and_logs_hold_no_content(serve, stub):
    gateway = serve(one_pool(stub))
    stub.behaviour = lambda request, peer: peer.respond(200, answer("the answer is PLANTED-ANSWER"))
    gateway.chat("PLANTED-PROMPT", user="PLANTED-USER", headers={"x-truekeel-session": "PLANTED-SESSION"})
    stub.behaviour = lambda request, peer: peer.respond(500, b'{"error":{"message":"failed on PLANTED-ERROR","type":"x"}}')
    with pytest.raises(openai.InternalServerError):
        gateway.chat("PLANTED-PROMPT")
    metrics = gateway.metrics()
    for name in ("gen_ai_server_request_duration_seconds", "gen_ai_client_token_usage_total", "truekeel_requests_total", "truekeel_endpoint_ready"):
        assert name in metrics
    gateway.program.stop()
    assert "PLANTED" not in metrics
    assert "PLANTED" not in gateway.program.log.read_text() + "".join(gateway.program.lines)


def test_sigterm_lets_streams_finish_and_ends_them_at_the_deadline(serve, stub):
    def slowly(request, peer):
        peer.start_stream()
        for number in range(int(request.json["messages"][0]["content"])):
            peer.event(chunk({"content": str(number)}))
            time.sleep(0.1)
        peer.event(chunk({}, "stop"))
        peer.event(b"data: [DONE]\n\n")
        peer.end_stream()

    stub.behaviour = slowly
    gateway = serve(one_pool(stub) | {"limits": {"drain_s": 2}})
    client = gateway.openai()
    short = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "10"}], stream=True)
    endless = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "1000"}], stream=True)
    next(iter(short)), next(iter(endless))
    gateway.program.process.terminate()
    wait_until(lambda: not_ready(gateway), 5, "readiness fails")
    assert len(list(short)) == 10
    with pytest.raises(openai.APIError, match="shutting down"):
        list(endless)
    assert gateway.program.process.wait(10) == 0


def not_ready(gateway: Gateway) -> bool:
    try:
        urllib.request.urlopen(f"{gateway.admin}/readyz")
        return False
    except urllib.error.HTTPError as error:
        return error.code == 503


def test_a_clients_deadline_ends_its_call_and_harms_no_server(serve, stub):
    stub.behaviour = lambda request, peer: peer.wait_closed(10)
    gateway = serve(one_pool(stub))
    for _ in range(6):
        with pytest.raises(openai.APIStatusError) as caught:
            gateway.chat(headers={"x-truekeel-timeout-ms": "100"})
        assert caught.value.status_code == 504
    assert 0 < int(stub.requests[0].headers["x-truekeel-timeout-ms"]) <= 100
    assert gateway.endpoint("e0")["state"] == "ready"


@pytest.mark.parametrize("broken", ["models: []", "listen: 127.0.0.1:8080\nlisten: x", "pools: {short: {endpoint: []}}"])
def test_a_broken_configuration_is_refused_with_its_place(tmp_path, broken):
    import subprocess
    from gateway import BINARY
    file = tmp_path / "broken.yaml"
    file.write_text(broken)
    for command in (["check-config", file], ["serve", "-c", file]):
        run = subprocess.run([BINARY, *command], capture_output=True, text=True, timeout=20)
        assert run.returncode == 2
        assert f"{file}:1:" in run.stderr or f"{file}:2:" in run.stderr


def test_the_printed_default_configuration_passes_its_check(tmp_path):
    import subprocess
    from gateway import BINARY
    text = subprocess.run([BINARY, "--print-default-config"], capture_output=True, text=True, check=True).stdout
    file = tmp_path / "default.yaml"
    file.write_text(text)
    assert subprocess.run([BINARY, "check-config", file]).returncode == 0
