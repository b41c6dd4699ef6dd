"""Servers that are busy: bounded shares, limits of calls under way, queues; official clients."""

import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from gateway import Gateway, config, endpoint, wait_until
from stub_upstream import Stub, behave_well

SESSION = {"x-truekeel-session": "one"}


@pytest.fixture
def held(stub):
    """A server that answers when it is told to; probes are answered at once."""
    stub.release = threading.Semaphore(0)
    stub.behaviour = lambda request, peer: (stub.release.acquire(timeout=20), behave_well(request, peer))
    return stub


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(stubs: list[Stub], **load) -> Gateway:
        settings = config({"main": [endpoint(f"e{number}", stub.url) for number, stub in enumerate(stubs)]})
        settings["pools"]["main"] |= load
        started.append(Gateway(settings, tmp_path, "gateway"))
        return started[-1]

    yield start
    for gateway in started:
        gateway.program.stop()


def waiting(gateway: Gateway) -> int:
    return gateway.fleet()["pools"][0]["waiting"]


def ready(gateway: Gateway) -> bool:
    try:
        return urllib.request.urlopen(f"{gateway.admin}/readyz").status == 200
    except urllib.error.HTTPError:
        return False


def test_calls_wait_in_turn_and_are_told_so(serve, held):
    gateway = serve([held], max_in_flight=1, queue_max=2, queue_timeout_s=20)
    with ThreadPoolExecutor(3) as pool:
        calls = []
        for number in range(3):
            calls.append(pool.submit(gateway.chat, f"call {number}"))
            wait_until(lambda n=number: len(held.requests) + waiting(gateway) == n + 1, what="the call's arrival")
        assert len(held.requests) == 1 and gateway.endpoint("e0")["in_flight"] == 1
        with pytest.raises(openai.InternalServerError, match="busy .1 calls each. and 2 calls wait already") as shed:
            gateway.chat()
        assert shed.value.status_code == 503 and shed.value.response.headers["retry-after"] == "20"
        for _ in range(3):
            held.release.release()
        decisions = [call.result()[1] for call in calls]
    assert [json.loads(request.body)["messages"][0]["content"] for request in held.requests] == [f"call {n}" for n in range(3)]
    assert "waited_ms" not in decisions[0] and decisions[1]["waited_ms"] > 0
    metrics = gateway.metrics()
    assert 'truekeel_shed_total{pool="main",reason="queue_full"} 1' in metrics
    assert 'truekeel_queue_wait_seconds_count{pool="main"} 2' in metrics
    assert 'truekeel_queue_waiting{pool="main"} 0' in metrics


def test_nobody_waits_longer_than_the_queue_allows(serve, held):
    gateway = serve([held], max_in_flight=1, queue_timeout_s=0.3)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(gateway.chat)
        wait_until(lambda: held.requests)
        with pytest.raises(openai.InternalServerError, match="were busy .* for 0.3 s") as shed:
            gateway.chat()
        assert shed.value.status_code == 503 and shed.value.response.headers["retry-after"] == "1"
        assert 'truekeel_shed_total{pool="main",reason="waited_too_long"} 1' in gateway.metrics()
        held.release.release()
        first.result()
    assert len(held.requests) == 1


def test_who_leaves_gives_up_his_turn(serve, held):
    gateway = serve([held], max_in_flight=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gateway.chat)
        wait_until(lambda: held.requests)
        with pytest.raises(openai.APITimeoutError):
            gateway.openai(timeout=0.5).chat.completions.create(model="m", messages=[{"role": "user", "content": "gone"}])
        wait_until(lambda: waiting(gateway) == 0, what="an empty queue")
        last = pool.submit(gateway.chat, "last")
        wait_until(lambda: waiting(gateway) == 1)
        held.release.release(2)
        first.result(), last.result()
    assert [json.loads(request.body)["messages"][0]["content"] for request in held.requests] == ["hi", "last"]


def test_a_busy_session_goes_to_its_next_server(serve):
    stubs = [Stub(), Stub()]
    release = threading.Event()
    for stub in stubs:
        stub.behaviour = lambda request, peer: (release.wait(20), behave_well(request, peer))
    gateway = serve(stubs, load_bound=1)
    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(gateway.chat, headers=SESSION) for _ in range(12)]
        wait_until(lambda: sum(len(stub.requests) for stub in stubs) == 12)
        assert sorted(len(stub.requests) for stub in stubs) == [6, 6]
        release.set()
        decisions = [call.result()[1] for call in calls]
    moved = [decision for decision in decisions if "passed_over" in decision]
    homes = {decision["endpoint"] for decision in decisions if "passed_over" not in decision}
    assert len(homes) == 1 and len(moved) == 6
    assert all({decision["endpoint"], *decision["passed_over"]} == {"e0", "e1"} for decision in moved)
    assert "truekeel_passed_over_total" in gateway.metrics()
    for stub in stubs:
        stub.stop()


def test_a_shutdown_still_serves_who_waits(serve, held):
    gateway = serve([held], max_in_flight=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(gateway.chat)
        wait_until(lambda: held.requests)
        second = pool.submit(gateway.chat)
        wait_until(lambda: waiting(gateway) == 1)
        gateway.program.process.terminate()
        wait_until(lambda: not ready(gateway), what="the shutdown")
        held.release.release(2)
        assert first.result()[0].choices and second.result()[0].choices


def test_who_still_waits_when_the_shutdown_ends_is_told(held, tmp_path):
    settings = config({"main": [endpoint("e0", held.url)]}, limits={"drain_s": 0.5})
    settings["pools"]["main"]["max_in_flight"] = 1
    with Gateway(settings, tmp_path) as gateway, ThreadPoolExecutor(2) as pool:
        first = pool.submit(gateway.chat)
        wait_until(lambda: held.requests)
        second = pool.submit(gateway.chat)
        wait_until(lambda: waiting(gateway) == 1)
        gateway.program.process.terminate()
        with pytest.raises(openai.InternalServerError, match="shutting down") as told:
            second.result()
        assert told.value.code == "shutting_down"
        held.release.release(2)
        first.exception()  # served or cut, as it happened to be in time
    assert len(held.requests) == 1
