"""./dev bench: runs one bench, or lists them. Each file beside this one is a bench: a docstring and main(argv).

The file of a bench whose name is also one of Python's modules ends in an underscore: select_.py is `select`.
"""

import importlib
import sys
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem.rstrip("_") for path in HERE.glob("*.py") if path.name != "bench.py" and not path.stem.startswith("test_"))


def load(name: str):
    return importlib.import_module(name if (HERE / f"{name}.py").exists() else f"{name}_")


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: ./dev bench NAME [--json] [--help]\n")
        for name in names():
            print(f"  {name:<10} {(load(name).__doc__ or '').strip().splitlines()[0]}")
        return 0
    if argv[0] not in names():
        print(f"./dev bench: no bench '{argv[0]}' (there are: {', '.join(names())})", file=sys.stderr)
        return 2
    return load(argv[0]).main(argv[1:])


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main(sys.argv[1:]))
