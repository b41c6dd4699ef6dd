# SPDX-License-Identifier: Apache-2.0
"""`select` over numpy arrays."""

from __future__ import annotations

import ctypes as c
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from truekeel import _native as native

_CHOICE = np.dtype(native.Choice)
_FULL = np.dtype(native.Full)


@dataclass(frozen=True)
class Failure:
    """Why one row has no token."""

    row: int
    fault: int  #: TK_SELECT_... of the C interface
    token: int | None  #: where the fault lies, if at a token
    text: str


class SelectError(ValueError):
    """Rows that have no distribution, or arguments that the library refuses. `failures` names each row."""

    def __init__(self, message: str, failures: Sequence[Failure] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


@dataclass(frozen=True)
class FullRecords:
    """The tokens in the raw distribution, before bias, penalties, mask, temperature and filters. Shapes as Selection's."""

    logprob: np.ndarray  #: float64
    normaliser: np.ndarray  #: float64, log-sum-exp of the row
    top_id: np.ndarray  #: int64
    top_margin: np.ndarray  #: float64, nats below the top logit
    tail_mass: np.ndarray  #: float64, one axis more: mass of tokens below 1e-3, 1e-4, 1e-5


@dataclass(frozen=True)
class Selection:
    """Tokens with their audit records: arrays of shape (rows,), or of shape () for a single row."""

    ids: np.ndarray  #: int64
    rank: np.ndarray  #: int64, tokens before it in the order (logit descending, id ascending)
    kept_count: np.ndarray  #: int64, tokens that the filters kept
    kept_weight: np.ndarray  #: uint64, their weights' sum in units of 2^-44 of the top token's
    begin: np.ndarray  #: uint64, the interval that holds floor(bits * kept_weight / 2^64)
    end: np.ndarray  #: uint64
    bits: np.ndarray  #: uint64, the draw
    full: FullRecords | None = field(default=None, repr=False)

    @property
    def probability(self) -> np.ndarray:
        """Of each token in what was kept, float64."""
        return (self.end - self.begin) / self.kept_weight


def version() -> str:
    """Of the compiled library."""
    return native.library.tk_select_version().decode()


def draw_bits(seeds: ArrayLike, positions: ArrayLike = 0, stream: int = 0) -> np.ndarray:
    """64 uniform bits for each (seed, position) under one stream, broadcast against each other; uint64."""
    seeds, positions = np.broadcast_arrays(np.asarray(seeds, dtype=np.uint64), np.asarray(positions, dtype=np.uint64))
    bits = [native.library.tk_select_draw(int(seed), int(at), stream) for seed, at in zip(seeds.flat, positions.flat, strict=True)]
    return np.array(bits, dtype=np.uint64).reshape(seeds.shape)


def select(
    logits: np.ndarray,
    *,
    temperature: ArrayLike = 1.0,
    top_k: ArrayLike = 0,
    top_p: ArrayLike = 1.0,
    min_p: ArrayLike = 0.0,
    repetition: ArrayLike = 1.0,
    frequency: ArrayLike = 0.0,
    presence: ArrayLike = 0.0,
    history: Sequence[int] | Sequence[Sequence[int]] = (),
    bias: Mapping[int, float] | Sequence[Mapping[int, float]] = (),
    allowed: np.ndarray | None = None,
    chain: str = "standard",
    seeds: ArrayLike = 0,
    positions: ArrayLike = 0,
    stream: int = 0,
    bits: ArrayLike | None = None,
    full: bool = False,
) -> Selection:
    """Chooses one token for each row.

    logits      float32, float16, or bfloat16 (ml_dtypes, or uint16 read as such), shape (vocabulary,) or (rows,
                vocabulary). Read in place where a row lies in one piece, as in a slice of a padded vocabulary.
    temperature, top_k, top_p, min_p, repetition, frequency, presence
                numbers, or arrays of shape (rows,). temperature 0 is greedy, ties to the lower id; top_k 0 is off.
    history     tokens so far, which the penalties count: one list, or one for each row
    bias        {token: added to its logit}, or one mapping for each row
    allowed     bool, shape (vocabulary,) or (rows, vocabulary); tokens where it is False are forbidden
    chain       order of operations: "standard", "llama.cpp", "vllm", "hf", or names joined by commas
    seeds, positions, stream
                key of the draw: numbers, or arrays of shape (rows,)
    bits        uint64, shape (rows,): the draw itself, in place of seeds
    full        also return records of the raw distribution, at about one pass over the row more

    Raises SelectError when a row has no distribution (NaN, +inf, every token forbidden) or a parameter is out of its
    range, TypeError for a dtype and ValueError for a shape that is not supported.
    """
    rows, dtype = _rows_of(logits)
    count, vocabulary = rows.shape
    params = _Parameters(count, vocabulary, chain)
    params.set_numbers(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, repetition=repetition, frequency=frequency, presence=presence)
    params.set_history(history)
    params.set_bias(bias)
    params.set_allowed(allowed)
    drawn = draw_bits(seeds, positions, stream) if bits is None else np.asarray(bits, dtype=np.uint64)
    drawn = np.ascontiguousarray(np.broadcast_to(drawn, (count,)))

    choices = np.zeros(count, dtype=_CHOICE)
    records = np.zeros(count if full else 0, dtype=_FULL)
    workspace = np.empty(native.library.tk_select_workspace_bytes(vocabulary), dtype=np.uint8)
    call = native.Call(
        struct_size=c.sizeof(native.Call),
        dtype=dtype,
        logits=rows.ctypes.data,
        rows=count,
        vocabulary=vocabulary,
        stride=rows.strides[0] // rows.itemsize if count > 1 else vocabulary,
        params=params.array,
        params_count=count,
        choice_size=_CHOICE.itemsize,
        draws=drawn.ctypes.data,
        workspace=workspace.ctypes.data,
        workspace_bytes=workspace.nbytes,
        choices=choices.ctypes.data,
        full=records.ctypes.data if full else None,
        full_size=_FULL.itemsize,
    )
    _raise_faults(native.library.tk_select(c.byref(call), None), choices)
    return _selection(choices, drawn, records if full else None, np.shape(logits)[:-1])


def _text(fault: int) -> str:
    return native.library.tk_select_fault_text(fault).decode()


def _raise_faults(fault: int, choices: np.ndarray) -> None:
    if fault != native.OK:
        raise SelectError(_text(fault))
    failures = []
    for row in np.flatnonzero(choices["fault"]):
        token = int(choices["fault_id"][row])
        failures.append(Failure(int(row), int(choices["fault"][row]), None if token == native.NO_ID else token, _text(int(choices["fault"][row]))))
    if failures:
        first = failures[0]
        place = f"row {first.row}" + (f", token {first.token}" if first.token is not None else "")
        others = f" (and {len(failures) - 1} rows more)" if len(failures) > 1 else ""
        raise SelectError(f"{place}: {first.text}{others}", failures)


def _selection(choices: np.ndarray, drawn: np.ndarray, records: np.ndarray | None, shape: tuple[int, ...]) -> Selection:
    def column(array: np.ndarray, name: str, dtype: Any) -> np.ndarray:
        values = array[name].astype(dtype)
        return values.reshape(shape + values.shape[1:])

    full = None
    if records is not None:
        full = FullRecords(*(column(records, name, np.int64 if name == "top_id" else np.float64) for name in ("logprob", "normaliser", "top_id", "top_margin", "tail_mass")))
    return Selection(
        ids=column(choices, "id", np.int64),
        rank=column(choices, "rank", np.int64),
        kept_count=column(choices, "kept_count", np.int64),
        kept_weight=column(choices, "kept_weight", np.uint64),
        begin=column(choices, "begin", np.uint64),
        end=column(choices, "end", np.uint64),
        bits=drawn.reshape(shape),
        full=full,
    )


def _rows_of(logits: np.ndarray) -> tuple[np.ndarray, int]:
    """The logits as rows that each lie in one piece, and their dtype for the library."""
    array = np.asarray(logits)
    names = {"float32": native.F32, "float16": native.F16, "bfloat16": native.BF16, "uint16": native.BF16}
    if array.dtype.name not in names:
        raise TypeError(f"logits are {array.dtype}; float32, float16 or bfloat16 is needed")
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise ValueError(f"logits have shape {array.shape}; (vocabulary,) or (rows, vocabulary) is needed")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    rows = array if array.ndim == 2 else array[None]
    in_pieces = rows.strides[1] == rows.itemsize and rows.strides[0] % rows.itemsize == 0 and (rows.shape[0] == 1 or rows.strides[0] >= rows.shape[1] * rows.itemsize)
    return (rows if in_pieces else np.ascontiguousarray(rows)), names[array.dtype.name]


class _Parameters:
    """The rows' parameters as C structs, and the memory that they point into."""

    def __init__(self, rows: int, vocabulary: int, chain: str) -> None:
        self.rows, self.vocabulary = rows, vocabulary
        self.array = (native.Params * rows)()
        self.owned: list[Any] = []
        ops, length = (c.c_uint8 * native.OPS)(), c.c_uint32()
        if (fault := native.library.tk_select_parse_chain(chain.encode(), ops, c.byref(length))) != native.OK:
            raise SelectError(f"chain {chain!r}: {_text(fault)}")
        self.owned.append(ops)
        for params in self.array:
            native.library.tk_select_params_init_sized(c.byref(params), c.sizeof(params))
            params.chain, params.chain_length = ops, length.value

    def set_numbers(self, top_k: ArrayLike, **others: ArrayLike) -> None:
        ks = np.broadcast_to(np.asarray(top_k, dtype=np.int64), (self.rows,))
        if (ks < 0).any() or (ks > 0xFFFFFFFF).any():
            raise SelectError("top_k must be at least 0")
        for params, k in zip(self.array, ks, strict=True):
            params.top_k = int(k)
        for name, value in others.items():
            values = np.broadcast_to(np.asarray(value, dtype=np.float64), (self.rows,))
            for params, one in zip(self.array, values, strict=True):
                setattr(params, name, float(one))

    def set_history(self, history: Sequence[Any]) -> None:
        for params, tokens in zip(self.array, self._by_row(history, lambda one: np.ndim(one) == 0), strict=True):
            ids, times = np.unique(np.asarray(tokens, dtype=np.uint32), return_counts=True)
            counts = (native.Count * len(ids))(*((int(token), int(count), 1) for token, count in zip(ids, times, strict=True)))
            self.owned.append(counts)
            params.counts, params.counts_length = counts, len(ids)

    def set_bias(self, bias: Any) -> None:
        per_row = [bias] * self.rows if isinstance(bias, Mapping) else self._by_row(bias, lambda _: False)
        for params, one in zip(self.array, per_row, strict=True):
            pairs = sorted(dict(one).items())
            biases = (native.Bias * len(pairs))(*pairs)
            self.owned.append(biases)
            params.bias, params.bias_length = biases, len(pairs)

    def set_allowed(self, allowed: np.ndarray | None) -> None:
        if allowed is None:
            return
        masks = np.broadcast_to(np.asarray(allowed, dtype=bool), (self.rows, self.vocabulary))
        padded = np.zeros((self.rows, -(-self.vocabulary // 64) * 64), dtype=bool)
        padded[:, : self.vocabulary] = masks
        words = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
        self.owned.append(words)
        for row, params in enumerate(self.array):
            params.allowed, params.allowed_words = words[row].ctypes.data, words.shape[1]

    def _by_row(self, given: Sequence[Any], is_item: Any) -> list[Any]:
        """`given` as one value for each row: it is either that already, or one value for all."""
        if len(given) == 0 or is_item(given[0]):
            return [given] * self.rows
        if len(given) != self.rows:
            raise ValueError(f"{len(given)} lists for {self.rows} rows")
        return list(given)
