"""What the gateway costs beside nginx and HAProxy as proxies: CPU, latency, memory, in one run on one core.

All proxies stand before the same upstream, on core 0; clients and upstream share core 1. Runs alternate; figures are medians of the rounds,
with the smallest and largest. Exit code 1 when a bar is missed.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "race"))
from upstream import ANSWER, INTERVAL_MS  # noqa: E402

CONNECTIONS = 32
BODY = {"model": "m", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16,
        "temperature": 1, "top_p": 1, "min_p": 0, "top_k": 0}
WRK_SCRIPT = 'wrk.method = "POST"\nwrk.body = [[{body}]]\nwrk.headers["content-type"] = "application/json"\n'
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}

# (figure, of which, at most, in words)
BARS = (("small_cpu_us", "ratio", 1.5, "CPU of a small request, of nginx's"),
        ("event_cpu_us", "ratio", 1.15, "CPU of a paced event, of nginx's"),
        ("audited_event_cpu_us", "ratio", 1.5, "CPU of an event with audited top 20, of nginx's passing the same bytes"),
        ("first_event_us", "truekeel", 300, "us from the upstream's first event to the client's"),
        ("added_p50_us", "truekeel", 30, "us added at one connection, median"),
        ("added_p99_us", "truekeel", 150, "us added at one connection, 99 %"),
        ("rss_mib", "truekeel", 40, "MiB resident at most"))


def small_requests(peers, script: Path, url: str, connections: int, seconds: float) -> dict:
    """What wrk says: requests, and latencies in us."""
    run = subprocess.run(["taskset", "-c", "1", peers.wrk, "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--latency", "-s", script, f"{url}/v1/chat/completions"],
                         env=peers.environment, stdout=subprocess.PIPE, text=True, check=True)
    if "Non-2xx" in run.stdout or "Socket errors" in run.stdout:
        raise RuntimeError(f"{url} fails:\n{run.stdout}")
    took = {share: float(value) * UNITS[unit] for share, value, unit in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)\b", run.stdout)}
    return {"requests": int(re.search(r"(\d+) requests in", run.stdout)[1]), "p50": took["50"], "p99": took["99"]}


@dataclass
class Stream(asyncio.Protocol):
    """Asks for one stream, and notes how long each event was under way, in us."""

    request: bytes
    ended: asyncio.Future
    delays: list[float] = field(default_factory=list)
    tail: bytes = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        data = self.tail + data
        sent = list(re.finditer(rb'"sent_ns": ?(\d+)[,}]', data))
        self.delays += [(now - int(each[1])) / 1000 for each in sent]
        self.tail = data[sent[-1].end():] if sent else data
        if self.tail.endswith(b"0\r\n\r\n"):
            self.transport.close()

    def connection_lost(self, _) -> None:
        if not self.ended.done():
            self.ended.set_result(self.delays)


async def streams(url: str, connections: int, events: int, logprobs: bool) -> list[list[float]]:
    body = {**BODY, "stream": True, "max_tokens": events}
    if logprobs:
        body |= {"logprobs": True, "top_logprobs": 20}
    text = json.dumps(body).encode()
    host, port = url.removeprefix("http://").split(":")
    request = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {len(text)}\r\n\r\n".encode() + text
    loop = asyncio.get_running_loop()
    under_way = []
    for _ in range(connections):
        _, stream = await loop.create_connection(lambda: Stream(request, loop.create_future()), host, int(port))
        under_way.append(stream.ended)
        await asyncio.sleep(INTERVAL_MS / 1000 / connections)  # so that no two wake-ups coincide
    return list(await asyncio.gather(*under_way))


class Race:
    """One run of everything: all proxies stand from beginning to end."""

    def __init__(self, peers, folder: Path, seconds: float):
        import proxies  # needs yaml, which ./dev's Python has

        self.proxies, self.peers, self.seconds = proxies, peers, seconds
        self.programs, self.found, self.audited_events = [], {}, 0
        self.script = folder / "post.lua"
        self.script.write_text(WRK_SCRIPT.format(body=json.dumps(BODY)))
        command = proxies.pinned(proxies.OTHER_CORE, [sys.executable, HERE.parent / "race" / "upstream.py"])
        upstream = self._keep(proxies.Program(command, folder / "upstream.log", "upstream")).wait_ready(20).url
        self.plain = self._keep(proxies.start_nginx(peers, folder, "answers", proxies.OTHER_CORE, proxies.NGINX_ANSWER, answer=ANSWER.decode())).url
        self.small = self._contestants(folder / "small", self.plain)
        self.paced = self._contestants(folder / "paced", upstream)
        self.audited = {**{name: proxy for name, proxy in self.paced.items() if name != "truekeel"},
                        "truekeel": self._keep(proxies.start_truekeel(folder, upstream, "audited", True))}

    def _keep(self, program):
        self.programs.append(program)
        return program

    def _contestants(self, folder: Path, upstream: str) -> dict:
        folder.mkdir()
        start = self.proxies
        return {"truekeel": self._keep(start.start_truekeel(folder, upstream, "truekeel", False)),
                "nginx": self._keep(start.start_nginx(self.peers, folder, "nginx", start.PROXY_CORE, start.NGINX_PROXY, authority=start.authority_of(upstream))),
                "haproxy": self._keep(start.start_haproxy(self.peers, folder, upstream))}

    def note(self, figure: str, name: str, value: float) -> None:
        self.found.setdefault(figure, {}).setdefault(name, []).append(value)

    def run_small(self, name: str, proxy) -> None:
        before = self.proxies.cpu_ns(proxy)
        done = small_requests(self.peers, self.script, proxy.url, CONNECTIONS, self.seconds)
        self.note("small_cpu_us", name, (self.proxies.cpu_ns(proxy) - before) / 1000 / done["requests"])
        self.note("requests_per_s", name, done["requests"] / self.seconds)

    def run_one(self, name: str, proxy, direct: dict) -> None:
        done = small_requests(self.peers, self.script, proxy.url, 1, self.seconds)
        self.note("added_p50_us", name, done["p50"] - direct["p50"])
        self.note("added_p99_us", name, done["p99"] - direct["p99"])

    def run_stream(self, figure: str, name: str, proxy, logprobs: bool) -> int:
        """Returns the number of events."""
        events = int(self.seconds * 1000 / INTERVAL_MS)
        before = self.proxies.cpu_ns(proxy)
        delays = asyncio.run(streams(proxy.url, CONNECTIONS, events, logprobs))
        if [len(each) for each in delays] != [events] * CONNECTIONS:
            raise RuntimeError(f"{name} lost events: {sorted({len(each) for each in delays})} instead of {events}")
        self.note(figure, name, (self.proxies.cpu_ns(proxy) - before) / 1000 / (events * CONNECTIONS))
        if figure == "event_cpu_us":
            self.note("first_event_us", name, statistics.median(each[0] for each in delays))
        return events * CONNECTIONS

    def round(self, number: int) -> None:
        order = list(self.small)[number % 3:] + list(self.small)[:number % 3]
        direct = small_requests(self.peers, self.script, self.plain, 1, self.seconds)
        for name in order:
            self.run_small(name, self.small[name])
            self.run_one(name, self.small[name], direct)
            self.run_stream("event_cpu_us", name, self.paced[name], False)
            # The gateway asks for the records itself, and takes them out again; the others pass what the client asked for.
            self.audited_events += self.run_stream("audited_event_cpu_us", name, self.audited[name], name != "truekeel") * (name == "truekeel")

    def audited_share(self) -> float:
        """Of the tokens that the audited gateway passed on, those that its audit has read: without it the figure would flatter."""
        time.sleep(2)  # the last windows end
        admin = re.search(r"admin at (http\S+)", "\n".join(self.audited["truekeel"].lines))[1]
        with urllib.request.urlopen(f"{admin}/api/v1/coverage") as answered:
            server = json.load(answered)["servers"][0]
        return (server["tokens"] - sum(server["tokens_lost"].values())) / self.audited_events

    def memory(self) -> None:
        for name in self.small:
            self.note("rss_mib", name, self.proxies.resident_kib(self.small[name]) / 1024)

    def stop(self) -> None:
        for program in reversed(self.programs):
            program.stop()


def long_prompts() -> dict:
    """us of CPU to find the class of a chat of 100 KB, by what decides it; the least of five."""
    run = subprocess.run(["taskset", "-c", "0", Path(os.environ["TRUEKEEL_BUILD"]) / "src/gateway/routing_bench", "--benchmark_format=json", "--benchmark_repetitions=5"],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    least = {}
    for bench in json.loads(run.stdout)["benchmarks"]:
        if bench["run_type"] == "iteration":
            name = bench["run_name"].removeprefix("BM_")
            least[name] = round(min(least.get(name, float("inf")), bench["cpu_time"]), 1)
    return least


def summary(found: dict) -> list[dict]:
    rows = []
    for figure, by_name in found.items():
        row = {"figure": figure, **{name: {"median": round(statistics.median(values), 2), "least": round(min(values), 2), "most": round(max(values), 2)}
                                    for name, values in by_name.items()}}
        row["ratio"] = round(statistics.median(ours / theirs for ours, theirs in zip(by_name["truekeel"], by_name["nginx"], strict=True)), 2)
        rows.append(row)
    return rows


def judge(rows: list[dict]) -> list[dict]:
    by_figure = {row["figure"]: row for row in rows}
    verdicts = []
    for figure, of, most, words in BARS:
        value = by_figure[figure]["ratio"] if of == "ratio" else by_figure[figure]["truekeel"]["median"]
        verdicts.append({"bar": words, "most": most, "value": value, "good": value <= most})
    return verdicts


def show(rows: list[dict], prompts: dict, verdicts: list[dict]) -> None:
    for row in rows:
        cells = "   ".join(f"{name} {about['median']:>9} ({about['least']} to {about['most']})" for name, about in row.items() if isinstance(about, dict))
        print(f"{row['figure']:<22}{cells}   ratio to nginx {row['ratio']}")
    print("prompt_100kb_us       " + "   ".join(f"{name} {us}" for name, us in prompts.items()))
    for verdict in verdicts:
        bar = f"at most {verdict['most']}" if "most" in verdict else f"at least {verdict['least']}"
        print(f"{'held  ' if verdict['good'] else 'MISSED'} {verdict['bar']}: {verdict['value']} ({bar})")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench gateway", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    parser.add_argument("--rounds", type=int, default=5, help="alternations (default 5)")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement, of which a round has 13 (default 4)")
    args = parser.parse_args(argv)
    from peers import peers

    fetched = peers()
    with tempfile.TemporaryDirectory(prefix="truekeel-race-") as temporary:
        race = Race(fetched, Path(temporary), args.seconds)
        try:
            for number in range(args.rounds):
                race.round(number)
                print(f"round {number + 1} of {args.rounds} done", file=sys.stderr, flush=True)
            race.memory()
            share = race.audited_share()
        finally:
            race.stop()
    rows, prompts = summary(race.found), long_prompts()
    verdicts = [*judge(rows), {"bar": "share of the audited gateway's tokens that were audited", "least": 0.99, "value": round(share, 4), "good": share >= 0.99}]
    if args.json:
        print(json.dumps({"bench": "gateway", "versions": fetched.versions(), "rows": rows, "prompt_100kb_us": prompts, "verdicts": verdicts}))
    else:
        show(rows, prompts, verdicts)
    return 0 if all(verdict["good"] for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
