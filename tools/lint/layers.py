"""Checks the layering of src/: an include may only point down, or stay in its folder.

    python3 tools/lint/layers.py [ROOT]

Prints `file:line: error: ...` for each include that points up or sideways; exit code 1 if there are any.
"""

import re
import sys
from pathlib import Path

# Lowest first. A folder may include its own files and those of every lower row; rows marked True may
# also include other folders of the same row that stand before them.
ROWS: list[tuple[list[str], bool]] = [
    (["base"], False),
    (["select", "evidence", "protocol", "fleet", "incident", "conformance"], True),
    (["http", "store", "bus", "engine", "samplers", "llama_sampler"], True),
    (["worker", "sentinel", "verify", "recovery", "gateway", "drill", "dashboard"], True),
    (["cli"], False),
]

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def allowed() -> dict[str, set[str]]:
    """Folder -> the folders it may include."""
    below: set[str] = set()
    table = {}
    for folders, sideways in ROWS:
        for position, folder in enumerate(folders):
            table[folder] = below | {folder} | (set(folders[:position]) if sideways else set())
        below |= set(folders)
    return table


def violations(root: Path) -> list[str]:
    """One message per include that breaks the rule, or per folder that no row names."""
    table = allowed()
    found = []
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in (".h", ".cc"):
            continue
        folder = path.relative_to(root / "src").parts[0]
        if folder not in table:
            found.append(f"{path.relative_to(root)}:1: error: src/{folder} is no layer; name it in tools/lint/layers.py")
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not (match := INCLUDE.match(line)):
                continue
            target = match[1].split("/")[0]
            if "/" not in match[1]:
                found.append(f'{path.relative_to(root)}:{number}: error: include "{folder}/{match[1]}" by its path from src/')
            elif target in table and target not in table[folder]:
                found.append(f"{path.relative_to(root)}:{number}: error: {folder} must not include {target}; arrows point down")
    return found


if __name__ == "__main__":
    messages = violations(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2])
    for message in messages:
        print(message)
    sys.exit(1 if messages else 0)
