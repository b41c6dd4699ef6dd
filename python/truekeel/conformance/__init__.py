# SPDX-License-Identifier: Apache-2.0
"""The conformance kit for samplers written in Python.

    from truekeel import conformance

    class Mine:
        semantics = {"name": "mine", "chain": ["temperature", "top_k"], "seeding": "none"}

        def draw(self, call):
            return [[my_sampler(row.logits, row.temperature, row.top_k) for row in call.rows]
                    for _ in range(call.steps)]

    report = conformance.check(Mine())
    assert report.conforms, report.failed

`check` runs the program `truekeel-conformance` and answers it from this process. `serve` answers on standard input and
output instead, for `truekeel-conformance process -- python3 mine.py`. docs/conformance.md states every field.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

import numpy as np

__all__ = ["Call", "Report", "Row", "Sampler", "check", "serve"]

PROTOCOL = 1


@dataclass(frozen=True)
class Row:
    """One row to draw from. Parameters that are None are off."""

    logits: np.ndarray  #: float32, shape (vocabulary,); may hold NaN and infinities
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    presence: float = 0.0
    frequency: float = 0.0
    repetition: float = 1.0
    bias: Sequence[tuple[int, float]] = ()
    history: Sequence[int] = ()
    seed: int | None = None
    position: int = 0


@dataclass(frozen=True)
class Call:
    """One batched call, to be made `steps` times: at step s each row stands at its position + s."""

    rows: Sequence[Row]
    steps: int = 1
    uniforms: np.ndarray | None = None  #: uint64, shape (steps, rows), fractions of 2^64; None: draw your own
    shards: Sequence[int] = ()
    threads: int = 1
    target: str = ""
    row_padding: int = 0


class Sampler(Protocol):
    """What a sampler must offer."""

    semantics: Mapping[str, Any]  #: what it promises; docs/conformance.md lists the fields

    def draw(self, call: Call) -> Sequence[Sequence[int | str]]:
        """`steps` lists of one token id per row; a string in place of an id refuses the row and says why.

        An exception means that the sampler is broken, and fails the check.
        """


@dataclass(frozen=True)
class Report:
    """What a run found. `raw` is the program's JSON report."""

    conforms: bool
    failed: list[dict[str, Any]] = field(repr=False)
    raw: dict[str, Any] = field(repr=False)


def _number(value: float | str) -> float:
    return float(value)  # "nan", "inf" and "-inf" are what JSON cannot say otherwise


def _row(sent: Mapping[str, Any]) -> Row:
    plain = {name: _number(sent[name]) for name in ("temperature", "top_p", "min_p", "presence", "frequency", "repetition") if name in sent}
    return Row(
        logits=np.array([_number(value) for value in sent["logits"]], dtype=np.float32),
        top_k=sent.get("top_k"),
        bias=[(int(token), _number(value)) for token, value in sent.get("bias", ())],
        history=sent.get("history", ()),
        seed=int(sent["seed"]) if "seed" in sent else None,
        position=int(sent["position"]),
        **plain,
    )


def _call(sent: Mapping[str, Any]) -> Call:
    rows = [_row(row) for row in sent["rows"]]
    uniforms = None
    if "uniforms" in sent:
        uniforms = np.array([int(value) for value in sent["uniforms"]], dtype=np.uint64).reshape(sent["steps"], len(rows))
    return Call(rows, sent["steps"], uniforms, sent.get("shards", ()), sent.get("threads", 1), sent.get("target", ""), sent.get("row_padding", 0))


def _answer(sampler: Sampler, sent: Mapping[str, Any]) -> dict[str, Any]:
    if sent["op"] == "hello":
        return {"protocol": PROTOCOL, "semantics": dict(sampler.semantics)}
    try:
        drawn = sampler.draw(_call(sent))
        return {"id": sent["id"], "tokens": [[one if isinstance(one, str) else int(one) for one in step] for step in drawn]}
    except Exception as error:  # whatever a sampler does wrong is a finding, not the end of the run
        return {"id": sent["id"], "error": f"{type(error).__name__}: {error}"}


def serve(sampler: Sampler, lines_in: TextIO | None = None, lines_out: TextIO | None = None) -> None:
    """Answers the kit until it closes its end. Prints of the sampler go to standard error."""
    if lines_out is None:
        lines_out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in lines_in or sys.stdin:
        lines_out.write(json.dumps(_answer(sampler, json.loads(line))) + "\n")
        lines_out.flush()


def _program(program: str | None) -> str:
    found = program or os.environ.get("TRUEKEEL_CONFORMANCE") or shutil.which("truekeel-conformance")
    if not found:
        raise FileNotFoundError("truekeel-conformance is neither in PATH nor named by TRUEKEEL_CONFORMANCE")
    return found


def check(sampler: Sampler, *, draws: int = 20_000, alpha: float = 1e-6, only: str = "", seed: int = 1, program: str | None = None) -> Report:
    """Holds `sampler` to its declared semantics and returns the report.

    draws    of each statistical check
    alpha    bound on the probability that a correct sampler fails, over the whole run
    only     run the checks whose name contains this
    program  path of truekeel-conformance; default: $TRUEKEEL_CONFORMANCE, then PATH

    Raises FileNotFoundError when the program is not found, RuntimeError when it could not run.
    """
    if not (draws >= 100 and 0 < alpha <= 0.5 and math.isfinite(alpha)):
        raise ValueError("draws must be at least 100, alpha in (0, 0.5]")
    with tempfile.NamedTemporaryFile(suffix=".json") as output:
        command = [_program(program), "stdio", "--json", "--output", output.name, "--draws", str(draws), "--alpha", str(alpha), "--seed", str(seed)]
        if only:
            command += ["--only", only]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as kit:
            serve(sampler, kit.stdout, kit.stdin)
            words = kit.stderr.read()
        if kit.returncode not in (0, 1, 3):
            raise RuntimeError(f"truekeel-conformance ended with {kit.returncode}: {words.strip()}")
        raw = json.load(output)
    return Report(raw["conforms"], [one for one in raw["checks"] if one["status"] == "failed"], raw)
