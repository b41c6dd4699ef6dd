# SPDX-License-Identifier: Apache-2.0
"""The C interface (include/truekeel/select.h) by ctypes. Each struct's size goes along: the library reads and writes no more than that."""

from __future__ import annotations

import ctypes as c
import os
from pathlib import Path

OK = 0
NO_ID = 0xFFFFFFFF
F32, F16, BF16 = 0, 1, 2
OPS = 7


class Count(c.Structure):
    _fields_ = [("id", c.c_uint32), ("counted", c.c_uint32), ("repeated", c.c_uint32)]


class Bias(c.Structure):
    _fields_ = [("id", c.c_uint32), ("bias", c.c_float)]


class Params(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("chain_length", c.c_uint32),
        ("chain", c.POINTER(c.c_uint8)),
        ("temperature", c.c_float),
        ("top_k", c.c_uint32),
        ("top_p", c.c_double),
        ("min_p", c.c_double),
        ("repetition", c.c_float),
        ("frequency", c.c_float),
        ("presence", c.c_float),
        ("unused", c.c_uint32),
        ("counts", c.POINTER(Count)),
        ("counts_length", c.c_size_t),
        ("bias", c.POINTER(Bias)),
        ("bias_length", c.c_size_t),
        ("allowed", c.c_void_p),
        ("allowed_words", c.c_size_t),
    ]


class Choice(c.Structure):
    _fields_ = [
        ("fault", c.c_uint32),
        ("fault_id", c.c_uint32),
        ("id", c.c_uint32),
        ("rank", c.c_uint32),
        ("key_margin", c.c_uint32),
        ("kept_count", c.c_uint32),
        ("kept_weight", c.c_uint64),
        ("begin", c.c_uint64),
        ("end", c.c_uint64),
    ]


class Full(c.Structure):
    _fields_ = [
        ("logprob", c.c_double),
        ("normaliser", c.c_double),
        ("top_margin", c.c_double),
        ("tail_mass", c.c_double * 3),
        ("top_id", c.c_uint32),
        ("unused", c.c_uint32),
    ]


class Call(c.Structure):
    _fields_ = [
        ("struct_size", c.c_uint32),
        ("dtype", c.c_uint32),
        ("logits", c.c_void_p),
        ("rows", c.c_uint32),
        ("vocabulary", c.c_uint32),
        ("stride", c.c_size_t),
        ("params", c.POINTER(Params)),
        ("params_count", c.c_uint32),
        ("choice_size", c.c_uint32),
        ("draws", c.c_void_p),
        ("workspace", c.c_void_p),
        ("workspace_bytes", c.c_size_t),
        ("choices", c.c_void_p),
        ("full", c.c_void_p),
        ("full_size", c.c_uint32),
        ("unused", c.c_uint32),
    ]


def _load() -> c.CDLL:
    library = c.CDLL(os.environ.get("TRUEKEEL_SELECT_LIBRARY") or str(Path(__file__).with_name("libtruekeel_select.so")))
    library.tk_select.argtypes = [c.POINTER(Call), c.POINTER(c.c_uint32)]
    library.tk_select.restype = c.c_uint32
    library.tk_select_params_init_sized.argtypes = [c.POINTER(Params), c.c_uint32]
    library.tk_select_params_init_sized.restype = None
    library.tk_select_workspace_bytes.argtypes = [c.c_uint32]
    library.tk_select_workspace_bytes.restype = c.c_size_t
    library.tk_select_draw.argtypes = [c.c_uint64, c.c_uint64, c.c_uint32]
    library.tk_select_draw.restype = c.c_uint64
    library.tk_select_parse_chain.argtypes = [c.c_char_p, c.POINTER(c.c_uint8), c.POINTER(c.c_uint32)]
    library.tk_select_parse_chain.restype = c.c_uint32
    library.tk_select_fault_text.argtypes = [c.c_uint32]
    library.tk_select_fault_text.restype = c.c_char_p
    library.tk_select_version.argtypes = []
    library.tk_select_version.restype = c.c_char_p
    return library


library = _load()
