"""nginx as the judge of how the gateway reads requests: what is accepted here, nginx must read in the same way.

Two courts. `bytes`: the same bytes go to nginx and to our parser; of each request that ours accepts, nginx must see the same method, target,
fields and body, and it must see no request that ours does not. `gateway`: the bytes go through a gateway to nginx; what arrives there must be
what our parser accepted, one for one, and nginx must never call it a bad request. A case is named by its seed: --case repeats it alone.
"""

import argparse
import asyncio
import collections
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "race"))
import mutated_requests  # noqa: E402
from peers import peers  # noqa: E402
from upstream import ANSWER  # noqa: E402

# As permissive as it gets: whatever nginx reads, it passes on.
NGINX = """\
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  log_format seen '$status $request_length $request';
  access_log off; keepalive_requests 1000000000; underscores_in_headers on; ignore_invalid_headers off; merge_slashes off;
  large_client_header_buffers 8 128k; client_max_body_size 0; client_body_buffer_size 1m; proxy_ignore_client_abort on;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream recorder {{ server 127.0.0.1:{recorder}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{bytes_port} backlog=512;
    location / {{ proxy_pass http://recorder; {proxy} }}
  }}
  server {{
    listen 127.0.0.1:{gateway_port} backlog=512; access_log {folder}/seen.log seen;
    location / {{ proxy_pass http://recorder; {proxy} }}
  }}
}}
"""
PROXY = 'proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_set_header X-Judge-Client $remote_addr;'

# Of one hop, or nginx's own; whether they agree shows in the body, or in what follows.
NOT_COMPARED = {b"connection", b"keep-alive", b"te", b"transfer-encoding", b"content-length", b"expect", b"upgrade", b"x-judge-client"}
NGINX_WANTS_ONCE = {b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range", b"range"}
PATIENCE_S = 10
LANES = 32


@dataclass(frozen=True)
class Message:
    method: bytes
    target: bytes
    body: bytes
    fields: tuple[tuple[bytes, bytes], ...]

    def compared(self) -> tuple:
        # RFC 9110, 5.5: tabs around a value are white space; nginx takes them for a part of it.
        return self.method, self.target, tuple((name, value.strip(b" \t")) for name, value in self.fields if name not in NOT_COMPARED)

    def difference(self, other: "Message") -> str | None:
        ours, theirs = self.compared(), other.compared()
        for what, one, two in (("method", ours[0], theirs[0]), ("target", ours[1], theirs[1]), ("fields", sorted(ours[2]), sorted(theirs[2])), ("body", self.body, other.body)):
            if one != two:
                return f"the {what}: {one!r} here, {two!r} to nginx"
        return None


def netstrings(text: bytes) -> list[bytes]:
    parts = []
    while text:
        size, _, rest = text.partition(b":")
        parts.append(rest[:int(size)])
        text = rest[int(size) + 1:]
    return parts


class OurParser:
    """Our parser as a process."""

    def __init__(self, program: Path):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def read(self, raw: bytes) -> tuple[str, list[Message]]:
        """How the connection ends, and the messages before."""
        pipe = self.process.stdout
        self.process.stdin.write(b"%d:%b," % (len(raw), raw))
        self.process.stdin.flush()
        digits = b""
        while (byte := pipe.read(1)) != b":":
            if not byte:
                raise RuntimeError(f"our parser has died of {raw!r}")
            digits += byte
        end, *parts = netstrings(pipe.read(int(digits) + 1)[:-1])
        messages = []
        while parts:
            method, target, body, count = parts[:4]
            pairs = parts[4:4 + 2 * int(count)]
            parts = parts[4 + 2 * int(count):]
            messages.append(Message(method, target, body, tuple((name.lower(), value) for name, value in zip(pairs[::2], pairs[1::2], strict=True))))
        return end.decode(), messages

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Recorder(asyncio.Protocol):
    """Behind nginx: notes each request, by nginx's client."""

    seen: dict[bytes, list[Message]] = collections.defaultdict(list)

    def connection_made(self, transport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            first, *lines = self.buffer[:end].split(b"\r\n")
            fields = tuple((name.lower(), value) for name, value in (each.split(b": ", 1) if b": " in each else (each.split(b":", 1)) for each in lines))
            length = int(dict(fields).get(b"content-length", 0))
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4:end + 4 + length], self.buffer[end + 4 + length:]
            method, target = first.rsplit(b" ", 1)[0].split(b" ", 1)
            self.seen[dict(fields)[b"x-judge-client"]].append(Message(method, target, body, fields))
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(ANSWER) + (b"" if method == b"HEAD" else ANSWER))


