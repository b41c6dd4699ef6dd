"""./dev run: a small real fleet on this machine, the gateway in front.

Two short-window workers (2,048 tokens, RoPE as trained) and one long-window worker (32,768 tokens, YaRN x4
over the trained 8,192), all on one model, on free loopback ports. Runs until Ctrl-C.
"""

import argparse
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path

from once import converse
from processes import Program

SHORT_WINDOW = 2048
LONG_WINDOW = 32768
TRAINED_WINDOW = 8192

CONFIG = """\
listen: 127.0.0.1:{port}
admin: 127.0.0.1:{admin_port}
store: sqlite:{logs}/truekeel.db
models:
  - name: {model_name}
    tokenizer: gguf:{model}
    default_max_output: 512
    classes:
      - {{name: short, max_tokens: {short_window}, pool: short}}
      - {{name: long, max_tokens: {long_window}, pool: long}}
pools:
  short:
    endpoints:
      - {{name: s1, url: {s1}, engine: truekeel, labels: {{hardware: cpu, version: v1}}}}
      - {{name: s2, url: {s2}, engine: truekeel, labels: {{hardware: cpu, version: v1}}}}
  long:
    endpoints:
      - {{name: l1, url: {l1}, engine: truekeel, labels: {{hardware: cpu, version: v1}}}}
"""

READY = """
Truekeel is ready at {url}  (admin: {admin})

  short pool  s1 {s1}   s2 {s2}   window {short_window}
  long pool   l1 {l1}   window {long_window}, YaRN x4

Try, in another terminal:

  curl -s {url}/v1/chat/completions -H 'content-type: application/json' -H 'x-truekeel-explain: 1' -i \\
    -d '{{"model": "{model_name}", "messages": [{{"role": "user", "content": "Say hello."}}]}}'

  curl -sN {url}/v1/messages -H 'content-type: application/json' \\
    -d '{{"model": "{model_name}", "max_tokens": 60, "stream": true, "messages": [{{"role": "user", "content": "Say hello."}}]}}'

  curl -s {admin}/api/v1/fleet

  curl -s -X POST {admin}/api/v1/endpoints/s1/drain

See a real fault found, in a fleet of its own (a minute or two):

  build/truekeel drill run corruption

Or point a client here: OPENAI_BASE_URL={url}/v1 or ANTHROPIC_BASE_URL={url} (any API key).
Logs: {logs}. Ctrl-C ends everything.
"""


def usable_port(wanted: int) -> int:
    """The wanted port when it is free, else one of the kernel's choice."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return probe.getsockname()[1]
            except OSError:
                continue
    raise RuntimeError("no free port on 127.0.0.1")


class Fleet:
    """The workers and the gateway; everything that was started ends with stop()."""

    def __init__(self, binary: str, model: Path, folder: Path, wanted_ports: tuple[int, int]):
        self.binary, self.model, self.folder, self.wanted_ports = binary, model, folder, wanted_ports
        self.model_name = model.stem.lower()
        self.programs: list[Program] = []

    def _start(self, name: str, *arguments) -> Program:
        program = Program([self.binary, *arguments], self.folder / f"{name}.log", name)
        self.programs.append(program)
        return program

    def _worker(self, name: str, window: int, slots: int, *scaling) -> Program:
        return self._start(name, "worker", "--model", self.model, "--alias", self.model_name, "--port", "0",
                           "--ctx", window, "--parallel", slots, "--threads", "1", *scaling)

    def start(self) -> dict:
        """Starts all; returns the names and addresses that the texts show."""
        workers = {
            "s1": self._worker("s1", SHORT_WINDOW, 8),
            "s2": self._worker("s2", SHORT_WINDOW, 8),
            "l1": self._worker("l1", LONG_WINDOW, 2, "--rope-scaling", "yarn", "--rope-scale", "4",
                               "--yarn-orig-ctx", TRAINED_WINDOW),
        }
        facts = {name: worker.wait_ready().url for name, worker in workers.items()}
        port, admin_port = (usable_port(wanted) for wanted in self.wanted_ports)
        facts |= {"port": port, "admin_port": admin_port, "model": self.model, "model_name": self.model_name,
                  "short_window": SHORT_WINDOW, "long_window": LONG_WINDOW, "logs": self.folder,
                  "admin": f"http://127.0.0.1:{admin_port}"}
        config = self.folder / "truekeel.yaml"
        config.write_text(CONFIG.format(**facts))
        facts["url"] = self._start("gateway", "serve", "-c", config).wait_ready().url
        return facts

    def take_dead(self) -> list[Program]:
        """Programs that ended since the last call."""
        dead = [program for program in self.programs if not program.running()]
        self.programs = [program for program in self.programs if program not in dead]
        return dead

    def stop(self) -> None:
        for program in reversed(self.programs):
            program.stop()


def serve_until(stop: threading.Event, fleet: Fleet) -> int:
    """Reports workers that end, and goes on, as a fleet would; ends with the gateway. Returns the exit code."""
    while not stop.wait(0.5):
        for program in fleet.take_dead():
            print(f"{program.name} has ended ({program.ending()}). Its log ends with:\n{program.log_tail(5)}", flush=True)
            if program.name == "gateway":
                return 1
    print("\nStopping.", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--once", action="store_true", help="send three requests through the official clients, print "
                        "answers and routing, stop; exit code 0 only if all went to the right pools")
    parser.add_argument("--model", type=Path, default=Path(os.environ["TRUEKEEL_MODEL"]), help="a GGUF file of your own")
    parser.add_argument("--port", type=int, default=8080, help="of the gateway (another free one if taken; default 8080)")
    parser.add_argument("--admin-port", type=int, default=9090, help="of the admin API (default 9090)")
    args = parser.parse_args()
    if not args.model.is_file():
        parser.error(f"--model {args.model}: no such file")

    stop = threading.Event()
    with tempfile.TemporaryDirectory(prefix="truekeel-run-") as folder:
        fleet = Fleet(os.environ["TRUEKEEL_BIN"], args.model.resolve(), Path(folder), (args.port, args.admin_port))
        try:
            print("Starting three workers and the gateway ...", flush=True)
            facts = fleet.start()
            if args.once:
                return converse(facts)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda *_: stop.set())
            print(READY.format(**facts), flush=True)
            return serve_until(stop, fleet)
        except RuntimeError as error:
            print(f"./dev run: {error}", file=sys.stderr)
            return 4
        except KeyboardInterrupt:
            return 130
        finally:
            fleet.stop()


if __name__ == "__main__":
    sys.exit(main())
