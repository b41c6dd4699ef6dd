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


def test_clean_tokens_that_are_too_few_are_not_judged():
    detect = bench.load("detect")

    def judged(tokens, alarms, others=0):
        plays = [{"alarms": alarms, "promised": 0.001}, {"alarms": others, "promised": 5}]
        return detect.judge_clean("clean", [{"tokens": tokens, "kinds": [0, 0, 9, 0, 0, 0], "draws_that_do_not_fit": 0}, *plays], 100, 9)["good"]

    assert (judged(99, 0), judged(100, 0), judged(99, 1), judged(100, 0, others=6)) == (None, True, False, False)


def test_an_interrupted_recording_is_cut_to_whole_answers(tmp_path):
    record_tokens = bench.load("detect").record_tokens
    body = {"temperature": 0.7, "top_k": 40, "top_p": 0.9}
    record = {"logprob": -1.0, "rank": 0, "top_logprobs": [{"logprob": -1.0}] * 20}
    draw = [0, 5, 0, 0, 40, 1 << 44, 0, 1 << 44, -1.0, 9.0, 5, 0, 0.1, 0.01, 0.001]
    answer = {"seed": 1, "choices": [{"logprobs": {"content": [record]}, "audit": [draw]}]}
    whole = record_tokens.packed(0, 2, body, answer)
    path = tmp_path / "a.rec"
    path.write_bytes(whole + whole + whole[:-1])
    assert record_tokens.tokens_of(path) == 2 and path.stat().st_size == 2 * len(whole)
    assert record_tokens.TOKEN.unpack_from(whole, record_tokens.REQUEST.size)[-1] == 1, "the draw fits its seed"


def test_memory_that_grows_by_a_few_bytes_a_request_is_found():
    flat = bench.load("soak").flat

    def judged(bytes_each, warm_up_mib=0.0):
        requests = range(100_000, 1_000_001, 100_000)
        return flat([(done, 30 + (done > 100_000) * warm_up_mib + done * bytes_each / 2**20) for done in requests], 1_000_000)["good"]

    assert (judged(0), judged(0, warm_up_mib=50), judged(3), judged(6)) == (True, True, True, False)
    assert flat([(1_000_000, 30)], 1_000_000)["good"] is None, "one look shows no growth"
    assert flat([(100_000, 30), (1_000_000, 90)], 1_000_000)["good"] is None, "nor does one behind the warm-up"
