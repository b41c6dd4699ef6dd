"""The proxies of the race, each as its operator would set it up for one core, and what they use of it."""

import os
import socket
import sys
import time
from pathlib import Path

import yaml

sys.path.append(str(Path(__file__).parents[1] / "run"))
from peers import Peers  # noqa: E402
from processes import Program  # noqa: E402

PROXY_CORE, OTHER_CORE = 0, 1

NGINX = """\
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000; client_body_buffer_size 64k;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  {servers}
}}
"""
# Buffering is off, as every guide to streaming through nginx says; events would else wait for one another.
NGINX_PROXY = """\
  upstream servers {{ server {authority}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=512;
    location / {{ proxy_pass http://servers; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_read_timeout 600s; }}
  }}
"""
NGINX_ANSWER = """\
  server {{ listen 127.0.0.1:{port} backlog=512; default_type application/json; location / {{ return 200 '{answer}'; }} }}
"""
HAPROXY = """\
global
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
  option http-no-delay
frontend clients
  bind 127.0.0.1:{port}
  default_backend servers
backend servers
  server s1 {authority}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pinned(core: int, command: list) -> list:
    return ["taskset", "-c", core, *command]


def authority_of(url: str) -> str:
    return url.removeprefix("http://")


def wait_listening(program: Program, port: int) -> Program:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and program.running():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                program.url = f"http://127.0.0.1:{port}"
                return program
        time.sleep(0.02)
    raise RuntimeError(f"{program.name} does not listen:\n{program.log_tail()}")


def start_nginx(peers: Peers, folder: Path, name: str, core: int, server: str, **facts) -> Program:
    port = free_port()
    file = folder / f"{name}.conf"
    file.write_text(NGINX.format(folder=folder, servers=server.format(port=port, **facts)))
    program = Program(pinned(core, [peers.nginx, "-c", file, "-p", folder, "-e", "stderr"]), folder / f"{name}.log", name, peers.environment)
    return wait_listening(program, port)


def start_haproxy(peers: Peers, folder: Path, upstream: str) -> Program:
    port = free_port()
    file = folder / "haproxy.cfg"
    file.write_text(HAPROXY.format(port=port, authority=authority_of(upstream)))
    program = Program(pinned(PROXY_CORE, [peers.haproxy, "-db", "-f", file]), folder / "haproxy.log", "haproxy", peers.environment)
    return wait_listening(program, port)


def start_truekeel(folder: Path, upstream: str, name: str, audited: bool) -> Program:
    endpoint = {"name": "s1", "url": upstream, "engine": "llama.cpp" if audited else "openai"}
    settings = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "store": f"sqlite:{folder / name}.db", "audit": {"sample": int(audited)},
                "models": [{"name": "m", "tokenizer": "bound", "classes": [{"name": "all", "max_tokens": 1 << 20, "pool": "all"}]}],
                "pools": {"all": {"endpoints": [endpoint]}}}
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    program = Program(pinned(PROXY_CORE, [os.environ["TRUEKEEL_BIN"], "serve", "-c", file, "--threads", 1]), folder / f"{name}.log", name)
    return program.wait_ready(30)


def processes_of(program: Program) -> list[int]:
    """Its own and its children's: nginx serves from a child."""
    children = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    return [program.pid, *map(int, children)]


def cpu_ns(program: Program) -> int:
    """Of all threads, in user and kernel mode, by the scheduler's own clock."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for pid in processes_of(program) for task in Path(f"/proc/{pid}/task").iterdir())


def resident_kib(program: Program) -> int:
    """The most that was ever resident, all processes together."""
    lines = (line for pid in processes_of(program) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
