"""Every bench says what it measures and can be called."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import bench  # noqa: E402


@pytest.mark.parametrize("name", bench.names())
def test_a_bench_has_a_summary_and_an_entry(name):
    module = bench.load(name)
    assert module.__doc__ and callable(module.main)


def test_a_replay_without_differences_tests_no_tolerance():
    def judged(*largest):
        return bench.load("replay").judge([{"tokens": 100, "different": int(max_ > 0), "max": max_} for max_ in largest], 0.2)[0]

    assert (judged(0, 0), judged(0, 0.1), judged(0.3, 0.1)) == (None, True, False)


def test_an_unknown_bench_is_a_usage_error(capsys):
    assert bench.main(["nothing"]) == 2
    assert "worker" in capsys.readouterr().err


def test_every_row_of_the_selection_bench_is_judged_as_some_type():
    type_of = bench.load("select").type_of
    assert [type_of(share) for share in (0, 0.0003, 0.0005, 0.015, 0.02, 1)] == ["peaked", "peaked", "typical", "typical", "flat", "flat"]
