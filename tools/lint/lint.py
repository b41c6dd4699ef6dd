"""./dev lint: formatting, sizes, layering, and clang-tidy on what changed against main (or all with --all)."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from layers import violations

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 500


def git_files(*arguments: str) -> list[str]:
    listed = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    return [name for name in listed if (ROOT / name).exists()]


def sources() -> list[str]:
    return git_files("ls-files", "-co", "--exclude-standard", "src/*.cc", "src/*.h", "include/*.h", "examples/*.c", "examples/*.cc")


def changed_since(base: str) -> set[str]:
    return set(git_files("diff", "--name-only", base)) | set(git_files("ls-files", "-o", "--exclude-standard"))


def check_format(files: list[str]) -> list[str]:
    run = subprocess.run(["clang-format-19", "--dry-run", "--Werror", *files], cwd=ROOT, capture_output=True, text=True)
    return [line for line in run.stderr.splitlines() if re.search(r": error: ", line)]


def check_sizes() -> list[str]:
    long = []
    for name in git_files("ls-files", "-co", "--exclude-standard", "src", "tools", "tests", "include", "python"):
        if not name.endswith((".cc", ".h", ".py")):
            continue
        lines = len((ROOT / name).read_text().splitlines())
        if lines > FILE_LINES_MAX:
            long.append(f"{name}:{lines}: error: {lines} lines, at most {FILE_LINES_MAX}; give it a second room")
    return long


def check_readmes() -> list[str]:
    found = []
    for folder in sorted(path for path in (ROOT / "src").iterdir() if path.is_dir()):
        readme = folder / "README.md"
        if not readme.exists():
            found.append(f"src/{folder.name}: error: no README.md (purpose, entry point, what it must not do)")
        elif len(readme.read_text().splitlines()) > 10:
            found.append(f"src/{folder.name}/README.md:11: error: at most ten lines")
    return found


def check_tidy(build: Path, files: list[str]) -> list[str]:
    units = [name for name in files if name.endswith(".cc")]
    if not units:
        return []
    print(f"clang-tidy on {len(units)} files", file=sys.stderr)
    run = subprocess.run(
        ["xargs", "-P2", "-n1", "clang-tidy-19", "-p", str(build), "--quiet"],
        cwd=ROOT, input="\n".join(units), capture_output=True, text=True)
    return [line for line in run.stdout.splitlines() if ": error:" in line or ": warning:" in line]


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev lint", description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--base", default="main", help="what counts as changed is all since this commit (default: main)")
    parser.add_argument("--all", action="store_true", help="clang-tidy on every source")
    args = parser.parse_args()
    files = sources()
    tidied = files if args.all else [name for name in files if name in changed_since(args.base)]
    messages = violations(ROOT) + check_sizes() + check_readmes() + check_format(files) + check_tidy(args.build, tidied)
    for message in dict.fromkeys(messages):
        print(message)
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
