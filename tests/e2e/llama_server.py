"""A stock llama-server of the pinned llama.cpp, as users run it beside ours."""

import os
import sys
from pathlib import Path

from worker_server import MODEL, MODEL_FILE

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "run"))
from processes import stock_llama_server  # noqa: E402


class LlamaServer:
    """A stock llama-server with two slots. Use as a context manager. `more` arguments come last, and so win."""

    def __init__(self, folder: Path, *more: str):
        arguments = ["-m", MODEL_FILE, "-c", "2048", "-np", "2", "-t", "1", "--port", "0", "--no-webui", "--alias", MODEL, *more]
        self.program = stock_llama_server(os.environ["TRUEKEEL_LLAMA_SERVER"], arguments, folder / "llama.log")
        self.url = self.program.wait_ready().url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stop()
