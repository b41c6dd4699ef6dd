"""truekeel backup, beside a running gateway, and what a restore gives back."""

import json
import subprocess
import urllib.request

from gateway import BINARY, Gateway, config, endpoint, wait_until


def backup(folder, name: str, *more: str) -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "backup", "-c", folder / "gateway.yaml", folder / name, *more], capture_output=True, text=True)


def test_a_copy_of_a_running_gateway_is_restored(stub, tmp_path):
    state = tmp_path / "audit.state"
    settings = config({"main": [endpoint("e0", stub.url)]}, evidence={"state_file": str(state)})
    with Gateway(settings, tmp_path) as gateway:
        raw = gateway.openai().chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": "x"}])
        request = raw.headers["x-truekeel-request-id"]
        change = urllib.request.Request(f"{gateway.admin}/api/v1/changes", data=b'{"kind": "deploy", "summary": "before"}')
        assert urllib.request.urlopen(change).status == 201
        wait_until(lambda: urllib.request.urlopen(f"{gateway.admin}/api/v1/requests/{request}").status == 200)
        done = backup(tmp_path, "copy.db", "--json")
        assert done.returncode == 0 and json.loads(done.stdout) == {"store": str(tmp_path / "copy.db"), "state": None}
        assert backup(tmp_path, "copy.db").returncode == 2, "nothing is overwritten"
    assert backup(tmp_path, "ended.db").returncode == 0
    assert (tmp_path / "ended.db.state").read_bytes() == state.read_bytes()

    restored = config({"main": [endpoint("e0", stub.url)]}) | {"store": f"sqlite:{tmp_path}/copy.db"}
    with Gateway(restored, tmp_path / "restored") as gateway:
        changes = json.load(urllib.request.urlopen(f"{gateway.admin}/api/v1/changes"))["changes"]
        assert [item["summary"] for item in changes] == ["before"]
        assert json.load(urllib.request.urlopen(f"{gateway.admin}/api/v1/requests/{request}"))["endpoint"] == "e0"


def test_what_cannot_be_copied_is_said(stub, tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text(json.dumps(config({"main": [endpoint("e0", stub.url)]}) | {"store": "memory"}))
    done = backup(tmp_path, "copy.db")
    assert done.returncode == 2 and "nothing to copy" in done.stderr
    file.write_text(json.dumps(config({"main": [endpoint("e0", stub.url)]}) | {"store": f"sqlite:{tmp_path}/none.db"}))
    done = backup(tmp_path, "copy.db")
    assert done.returncode == 4 and "there is no store" in done.stderr and not (tmp_path / "copy.db").exists()
