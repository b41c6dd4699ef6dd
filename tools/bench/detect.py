"""How fast faults are found, how often clean servers are accused, what the audit costs: on a real model, with the product's thresholds.

Clean answers of real workers (several batch sizes, threads and KV types; English, code, Thai, Chinese, emoji, stop strings) are
recorded once, as numbers without text, into the cache, and played once each with the lattice on. At every position of further
answers 256 more tokens are drawn by the worker's own selection, and what each fault would have emitted is recorded, all from the
real logits. Then real drills, one for each seed. Recordings grow over several runs; a bar that rests on fewer tokens than it asks
for is not judged. Exit code 1 when a bar is missed, 3 when none is but some could not be judged.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "detect"))
import record_tokens  # noqa: E402

CLEAN_TOKENS, CLEAN_SPECIAL, REDRAWN_TOKENS = 300_000, 100_000, 10_000_000
ROWS, ROWS_LEAST = 60_000, 2_000
ROW_BYTES, REDRAWS_BYTES = 172, 256 * 8
# Kinds of answers whose tokens end inside characters, or that a stop string ends.
SPECIAL = ("thai", "chinese", "emoji", "stop")
# (traffic, fault): median tokens to the alarm at .8 %.
BARS = {
    **{("T .7, k 40, p .9, top 20", fault): 750 for fault in ("tail, uniform ids", "tail, proportional", "tail, other scripts")},
    ("T .7, k 40, p .9, top 20", "top-1 excluded"): 1_250,
    **{("T .7, k 40, p .9, full record", fault): 750 for fault in ("tail, uniform ids", "tail, proportional", "tail, other scripts")},
    ("T .7, k 40, p .9, full record", "top-1 excluded"): 1_250,
    ("T 1, full record", "tail, proportional"): 9_000,
    ("T 1, top 20", "tail, proportional"): 40_000,
    ("T 1, top 20", "top-1 excluded"): 40_000,
    ("T 0, top 20", "top-1 excluded"): 1_200,
    ("served .7, declared 1, top 20", "another temperature"): 750,
}
DRILL_TTD_S = 180
COST_US = 2.0


def cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "truekeel" / "recordings"


def lines_of(command: list) -> list[dict]:
    """The objects that a program prints, one a line."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows_of(path: Path) -> int:
    """Positions of a recording of faults; what an interruption left behind them is cut off."""
    if not path.exists():
        return 0
    data, at, rows = path.read_bytes(), 0, 0
    while at + record_tokens.REQUEST.size <= len(data):
        count, temperature = record_tokens.REQUEST.unpack_from(data, at)[3:5]
        end = at + record_tokens.REQUEST.size + count * (ROW_BYTES + (REDRAWS_BYTES if temperature > 0 else 0))
        if end > len(data):
            break
        at, rows = end, rows + count
    os.truncate(path, at)
    return rows


def judge_clean(bar: str, found: list[dict], least: int, special_least: int) -> dict:
    about, product, others = found[0], found[1], found[2:]
    special = sum(about["kinds"][record_tokens.KIND_NAMES.index(kind)] for kind in SPECIAL)
    # At a threshold far below the product's, alarms may come, but no more than promised.
    kept = product["alarms"] == 0 and about["draws_that_do_not_fit"] == 0 and all(each["alarms"] <= each["promised"] for each in others)
    enough = about["tokens"] >= least and special >= special_least
    return {"bar": bar, "good": False if not kept else True if enough else None, "special": special, **about, "plays": found[1:]}


def judge_delay(row: dict) -> dict:
    bar = BARS.get((row["traffic"], row["fault"])) if row["rate"] in (0.008, 1) else None
    good = None if bar is None or row["rows"] < ROWS_LEAST else row["median"] <= bar
    return {**row, "bar": bar, "good": good, "ratio": round(row["median"] / row["limit"], 2) if row["limit"] else None}


def run_drill(kind: str, seed: int) -> dict:
    run = subprocess.run([os.environ["TRUEKEEL_BIN"], "drill", "run", kind, "--seed", str(seed), "--json"], stdout=subprocess.PIPE, text=True)
    return json.loads(run.stdout) if run.stdout else {"drill": kind, "seed": seed, "detected": False, "failed": run.returncode}