@dataclass
class Findings:
    cases: int = 0
    accepted: int = 0
    refused_by_nginx: collections.Counter = field(default_factory=collections.Counter)
    faults: list = field(default_factory=list)

    def fault(self, case: str, raw: bytes, what: str) -> None:
        self.faults.append(case)
        print(f"case {case}: {what}\n  {raw!r}", flush=True)


def why_refused(message: Message, raw: bytes) -> str:
    """Known and harmless: nginx is stricter here, and the gateway's own requests never look so. Empty: unknown."""
    if re.search(rb":[ \t]*\t|\t[ \t]*\r\n", raw):
        return "tabs around a value, to nginx a part of it"
    names = [name for name, _ in message.fields]
    if any(names.count(name) > 1 for name in NGINX_WANTS_ONCE):
        return "a field of conditions twice"
    if message.method == b"TRACE":
        return "TRACE"
    if message.target == b"*":
        return "OPTIONS *"
    if re.search(rb"%(?![0-9a-fA-F]{2})|%00", message.target):
        return "an escape in the target that does not decode"
    if re.search(rb"/\.\.(/|$|\?)", message.target):
        return "a target above the root"
    return ""


async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: int | None = None) -> bytes:
    """Everything until the other side closes, or so many answers."""
    heard = b""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while answers is None or len(re.findall(rb"HTTP/1\.1 [2-5]", heard)) < answers:
                if not (piece := await reader.read(65536)):
                    break
                heard += piece
    except ConnectionError:
        pass  # closed before all was read
    finally:
        writer.close()
    return heard


async def bytes_court(ours: OurParser, port: int, case: str, findings: Findings) -> None:
    raw = mutated_requests.any_requests(case)
    end, accepted = ours.read(raw)
    # An address for each case: ports come again, and with them what nginx still had of an earlier one.
    number = int(case.rsplit("-", 1)[1])
    mine = f"127.{1 + (number >> 16) % 254}.{(number >> 8) % 256}.{number % 256}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(mine, 0))
    writer.write(raw)
    writer.write_eof()
    heard = await hear(reader, writer)
    seen = Recorder.seen.pop(mine.encode(), [])
    findings.cases += 1
    findings.accepted += len(accepted)
    for one, two in zip(accepted, seen):
        if difference := one.difference(two):
            return findings.fault(case, raw, f"read differently, {difference}")
    # A line without a version is HTTP/0.9 to nginx; ours reads on, to refuse it.
    without_version = end == "within" and re.search(rb"(?m)^[A-Z]+ [^ \r\n]*\r?$", raw)
    if len(seen) > len(accepted) and end not in ("refused", "closed") and not without_version:
        return findings.fault(case, raw, f"nginx sees {len(seen)} requests, we {len(accepted)} ({end})")
    if len(seen) < len(accepted):
        statuses = re.findall(rb"HTTP/1\.1 ([2-5]\d\d)", heard)
        if statuses and statuses[-1] == b"200" and re.search(rb"(?i)connection: close", heard):
            findings.refused_by_nginx["nginx closes before the next request"] += 1
        elif why := why_refused(accepted[len(seen)], raw):
            findings.refused_by_nginx[why] += 1
        else:
            findings.fault(case, raw, f"accepted here, refused by nginx with {statuses[-1:]}: {accepted[len(seen)]}")


def is_what_was_asked(asked: Message, arrived: Message) -> bool:
    """The gateway may add members and fields of its own, and change nothing."""
    try:
        wanted, got = json.loads(asked.body), json.loads(arrived.body)
    except ValueError:
        return False
    own = {b"host", b"content-type", b"x-request-id", b"authorization", *NOT_COMPARED}
    return (arrived.method == b"POST" == asked.method and arrived.target.startswith(b"/v1/") and all(got.get(name) == value for name, value in wanted.items())
            and {pair for pair in arrived.fields if pair[0] not in own} <= set(asked.fields))


LAST = b"GET /v1/models HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


async def gateway_court(ours: OurParser, port: int, case: str, findings: Findings) -> None:
    """One case at a time: whatever nginx sees meanwhile comes of it."""
    raw = mutated_requests.chat_requests(case) + LAST
    end, accepted = ours.read(raw)
    Recorder.seen.clear()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    heard = await hear(reader, writer, len(accepted) if end == "within" else None)
    arrived = [message for messages in Recorder.seen.values() for message in messages if b'"ping"' not in message.body]
    findings.cases += 1
    findings.accepted += len(accepted)
    left = iter(accepted)
    for message in arrived:
        if not any(is_what_was_asked(asked, message) for asked in left):
            return findings.fault(case, raw, f"nobody asked for {message}")
    served = heard.count(b'"content": "hello"')
    if served != len(arrived):
        findings.fault(case, raw, f"{served} answers, {len(arrived)} requests to the server; heard {heard!r}")


