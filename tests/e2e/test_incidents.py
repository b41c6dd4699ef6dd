"""Incidents from the database to the command line: a stored incident, its drain, its changes, its webhook."""

import base64
import hashlib
import hmac
import http.server
import json
import os
import re
import signal
import sqlite3
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from gateway import BINARY, Gateway, config, endpoint, wait_until
from stub_upstream import Stub

ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + base64.b64encode(b"a key for tests, thirty-two bytes").decode()
LONG_AGO = "2025-11-22T04:00:00.000Z"


def stored_incident(number: int = 1, culprit: str = "e0") -> dict:
    """A convicted incident as an earlier run of the gateway has written it."""
    traffic = {"endpoint": culprit}
    times = dict.fromkeys(["introduced", "action_started", "drained", "verified", "resolved"])
    times |= {name: LONG_AGO for name in ["first_impact", "first_signal", "detected", "attributed"]}
    finding = {
        "id": "audit-1", "signal": "audit", "detector": "tokens from the tail", "log_statistic": 25.5, "log_threshold": 24.5,
        "expected_false_alarms": 0.001, "observations": 1200, "requests": 9, "sessions_at_least": 5, "traffic": traffic,
        "same_traffic": [], "convicted": True, "log_lead": 8, "onset": LONG_AGO, "first_seen": LONG_AGO, "detected": LONG_AGO,
        "attributed": LONG_AGO}
    carrier = {"endpoint": culprit, "drained": None, "in_flight": None, "routed_since_drain": None}
    history = [{"at": LONG_AGO, "from": None, "to": "investigating", "because": "audit: tokens from the tail"},
               {"at": LONG_AGO, "from": "investigating", "to": "identified", "because": "audit: tokens from the tail"}]
    return {"number": number, "status": "identified", "culprit": traffic, "same_traffic": [], "convicted": True, "times": times,
            "findings": [finding], "findings_left_out": 0, "last_finding": LONG_AGO, "carriers": [carrier], "released": None,
            "impact": None, "changes": [], "related": [], "joined": None, "resolution": "", "history": history}


def store_incident(database: Path, incident: dict) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("INSERT OR REPLACE INTO incidents (number, json) VALUES (?, ?)", (incident["number"], json.dumps(incident)))
    connection.close()


@pytest.fixture
def stubs():
    servers = [Stub(), Stub()]
    yield servers
    for server in servers:
        server.stop()


@pytest.fixture
def settings(stubs):
    return config({"main": [endpoint(f"e{number}", stub.url, labels={"version": f"v{number}"}) for number, stub in enumerate(stubs)]},
                  keep_days=3650)


@pytest.fixture
def gateway(settings, tmp_path):
    """A gateway that finds an identified incident of e0 in its database."""
    with Gateway(settings, tmp_path):
        pass
    store_incident(tmp_path / "gateway.db", stored_incident())
    with Gateway(settings, tmp_path) as running:
        yield running


def get(gateway: Gateway, path: str) -> dict:
    return json.load(urllib.request.urlopen(f"{gateway.admin}/api/v1/{path}"))


def post(gateway: Gateway, path: str, body: dict) -> dict:
    request = urllib.request.Request(f"{gateway.admin}/api/v1/{path}", data=json.dumps(body).encode(), method="POST")
    return json.load(urllib.request.urlopen(request))


def problem(gateway: Gateway, path: str, body: bytes | None = None, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(f"{gateway.admin}/api/v1/{path}", data=body, method=method)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)
    assert raised.value.headers["content-type"] == "application/problem+json"
    return raised.value.code, json.load(raised.value)["detail"]


def truekeel(gateway: Gateway | None, *arguments: str) -> subprocess.CompletedProcess:
    where = ["--admin", gateway.admin] if gateway else []
    return subprocess.run([BINARY, *arguments, *where], capture_output=True, text=True, timeout=30)


def status(gateway: Gateway, number: int = 1) -> str:
    return get(gateway, f"incidents/inc-{number}")["status"]


def test_a_drain_contains_the_incident_and_a_restart_keeps_the_drain(gateway, settings, tmp_path):
    assert status(gateway) == "identified"
    gateway.act("endpoints/e0/drain")
    wait_until(lambda: status(gateway) == "contained", what="containment")
    shown = get(gateway, "incidents/inc-1")
    assert shown["carriers"][0]["routed_since_drain"] == 0 and shown["carriers"][0]["in_flight"] == 0
    assert shown["times"]["action_started"] <= shown["times"]["drained"]
    assert shown["ttd_s"] == 0 and shown["ttr_s"] is None
    for _ in range(4):
        assert gateway.chat()[1]["endpoint"] == "e1"
    gateway.program.stop()
    with Gateway(settings, tmp_path) as again:
        assert status(again) == "contained" and again.endpoint("e0")["drained"]
        again.act("endpoints/e0/undrain")
        wait_until(lambda: status(again) == "monitoring", what="monitoring")


