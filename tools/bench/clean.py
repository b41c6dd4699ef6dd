"""Are clean servers ever accused? Live traffic through the gateway, to stock llama-servers or workers.

Clients ask in English, code, Thai, Chinese and emoji, with stop strings, streamed and not, at temperatures 0, .7 and 1; every
answer is audited. Servers differ in slots, threads and KV types. Exit code 1 on any alarm, named culprit or violated invariant.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / folder) for folder in ("run", "detect")]
import record_tokens  # noqa: E402
from processes import Program, stock_llama_server  # noqa: E402

WINDOW = 1024
# (name, slots, threads, KV type)
SERVERS = (("batch8", 8, 1, "f16"), ("batch1", 1, 1, "f16"), ("batch4-kv-q8_0", 4, 1, "q8_0"), ("batch4-threads2", 4, 2, "f16"))


def start_server(engine: str, name: str, slots: int, threads: int, kv: str, folder: Path) -> Program:
    model, log = os.environ["TRUEKEEL_MODEL"], folder / f"{name}.log"
    if engine == "llama.cpp":
        # Its -c is for all slots together, and it quantises V only with flash attention.
        return stock_llama_server(os.environ["TRUEKEEL_LLAMA_SERVER"], [
            "-m", model, "-c", slots * WINDOW, "-np", slots, "-t", threads, "--port", "0", "--no-webui", "--alias", "m",
            "-ctk", kv, "-ctv", kv, *(("-fa", "on") if kv != "f16" else ())], log, name)
    return Program([os.environ["TRUEKEEL_BIN"], "worker", "--model", model, "--alias", "m", "--port", "0", "--ctx", WINDOW,
                    "--parallel", slots, "--threads", threads, "--kv-type", kv], log, name)


def start_gateway(engine: str, urls: dict[str, str], folder: Path) -> Program:
    endpoints = [{"name": name, "url": url, "engine": engine} for name, url in urls.items()]
    settings = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", "store": f"sqlite:{folder / 'truekeel.db'}",
                "models": [{"name": "m", "tokenizer": f"gguf:{os.environ['TRUEKEEL_MODEL']}", "default_max_output": 192,
                            "classes": [{"name": "all", "max_tokens": WINDOW, "pool": "all"}]}],
                "pools": {"all": {"endpoints": endpoints}}}
    file = folder / "truekeel.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    return Program([os.environ["TRUEKEEL_BIN"], "serve", "-c", file], folder / "gateway.log", "gateway")


def generated(url: str, session: str, body: dict) -> int:
    """Tokens of one answer, streamed or not."""
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(),
                                     {"content-type": "application/json", "x-truekeel-session": session})
    with urllib.request.urlopen(request, timeout=600) as answered:
        if not body.get("stream"):
            return json.load(answered)["usage"]["completion_tokens"]
        events = [line[6:] for line in answered.read().splitlines() if line.startswith(b"data: {")]
    return next(event["usage"]["completion_tokens"] for event in map(json.loads, reversed(events)) if event.get("usage"))


async def converse(url: str, clients: int, until: float, seed: int) -> Counter:
    """Tokens by kind."""
    tokens = Counter()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(clients))

    async def client(number: int) -> None:
        chance = random.Random(f"{seed} {number}")
        turn = 0
        while time.monotonic() < until:
            kind = chance.choices(record_tokens.KIND_NAMES, record_tokens.KIND_WEIGHTS)[0]
            body = {"model": "m", **record_tokens.body_of(kind, chance)}
            if chance.random() < 0.5:
                body |= {"stream": True, "stream_options": {"include_usage": True}}
            count = await asyncio.to_thread(generated, url, f"{number} {turn}", body)
            tokens[kind] += count
            turn += 1

    await asyncio.gather(*(client(number) for number in range(clients)))
    return tokens


def view(admin: str, name: str) -> dict:
    with urllib.request.urlopen(f"{admin}/api/v1/{name}") as answered:
        return json.load(answered)


def watch(engine: str, copies: int, seconds: float, seed: int) -> dict:
    with tempfile.TemporaryDirectory(prefix="truekeel-clean-") as temporary:
        folder, programs = Path(temporary), {}
        try:
            for copy in range(copies):
                for name, *how in SERVERS:
                    programs[f"{name}-{copy}"] = start_server(engine, f"{name}-{copy}", *how, folder)
            gateway = start_gateway(engine, {name: program.wait_ready().url for name, program in programs.items()}, folder)
            programs["gateway"] = gateway
            url = gateway.wait_ready().url
            admin = next(line for line in gateway.lines if "admin at" in line).split("admin at ")[1].split()[0].rstrip(",")
            clients = copies * sum(slots for _, slots, *_ in SERVERS)
            tokens = asyncio.run(converse(url, clients, time.monotonic() + seconds, seed))
            time.sleep(5)  # the last windows end
            signals, servers = view(admin, "signals"), view(admin, "coverage")["servers"]
        finally:
            for program in reversed(programs.values()):
                program.stop()
    lost = sum((Counter(server["tokens_lost"]) for server in servers), Counter())
    violated = sum(standing["violated"] for standing in signals["invariants"][engine].values())
    return {"bench": "clean", "engine": engine, "servers": len(servers), "generated": dict(tokens), "tokens_generated": tokens.total(),
            "tokens_special": sum(tokens[kind] for kind in ("thai", "chinese", "emoji", "stop")),
            "tokens_audited": sum(server["tokens"] for server in servers), "tokens_lost": dict(lost), "alarms": signals["alarms"],
            "culprits": signals["culprits"], "violated": violated, "log_threshold": signals["log_threshold"]}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench clean", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    parser.add_argument("--engine", choices=("llama.cpp", "truekeel"), default="llama.cpp", help="stock llama-servers (default) or workers")
    parser.add_argument("--copies", type=int, default=1, help=f"of the {len(SERVERS)} servers (default 1; they use {len(SERVERS) + 1} threads)")
    parser.add_argument("--seconds", type=float, default=300, help="of traffic (default 300)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    seen = watch(args.engine, args.copies, args.seconds, args.seed)
    print(json.dumps(seen) if args.json else "\n".join(f"{name:<18}{value}" for name, value in seen.items()))
    return 1 if seen["alarms"] or seen["culprits"] or seen["violated"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
