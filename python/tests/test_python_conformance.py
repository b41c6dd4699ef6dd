# SPDX-License-Identifier: Apache-2.0
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import truekeel
from truekeel import conformance
from truekeel.conformance.numpy_reference import NumpyReference

ROOT = Path(__file__).parents[2]


class Package:
    """`truekeel.select` itself, through numpy and the C interface."""

    semantics = NumpyReference.semantics | {"name": "truekeel for Python", "resolution": 2.0**-22, "smallest_weight": 2.0**-44}

    def draw(self, call):
        return [[self.draw_row(call, index, step) for index in range(len(call.rows))] for step in range(call.steps)]

    def draw_row(self, call, index, step):
        row = call.rows[index]
        bits = None if call.uniforms is None else call.uniforms[step, index]
        if bits is None and row.seed is None:
            bits = int.from_bytes(os.urandom(8))
        try:
            chosen = truekeel.select(
                row.logits,
                temperature=row.temperature,
                top_k=row.top_k or 0,
                top_p=row.top_p,
                min_p=row.min_p,
                presence=row.presence,
                frequency=row.frequency,
                repetition=row.repetition,
                history=row.history,
                bias=dict(row.bias),
                seeds=row.seed or 0,
                positions=row.position + step,
                bits=bits,
            )
        except truekeel.SelectError as error:
            return str(error)
        return int(chosen.ids)


@pytest.mark.parametrize("only", ["enumeration/top", "batch/size-9", "law/", "edge/n", "edge/top-p", "distribution/pen"])
def test_the_package_conforms(only):
    report = conformance.check(Package(), draws=500, only=only)
    assert report.conforms, report.failed


class TiesStay:
    """top-k by value alone: of [.4, .3, .3] it keeps three at k = 2."""

    semantics = {"name": "ties stay", "chain": ["top_k"], "seeding": "none"}

    def draw(self, call):
        rng = np.random.default_rng()
        return [[self.draw_row(row, rng) for row in call.rows] for _ in range(call.steps)]

    def draw_row(self, row, rng):
        logits = row.logits.astype(np.float64)
        if row.top_k:
            logits = np.where(logits < np.sort(logits)[-row.top_k], -np.inf, logits)
        weights = np.exp(logits - logits.max())
        return rng.choice(len(logits), p=weights / weights.sum())


def test_a_fault_is_reported_with_a_small_example():
    report = conformance.check(TiesStay(), draws=1000, only="distribution/top-k-ties-group")
    assert not report.conforms
    (failure,) = report.failed
    assert "weight 0" in failure["seen"]
    assert len(failure["example"][0]["logits"]) <= 8


def test_the_numpy_reference_conforms_as_a_process():
    run = subprocess.run(
        [os.environ["TRUEKEEL_CONFORMANCE"], "process", "--draws", "500", "--json", "--", sys.executable, "-m", "truekeel.conformance.numpy_reference"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "python")},
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["conforms"]
    assert report["passed"] > 100


def test_an_exception_is_an_answer():
    class Broken:
        semantics = {"name": "broken"}

        def draw(self, call):
            raise MemoryError("no room")

    out = io.StringIO()
    conformance.serve(Broken(), io.StringIO('{"op":"hello","protocol":1}\n{"op":"draw","id":1,"steps":1,"rows":[]}\n'), out)
    hello, answer = map(json.loads, out.getvalue().splitlines())
    assert hello["semantics"] == {"name": "broken"}
    assert answer == {"id": 1, "error": "MemoryError: no room"}


def test_misuse_is_told():
    with pytest.raises(RuntimeError, match="no check's name contains"):
        conformance.check(TiesStay(), only="no such check")
    with pytest.raises(RuntimeError, match="chain"):
        conformance.check(type("Wrong", (), {"semantics": {"name": "wrong", "chain": ["top_q"]}})())
    with pytest.raises(FileNotFoundError):
        conformance.check(TiesStay(), program="/no/such/program")
