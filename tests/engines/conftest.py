"""Tests against engines that are not ours. They run with `./dev test --engines` alone, which sets these engines up."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))

collect_ignore_glob = [] if "TRUEKEEL_VLLM" in os.environ else ["test_*.py"]
