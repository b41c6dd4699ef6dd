# SPDX-License-Identifier: Apache-2.0
"""Tests run on the package in this tree and the library of the last build."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ.get("TRUEKEEL_BUILD", ROOT / "build"))

sys.path.insert(0, str(ROOT / "python"))
os.environ.setdefault("TRUEKEEL_SELECT_LIBRARY", str(BUILD / "python" / "libtruekeel_select.so"))
os.environ.setdefault("TRUEKEEL_CONFORMANCE", str(BUILD / "truekeel-conformance"))
