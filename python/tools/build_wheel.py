# SPDX-License-Identifier: Apache-2.0
"""Builds the wheel: the package's files and the library that `./dev build` has made, in one zip (PEP 517, PEP 427).

A backend of its own, because the only build step is a copy: no compiler is called, nothing is downloaded. The library
is taken from $TRUEKEEL_SELECT_LIBRARY, else from ../build/python.
"""

import base64
import hashlib
import os
import sysconfig
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARY = "libtruekeel_select.so"


def _library() -> Path:
    named = os.environ.get("TRUEKEEL_SELECT_LIBRARY")
    path = Path(named) if named else ROOT.parent / "build" / "python" / LIBRARY
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: run ./dev build first, or name the library in TRUEKEEL_SELECT_LIBRARY")
    return path


def _metadata(project: dict) -> str:
    fields = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License: {project['license']['text']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {one}" for one in project["dependencies"]),
        "Description-Content-Type: text/markdown",
    ]
    return "\n".join(fields) + "\n\n" + (ROOT / project["readme"]).read_text()


def build_wheel(wheel_directory: str, config_settings=None, metadata_directory=None) -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tag = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
    name = f"{project['name']}-{project['version']}"
    info = f"{name}.dist-info"
    contents = {str(path.relative_to(ROOT)): path.read_bytes() for path in sorted((ROOT / "truekeel").rglob("*")) if path.suffix in (".py", ".typed")}
    contents[f"truekeel/{LIBRARY}"] = _library().read_bytes()
    contents[f"{info}/METADATA"] = _metadata(project).encode()
    contents[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: truekeel\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()

    record = ""
    for path, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    contents[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()

    wheel = f"{name}-{tag}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in contents.items():
            archive.writestr(path, content)
    return wheel
