# SPDX-License-Identifier: Apache-2.0
"""Nanoseconds a row of token selection in PyTorch, on one thread: torch_times.py FILE VOCABULARY. Prints one JSON object a line.

The rows are fp32, one after the other in the file. The least time of each row counts, and of all rows the mean.
"""

import json
import sys
import time

import torch

MASS, K, TEMPERATURE, REPEATS = 0.9, 40, 0.8, 7


def top_p_mask(sorted_logits: torch.Tensor) -> torch.Tensor:
    """True for what is removed from logits that descend: what comes after the mass is reached."""
    probabilities = sorted_logits.softmax(dim=-1)
    return probabilities.cumsum(dim=-1) - probabilities >= MASS


def draw(logits: torch.Tensor) -> int:
    return int(torch.multinomial(logits.softmax(dim=-1), 1))


def greedy(row: torch.Tensor) -> int:
    return int(row.argmax())


def temperature(row: torch.Tensor) -> int:
    return draw(row)


def top_k(row: torch.Tensor) -> int:
    values, ids = row.topk(K)
    return int(ids[draw(values)])


def top_k_top_p(row: torch.Tensor) -> int:
    values, ids = row.topk(K)
    return int(ids[draw(values.masked_fill(top_p_mask(values), -torch.inf) / TEMPERATURE)])


def top_p(row: torch.Tensor) -> int:
    values, ids = row.sort(descending=True)
    return int(ids[draw(values.masked_fill(top_p_mask(values), -torch.inf))])


CASES = {"greedy": greedy, "top-k 40": top_k, "top-k 40, top-p .9, temperature .8": top_k_top_p, "temperature": temperature, "top-p .9": top_p}


def least_ns(select, row: torch.Tensor) -> int:
    best = sys.maxsize
    for _ in range(REPEATS):
        began = time.perf_counter_ns()
        select(row)
        best = min(best, time.perf_counter_ns() - began)
    return best


def main(file: str, vocabulary: int) -> None:
    torch.set_num_threads(1)
    rows = torch.frombuffer(bytearray(open(file, "rb").read()), dtype=torch.float32).reshape(-1, vocabulary)
    for name, select in CASES.items():
        ns = sum(least_ns(select, row) for row in rows) / len(rows)
        print(json.dumps({"case": f"PyTorch {name}", "ns": round(ns), "version": torch.__version__}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
