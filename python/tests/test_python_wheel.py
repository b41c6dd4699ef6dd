# SPDX-License-Identifier: Apache-2.0
"""The package as users install it: offline, with its library inside."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_pip_installs_a_package_that_selects(tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(tmp_path), str(ROOT / "python")]
    subprocess.run(install, check=True)
    bare = {name: value for name, value in os.environ.items() if name != "TRUEKEEL_SELECT_LIBRARY"}
    script = "import numpy, truekeel; print(truekeel.__file__, truekeel.select(numpy.array([0, 9, 1], dtype='f4'), temperature=0).ids)"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path, env=bare | {"PYTHONPATH": str(tmp_path)})
    assert run.stdout.split() == [str(tmp_path / "truekeel" / "__init__.py"), "1"]


def test_a_missing_library_is_explained(tmp_path):
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT / "python")]
    run = subprocess.run(wheel, capture_output=True, text=True, env=os.environ | {"TRUEKEEL_SELECT_LIBRARY": "/no/such/library.so"})
    assert run.returncode != 0
    assert "run ./dev build first" in run.stderr
