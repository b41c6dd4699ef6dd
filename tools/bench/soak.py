"""Many requests of every kind through the gateway: does its memory stay flat?

A million by default: small and large calls, streams, new sessions each time, mistakes and unknown paths, over kept and new connections. nginx is
the inference server, wrk the clients. Memory is looked at every few seconds; after the warm-up it must not grow. Exit code 1 when it does, 3 when there was too little to tell by.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "race"))
from upstream import ANSWER, PLAIN  # noqa: E402

SLICE_S = 5
WARM_UP = 0.2  # of all requests
GROWTH_MIB_MAX = 2.0
MISTAKES = 0.07  # share of requests that are to be refused
STOP = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
STREAM = (PLAIN[0] + b"1" + PLAIN[1]) * 10 + f"data: {json.dumps(STOP)}\n\ndata: [DONE]\n\n".encode()

# By a header of the client's, which travels on, nginx knows what is asked for.
SERVER = """\
  server {{
    listen 127.0.0.1:{port} backlog=512;
    if ($http_x_stream) {{ rewrite ^ /stream last; }}
    location / {{ default_type application/json; return 200 '{answer}'; }}
    location = /stream {{ default_type text/event-stream; return 200 '{stream}'; }}
  }}
"""

# A request of every kind, by the share of each; no session comes twice.
SCRIPT = """
local small = [[{small}]]
local large = [[{large}]]
local stream = [[{stream}]]
local function post(path, body, extra)
  local headers = {{["content-type"] = "application/json", ["x-truekeel-session"] = tostring(math.random(1, 2^52))}}
  for name, value in pairs(extra or {{}}) do headers[name] = value end
  return wrk.format("POST", path, headers, body)
end
init = function() math.randomseed({seed}) end
request = function()
  local at = math.random()
  if at < 0.75 then return post("/v1/chat/completions", small) end
  if at < 0.85 then return post("/v1/chat/completions", stream, {{["x-stream"] = "1"}}) end
  if at < 0.88 then return post("/v1/chat/completions", large) end
  if at < 0.91 then return post("/v1/chat/completions", small, {{["connection"] = "close"}}) end
  if at < 0.94 then return post("/v1/chat/completions", small:sub(1, math.random(1, #small - 1))) end
  if at < 0.96 then return post("/v1/chat/completions", (small:gsub('"m"', '"m' .. math.random(1, 2^52) .. '"'))) end
  if at < 0.98 then return post("/" .. math.random(1, 2^52), small) end
  return wrk.format("GET", "/v1/models", {{}})
end
"""


def chat(text: str, **more) -> str:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 16, **more})


class Soak:
    """nginx, the gateway before it, and clients."""

    def __init__(self, peers, folder: Path, connections: int):
        import proxies  # needs yaml, which ./dev's Python has

        self.proxies, self.peers, self.folder, self.connections, self.slices = proxies, peers, folder, connections, 0
        self.programs = []
        server = self._keep(proxies.start_nginx(peers, folder, "server", proxies.OTHER_CORE, SERVER, answer=ANSWER.decode(), stream=STREAM.decode()))
        self.gateway = self._keep(proxies.start_truekeel(folder, server.url, "gateway", False))

    def _keep(self, program):
        self.programs.append(program)
        return program

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.gateway.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def press(self, seconds: int) -> int:
        """Returns how many requests were answered."""
        self.slices += 1
        script = self.folder / "mixed.lua"
        script.write_text(SCRIPT.format(small=chat("Say hello."), large=chat("x" * 50_000), stream=chat("Say hello.", stream=True), seed=self.slices))
        command = self.proxies.pinned(self.proxies.OTHER_CORE, [self.peers.wrk, "-t1", f"-c{self.connections}", f"-d{seconds}s", "-s", script, self.gateway.url])
        run = subprocess.run([str(part) for part in command],
                             env=self.peers.environment, stdout=subprocess.PIPE, text=True, check=True)
        answered = int(re.search(r"(\d+) requests in", run.stdout)[1])
        refused = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", run.stdout)))
        if not MISTAKES / 2 < refused / max(1, answered) < MISTAKES * 2 or not self.gateway.running():
            raise RuntimeError(f"the gateway does not answer as it should:\n{run.stdout}\n{self.gateway.log_tail()}")
        return answered

    def stop(self) -> None:
        for program in reversed(self.programs):
            program.stop()


def flat(samples: list[tuple[int, float]], total: int) -> dict:
    """Of (requests so far, MiB): what was resident at most after the warm-up, early and late, and whether that is flat; None with nothing to compare."""
    warm = [mib for done, mib in samples if done >= total * WARM_UP]
    half = len(warm) // 2
    if half == 0:
        return {"most": GROWTH_MIB_MAX, "good": None}
    early, late = max(warm[:half]), max(warm[half:])
    return {"early_mib": round(early, 2), "late_mib": round(late, 2), "growth_mib": round(late - early, 2), "most": GROWTH_MIB_MAX, "good": late - early <= GROWTH_MIB_MAX}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one object on standard output, nothing else")
    parser.add_argument("--requests", type=int, default=1_000_000, help="at least so many (default 1,000,000)")
    parser.add_argument("--connections", type=int, default=64, help="clients at once (default 64)")
    args = parser.parse_args(argv)
    from peers import peers

    samples, begin = [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="truekeel-soak-") as folder:
        soak = Soak(peers(), Path(folder), args.connections)
        try:
            done = 0
            while done < args.requests:
                done += soak.press(SLICE_S)
                samples.append((done, soak.resident_mib()))
                print(f"{samples[-1][0]:>9} requests, {samples[-1][1]:.1f} MiB resident", file=sys.stderr, flush=True)
        finally:
            soak.stop()
    verdict = {"bench": "soak", "requests": samples[-1][0], "seconds": round(time.monotonic() - begin), **flat(samples, args.requests)}
    if args.json:
        print(json.dumps({**verdict, "samples": samples}))
    elif verdict["good"] is None:
        print(f"not tested: memory was looked at too rarely in {verdict['requests']} requests; ask for more")
    else:
        print(f"{verdict['requests']} requests in {verdict['seconds']} s: {verdict['early_mib']} MiB resident at most in the first half after the warm-up, "
              f"{verdict['late_mib']} in the second ({'flat' if verdict['good'] else 'GROWS'}: at most {verdict['most']} more allowed)")
    return {True: 0, False: 1, None: 3}[verdict["good"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
