"""Fetches the pinned files of pins.json from the Python package index into a cache, and unpacks them.

Each file is taken as it is (no build of its metadata), checked against its SHA-256, resumed when it
broke off, and kept: a second run needs no network. Usage: fetch.py PINS CACHE
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

TRIES = 5


def index_url() -> str:
    """The index that pip is configured to use, so that mirrors keep working."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url.rstrip("/")
    found = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True)
    return found.stdout.strip().rstrip("/") or "https://pypi.org/simple"


def file_url(project: str, name: str) -> str:
    """Where the index keeps a file of a project (PEP 691)."""
    page = f"{index_url()}/{project}/"
    request = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        files = json.load(answer)["files"]
    for entry in files:
        if entry["filename"] == name:
            return urllib.parse.urljoin(page, entry["url"])
    raise LookupError(f"{page} does not list {name}")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def show(what: str, have: int, total: int) -> None:
    if sys.stderr.isatty():
        share = f"{100 * have // total} %" if total else "?"
        print(f"\r    {what}: {have >> 20} MiB, {share} ", end="", file=sys.stderr, flush=True)


def download(url: str, part: Path, what: str) -> None:
    """Appends what is missing of a URL to a partial file."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing
            return
        raise
    with answer, part.open("ab" if answer.status == 206 else "wb") as file:
        have = have if answer.status == 206 else 0
        total = have + int(answer.headers.get("Content-Length", 0))
        while piece := answer.read(1 << 20):
            file.write(piece)
            have += len(piece)
            show(what, have, total)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def fetch(project: str, pin: dict, folder: Path) -> Path:
    """The pinned file, from the cache or the index."""
    target = folder / pin["file"]
    if target.exists() and sha256(target) == pin["sha256"]:
        return target
    target.unlink(missing_ok=True)
    part = target.with_suffix(target.suffix + ".part")
    print(f"==> fetching {pin['what']} ({pin['file']})", file=sys.stderr)
    for attempt in range(1, TRIES + 1):
        try:
            download(file_url(project, pin["file"]), part, pin["what"])
            break
        except (OSError, LookupError, ValueError) as error:
            if attempt == TRIES:
                sys.exit(f"fetch: {pin['file']}: {error}")
            print(f"    {error}; trying again", file=sys.stderr)
            time.sleep(2**attempt)
    if (got := sha256(part)) != pin["sha256"]:
        part.unlink()
        sys.exit(f"fetch: {pin['file']} has SHA-256 {got}, pinned is {pin['sha256']}")
    part.rename(target)
    return target


def unpack(archive: Path, source: str, target: Path) -> None:
    """Takes one file or folder out of an archive; the target appears only when it is whole."""
    fresh = target.with_name(target.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.parent.mkdir(parents=True, exist_ok=True)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(source) as member, fresh.open("wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
    else:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and member.name.startswith(source + "/"):
                    member.name = member.name[len(source) + 1 :]
                    tar.extract(member, fresh, set_attrs=False)
    if target.is_dir():
        shutil.rmtree(target)
    fresh.rename(target)


def main(pins_file: str, cache: str) -> None:
    folder = Path(cache) / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    for project, pin in json.loads(Path(pins_file).read_text()).items():
        target = Path(cache) / pin["unpack"]["to"]
        stamp = target.with_name(target.name + ".sha256")
        if target.exists() and stamp.exists() and stamp.read_text() == pin["sha256"]:
            continue
        unpack(fetch(project, pin, folder), pin["unpack"]["from"], target)
        stamp.write_text(pin["sha256"])


if __name__ == "__main__":
    main(*sys.argv[1:])
