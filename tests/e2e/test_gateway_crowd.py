"""Many connections at once: who only holds them, half asks, or says nothing costs little, keeps nobody waiting, and is sent away in time."""

import json
import re
import resource
import select
import socket

import openai
import pytest
from gateway import Gateway, config, endpoint, wait_until

IDLE, HALF_OPEN, SILENT = 10_000, 1_000, 2_000
CROWD = IDLE + HALF_OPEN + SILENT
# Resident bytes for each connection of the crowd, its share of the allocator's and the event loop's tables included.
BYTES_EACH_MAX = 6 << 10

ASK = b"GET /v1/models HTTP/1.1\r\nhost: gateway\r\n\r\n"
HALF = b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-le"
FOR_EVER = {"header_s": 3600, "idle_s": 3600}


@pytest.fixture(scope="module", autouse=True)
def files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < CROWD + 1000:
        pytest.skip(f"needs {CROWD + 1000} open files, the hard limit is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Crowd:
    """Connections to a gateway, held open until the end of the block."""

    def __init__(self, gateway: Gateway):
        host, port = gateway.url.removeprefix("http://").split(":")
        self.address, self.sockets = (host, int(port)), []

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_) -> None:
        for each in self.sockets:
            each.close()

    def come(self, count: int, text: bytes = b"") -> list[socket.socket]:
        """So many more, each of which says that."""
        came = []
        for _ in range(count):
            each = socket.create_connection(self.address, timeout=60)
            self.sockets.append(each)
            came.append(each)
            if text:
                each.sendall(text)
        return came

    def ask(self, asking: list[socket.socket]) -> None:
        for each in asking:
            each.sendall(ASK)
            assert read_answer(each).startswith(b"HTTP/1.1 200")

    def heard(self) -> int:
        """How many have been told something, or sent away, and have not looked yet."""
        poll = select.poll()
        for each in self.sockets:
            poll.register(each, select.POLLIN)
        return len(poll.poll(0))


