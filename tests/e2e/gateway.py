"""Starts `truekeel serve` with a configuration given as values; for end-to-end tests."""

import json
import os
import re
import sys
import time
import urllib.request
from pathlib import Path

import anthropic
import openai
import yaml

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "run"))
from processes import Program  # noqa: E402

BINARY = os.environ["TRUEKEEL_BIN"]
SECRET_VARIABLE = "TRUEKEEL_AFFINITY_SECRET"
EXPLAIN = {"x-truekeel-explain": "1"}
QUICK_HEALTH = {"probe_interval_s": 0.2, "probe_timeout_s": 1}


def wait_until(condition, timeout_s: float = 30, what: str = "condition"):
    """Polls until the condition is true; returns its value."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise TimeoutError(f"{what} did not come true in {timeout_s} s")


def endpoint(name: str, url: str, engine: str = "openai", **more) -> dict:
    return {"name": name, "url": url, "engine": engine, **more}


def config(pools: dict[str, list[dict]], windows: dict[str, int] | None = None, model: str = "m", tokenizer: str = "bound",
           **more) -> dict:
    """One model; each pool is a class of its own, `windows` says how large."""
    windows = windows or {name: 2048 * 16**position for position, name in enumerate(pools)}
    classes = [{"name": name, "max_tokens": windows[name], "pool": name} for name in pools]
    return {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "health": QUICK_HEALTH,
            "models": [{"name": model, "tokenizer": tokenizer, "classes": classes}],
            "pools": {name: {"endpoints": endpoints} for name, endpoints in pools.items()}, **more}


class Gateway:
    """A running gateway. Use as a context manager. Its affinity secret is always the same unless `env` has another, so
    that a session goes to the same server in every run of a test. `under`: a command that starts it, such as prlimit."""

    def __init__(self, settings: dict, folder: Path, name: str = "gateway", wait: bool = True, env: dict | None = None,
                 under: list | None = None):
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}.yaml"
        settings = {"store": f"sqlite:{folder / name}.db", "affinity_secret_env": SECRET_VARIABLE, **settings}
        file.write_text(yaml.safe_dump(settings, sort_keys=False))
        env = {SECRET_VARIABLE: "of the tests", **(env or {})}
        self.program = Program([*(under or []), BINARY, "serve", "-c", file, "--log-level", "debug"], folder / f"{name}.log", name, env)
        line = wait_until(lambda: next((line for line in list(self.program.lines) if "listening at" in line), None)
                          or (not self.program.running() and self.program.log_tail()), what="gateway start")
        found = re.search(r"listening at (\S+), admin at (\S+)", line)
        assert found, line
        self.url, self.admin = found.groups()
        if wait:
            self.program.wait_ready(60)

    def __enter__(self) -> "Gateway":
        return self

    def __exit__(self, *_) -> None:
        self.program.stop()

    def openai(self, **more) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=0, **more)

    def anthropic(self, **more) -> anthropic.Anthropic:
        return anthropic.Anthropic(base_url=self.url, api_key="unused", max_retries=0, **more)

    def chat(self, text: str = "hi", model: str = "m", headers: dict | None = None, **more):
        """(answer, routing decision) of one chat call."""
        raw = self.openai().chat.completions.with_raw_response.create(
            model=model, messages=[{"role": "user", "content": text}], extra_headers={**EXPLAIN, **(headers or {})}, **more)
        return raw.parse(), json.loads(raw.headers["x-truekeel-explain"])

    def fleet(self) -> dict:
        return json.load(urllib.request.urlopen(f"{self.admin}/api/v1/fleet"))

    def endpoint(self, name: str) -> dict:
        for pool in self.fleet()["pools"]:
            for member in pool["endpoints"]:
                if member["name"] == name:
                    return member
        raise KeyError(name)

    def act(self, path: str) -> dict:
        request = urllib.request.Request(f"{self.admin}/api/v1/{path}", method="POST", data=b"")
        return json.load(urllib.request.urlopen(request))

    def metrics(self) -> str:
        return urllib.request.urlopen(f"{self.admin}/metrics").read().decode()

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.program.pid}/fd").iterdir()))

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.program.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])