def test_a_running_stream_delays_containment(gateway, stubs):
    release = threading.Event()

    def slow(request, peer):
        peer.start_stream()
        release.wait(30)
        peer.reset()

    for stub in stubs:
        stub.behaviour = slow
    for session in range(8):
        threading.Thread(target=lambda s=session: gateway.openai(default_headers={"x-truekeel-session": str(s)}).chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], stream=True), daemon=True).start()
    wait_until(lambda: gateway.endpoint("e0")["in_flight"] > 0, what="a stream")
    gateway.act("endpoints/e0/drain")
    wait_until(lambda: get(gateway, "incidents/inc-1")["times"]["action_started"], what="the drain")
    assert status(gateway) == "identified"
    release.set()
    wait_until(lambda: status(gateway) == "contained", what="containment")


def test_changes_are_ranked_and_survive_kill_9(gateway, settings, tmp_path):
    post(gateway, "changes", {"summary": "e1 to v1", "at": "2025-11-22T03:59:00Z", "touches": {"endpoint": "e1"}})
    post(gateway, "changes", {"summary": "e0 to v0", "kind": "deploy", "at": "2025-11-22T03:50:00Z", "touches": {"version": "v0"}})
    ranked = get(gateway, "incidents/inc-1")["changes"]
    assert [change["summary"] for change in ranked] == ["e0 to v0"] and ranked[0]["before_onset_s"] == 600
    assert get(gateway, "incidents/inc-1")["times"]["introduced"] == "2025-11-22T03:50:00.000Z"
    os.kill(gateway.program.pid, signal.SIGKILL)
    wait_until(lambda: not gateway.program.running(), what="the end")
    with Gateway(settings, tmp_path) as again:
        assert [change["summary"] for change in get(again, "changes")["changes"]] == ["e1 to v1", "e0 to v0"]


def test_errors_are_problems_that_say_what_to_do(gateway):
    assert problem(gateway, "incidents/inc-99")[0] == 404
    assert problem(gateway, "incidents/nonsense")[0] == 404
    assert "a million requests" in problem(gateway, "requests/req_0")[1]
    assert "'kind' must be deploy" in problem(gateway, "changes", b'{"summary":"s","kind":"x"}', "POST")[1]
    assert problem(gateway, "changes", b"", "DELETE")[0] == 405
    assert problem(gateway, "incidents/inc-1/resolve", b'{"oops":1}', "POST")[0] == 400
    assert "control characters" in problem(gateway, "incidents/inc-1/resolve", b'{"why":"\\u001b[2J"}', "POST")[1]


def test_explain_tells_how_a_request_was_handled(gateway):
    raw = gateway.openai().chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": "hi"}])
    request_id = raw.headers["x-truekeel-request-id"]
    run = truekeel(gateway, "explain", request_id)
    assert run.returncode == 0 and re.match(rf"Request {request_id} was answered by server e[01] of pool main, which runs fp_stub", run.stdout)
    record = json.loads(truekeel(gateway, "explain", request_id, "--json").stdout)
    assert record["class"] == "main" and record["end"] == "ok" and record["output_tokens"] == 1
    assert record["signals"] == [{"signal": "audit", "looked": False, "said": "dialect"}], "this engine's logprobs mean nothing certain"
    assert "audit     did not look: dialect" in run.stdout
    assert truekeel(gateway, "explain", "req_0").returncode == 2
    assert truekeel(gateway, "explain", "../fleet").returncode == 2


def test_live_events_follow_an_incident(gateway):
    stream = urllib.request.urlopen(f"{gateway.admin}/api/v1/events", timeout=30)
    assert stream.headers["content-type"] == "text/event-stream" and stream.readline().startswith(b":")
    gateway.act("endpoints/e0/drain")
    seen = []
    while not (seen and seen[-1].get("status") == "contained"):
        line = stream.readline()
        if line.startswith(b"data: "):
            seen.append(json.loads(line[6:]))
    assert seen[-1]["id"] == "inc-1"