def judge_drills(reports: list[dict], wanted: int) -> dict:
    times = [report["ttd_s"] for report in reports if report.get("ttd_s") is not None]
    good = all(report["detected"] and report["culprit_correct"] and report["false_alarms"] == 0 for report in reports)
    median = statistics.median(times) if times else None
    good = good and median is not None and median <= DRILL_TTD_S
    return {"bar": "drills", "good": good if len(reports) >= wanted or not good else None, "median_ttd_s": median, "reports": reports}


def cost(build: Path) -> dict:
    """Nanoseconds of CPU a token: reading its records with the top 20, and the audit of them."""
    ns = {}
    for program, pattern in (("protocol/protocol_bench", "token_records/top:20/audit:1"), ("evidence/evidence_bench", "audit_token/(chat|plain_full)$")):
        run = subprocess.run([build / "src" / program, f"--benchmark_filter={pattern}", "--benchmark_format=json", "--benchmark_repetitions=5"],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
        for bench in json.loads(run.stdout)["benchmarks"]:
            if bench["run_type"] == "iteration":
                ns[bench["run_name"]] = min(ns.get(bench["run_name"], float("inf")), bench["cpu_time"])
    records, audits = (max((value for name, value in ns.items() if name.startswith(start)), default=0) for start in ("token_records", "audit_token"))
    return {"bar": "cost", "good": (records + audits) / 1000 <= COST_US, "read_ns": round(records), "audit_ns": round(audits)}


def show(verdict: dict) -> None:
    mark = {True: "held  ", False: "MISSED", None: "      "}[verdict["good"]]
    if "traffic" in verdict:
        print(f"{mark} {verdict['traffic']:<30} {verdict['fault']:<20} {100 * verdict['rate']:>5.1f} %  median {verdict['median']:>9,}  90 % {verdict['p90']:>9,}  "
              f"limit {verdict['limit'] or '-':>9}  ratio {verdict['ratio'] or '-'}  bar {verdict['bar'] or '-'}", flush=True)
    else:
        print(mark, json.dumps({name: value for name, value in verdict.items() if name != "good"}), flush=True)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench detect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    parser.add_argument("--record-seconds", type=float, default=3600, help="stop recording clean answers then; the next run goes on (default 3600)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"positions with faults to record (default {ROWS})")
    parser.add_argument("--runs", type=int, default=101, help="of each delay (default 101: a standard error of about 8 %% of the median)")
    parser.add_argument("--drills", type=int, default=10, help="seeds of drills of each kind (default 10)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)

    build, folder = Path(os.environ["TRUEKEEL_BUILD"]), cache()
    asyncio.run(record_tokens.record_all(folder, int(CLEAN_TOKENS * 1.03), args.record_seconds))
    rows = folder / "faults.rec"
    if (have := rows_of(rows)) < args.rows:
        subprocess.run([build / "src/worker/fault_rows_bench", os.environ["TRUEKEEL_MODEL"], rows, str(args.rows - have), str(1 + have)], check=True)
    verdicts = []

    def add(verdict: dict) -> None:
        verdicts.append(verdict)
        if not args.json:
            show(verdict)

    bench = build / "src/evidence/recorded_bench"
    recordings = [folder / f"{server.name}.rec" for server in record_tokens.SERVERS if (folder / f"{server.name}.rec").exists()]
    add(judge_clean("clean", lines_of([bench, "clean", args.seed, *recordings]), CLEAN_TOKENS, CLEAN_SPECIAL))
    redrawn = lines_of([bench, "redrawn", args.seed, rows])
    add(judge_clean("redrawn", redrawn, REDRAWN_TOKENS, 0))
    for row in lines_of([bench, "delay", args.runs, args.seed, redrawn[1]["log_threshold"], rows]):
        add(judge_delay(row))
    add(cost(build))
    if args.drills > 0:
        for kind in ("corruption", "topk"):
            add(judge_drills([run_drill(kind, seed) for seed in range(args.seed, args.seed + args.drills)], 10))
    if args.json:
        print(json.dumps({"bench": "detect", "good": all(each["good"] is not False for each in verdicts), "verdicts": verdicts}))
    judged = [each["good"] for each in verdicts if each["good"] is not None or each.get("bar") is not None]
    return 1 if False in judged else 3 if None in judged else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
