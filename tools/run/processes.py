"""Starts Truekeel's programs as child processes and ends exactly those. Used by ./dev run, tests and benches."""

import ctypes
import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

READY = re.compile(r"ready at (https?://\S+)")
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """The child gets SIGTERM when its parent dies, however it dies; and no Ctrl-C of the terminal."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Program:
    """A child that prints one line `... ready at http://HOST:PORT ...` on standard output once it serves."""

    def __init__(self, arguments: list, log: Path, name: str = "", env: dict | None = None):
        self.name = name or Path(arguments[0]).name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self._log_file = log.open("ab")
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=self._log_file, preexec_fn=_end_with_parent, env={**os.environ, **(env or {})})
        self.lines: deque[str] = deque(maxlen=100)
        self.url = ""
        self._ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            if match := READY.search(line):
                self.url = match[1]
                self._ready.set()
        self._ready.set()

    def wait_ready(self, timeout_s: float = 180) -> "Program":
        """Waits for the readiness line. RuntimeError with the end of the log when there is none."""
        if not self._ready.wait(timeout_s) or not self.url:
            self.stop()
            raise RuntimeError(f"{self.name} did not become ready:\n{self.log_tail()}")
        return self

    def log_tail(self, lines: int = 20) -> str:
        return "\n".join([*self.lines, *self.log.read_text(errors="replace").splitlines()][-lines:])

    @property
    def pid(self) -> int:
        return self.process.pid

    def running(self) -> bool:
        return self.process.poll() is None

    def ending(self) -> str:
        """How it ended, in words. Requires: it did."""
        code = self.process.returncode
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def stop(self, grace_s: float = 10) -> int:
        """SIGTERM, then SIGKILL after the grace; returns the exit code."""
        if self.running():
            self.process.terminate()
            deadline = time.monotonic() + grace_s
            while self.running() and time.monotonic() < deadline:
                time.sleep(0.02)
            if self.running():
                self.process.kill()
        code = self.process.wait()
        self._log_file.close()
        return code

    def kill(self) -> None:
        """As a crash would: SIGKILL, at once."""
        self.process.kill()
        self.process.wait()


def stock_llama_server(server: str, arguments: list, log: Path, name: str = "llama-server") -> Program:
    """llama.cpp's own server, whose line "listening on URL" is taken for readiness."""
    return Program(["bash", "-c", 'exec "$0" "$@" > >(sed -u "s/.*listening on/ready at/") 2>&1', server, *arguments], log, name)
