"""The layering check finds what it is there for."""

from pathlib import Path

from layers import violations


def plant(root: Path, name: str, text: str) -> None:
    path = root / "src" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_an_include_that_points_up_is_named(tmp_path):
    plant(tmp_path, "fleet/config.h", '#pragma once\n#include "gateway/server.h"\n')
    assert violations(tmp_path) == ["src/fleet/config.h:2: error: fleet must not include gateway; arrows point down"]


def test_down_and_own_folder_are_fine(tmp_path):
    plant(tmp_path, "gateway/server.cc", '#include "gateway/server.h"\n#include "fleet/config.h"\n#include <vector>\n')
    assert violations(tmp_path) == []


def test_an_unknown_folder_is_named(tmp_path):
    plant(tmp_path, "misc/x.h", "")
    assert "no layer" in violations(tmp_path)[0]


def test_this_tree_is_clean():
    assert violations(Path(__file__).parents[2]) == []