class Receiver:
    """Takes webhooks, refuses the first one."""

    def __init__(self):
        self.taken, self.refused = [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                refuse = outer.refused == 0
                outer.refused += refuse
                if not refuse:
                    outer.taken.append((dict(self.headers), body, self.path))
                self.send_response(503 if refuse else 204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/truekeel"


def test_a_signed_webhook_tells_the_outside_and_tries_again(settings, tmp_path):
    receiver = Receiver()
    settings["webhook"] = {"url": receiver.url, "secret_env": "HOOK_SECRET"}
    env = {**os.environ, "HOOK_SECRET": SECRET}
    with Gateway(settings, tmp_path, env=env):
        pass
    store_incident(tmp_path / "gateway.db", stored_incident())
    with Gateway(settings, tmp_path, env=env) as gateway:
        gateway.act("endpoints/e0/drain")
        wait_until(lambda: receiver.taken, what="a webhook")
        headers, body, path = receiver.taken[0]
        headers = {name.lower(): value for name, value in headers.items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(SECRET.removeprefix("whsec_"))
        assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        event = json.loads(body)
        assert path == "/hooks/truekeel" and event["type"] == "incident.status" and event["data"]["status"] == "contained"
        wait_until(lambda: 'truekeel_webhook_events_total{end="delivered"} 1' in gateway.metrics(), what="the count")
    receiver.server.shutdown()


def test_a_webhook_without_its_secret_is_a_configuration_error(settings, tmp_path):
    settings["webhook"] = {"url": "http://127.0.0.1:1/", "secret_env": "NO_SUCH_SECRET"}
    gateway_file = tmp_path / "c.yaml"
    gateway_file.write_text(json.dumps({**settings, "store": "memory"}))
    run = subprocess.run([BINARY, "serve", "-c", gateway_file], capture_output=True, text=True, timeout=30)
    assert run.returncode == 2 and "NO_SUCH_SECRET" in run.stderr


def test_the_command_line_speaks_to_people(gateway):
    listed = truekeel(gateway, "incidents")
    assert listed.returncode == 1 and listed.stdout.startswith("1 of 1 incidents is open.")
    shown = truekeel(gateway, "incidents", "show", "inc-1")
    assert shown.returncode == 1 and shown.stdout.startswith("Endpoint e0 serves wrong tokens")
    assert json.loads(truekeel(gateway, "incidents", "show", "1", "--json").stdout)["id"] == "inc-1"
    added = truekeel(gateway, "changes", "add", "rolled back", "--kind", "deploy", "--touches", "version=v0", "--author", "eva")
    assert added.returncode == 0 and "rolled back" in added.stdout
    assert "rolled back [version v0] by eva" in truekeel(gateway, "changes").stdout
    closed = truekeel(gateway, "incidents", "resolve", "inc-1", "--why", "rolled back")
    assert closed.returncode == 0 and "Closed because: rolled back" in closed.stdout
    assert truekeel(gateway, "incidents").returncode == 0
    assert truekeel(gateway, "incidents", "resolve", "inc-1").returncode == 2


def test_the_command_line_knows_its_mistakes():
    assert truekeel(None, "incidents", "--admin", "http://127.0.0.1:1").returncode == 4
    assert truekeel(None, "incidents", "--admin", "ftp://x").returncode == 2
    assert truekeel(None, "incidents", "show", "nonsense").returncode == 2
    for command in ("incidents", "explain", "changes"):
        shown = truekeel(None, command, "--help")
        assert shown.returncode == 0 and "Example" in shown.stdout


def test_secrets_are_found_nowhere(settings, stubs, tmp_path):
    secrets = {name: f"SECRET-{name}-7fb2c1" for name in ("prompt", "answer", "header", "session", "user", "bearer")}

    def tell(request, peer):
        from stub_upstream import answer
        peer.respond(200, answer(secrets["answer"]))

    for stub in stubs:
        stub.behaviour = tell
    with Gateway(settings, tmp_path) as gateway:
        client = gateway.openai(default_headers={"x-truekeel-session": secrets["session"], "x-other": secrets["header"],
                                                 "authorization": f"Bearer {secrets['bearer']}"})
        raw = client.chat.completions.with_raw_response.create(
            model="m", user=secrets["user"], messages=[{"role": "user", "content": secrets["prompt"]}])
        request_id = raw.headers["x-truekeel-request-id"]
        seen = json.dumps([get(gateway, path) for path in ("incidents", "changes", f"requests/{request_id}", "fleet")]) + gateway.metrics()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert any(path.name == "gateway.db" for path in files)
        on_disk = b"".join(path.read_bytes() for path in files)  # with -wal, while it is open
    on_disk += b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert request_id.encode() in on_disk, "else nothing was written at all"
    for secret in secrets.values():
        assert secret not in seen and secret.encode() not in on_disk, secret


def commands_of(page: Path) -> list[str]:
    return re.findall(r"^\$ (.*)$", page.read_text(), re.MULTILINE)


def test_every_command_of_the_page_works(gateway):
    request_id = gateway.openai().chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": "hi"}]).headers["x-truekeel-request-id"]
    commands = commands_of(ROOT / "docs/incidents.md")
    assert len(commands) >= 8
    for command in commands:
        local = command.replace("truekeel ", f"{BINARY} ").replace("http://127.0.0.1:9090", gateway.admin).replace("REQUEST_ID", request_id)
        local = local.replace("endpoints/s2", "endpoints/e0")
        if BINARY in local:
            local += f" --admin {gateway.admin}"
        run = subprocess.run(["bash", "-c", local], capture_output=True, text=True, timeout=30)
        assert run.returncode in (0, 1) and run.stdout, f"{command}\n{run.stdout}\n{run.stderr}"


@pytest.mark.parametrize("answer", ["<html>It works!</html>", "[]", '{"incidents": 7, "changes": {}}', '{"incidents": [{"id": 1}], "changes": [null]}',
                                    '{"title": 7}'])
@pytest.mark.parametrize("status", [200, 404])
def test_the_command_line_meets_another_server(answer, status):
    other = Stub(lambda request, peer: peer.respond(status, answer.encode()))
    for command in (["incidents"], ["incidents", "show", "inc-1"], ["changes"], ["changes", "add", "x"], ["explain", "req_0"]):
        run = truekeel(None, *command, "--admin", other.url)
        assert run.returncode == 4 and "is --admin right?" in run.stderr, (command, run)
    other.stop()
