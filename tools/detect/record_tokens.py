"""Clean tokens of real workers, recorded as numbers for ./dev bench detect.

A recording holds no text and no token: logprobs of the top 20, the drawn token's own logprob and rank, the masses and the weight
of the audit record, and whether the draw fits its seed. It grows by whole requests, so that it can be interrupted and resumed.
"""

import argparse
import asyncio
import json
import os
import random
import struct
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("run", "golden")]
from processes import Program  # noqa: E402
from select_golden import draw_bits  # noqa: E402

# One request: MAGIC, server, kind, tokens, temperature, top_k, top_p; then its tokens. src/evidence/recording.h reads it.
MAGIC = 0x31524B54
REQUEST = struct.Struct("<IHHIfIf")
TOKEN = struct.Struct("<20f f I 3f f I")
WEIGHT_UNIT = 2.0**-44


@dataclass(frozen=True)
class Server:
    name: str
    flags: tuple
    streams: int


SERVERS = (Server("batch8", ("--threads", 1, "--parallel", 8), 8),
           Server("batch1", ("--threads", 1, "--parallel", 1), 1),
           Server("batch4-kv-q8_0", ("--threads", 1, "--parallel", 4, "--kv-type", "q8_0"), 4),
           Server("batch8-threads2", ("--threads", 2, "--parallel", 8), 8))
# Of all tokens, the share that each server gives: one slot is slow, and threads that wait for each other slower on busy cores.
SHARES = (0.55, 0.05, 0.36, 0.04)

SAMPLINGS = ({"temperature": 1.0}, {"temperature": 0.7, "top_k": 40, "top_p": 0.9}, {"temperature": 0.0})
SAMPLING_WEIGHTS = (4, 4, 2)
TOPICS = ("ships", "the moon", "bread", "chess", "rivers", "bees", "trains", "music", "winter", "maps", "numbers", "clocks", "a keel",
          "gardens", "volcanos", "letters", "the sea", "glass", "horses", "salt", "paper", "bridges", "dreams", "tea", "rain")
KINDS = {
    "english": ("Tell a story about {}.", "Explain {} to a child.", "Write five facts about {}.", "Write a poem about {}.",
                "Write an e-mail to a friend about {}."),
    "code": ("Write a Python class that models {}, with tests.", "Write JSON with ten records about {}."),
    "thai": ("เขียนเรื่องสั้นเป็นภาษาไทยเกี่ยวกับ {}", "Answer only in Thai: ทะเล ดวงจันทร์ น้ำ {}"),
    "chinese": ("请用中文写一个关于 {} 的故事。", "用中文列出关于 {} 的十个事实。"),
    "emoji": ("Write about {} with three emoji in every sentence: 🐈 🐕 🚢 🌊", "List twenty different emoji for {}, each with its name: 🐘 🦁"),
    "stop": ("Write ten short sentences about {}.", "Count slowly from one to fifty, with {}."),
}
KIND_NAMES = tuple(KINDS)
KIND_WEIGHTS = (5, 2, 2, 2, 2, 2)
MASK = (1 << 64) - 1


def body_of(kind: str, chance: random.Random) -> dict:
    """A question of this kind, as a client asks it."""
    text = chance.choice(KINDS[kind]).format(chance.choice(TOPICS))
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": chance.choice((64, 128, 192)),
            **chance.choices(SAMPLINGS, SAMPLING_WEIGHTS)[0]}
    if kind == "stop":
        body["stop"] = chance.choice((["."], ["\n"], ["ten", "fifty"]))
    return body


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answered:
        return json.load(answered)


def packed(server: int, kind: int, body: dict, answer: dict) -> bytes:
    choice = answer["choices"][0]
    records, draws, seed = choice["logprobs"]["content"], choice["audit"], answer["seed"]
    out = [REQUEST.pack(MAGIC, server, kind, len(records), body["temperature"], body.get("top_k", 0), body.get("top_p", 1.0))]
    for record, draw in zip(records, draws, strict=True):
        point = (draw_bits(seed, draw[0], 0) * draw[5]) >> 64
        out.append(TOKEN.pack(*(top["logprob"] for top in record["top_logprobs"]), record["logprob"], record["rank"], *draw[12:15],
                              draw[5] * WEIGHT_UNIT, draw[6] <= point < draw[7]))
    return b"".join(out)


def tokens_of(path: Path) -> int:
    """Whole requests of a recording; what an interruption left behind them is cut off."""
    if not path.exists():
        return 0
    data, at, tokens = path.read_bytes(), 0, 0
    while at + REQUEST.size <= len(data):
        count = REQUEST.unpack_from(data, at)[3]
        if at + REQUEST.size + count * TOKEN.size > len(data):
            break
        at, tokens = at + REQUEST.size + count * TOKEN.size, tokens + count
    os.truncate(path, at)
    return tokens


async def record(index: int, wanted: int, path: Path, until: float, folder: Path, seed: int) -> int:
    """Adds to a recording until it has so many tokens, or time is up; returns how many it has."""
    server, have = SERVERS[index], tokens_of(path)
    if have >= wanted or time.monotonic() >= until:
        return have
    program = Program([os.environ["TRUEKEEL_BIN"], "worker", "--model", os.environ["TRUEKEEL_MODEL"], "--port", "0", "--ctx", "1024",
                       *server.flags], folder / f"{server.name}.log", server.name)
    loop = asyncio.get_running_loop()
    try:
        url = (await loop.run_in_executor(None, program.wait_ready, 300)).url
        chance = random.Random(f"{server.name} {have} {seed}")
        with path.open("ab") as file:
            async def stream() -> None:
                nonlocal have
                while have < wanted and time.monotonic() < until:
                    kind = chance.choices(range(len(KIND_NAMES)), KIND_WEIGHTS)[0]
                    body = {**body_of(KIND_NAMES[kind], chance), "logprobs": True, "top_logprobs": 20, "audit": "full"}
                    answer = await asyncio.to_thread(post, url, body)
                    file.write(packed(index, kind, body, answer))
                    file.flush()
                    have += answer["usage"]["completion_tokens"]

            await asyncio.gather(*(stream() for _ in range(server.streams)))
    finally:
        program.stop()
    return have


async def record_all(folder: Path, tokens: int, seconds: float, seed: int = 1) -> dict[str, int]:
    """As many servers at once as there are cores. Returns the tokens of each recording."""
    folder.mkdir(parents=True, exist_ok=True)
    until, gate, result = time.monotonic() + seconds, asyncio.Semaphore(os.cpu_count() or 1), {}
    with tempfile.TemporaryDirectory(prefix="truekeel-record-") as logs:
        async def one(index: int) -> None:
            async with gate:
                name = SERVERS[index].name
                result[name] = await record(index, int(tokens * SHARES[index]), folder / f"{name}.rec", until, Path(logs), seed)
                print(f"{name}: {result[name]} tokens", file=sys.stderr, flush=True)

        await asyncio.gather(*(one(index) for index in range(len(SERVERS))))
    return result


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokens", type=int, default=310_000)
    parser.add_argument("--seconds", type=float, default=3600, help="stop then; run again to resume")
    parser.add_argument("--seed", type=int, default=1, help="of the questions; recordings of several seeds go together")
    args = parser.parse_args(argv)
    asyncio.run(record_all(args.folder, args.tokens, args.seconds, args.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