def read_answer(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got or len(got.split(b"\r\n\r\n", 1)[1]) < int(re.search(rb"content-length: (\d+)", got)[1]):
        piece = connection.recv(65536)
        assert piece, got
        got += piece
    return got


def read_to_end(connection: socket.socket) -> bytes:
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


def serve(stub, folder, under: list | None = None, **limits) -> Gateway:
    # Only a process that may be dumped shows its open files to whom it belongs.
    return Gateway(config({"main": [endpoint("e0", stub.url)]}, limits=limits), folder, under=under, env={"TRUEKEEL_CORE_DUMPS": "1"})


def test_a_crowd_costs_little_and_keeps_nobody_waiting(stub, tmp_path):
    with serve(stub, tmp_path, **FOR_EVER) as gateway:
        files = gateway.open_files()  # before any call: connections to servers come and go
        gateway.chat()
        resident = gateway.resident_kib()
        with Crowd(gateway) as crowd:
            idle = crowd.come(IDLE)
            crowd.ask(idle)
            crowd.come(HALF_OPEN, HALF)
            crowd.come(SILENT)
            wait_until(lambda: gateway.open_files() >= files + CROWD, what="everybody's arrival")
            for number in range(20):
                assert gateway.chat(f"call {number}")[0].choices[0].message.content == "hello"
            stream = gateway.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
            assert "".join(event.choices[0].delta.content or "" for event in stream) == "hello"
            bytes_each = (gateway.resident_kib() - resident) * 1024 / CROWD
            print(f"{bytes_each:.0f} bytes for each of {CROWD} connections")
            assert bytes_each < BYTES_EACH_MAX
            assert crowd.heard() == 0, "somebody was sent away before the time"
            crowd.ask(idle[::100])
        wait_until(lambda: gateway.open_files() < files + 50, what="everybody's leave")
        gateway.chat()


def test_the_time_for_a_head_clears_who_half_asks_or_says_nothing(stub, tmp_path):
    with serve(stub, tmp_path, **{**FOR_EVER, "header_s": 1}) as gateway:
        files = gateway.open_files()
        with Crowd(gateway) as crowd:
            half_open, silent, idle = crowd.come(HALF_OPEN, HALF), crowd.come(SILENT), crowd.come(IDLE, ASK)
            for each in idle:
                assert read_answer(each).startswith(b"HTTP/1.1 200")
            for each in half_open:
                head, body = read_to_end(each).split(b"\r\n\r\n", 1)
                assert head.startswith(b"HTTP/1.1 408") and json.loads(body)["error"]["message"]
            for each in silent:
                assert read_to_end(each) == b""
            wait_until(lambda: gateway.open_files() < files + IDLE + 50, what="their end")
            crowd.ask(idle[::100])
            assert crowd.heard() == HALF_OPEN + SILENT, "who was answered has time"
            gateway.chat()


def test_idle_time_clears_who_was_answered(stub, tmp_path):
    with serve(stub, tmp_path, **{**FOR_EVER, "idle_s": 1}) as gateway:
        files = gateway.open_files()
        with Crowd(gateway) as crowd:
            crowd.come(HALF_OPEN, HALF)
            crowd.come(SILENT)
            for each in crowd.come(IDLE, ASK):
                assert read_to_end(each).startswith(b"HTTP/1.1 200")
            wait_until(lambda: gateway.open_files() < files + HALF_OPEN + SILENT + 50, what="their end")
            assert crowd.heard() == IDLE, "who has not asked yet has time"
            gateway.chat()


def test_beyond_the_limit_of_connections_all_are_told_and_room_is_used_again(stub, tmp_path):
    limit, more = 100, 300
    with serve(stub, tmp_path, connections=limit, **FOR_EVER) as gateway:
        with Crowd(gateway) as crowd:
            # So many that each of the gateway's threads gets more than its half of the limit.
            come = crowd.come(limit + more, HALF)
            wait_until(lambda: crowd.heard() >= more, what="refusals")
            refused = [each for each in come if select.select([each], [], [], 0)[0]]
            assert len(refused) == more
            for each in refused:
                head, body = read_answer(each).split(b"\r\n\r\n", 1)
                assert head.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in head
                assert "too many connections" in json.loads(body)["error"]["message"]
            with pytest.raises(openai.InternalServerError, match="too many connections") as told:
                gateway.chat()
            assert told.value.response.headers["retry-after"] == "1"
        wait_until(lambda: gateway.open_files() < limit, what="the crowd's leave")
        assert gateway.chat()[0].choices[0].message.content == "hello"


def test_connections_never_take_all_open_files(stub, tmp_path):
    """A soft limit is raised; below a low hard one clients get less than limits.connections, and servers are still reached."""
    with serve(stub, tmp_path, under=["prlimit", "--nofile=64:400"], **FOR_EVER) as gateway:
        with Crowd(gateway) as crowd:
            crowd.come(600, HALF)
            wait_until(lambda: crowd.heard() >= 300, what="refusals")
            assert crowd.heard() == 300 and gateway.open_files() < 400
            assert gateway.endpoint("e0")["state"] == "ready"
        wait_until(lambda: gateway.open_files() < 100, what="the crowd's leave")
        gateway.chat()
    assert "few_open_files" in gateway.program.log.read_text()


def test_without_a_file_to_open_clients_are_told_and_no_server_is_blamed(stub, tmp_path):
    with serve(stub, tmp_path) as gateway, Crowd(gateway) as crowd:
        (client,) = crowd.come(1)
        crowd.ask([client])
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
        call = b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\nconnection: %s\r\ncontent-length: %d\r\n\r\n%s"
        soft, hard = resource.prlimit(gateway.program.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.program.pid, resource.RLIMIT_NOFILE, (0, hard))
        for _ in range(20):
            client.sendall(call % (b"keep-alive", len(body), body))
            answer = read_answer(client)
            assert answer.startswith(b"HTTP/1.1 503") and b"retry-after: 1" in answer and b"no further connection" in answer
        resource.prlimit(gateway.program.pid, resource.RLIMIT_NOFILE, (soft, hard))
        client.sendall(call % (b"close", len(body), body))
        assert read_to_end(client).startswith(b"HTTP/1.1 200")
        assert gateway.endpoint("e0")["state"] == "ready"
        assert 'truekeel_shed_total{pool="main",reason="exhausted"} 20' in gateway.metrics()
    log = gateway.program.log.read_text()
    assert 0 < log.count("gateway.exhausted endpoint=e0") < 20 and "from=ready" not in log
