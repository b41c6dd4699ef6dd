# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import truekeel
from truekeel.conformance import Row
from truekeel.conformance.numpy_reference import distribution

RNG = np.random.default_rng(20240601)
LOGITS = (RNG.normal(size=(6, 1000)) * 3).astype(np.float32)


def bf16(logits):
    return (logits.view(np.uint32) >> 16).astype(np.uint16)


def test_the_draw_falls_into_the_interval_of_the_record():
    chosen = truekeel.select(LOGITS, temperature=0.7, top_p=0.9, seeds=range(6), positions=11)
    for bits, weight, begin, end in zip(chosen.bits, chosen.kept_weight, chosen.begin, chosen.end, strict=True):
        assert int(begin) <= (int(bits) * int(weight)) >> 64 < int(end)
    assert ((chosen.probability > 0) & (chosen.probability <= 1)).all()


def test_shapes_follow_the_logits():
    assert truekeel.select(LOGITS[0]).ids.shape == ()
    assert truekeel.select(LOGITS[:1]).ids.shape == (1,)
    assert truekeel.select(LOGITS, full=True).full.tail_mass.shape == (6, 3)


def test_a_row_draws_the_same_alone_in_a_batch_and_in_a_padded_one():
    together = truekeel.select(LOGITS, temperature=1.3, top_k=50, seeds=range(6)).ids
    alone = [int(truekeel.select(row, temperature=1.3, top_k=50, seeds=seed).ids) for seed, row in enumerate(LOGITS)]
    padded = np.full((6, 1100), np.nan, dtype=np.float32)
    padded[:, :1000] = LOGITS
    assert together.tolist() == alone
    assert truekeel.select(padded[:, :1000], temperature=1.3, top_k=50, seeds=range(6)).ids.tolist() == alone
    assert truekeel.select(LOGITS[::-1], temperature=1.3, top_k=50, seeds=range(5, -1, -1)).ids.tolist() == alone[::-1]
    assert truekeel.select(np.asfortranarray(LOGITS), temperature=1.3, top_k=50, seeds=range(6)).ids.tolist() == alone


def test_half_precision_selects_as_its_values_in_single():
    half = LOGITS.astype(np.float16)
    assert (truekeel.select(half, seeds=3).ids == truekeel.select(half.astype(np.float32), seeds=3).ids).all()
    brain = bf16(LOGITS)
    widened = (brain.astype(np.uint32) << 16).view(np.float32)
    assert (truekeel.select(brain, seeds=3).ids == truekeel.select(widened, seeds=3).ids).all()


@pytest.mark.parametrize("dtype", ["f4", "f2", "u2"])
def test_the_byte_order_of_an_array_changes_nothing(dtype):
    native = bf16(LOGITS) if dtype == "u2" else LOGITS.astype(dtype)
    chosen = [truekeel.select(native.astype(order + dtype), seeds=range(6)) for order in "<>"]
    assert (chosen[0].ids == chosen[1].ids).all()
    assert (chosen[0].kept_weight == chosen[1].kept_weight).all()


def test_parameters_may_differ_from_row_to_row():
    chosen = truekeel.select(np.tile(LOGITS[:1], (3, 1)), temperature=[0, 1, 1], top_k=[0, 1, 7], seeds=4)
    assert chosen.ids[0] == chosen.ids[1] == LOGITS[0].argmax()
    assert chosen.kept_count.tolist()[1:] == [1, 7]


@pytest.mark.parametrize(
    "params",
    [
        {"top_k": 5},
        {"top_p": 0.8},
        {"min_p": 0.1},
        {"temperature": 2.0, "top_p": 0.5},
        {"presence": 2.0, "frequency": 1.0, "repetition": 1.5},
        {"bias": {3: 6.0, 1: -5.0}},
    ],
)
def test_probabilities_agree_with_double_precision(params):
    logits = LOGITS[0, :64].copy()
    history = [3, 3, int(logits.argmax())]
    bias = params.get("bias", {})
    others = {name: value for name, value in params.items() if name != "bias"}
    expected = distribution(Row(logits, bias=list(bias.items()), history=history, **others))
    chosen = truekeel.select(np.tile(logits, (2000, 1)), history=history, seeds=1, positions=np.arange(2000), **params)
    assert (np.bincount(chosen.ids, minlength=64)[expected == 0] == 0).all()
    np.testing.assert_allclose(chosen.probability, expected[chosen.ids], rtol=1e-6)
    assert (chosen.kept_count == (expected > 0).sum()).all()


def test_masks_forbid():
    allowed = np.zeros(1000, dtype=bool)
    allowed[[7, 900]] = True
    assert set(truekeel.select(np.tile(LOGITS[:1], (64, 1)), allowed=allowed, positions=np.arange(64)).ids) <= {7, 900}


def test_full_records_are_those_of_the_raw_row():
    full = truekeel.select(LOGITS, temperature=0.5, top_k=3, seeds=2, full=True)
    raw = LOGITS.astype(np.float64)
    normaliser = np.log(np.exp(raw).sum(axis=1))
    np.testing.assert_allclose(full.full.normaliser, normaliser, rtol=1e-6)
    np.testing.assert_allclose(full.full.logprob, raw[np.arange(6), full.ids] - normaliser, atol=1e-6)
    assert (full.full.top_id == LOGITS.argmax(axis=1)).all()


def test_draw_bits_depend_on_each_part_of_the_key():
    bits = [int(truekeel.draw_bits(seed, at, stream)) for seed in (1, 2**63) for at in (0, 2**40) for stream in (0, 1)]
    assert len(set(bits)) == 8
    assert truekeel.select(LOGITS[0], bits=bits[0]).ids == truekeel.select(LOGITS[0], seeds=1).ids


def test_errors_name_row_and_token():
    broken = LOGITS.copy()
    broken[4, 321] = np.nan
    broken[5] = -np.inf
    with pytest.raises(truekeel.SelectError, match="row 4, token 321") as error:
        truekeel.select(broken)
    assert [(one.row, one.token) for one in error.value.failures] == [(4, 321), (5, None)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"temperature": -1}, truekeel.SelectError),
        ({"top_p": 1.5}, truekeel.SelectError),
        ({"top_k": -1}, truekeel.SelectError),
        ({"chain": "bias,nonsense"}, truekeel.SelectError),
        ({"bias": {1000: 1.0}}, truekeel.SelectError),
        ({"history": [[1], [2]]}, ValueError),
        ({"seeds": [1, 2]}, ValueError),
    ],
)
def test_bad_arguments_are_refused(arguments, error):
    with pytest.raises(error):
        truekeel.select(LOGITS, **arguments)


def test_bad_arrays_are_refused():
    with pytest.raises(TypeError, match="float64"):
        truekeel.select(LOGITS.astype(np.float64))
    with pytest.raises(ValueError, match="shape"):
        truekeel.select(LOGITS[None])
