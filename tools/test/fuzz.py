"""./dev fuzz [TARGET] [SECONDS]: runs libFuzzer targets, each from its own growing corpus under the build folder."""

import argparse
import subprocess
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev fuzz", description="Runs fuzz targets with address and undefined-behaviour sanitizers.",
                                     epilog="Examples: ./dev fuzz     ./dev fuzz sse_fuzz 300")
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("target", nargs="?", help="one target (default: all)")
    parser.add_argument("seconds", nargs="?", type=int, default=60, help="for each target (default 60)")
    args = parser.parse_args()

    targets = {path.name: path for path in sorted(args.build.glob("src/*/*_fuzz")) if path.is_file()}
    if args.target and args.target not in targets:
        parser.error(f"no target '{args.target}'; there are {', '.join(targets)}")
    failed = []
    for name, path in targets.items():
        if args.target not in (None, name):
            continue
        corpus = args.build / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        print(f"{name} for {args.seconds} s", flush=True)
        code = subprocess.run([path.resolve(), f"-max_total_time={args.seconds}", "-timeout=10", "-rss_limit_mb=4096", "-verbosity=0",
                               "-print_final_stats=1", f"-artifact_prefix={corpus}/crash-", corpus]).returncode
        if code:
            failed.append(name)
    print(f"{'failed: ' + ', '.join(failed) if failed else 'all targets held'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
