"""What packages the gateway: the systemd unit and what the program tells systemd, the libraries of its container."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from gateway import BINARY, Gateway, config, endpoint
from stub_upstream import Stub

ROOT = Path(__file__).parents[2]
IN_EVERY_DEBIAN = {"libc6", "libgcc-s1", "libstdc++6"}


def test_systemd_is_told_of_start_reload_and_end(tmp_path):
    stub = Stub()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(20)
        gateway = Gateway(config({"main": [endpoint("s1", stub.url)]}), tmp_path, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert told.recv(4096) == b"READY=1"
        os.kill(gateway.program.process.pid, signal.SIGHUP)
        reloading = told.recv(4096).decode().splitlines()
        assert reloading[0] == "RELOADING=1" and int(reloading[1].removeprefix("MONOTONIC_USEC=")) > 0
        assert told.recv(4096) == b"READY=1"
        gateway.program.stop()
        assert told.recv(4096) == b"STOPPING=1"
    stub.stop()


def test_the_unit_is_hardened():
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    unit = ROOT / "packaging" / "truekeel.service"
    found = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    wrong = [line for line in found.stderr.splitlines() if "not executable" not in line and "man " not in line]
    assert not wrong, wrong
    exposure = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True, text=True)
    assert exposure.returncode == 0, exposure.stdout[-500:]


def test_the_container_has_the_libraries_of_the_program():
    listed = set((ROOT / "packaging" / "runtime-packages.txt").read_text().split())
    needed = re.findall(r"NEEDED.*\[(.+)\]", subprocess.run(["readelf", "-d", BINARY], check=True, capture_output=True, text=True).stdout)
    loaded = subprocess.run(["ldd", BINARY], check=True, capture_output=True, text=True).stdout
    libraries = [re.search(rf"{re.escape(name)} => (\S+)", loaded).group(1) for name in needed if not name.startswith("ld-linux")]
    owners = set()
    for library in libraries:  # packages know files below /usr/lib and /lib by one of the two names
        for name in (library, "/usr" + library, os.path.realpath(library)):
            found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True)
            if found.returncode == 0:
                owners.add(found.stdout.split(":")[0])
                break
        else:
            pytest.fail(f"no package owns {library}")
    assert owners - IN_EVERY_DEBIAN <= listed, owners
    assert listed - {"ca-certificates"} <= owners, "a package that nothing needs"
