"""Starts `truekeel worker`; for end-to-end tests."""

import json
import os
import re
import sys
import time
import urllib.request
from pathlib import Path

import openai

sys.path[:0] = [str(Path(__file__).parents[2] / "tools" / folder) for folder in ("run", "golden")]
from processes import Program  # noqa: E402
from select_golden import draw_bits  # noqa: E402, F401

BINARY = os.environ["TRUEKEEL_BIN"]
MODEL_FILE = os.environ["TRUEKEEL_MODEL"]
MODEL = "smol"


class Worker:
    """A running worker. Use as a context manager."""

    def __init__(self, folder: Path, *flags, name: str = "worker", ctx: int = 512, parallel: int = 4):
        self.program = Program([BINARY, "worker", "--model", MODEL_FILE, "--alias", MODEL, "--port", "0", "--threads", "1",
                                "--ctx", ctx, "--parallel", parallel, *flags], folder / f"{name}.log", name)
        self.program.wait_ready()
        self.url = self.program.url

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.program.stop()

    def client(self, kind=openai.OpenAI, **more):
        return kind(base_url=f"{self.url}/v1", api_key="unused", max_retries=0, **more)

    def chat(self, text: str = "Say hello.", **more):
        return self.client().chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": text}], **{"max_tokens": 16, "seed": 1, **more})

    def stream(self, text: str = "Say hello.", **more) -> list:
        """Every chunk of a streamed answer."""
        return list(self.chat(text, stream=True, **more))

    def post(self, path: str, **body) -> dict:
        request = urllib.request.Request(self.url + path, data=json.dumps(body).encode(), headers={"content-type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    def post_stream(self, path: str, **body) -> list[dict]:
        """The data of every event of a streamed answer."""
        request = urllib.request.Request(self.url + path, data=json.dumps({**body, "stream": True}).encode(),
                                         headers={"content-type": "application/json"})
        lines = urllib.request.urlopen(request).read().decode().split("\n\n")
        return [json.loads(line.removeprefix("data: ")) for line in lines if line and line != "data: [DONE]"]

    def get(self, path: str) -> str:
        return urllib.request.urlopen(self.url + path).read().decode()

    def metric(self, name: str) -> float:
        return float(re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics"), re.MULTILINE)[1])


def wait_until(condition, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def text_of(chunks: list) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def records_of(chunks: list) -> list:
    return [record for chunk in chunks for choice in chunk.choices if choice.logprobs for record in choice.logprobs.content]