class Court:
    """nginx, a gateway before it, the recorder behind it."""

    def __init__(self, build: Path, folder: Path):
        import proxies  # needs yaml, which ./dev's Python has

        os.environ["TRUEKEEL_BIN"] = str(build / "truekeel")
        self.proxies, self.folder, self.programs = proxies, folder, []
        self.ours = OurParser(build / "src" / "http" / "read_requests")

    async def open(self) -> None:
        start = self.proxies
        loop = asyncio.get_running_loop()
        recorder = await loop.create_server(Recorder, "127.0.0.1", 0, backlog=512)
        found = peers()
        self.bytes_port, gateway_port = start.free_port(), start.free_port()
        file = self.folder / "nginx.conf"
        file.write_text(NGINX.format(folder=self.folder, recorder=recorder.sockets[0].getsockname()[1], bytes_port=self.bytes_port, gateway_port=gateway_port, proxy=PROXY))
        nginx = start.Program([found.nginx, "-c", file, "-p", self.folder, "-e", "stderr"], self.folder / "nginx.log", "nginx", found.environment)
        self.programs.append(nginx)
        await asyncio.to_thread(start.wait_listening, nginx, self.bytes_port)
        gateway = await asyncio.to_thread(start.start_truekeel, self.folder, f"http://127.0.0.1:{gateway_port}", "gateway", False)
        self.programs.append(gateway)
        self.gateway_port = int(gateway.url.rsplit(":", 1)[1])

    def bad_requests(self) -> list[str]:
        """What nginx called bad, of what the gateway sent."""
        return [each for each in (self.folder / "seen.log").read_text(errors="replace").splitlines() if not each.startswith("200 ")]

    def close(self) -> None:
        self.ours.stop()
        for program in reversed(self.programs):
            program.stop()


async def hold(court: Court, args, findings: dict[str, Findings]) -> None:
    await court.open()
    if args.case:
        name = args.case.split("-")[0]
        await (bytes_court if name == "bytes" else gateway_court)(court.ours, court.bytes_port if name == "bytes" else court.gateway_port, args.case, findings[name])
        return
    numbers = iter(range(args.cases or sys.maxsize))

    async def lane(name: str, judge, port: int, until: float) -> None:
        while time.monotonic() < until and (number := next(numbers, None)) is not None and len(findings[name].faults) < 20:
            await judge(court.ours, port, f"{name}-{args.seed}-{number}", findings[name])

    begin = time.monotonic()
    await asyncio.gather(*(lane("bytes", bytes_court, court.bytes_port, begin + args.seconds * 0.7) for _ in range(LANES)))
    late = sum(map(len, Recorder.seen.values()))
    print(f"requests that reached nginx's server after their case was over: {late}")
    numbers = iter(range(args.cases or sys.maxsize))
    await lane("gateway", gateway_court, court.gateway_port, begin + args.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev fuzz nginx", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("seconds", nargs="?", type=float, default=60, help="for both courts (default 60)")
    parser.add_argument("--cases", type=int, help="at most, for each court (default: as many as there is time for)")
    parser.add_argument("--seed", default=f"{random.randrange(1 << 32):08x}", help="of all cases (default: a random one, printed)")
    parser.add_argument("--case", help="this one alone: bytes-SEED-NUMBER or gateway-SEED-NUMBER")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    findings = {"bytes": Findings(), "gateway": Findings()}
    with tempfile.TemporaryDirectory(prefix="truekeel-judge-") as folder:
        court = Court(args.build, Path(folder))
        try:
            asyncio.run(hold(court, args, findings))
            bad = court.bad_requests()
        finally:
            court.close()
    for name, found in findings.items():
        refused = "".join(f"\n  refused by nginx alone, {why}: {count}" for why, count in found.refused_by_nginx.most_common())
        print(f"{name}: {found.cases} connections, {found.accepted} requests accepted, {len(found.faults)} faults{refused}")
    print("\n".join([f"bad requests to nginx by the gateway: {len(bad)}", *bad[:20]]))
    return 1 if bad or any(found.faults for found in findings.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
