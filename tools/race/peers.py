"""nginx, HAProxy and wrk from Debian's archive, unpacked into the cache: nothing is installed and no service started."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("nginx", "haproxy", "wrk", "libluajit-5.1-2", "liblua5.3-0", "libopentracing-c-wrapper0", "libopentracing1")


@dataclass(frozen=True)
class Peers:
    folder: Path

    @property
    def nginx(self) -> Path:
        return self.folder / "usr/sbin/nginx"

    @property
    def haproxy(self) -> Path:
        return self.folder / "usr/sbin/haproxy"

    @property
    def wrk(self) -> Path:
        return self.folder / "usr/bin/wrk"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "LD_LIBRARY_PATH": str(next((self.folder / "usr/lib").glob("*-linux-gnu")))}

    def versions(self) -> dict[str, str]:
        """As each says itself."""
        first = {}
        for name, program in (("nginx", self.nginx), ("haproxy", self.haproxy), ("wrk", self.wrk)):
            run = subprocess.run([program, "-v"], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            first[name] = run.stdout.splitlines()[0].strip()
        return first


def peers() -> Peers:
    """Fetches them once; apt checks their signatures. RuntimeError with what to do when that fails."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "truekeel"
    folder = cache / "peers"
    if not folder.exists():
        print("fetching nginx, HAProxy and wrk (once)", file=sys.stderr, flush=True)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            unpacked = Path(temporary) / "peers"
            fetched = subprocess.run(["apt-get", "download", "-qq", *PACKAGES], cwd=temporary, stderr=subprocess.PIPE, text=True, check=False)
            if fetched.returncode != 0:
                raise RuntimeError(f"apt-get download failed; `apt-get update` as root may help:\n{fetched.stderr}")
            for package in Path(temporary).glob("*.deb"):
                subprocess.run(["dpkg", "-x", package, unpacked], check=True)
            shutil.move(unpacked, folder)
    return Peers(folder)
