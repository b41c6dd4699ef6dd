# SPDX-License-Identifier: Apache-2.0
"""Joins PyTorch to the conformance kit: Hugging Face's logits warpers, then a draw.

    pip install ./python torch transformers
    truekeel-conformance process -- python3 examples/conformance_torch.py --draw multinomial
    truekeel-conformance process -- python3 examples/conformance_torch.py --draw exponential --batch 65

--draw multinomial  torch.multinomial on softmax, as transformers does
--draw exponential  argmax of probability / exponential noise, as many inference engines do to spare a synchronisation
--batch N           rows in one call; above 1 the rows share one generator, and seeds cannot be honoured
"""

import argparse
import warnings

import torch
import transformers
from transformers.generation import logits_process as hf

from truekeel.conformance import Call, Row, serve

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Torch:
    def __init__(self, draw: str, dtype: str, batch: int) -> None:
        self.exponential = draw == "exponential"
        self.dtype = DTYPES[dtype]
        self.unseeded = torch.Generator().manual_seed(1)
        # Exponential noise leaves no probability tensor that could be checked: NaN goes through.
        refused = "undefined" if self.exponential else "refused"
        self.semantics = {
            "name": f"PyTorch {draw} after Hugging Face warpers",
            "version": f"torch {torch.__version__}, transformers {transformers.__version__}, {dtype}",
            "chain": ["temperature", "top_k", "top_p", "min_p"],
            "top_k_ties": "keep_all",  # "scores < kth score" is removed
            "top_p_ties": "any",  # torch.sort is not stable
            "greedy_ties": "any",
            "top_p_rule": "reaches",  # cumulative mass from below <= 1 - p is removed
            "seeding": "stream" if batch == 1 else "none",
            "resolution": 1e-6,
            "dtype": dtype,
            "batch_max": batch,
            "edges": {
                "nan_logit": refused,
                "plus_infinity": refused,
                "all_forbidden": refused,
                "temperature_zero": "refused",
                "temperature_negative": "refused",
                "temperature_nan": "refused",
                "top_k_zero": "off",
                "top_k_negative": "refused",
                "top_p_zero": "greedy",
                "top_p_above_one": "off",
            },
        }

    def warped(self, row: Row) -> torch.Tensor:
        """Scores of one row, through the warpers that `generate` would build. Raises ValueError as they do."""
        scores = torch.from_numpy(row.logits).to(self.dtype)[None]
        warpers = []
        if row.temperature != 1:
            warpers.append(hf.TemperatureLogitsWarper(float(row.temperature)))
        if row.top_k is not None and row.top_k != 0:
            warpers.append(hf.TopKLogitsWarper(top_k=row.top_k))
        if row.top_p < 1:
            warpers.append(hf.TopPLogitsWarper(top_p=row.top_p))
        if row.min_p > 0:
            warpers.append(hf.MinPLogitsWarper(min_p=row.min_p))
        for warper in warpers:
            scores = warper(None, scores)
        return scores[0]

    def draw_once(self, probabilities: torch.Tensor, generator: torch.Generator) -> list[int]:
        if not self.exponential:
            return torch.multinomial(probabilities, 1, generator=generator)[:, 0].tolist()
        noise = torch.empty_like(probabilities).exponential_(1, generator=generator)
        return (probabilities / noise).argmax(dim=-1).tolist()

    def draw(self, call: Call) -> list[list[int | str]]:
        refusals: dict[int, str] = {}
        scores = []
        for index, row in enumerate(call.rows):
            try:
                scores.append(self.warped(row))
            except ValueError as error:
                refusals[index] = str(error)
        drawn_rows = [index for index in range(len(call.rows)) if index not in refusals]
        steps: list[list[int | str]] = [[refusals.get(index, "") for index in range(len(call.rows))] for _ in range(call.steps)]
        if not drawn_rows:
            return steps
        probabilities = torch.softmax(torch.stack(scores), dim=-1)
        generator = self.unseeded
        if call.rows[0].seed is not None and self.semantics["seeding"] == "stream":
            generator = torch.Generator().manual_seed(call.rows[0].seed & (2**63 - 1))
        for step in steps:
            try:
                tokens = self.draw_once(probabilities, generator)
            except RuntimeError as error:  # multinomial refuses NaN and infinities for the whole batch
                tokens = [str(error)] * len(drawn_rows)
            for index, token in zip(drawn_rows, tokens, strict=True):
                step[index] = token
        return steps


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draw", choices=["multinomial", "exponential"], default="multinomial")
    parser.add_argument("--dtype", choices=list(DTYPES), default="fp32")
    parser.add_argument("--batch", type=int, default=1)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    serve(Torch(args.draw, args.dtype, args.batch))
