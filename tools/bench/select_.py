"""Nanoseconds a row of token selection, beside llama.cpp, PyTorch, and the time to read the row once.

One core, pinned. Rows: recorded from the model at the start (peaked, typical and flat ones, by how many tokens hold nine tenths
of the mass), and synthetic ones of 32,768, 131,072 and 262,144 tokens, hot, in batches of 8 and 64, and from DRAM. Cases of one
configuration take turns; of each draw the least time counts, and of 16 draws the mean. Then the bars, each met or missed by the
worst kind of row that it holds for (a kind's ten rows count by their mean); exit code 1 when any is missed. Also: AVX2 alone, eight
shards in process, audit records.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

TOOLS = Path(__file__).parents[1]
BAR_VOCABULARY = 131072
ROWS_RECORDED, ROWS_OF_A_TYPE = 200, 10
# What a row is called: the last of these whose least share of the vocabulary its nine tenths of the mass take.
TYPES = {"peaked": 0, "typical": 0.0005, "flat": 0.02}
# Gaussian logits of width 3 keep 4 % of the vocabulary at top-p .9: as much as the flattest rows that the model writes.
FLAT = ("flat", "gaussian", "recorded flat")
LLAMA = {"top-p .9": "llama.cpp top-p .9",
         "top-k 40, top-p .9, temperature .8": "llama.cpp top-k 40, top-p .9, temperature .8"}


@dataclass
class Bar:
    name: str
    limit: float
    worst: float = 0
    where: str = ""
    at_least: bool = False  # the limit is a least value, not a largest one

    def judge(self, value: float, where: str) -> None:
        if not self.where or (value < self.worst if self.at_least else value > self.worst):
            self.worst, self.where = value, where

    @property
    def held(self) -> bool:
        return self.worst >= self.limit if self.at_least else self.worst <= self.limit


def type_of(share: float) -> str:
    return [name for name, least in TYPES.items() if share >= least][-1]


def pinned(command: list) -> list[str]:
    words = [str(word) for word in command]
    return ["taskset", "-c", str(max(os.sched_getaffinity(0))), *words] if shutil.which("taskset") else words


def run(command: list) -> list[dict]:
    """The objects that a program prints, one a line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def record(programs: Path, folder: Path) -> dict[str, tuple[Path, int]]:
    """Rows of the model by type: a file of each, and the vocabulary."""
    whole = folder / "rows.f32"
    index = run([programs / "record_rows", os.environ["TRUEKEEL_MODEL"], str(ROWS_RECORDED), whole])
    vocabulary, files = index[0]["vocabulary"], {}
    with whole.open("rb") as rows:
        for name in TYPES:
            chosen = [row["row"] for row in index if type_of(row["kept"] / vocabulary) == name]
            step = max(1, len(chosen) // ROWS_OF_A_TYPE)
            file = folder / f"{name}.f32"
            with file.open("wb") as out:
                for row in chosen[::step][:ROWS_OF_A_TYPE]:
                    rows.seek(row * vocabulary * 4)
                    out.write(rows.read(vocabulary * 4))
            if chosen:
                files[f"recorded {name}"] = (file, vocabulary)
    return files


def torch_times(files: dict[str, tuple[Path, int]], python: str) -> list[dict]:
    """Nothing where PyTorch is not installed."""
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0:
        return []
    found = []
    for shape, (file, vocabulary) in files.items():
        times = run(pinned([python, "-W", "ignore", TOOLS / "select" / "torch_times.py", file, vocabulary]))
        found += [{"vocabulary": vocabulary, "shape": shape, "place": "hot", "batch": 1, **time} for time in times]
    return found


def collect(args: argparse.Namespace, folder: Path) -> dict[str, list[dict]]:
    programs = Path(os.environ["TRUEKEEL_BUILD"]) / "src" / "select"
    bench = [programs / "select_bench", "--seconds", args.seconds]
    files = record(programs, folder)
    results = {"main": [], "avx2": [], "shards": run([*map(str, bench), "--shards", "--vocabulary", str(BAR_VOCABULARY)])}
    for name, more in (("main", []), ("avx2", ["--target", "AVX2"])):
        for shape, (file, vocabulary) in files.items():
            results[name] += run(pinned([*bench, "--rows", file, "--vocabulary", vocabulary, "--shape", shape, *more]))
    results["main"] += run(pinned(bench))
    results["avx2"] += run(pinned([*bench, "--target", "AVX2", "--vocabulary", BAR_VOCABULARY, "--hot-only"]))
    results["torch"] = torch_times(files, args.torch_python)
    return results


def by_row(results: list[dict]) -> dict[tuple, dict[str, dict]]:
    """Cases of each configuration by name."""
    rows: dict[tuple, dict[str, dict]] = {}
    for result in results:
        key = result["vocabulary"], result["shape"], result["place"], result["batch"]
        rows.setdefault(key, {})[result["case"]] = result
    return rows


def judge(results: list[dict]) -> list[Bar]:
    """The bars are for hot rows one by one: synthetic ones of 131,072 tokens, and what the model wrote."""
    reads = {name: Bar(f"{name}, reads", limit) for name, limit in
             {"greedy": 1.5, "top-k 40": 2.5, "top-k 40, top-p .9": 3, "temperature": 12}.items()}
    typical, flat = Bar("top-p .9 on peaked and typical rows, reads", 18), Bar("top-p .9 on flat rows, reads", 34)
    faster = {name: Bar(f"{name}, times as fast as llama.cpp", limit, at_least=True) for name, limit in
              {"top-p .9": 50, "top-k 40, top-p .9, temperature .8": 6}.items()}
    basic, full = Bar("basic record, extra %", 10), Bar("full record, extra in passes of temperature", 1)
    for (vocabulary, shape, place, batch), cases in by_row(results).items():
        if place != "hot" or batch != 1 or not (vocabulary == BAR_VOCABULARY or shape.startswith("recorded")):
            continue
        ns = {name: case["ns"] for name, case in cases.items()}
        for name, bar in reads.items():
            bar.judge(cases[name]["reads"], shape)
        (flat if shape in FLAT else typical).judge(cases["top-p .9"]["reads"], shape)
        for name, bar in faster.items():
            bar.judge(ns[LLAMA[name]] / ns[name], shape)
        for name in ("temperature", "top-p .9"):
            basic.judge(100 * (ns[name] / ns[f"{name}, no record"] - 1), f"{shape}, {name}")
        for name in ("temperature", "top-k 40", "top-p .9"):
            full.judge((ns[f"{name}, full record"] - ns[name]) / ns["temperature"], f"{shape}, {name}")
    return [*reads.values(), typical, flat, *faster.values(), basic, full]


def show(title: str, results: list[dict]) -> None:
    """One table: a line for each case, a column for each configuration, in microseconds and in reads."""
    rows = by_row(results)
    names = list(dict.fromkeys(result["case"] for result in results))
    for begin in range(0, len(rows), 5):
        part = dict(list(rows.items())[begin:begin + 5])
        print(f"\n{title}, us a row (x the time to read it)\n{'':<44}" + "".join(f"{shape:>20}" for _, shape, _, _ in part))
        print(f"{'':<44}" + "".join(f"{f'{vocabulary:,} {place} x{batch}':>20}" for vocabulary, _, place, batch in part))
        for name in names:
            cells = [cases.get(name) for cases in part.values()]
            texts = ["" if cell is None else f"{cell['ns'] / 1000:.1f}" + (f" ({cell['reads']:.1f})" if "reads" in cell else "")
                     + (f" {cell['bytes']} B" if "bytes" in cell else "") for cell in cells]
            if any(texts):
                print(f"{name:<44}" + "".join(f"{text:>20}" for text in texts))


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench select", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    parser.add_argument("--seconds", default="1.5", help="for each configuration and each recorded row (default 1.5)")
    parser.add_argument("--torch-python", default=sys.executable, help="a Python that has PyTorch (default: this one, if it has)")
    args = parser.parse_args(argv)

    with tempfile.TemporaryDirectory(prefix="truekeel-bench-") as folder:
        results = collect(args, Path(folder))
    bars = judge(results["main"])
    good = all(bar.held for bar in bars)
    if args.json:
        print(json.dumps({"bench": "select", "cpu": cpu(), "load": os.getloadavg()[0], "good": good,
                          "bars": [{**asdict(bar), "held": bar.held} for bar in bars], **results}))
        return 0 if good else 1
    print(f"{cpu()}, one core; load {os.getloadavg()[0]:.1f}")
    show("All SIMD targets", results["main"])
    show("AVX2", results["avx2"])
    show(f"In process, {os.cpu_count()} cores", results["shards"])
    if results["torch"]:
        show(f"PyTorch {results['torch'][0]['version']}, one thread", results["torch"])
    else:
        print("\nPyTorch is not installed here (pip install torch, or --torch-python)")
    print()
    for bar in bars:
        print(f"{'held  ' if bar.held else 'MISSED'} {bar.name}: {bar.worst:.2f} (bar {bar.limit:g}; worst: {bar.where})")
    return 0 if good else 1
