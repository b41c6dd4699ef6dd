# SPDX-License-Identifier: Apache-2.0
"""Exact token selection: equal logits, parameters and draws give equal tokens on every machine.

`select` chooses one token for each row of logits and returns it with its audit record. `truekeel.conformance` holds
other samplers to what they declare.
"""

from truekeel._select import Failure, FullRecords, SelectError, Selection, draw_bits, select, version

__all__ = ["Failure", "FullRecords", "SelectError", "Selection", "draw_bits", "select", "version"]
