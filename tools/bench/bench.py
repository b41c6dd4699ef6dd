"""./dev bench: runs one bench, or lists them. Each file beside this one is a bench: a docstring and main(argv)."""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.py") if path.name != "bench.py" and not path.stem.startswith("test_"))


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: ./dev bench NAME [--json] [--help]\n")
        for name in names():
            print(f"  {name:<10} {(importlib.import_module(name).__doc__ or '').strip().splitlines()[0]}")
        return 0
    if argv[0] not in names():
        print(f"./dev bench: no bench '{argv[0]}' (there are: {', '.join(names())})", file=sys.stderr)
        return 2
    return importlib.import_module(argv[0]).main(argv[1:])


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main(sys.argv[1:]))
