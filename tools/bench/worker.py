"""Tokens per second of `truekeel worker` beside a stock llama-server, in alternation on one machine.

Both serve the same model with the same slots, window and threads, and get the same requests: streamed chat,
a fixed number of tokens, temperature .8, top-k 40, top-p .95, min-p .05. Rounds alternate between the servers and
begin with the other one each time. The cases "full records" set our own server with full audit records against itself
without them. Exit code 1 when a median ratio is below the bar.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))
from processes import Program  # noqa: E402

BAR = 0.95
SLOTS = 8
SAMPLING = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}


@dataclass(frozen=True)
class Case:
    streams: int
    logprobs: bool = False
    audit: bool = False  # of ours, against ours without

    def __str__(self) -> str:
        extra = "full records" if self.audit else "top 20" if self.logprobs else "no logprobs"
        return f"{self.streams} stream{'s' if self.streams > 1 else ''}, {extra}"


async def one_stream(host: str, port: int, case: Case, tokens: int, seed: int, audit: bool) -> int:
    """Sends one streamed request, reads it to its end, and returns the tokens that the server counted."""
    body = {"messages": [{"role": "user", "content": f"Tell me a story about the number {seed}."}], "max_tokens": tokens,
            "stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True, "seed": seed, "cache_prompt": False,
            **SAMPLING}
    if audit:
        body |= {"audit": "full"}
    if case.logprobs:
        body |= {"logprobs": True, "top_logprobs": 20}
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                 f"Content-Length: {len(data)}\r\n\r\n".encode() + data)
    usage = None
    async for line in reader:
        if line.startswith(b"data: {") and b'"usage":{' in line:
            usage = json.loads(line[6:])["usage"]
    writer.close()
    if usage is None:
        raise RuntimeError("a stream ended without its usage")
    return usage["completion_tokens"]


def tokens_per_s(url: str, case: Case, tokens: int, seed: int, audit: bool) -> float:
    host, port = url.removeprefix("http://").split(":")

    async def run() -> int:
        return sum(await asyncio.gather(*(one_stream(host, int(port), case, tokens, seed + i, audit) for i in range(case.streams))))

    began = time.perf_counter()
    generated = asyncio.run(run())
    return generated / (time.perf_counter() - began)


def start(folder: Path, threads: int, ctx: int) -> dict[str, Program]:
    model = os.environ["TRUEKEEL_MODEL"]
    ours = Program([os.environ["TRUEKEEL_BIN"], "worker", "--model", model, "--port", "0", "--ctx", ctx, "--parallel", SLOTS,
                    "--threads", threads], folder / "truekeel.log", "truekeel")
    stock = Program(["bash", "-c", 'exec "$0" "$@" > >(sed -u "s/.*listening on/ready at/") 2>&1', os.environ["TRUEKEEL_LLAMA_SERVER"],
                     "-m", model, "-c", ctx * SLOTS, "-np", SLOTS, "-t", threads, "-tb", threads, "--port", "0", "--no-webui"],
                    folder / "llama-server.log", "llama-server")
    return {"truekeel": ours.wait_ready(), "llama-server": stock.wait_ready()}


def measure(servers: dict[str, Program], case: Case, rounds: int, tokens: int) -> dict:
    """The first side of a comparison over the second, by rounds."""
    ours = servers["truekeel"].url
    sides = {"truekeel": (ours, case.audit), "without": (ours, False)} if case.audit else {
        name: (server.url, False) for name, server in servers.items()}
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    for url, audit in sides.values():
        tokens_per_s(url, case, 8, 1, audit)
    for index in range(rounds):
        order = list(sides) if index % 2 == 0 else list(reversed(sides))
        for name in order:
            url, audit = sides[name]
            speeds[name].append(tokens_per_s(url, case, tokens, 100 * index, audit))
    ratios = [own / other for own, other in zip(*speeds.values())]
    return {"streams": case.streams, "logprobs": case.logprobs, "audit": case.audit, "tokens_per_s": speeds,
            "median": {name: statistics.median(values) for name, values in speeds.items()},
            "ratio_median": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench worker", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    parser.add_argument("--rounds", type=int, default=7, help="alternations (default 7)")
    parser.add_argument("--tokens", type=int, default=128, help="tokens of each answer (default 128)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each server (default 1)")
    parser.add_argument("--ctx", type=int, default=2048, help="window of a slot (default 2048)")
    args = parser.parse_args(argv)

    results = []
    if not args.json:
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} CPUs, load {load:.1f} before; {args.threads} thread(s), {args.tokens} tokens an answer, {args.rounds} rounds")
        print(f"{'':<24}{'truekeel':>10}{'the other':>14}   ratio: median (min to max)")
    with tempfile.TemporaryDirectory(prefix="truekeel-bench-") as folder:
        servers = start(Path(folder), args.threads, args.ctx)
        try:
            for case in (Case(1, False), Case(SLOTS, False), Case(1, True), Case(SLOTS, True), Case(1, audit=True),
                         Case(SLOTS, audit=True)):
                result = measure(servers, case, args.rounds, args.tokens)
                results.append(result)
                if not args.json:
                    median = result["median"]
                    print(f"{case!s:<24}{median['truekeel']:>8.1f}/s{list(median.values())[1]:>12.1f}/s   {result['ratio_median']:.3f} "
                          f"({result['ratio_min']:.3f} to {result['ratio_max']:.3f})", flush=True)
        finally:
            for server in servers.values():
                server.stop()
    good = all(result["ratio_median"] >= BAR for result in results)
    if args.json:
        print(json.dumps({"bench": "worker", "bar": BAR, "good": good, "threads": args.threads, "load_before": os.getloadavg()[0],
                          "results": results}))
    elif not good:
        print(f"below the bar of {BAR}")
    return 0 if good else 1
