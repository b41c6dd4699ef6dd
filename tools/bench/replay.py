"""How far clean answers lie from their fast replay: what the tolerance of `POST /v1/replay` rests on.

Generates answers of every kind of sampling with `truekeel worker`, replays each in fast mode, and gives the distances of the
draws that fell on another token. Each answer is replayed under a wrong seed too: the share of its tokens that then lie beyond the
tolerance is the power of one token. Given tokens go in pieces of --piece: by default more than the worker's own, since in small
pieces some machines have the bits of decoding, and then there is nothing to measure. Exit code 1 when a clean difference lies
beyond the tolerance, 3 when there is no clean difference at all.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "run"))
from processes import Program  # noqa: E402

SLOTS = 8
SAMPLINGS = {
    "plain": {},
    "temperature 0.7": {"temperature": 0.7},
    "temperature 1.4": {"temperature": 1.4},
    "k 40, p .95, min-p .05, T .8": {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
    "top-p .9": {"top_p": 0.9},
    "penalties": {"presence_penalty": 1, "frequency_penalty": 0.5},
    "temperature 0": {"temperature": 0},
}
TOPICS = ["a lighthouse", "prime numbers", "the Moon", "a bakery", "sorting a list in Python", "an old library", "glaciers", "a chess game"]


def post(url: str, path: str, body: dict) -> dict:
    request = urllib.request.Request(url + path, data=json.dumps(body).encode(), headers={"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request))


def replay_one(url: str, seed: int, sampling: dict, tokens: int) -> dict:
    """The distances of one answer's differences, under its own seed and under another."""
    chance = random.Random(seed)
    text = f"Write about {chance.choice(TOPICS)}, and mention the number {chance.randrange(10_000)}."
    request = {"messages": [{"role": "user", "content": text}], "max_tokens": tokens, "seed": seed, **sampling}
    answer = post(url, "/v1/chat/completions", {**request, "return_token_ids": True})
    given = {**request, "tokens": answer["choices"][0]["token_ids"], "mode": "fast"}
    clean = post(url, "/v1/replay", given)
    wrong = post(url, "/v1/replay", {**given, "seed": seed + 1})
    return {"tokens": clean["summary"]["tokens"], "tolerance": clean["summary"]["tolerance"],
            "clean": [each["distance"] for each in clean["differences"]],
            "wrong": [each["distance"] for each in wrong["differences"]]}


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)] if values else 0.0


def summarise(name: str, replays: list[dict]) -> dict:
    tokens = sum(each["tokens"] for each in replays)
    clean = [distance for each in replays for distance in each["clean"]]
    beyond = sum(distance > replays[0]["tolerance"] for each in replays for distance in each["wrong"])
    return {"sampling": name, "answers": len(replays), "tokens": tokens, "different": len(clean), "median": quantile(clean, 0.5),
            "q99": quantile(clean, 0.99), "max": max(clean, default=0.0), "power_of_one_token": beyond / max(tokens, 1),
            "largest": sorted(clean)[-5:]}


def judge(results: list[dict], tolerance: float) -> tuple[bool | None, str]:
    """Whether every clean difference lies within the tolerance; None where there was none to tell by."""
    tokens, different = (sum(row[of] for row in results) for of in ("tokens", "different"))
    if different == 0:
        return None, f"not tested: none of {tokens} clean tokens differs"
    largest = max(row["max"] for row in results)
    return largest <= tolerance, f"{different} of {tokens} clean tokens differ, at most {largest:.4f} away; tolerance {tolerance}"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench replay", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    parser.add_argument("--answers", type=int, default=16, help="of each kind of sampling (default 16)")
    parser.add_argument("--tokens", type=int, default=128, help="of each answer at most (default 128)")
    parser.add_argument("--threads", type=int, default=1, help="of the worker (default 1)")
    parser.add_argument("--piece", type=int, default=128, help="given tokens that are computed at once (default 128)")
    parser.add_argument("--seed", type=int, default=1, help="of the first answer (default 1)")
    args = parser.parse_args(argv)

    results = []
    with tempfile.TemporaryDirectory(prefix="truekeel-bench-") as folder:
        worker = Program([os.environ["TRUEKEEL_BIN"], "worker", "--model", os.environ["TRUEKEEL_MODEL"], "--port", "0", "--ctx", 1024,
                          "--parallel", SLOTS, "--threads", args.threads, "--given-piece", args.piece], Path(folder) / "worker.log", "worker").wait_ready()
        try:
            for name, sampling in SAMPLINGS.items():
                with ThreadPoolExecutor(SLOTS) as pool:
                    replays = list(pool.map(lambda i: replay_one(worker.url, args.seed + i, sampling, args.tokens), range(args.answers)))
                results.append(summarise(name, replays))
                tolerance = replays[0]["tolerance"]
                if not args.json:
                    row = results[-1]
                    print(f"{name:<30}{row['tokens']:>7} tokens {row['different']:>5} different: median {row['median']:.4f}, q99 {row['q99']:.3f}, "
                          f"max {row['max']:.3f}; power {row['power_of_one_token']:.2f}", flush=True)
        finally:
            worker.stop()
    good, said = judge(results, tolerance)
    if args.json:
        print(json.dumps({"bench": "replay", "good": good, "piece": args.piece, "tolerance": tolerance, "results": results}))
    else:
        print(said)
    return {True: 0, False: 1, None: 3}[good]
