"""SIGHUP: other models and pools while answers are under way."""

import signal
import threading
from pathlib import Path

import openai
import pytest
import yaml
from gateway import Gateway, config, endpoint, wait_until
from stub_upstream import Stub, behave_well, chunk


@pytest.fixture
def other():
    server = Stub()
    yield server
    server.stop()


def log_of(gateway: Gateway) -> str:
    return Path(gateway.program.log).read_text()


def reload(gateway: Gateway, folder: Path, change, wait_for: str = "gateway.reloaded") -> None:
    """Changes the file's text or its values, and waits for what the log says of it."""
    file = folder / "gateway.yaml"
    settings = yaml.safe_load(file.read_text())
    changed = change(settings)
    file.write_text(changed if isinstance(changed, str) else yaml.safe_dump(settings, sort_keys=False))
    before = log_of(gateway).count(wait_for)
    gateway.program.process.send_signal(signal.SIGHUP)
    wait_until(lambda: log_of(gateway).count(wait_for) > before, what=wait_for)


def put(*endpoints: dict):
    return lambda settings: settings["pools"]["main"].update(endpoints=list(endpoints))


def states(gateway: Gateway) -> dict[str, str]:
    return {member["name"]: member["state"] for member in gateway.fleet()["pools"][0]["endpoints"]}


def test_a_server_is_replaced_under_a_running_stream(stub, other, tmp_path):
    release = threading.Event()

    def slowly(request, peer):
        peer.start_stream()
        peer.event(chunk({"content": "one "}))
        release.wait(20)
        peer.event(chunk({"content": "two"}))
        peer.event(chunk({}, "stop"))
        peer.event(b"data: [DONE]\n\n")
        peer.end_stream()

    stub.behaviour = slowly
    with Gateway(config({"main": [endpoint("e0", stub.url)]}), tmp_path) as gateway:
        stream = gateway.openai().chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
        text = next(stream).choices[0].delta.content
        reload(gateway, tmp_path, put(endpoint("e1", other.url)))
        wait_until(lambda: states(gateway) == {"e1": "ready"}, what="the new server's proof")
        assert gateway.chat()[1]["endpoint"] == "e1"
        release.set()
        assert text + "".join(part.choices[0].delta.content or "" for part in stream) == "one two"
        assert len(stub.requests) == 1 and len(other.requests) == 1
        assert 'endpoint="e0"' not in [line for line in gateway.metrics().splitlines() if "truekeel_endpoint_ready" in line][-1]


def test_who_stays_keeps_health_drain_and_epoch(stub, other, tmp_path):
    with Gateway(config({"main": [endpoint("e0", stub.url), endpoint("e1", other.url)]}), tmp_path) as gateway:
        gateway.act("endpoints/e0/drain")
        gateway.act("affinity/main/unstick")
        stub.answer_probes = False  # e0 could not prove itself again
        reload(gateway, tmp_path, put(endpoint("e0", stub.url, weight=2), endpoint("e1", other.url), endpoint("e2", other.url + "/x")))
        member = gateway.endpoint("e0")
        assert (member["state"], member["drained"], member["weight"]) == ("ready", True, 2)
        assert gateway.fleet()["pools"][0]["epoch"] == 1
        assert "e2" in states(gateway)


def test_another_model_and_class_are_served_at_once(stub, tmp_path):
    with Gateway(config({"main": [endpoint("e0", stub.url)]}), tmp_path) as gateway:
        with pytest.raises(openai.NotFoundError, match="'n' is not served here"):
            gateway.chat(model="n")
        reload(gateway, tmp_path, lambda settings: settings["models"].append(
            {"name": "n", "tokenizer": "bound", "default_max_output": 9, "classes": [{"name": "c", "max_tokens": 4096, "pool": "main"}]}))
        assert gateway.chat(model="n")[1]["max_output"] == 9
        assert [model.id for model in gateway.openai().models.list()] == ["m", "n"]


def test_what_is_wrong_changes_nothing_and_is_named_with_its_place(stub, tmp_path):
    with Gateway(config({"main": [endpoint("e0", stub.url)]}), tmp_path) as gateway:
        file = tmp_path / "gateway.yaml"
        good = file.read_text()
        reload(gateway, tmp_path, lambda _: good.replace("engine: openai", "engine: gpt"), "gateway.reload_failed")
        line = next(n for n, text in enumerate(good.splitlines(), 1) if "engine: openai" in text)
        assert f"gateway.yaml:{line}:" in log_of(gateway) and "pools.main.endpoints[0].engine: unknown engine" in log_of(gateway)
        assert gateway.chat()[1]["endpoint"] == "e0"
        reload(gateway, tmp_path, lambda _: good.replace("engine: openai", "engine: openai\n      api_key_env: NOT_SET"), "variable NOT_SET (api_key_env) is not set")
        assert gateway.chat()[1]["endpoint"] == "e0"
        reload(gateway, tmp_path, lambda _: good)


def test_what_needs_a_restart_is_named_and_stays(stub, other, tmp_path):
    with Gateway(config({"main": [endpoint("e0", stub.url)]}), tmp_path) as gateway:
        def change(settings):
            settings["limits"] = {"body_mib": 1}
            settings["store"] = "memory"
            put(endpoint("e0", stub.url), endpoint("e1", other.url))(settings)

        reload(gateway, tmp_path, change)
        named = [line for line in log_of(gateway).splitlines() if "gateway.needs_restart" in line]
        assert len(named) == 2 and "setting=limits" in named[0] and "store" in named[1]
        assert set(states(gateway)) == {"e0", "e1"}


def test_reloads_under_traffic_lose_no_call(stub, other, tmp_path):
    stub.behaviour = other.behaviour = behave_well
    with Gateway(config({"main": [endpoint("e0", stub.url), endpoint("e1", other.url)]}), tmp_path) as gateway:
        stop, failures, served = threading.Event(), [], []

        def call():
            while not stop.is_set():
                try:
                    served.append(gateway.chat(headers={"x-truekeel-session": str(len(served) % 7)})[1]["endpoint"])
                except openai.APIError as error:
                    failures.append(error)

        callers = [threading.Thread(target=call) for _ in range(4)]
        for caller in callers:
            caller.start()
        for number in range(8):
            extra = [endpoint("e1", other.url)] if number % 2 else []
            reload(gateway, tmp_path, put(endpoint("e0", stub.url, weight=1 + number % 3), *extra))
            wait_until(lambda enough=len(served) + 4: len(served) >= enough or failures, what="traffic")
        stop.set()
        for caller in callers:
            caller.join()
        assert not failures
