# SPDX-License-Identifier: Apache-2.0
"""A plain sampler in numpy, in double precision: an example of an adapter, and a second opinion on the kit.

    truekeel-conformance process -- python3 -m truekeel.conformance.numpy_reference
"""

from __future__ import annotations

import numpy as np

from truekeel.conformance import Call, Row, serve

_SMALLEST_TEMPERATURE = 1e-9


def _adjusted(row: Row) -> np.ndarray:
    """Logits after bias and penalties; raises ValueError for a row that has no distribution."""
    logits = row.logits.astype(np.float64)
    if np.isnan(logits).any():
        raise ValueError(f"logit of token {int(np.argmax(np.isnan(logits)))} is NaN")
    if np.isposinf(logits).any():
        raise ValueError("a logit is +inf")
    if np.isneginf(logits).all():
        raise ValueError("every token is forbidden")
    for token, bias in row.bias:
        logits[token] += bias
    if len(row.history) > 0:
        tokens, counts = np.unique(np.asarray(row.history), return_counts=True)
        seen = logits[tokens]
        seen = np.where(seen > 0, seen / row.repetition, seen * row.repetition)
        logits[tokens] = seen - row.presence - row.frequency * counts
    return logits


def distribution(row: Row) -> np.ndarray:
    """Probabilities in the order: bias, penalties, temperature, top-k, top-p, min-p; ties are cut by id.

    Returns float64 of shape (vocabulary,). Raises ValueError for a row that must be refused.
    """
    logits = _adjusted(row)
    if row.temperature != 0 and not row.temperature >= _SMALLEST_TEMPERATURE:
        raise ValueError(f"temperature {row.temperature}")
    if not 0 <= row.top_p <= 1 or (row.top_k or 0) < 0:
        raise ValueError("top_p must be in [0, 1], top_k at least 0")
    order = np.argsort(-logits, kind="stable")  # stable: ties by id
    if row.temperature == 0:
        kept = order[:1]
    else:
        kept = order[: row.top_k or None]
    weights = np.exp((logits[kept] - logits[kept[0]]) / (row.temperature or 1))
    if row.top_p < 1:
        reached = np.cumsum(weights) >= row.top_p * weights.sum()
        kept = kept[: int(np.argmax(reached)) + 1]
        weights = weights[: len(kept)]
    kept, weights = kept[weights >= row.min_p], weights[weights >= row.min_p]
    result = np.zeros(len(logits))
    result[kept] = weights / weights.sum()
    return result


class NumpyReference:
    """Inverse CDF in id order; seeds through numpy's Philox, keyed by (seed, position)."""

    semantics = {
        "name": "numpy",
        "version": np.__version__,
        "injects": True,
        "seeding": "keyed",
        "interval_order": "by_id",
        "resolution": 1e-12,
        "batch_max": 65,
        "batch_invariant": True,
        "edges": {
            "nan_logit": "refused",
            "plus_infinity": "refused",
            "all_forbidden": "refused",
            "temperature_zero": "greedy",
            "temperature_negative": "refused",
            "temperature_nan": "refused",
            "top_k_zero": "off",
            "top_k_negative": "refused",
            "top_p_zero": "greedy",
            "top_p_above_one": "refused",
        },
    }

    def __init__(self) -> None:
        self._unseeded = np.random.default_rng()

    def _uniforms(self, call: Call, index: int) -> np.ndarray:
        """One uniform in [0, 1) for each step of a row."""
        row = call.rows[index]
        if call.uniforms is not None:
            return (call.uniforms[:, index] >> np.uint64(11)).astype(np.float64) * 2.0**-53
        if row.seed is None:
            return self._unseeded.random(call.steps)
        # A block of Philox's counter holds four numbers: the position is the block, its first number the draw.
        generator = np.random.Philox(key=row.seed, counter=row.position)
        return (generator.random_raw(4 * call.steps)[::4] >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _draw_row(self, call: Call, index: int) -> list[int] | list[str]:
        try:
            sums = np.cumsum(distribution(call.rows[index]))
        except ValueError as error:
            return [str(error)] * call.steps
        # A scaled uniform stays below the last sum, so that no search ends past the last token of weight above 0.
        return np.searchsorted(sums, self._uniforms(call, index) * sums[-1], side="right").tolist()

    def draw(self, call: Call) -> list[list[int | str]]:
        by_row = [self._draw_row(call, index) for index in range(len(call.rows))]
        return [list(step) for step in zip(*by_row, strict=True)]


if __name__ == "__main__":
    serve(NumpyReference())
