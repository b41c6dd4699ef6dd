"""A real vLLM on one core, as set up by tools/engines/vllm.py."""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "run"))
from processes import Program  # noqa: E402

FOLDER = Path(os.environ["TRUEKEEL_VLLM"])
MODEL = "smol"
START_S = 600
YARN = {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192}}
# One thread: two of them wait for each other at barriers, which on a busy machine takes ten times as long.
ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Vllm:
    """Use as a context manager."""

    def __init__(self, folder: Path, *flags: str, dtype: str = "float32", core: int = 0):
        self.dtype = dtype
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = [FOLDER / "bin" / "vllm", "serve", FOLDER / "model", "--host", "127.0.0.1", "--port", port, "--served-model-name", MODEL,
                     "--max-model-len", "2048", "--dtype", dtype, "--enforce-eager", *flags]
        self.program = Program(arguments, folder / f"vllm-{port}.log", "vLLM", {**ENVIRONMENT, "VLLM_CPU_OMP_THREADS_BIND": str(core)})

    def __enter__(self) -> "Vllm":
        """Ready once it has generated a token: the first takes long."""
        deadline = time.monotonic() + START_S
        ask = json.dumps({"model": MODEL, "prompt": "Hello", "max_tokens": 1}).encode()
        while True:
            try:
                request = urllib.request.Request(f"{self.url}/v1/completions", ask, {"content-type": "application/json"})
                urllib.request.urlopen(request, timeout=120).read()
                return self
            except urllib.error.URLError:
                if not self.program.running() or time.monotonic() > deadline:
                    self.program.stop()
                    raise RuntimeError(f"vLLM did not start:\n{self.program.log_tail()}") from None
                time.sleep(0.5)

    def __exit__(self, *_) -> None:
        self.program.stop(grace_s=30)
        with contextlib.suppress(ProcessLookupError):  # its engine outlives a server that had to be killed
            os.killpg(self.program.pid, signal.SIGKILL)
