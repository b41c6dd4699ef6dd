"""The worker through the official client: its answers are OpenAI's, and say how they came about."""

import asyncio
import json
import math
import os
import urllib.error
from pathlib import Path

import openai
import pytest
from worker_server import MODEL, MODEL_FILE, Program, Worker, draw_bits, records_of, text_of

CTX = 256
EMOJI = "Answer with ten different emoji of animals and some Chinese words: 猫 🐈 狗 🐕"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("worker")


@pytest.fixture(scope="module")
def worker(folder):
    with Worker(folder, ctx=CTX) as running:
        yield running


def test_a_streamed_answer_is_the_whole_one_in_pieces(worker):
    whole = worker.chat(max_tokens=40)
    chunks = worker.stream(max_tokens=40, stream_options={"include_usage": True})
    assert text_of(chunks) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage == whole.usage
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert {chunk.system_fingerprint for chunk in chunks} == {whole.system_fingerprint}


@pytest.mark.parametrize("text", ["Say hello.", EMOJI])
def test_every_token_has_its_record_streamed_or_not(worker, text):
    options = {"max_tokens": 60, "logprobs": True, "top_logprobs": 20, "temperature": 1.2}
    whole = worker.chat(text, **options)
    chunks = worker.stream(text, stream_options={"include_usage": True}, **options)
    records = whole.choices[0].logprobs.content
    assert len(records) == whole.usage.completion_tokens
    assert records_of(chunks) == records
    assert all(len(record.top_logprobs) == 20 and record.bytes is not None and record.id >= 0 for record in records)
    shown = b"".join(bytes(record.bytes) for record in records if not record.token.startswith("<|"))
    assert shown.decode(errors="replace").startswith(whole.choices[0].message.content.rstrip("�"))
    assert all("�" not in chunk.choices[0].delta.content for chunk in chunks[1:-2] if chunk.choices[0].delta.content)


def test_the_end_token_has_a_record_and_no_text(worker):
    answer = worker.chat("Say only: ok", max_tokens=200, temperature=0, logprobs=True)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].logprobs.content[-1].token == "<|im_end|>"
    assert "<|" not in answer.choices[0].message.content


def test_logprobs_are_the_raw_distribution_whatever_the_request_does_to_it(worker):
    def top(**more):
        answer = worker.chat(max_tokens=1, logprobs=True, top_logprobs=20, **more)
        return [(each.id, each.logprob) for each in answer.choices[0].logprobs.content[0].top_logprobs]

    plain = top()
    assert plain == top(temperature=0) == top(temperature=1.9, top_p=0.3) == top(logit_bias={"19556": -100})
    assert plain == sorted(plain, key=lambda each: -each[1])
    assert 0.5 < sum(math.exp(logprob) for _, logprob in plain) <= 1


def test_bias_and_penalties_move_the_choice(worker):
    greedy = worker.chat(temperature=0, max_tokens=1, logprobs=True).choices[0].logprobs.content[0]
    barred = worker.chat(temperature=0, max_tokens=1, logprobs=True, logit_bias={str(greedy.id): -100})
    assert barred.choices[0].logprobs.content[0].id != greedy.id
    letters = "Write the letter A thirty times."
    assert worker.chat(letters, temperature=0, frequency_penalty=2).choices != worker.chat(letters, temperature=0).choices


def audit_of(chunks: list) -> list:
    return [row for chunk in chunks for choice in chunk.choices for row in getattr(choice, "audit", None) or []]


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0}, {"temperature": 0.8, "top_p": 0.9, "extra_body": {"top_k": 40, "min_p": 0.02}},
                                      {"frequency_penalty": 1, "logit_bias": {"198": 5}}])
def test_audit_records_say_how_every_token_was_drawn(worker, sampling):
    def options(level):
        return {"max_tokens": 24, **sampling, "extra_body": {**sampling.get("extra_body", {}), "audit": level}}

    whole = worker.chat(EMOJI, logprobs=True, top_logprobs=20, **options("full"))
    full, records = whole.choices[0].audit, whole.choices[0].logprobs.content
    assert len(full) == whole.usage.completion_tokens
    assert audit_of(worker.stream(EMOJI, **options("full"))) == full
    basic = worker.chat(EMOJI, **options("basic"))
    assert basic.choices[0].audit == [row[:8] for row in full] == audit_of(worker.stream(EMOJI, **options("basic")))
    assert basic.choices[0].logprobs is None
    for index, (row, record) in enumerate(zip(full, records)):
        position, token, _, _, kept, weight, begin, end, logprob, normaliser, top, margin, *below = row
        assert (position, token, logprob) == (index, record.id, record.logprob)
        assert 0 <= begin <= draw_bits(whole.seed, position, 0) * weight >> 64 < end <= weight
        assert (top, margin) == (record.top_logprobs[0].id, pytest.approx(record.top_logprobs[0].logprob - logprob, abs=1e-6))
        seen = sum(math.exp(each.logprob) for each in record.top_logprobs if each.logprob > math.log(1e-3))
        least = record.top_logprobs[-1].logprob
        assert 0 <= below[2] <= below[1] <= below[0] <= 1 - seen + 1e-6
        assert least > math.log(1e-3) or below[0] == pytest.approx(1 - seen, abs=1e-6)
        assert kept == 1 or sampling.get("temperature") != 0


def test_completions_carry_audit_records_too(worker):
    ask = dict(model=MODEL, prompt="Once upon a time", max_tokens=8, seed=2, extra_body={"audit": "full"})
    whole = worker.client().completions.create(**ask)
    assert [len(row) for row in whole.choices[0].audit] == [15] * 8
    assert audit_of(worker.client().completions.create(**ask, stream=True)) == whole.choices[0].audit


def test_shards_choose_the_same_tokens_and_bf16_says_so(worker, folder):
    def answers(server) -> list:
        return [server.chat(seed=seed, max_tokens=24, temperature=1.3, extra_body={"audit": "full"}).choices for seed in range(4)]

    own, selection = answers(worker), json.loads(worker.get("/v1/fingerprint"))["selection"]
    assert (selection["shards"], selection["dtype"]) == (1, "fp32")
    for shards, dtype in ((2, "fp32"), (8, "fp32"), (2, "bf16")):
        with Worker(folder, "--vocab-shards", str(shards), "--shard-dtype", dtype, name=f"{shards}-{dtype}", ctx=CTX) as sharded:
            fingerprint = json.loads(sharded.get("/v1/fingerprint"))
            assert (fingerprint["selection"]["shards"], fingerprint["selection"]["dtype"]) == (shards, dtype)
            assert fingerprint["selection"]["hash"] != selection["hash"]
            assert (answers(sharded) == own) == (dtype == "fp32")


async def test_a_seed_gives_the_same_answer_alone_and_in_company(worker):
    client = worker.client(openai.AsyncOpenAI)

    async def ask(seed: int):
        answer = await client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": f"Tell me about the number {seed}."}], seed=seed,
            max_tokens=16, logprobs=True, top_logprobs=3)
        return answer.choices[0]

    company = await asyncio.gather(*(ask(seed) for seed in range(8)))
    assert [await ask(seed) for seed in range(8)] == company
    assert len({choice.message.content for choice in company}) == 8


def test_without_a_seed_one_is_drawn_and_told(worker):
    first, second = (worker.chat(seed=None, max_tokens=30, temperature=1.5) for _ in range(2))
    assert first.seed != second.seed
    assert worker.chat(seed=first.seed, max_tokens=30, temperature=1.5).choices == first.choices


def test_several_choices_differ_and_count_together(worker):
    answer = worker.chat(n=3, max_tokens=20, temperature=1.5)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    chunks = worker.stream(n=3, max_tokens=20, temperature=1.5)
    for choice in answer.choices:
        own = [each.delta.content or "" for chunk in chunks for each in chunk.choices if each.index == choice.index]
        assert "".join(own) == choice.message.content
    assert worker.chat(max_tokens=20, temperature=1.5).choices[0] == answer.choices[0]


def test_a_stop_string_never_shows_and_its_tokens_are_recorded(worker):
    whole = worker.chat("Count from one to twenty in words.", temperature=0, max_tokens=60)
    text = whole.choices[0].message.content
    stop = text[20:27]
    stopped = worker.chat("Count from one to twenty in words.", temperature=0, max_tokens=60, stop=["zzz", stop], logprobs=True)
    assert stopped.choices[0].message.content == text[: text.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"
    records = stopped.choices[0].logprobs.content
    assert len(records) == stopped.usage.completion_tokens
    assert stop in "".join(record.token for record in records)
    streamed = worker.stream("Count from one to twenty in words.", temperature=0, max_tokens=60, stop=stop)
    assert text_of(streamed) == text[: text.index(stop)]


def test_completions_take_text_and_tokens(worker):
    client = worker.client()
    tokens = worker.post("/tokenize", content="Once upon a time")["tokens"]
    answers = [client.completions.create(model=MODEL, prompt=prompt, max_tokens=8, seed=2, logprobs=2)
               for prompt in ("Once upon a time", tokens)]
    assert answers[0].choices == answers[1].choices
    logprobs = answers[0].choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset) == 8
    streamed = client.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=8, seed=2, stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == answers[0].choices[0].text


def test_a_score_gives_the_probabilities_of_a_given_answer(worker):
    messages = [{"role": "user", "content": "Say hello."}]
    answer = worker.chat(max_tokens=30, logprobs=True, top_logprobs=5).choices[0]
    ids = [record.id for record in answer.logprobs.content]
    scored = worker.post("/v1/score", messages=messages, continuation=ids, top_logprobs=5)["tokens"]
    assert [record["id"] for record in scored] == ids
    # The first token follows the same prefill, bit for bit; the others take another path.
    assert scored[0]["logprob"] == answer.logprobs.content[0].logprob
    differences = [abs(record["logprob"] - own.logprob) for record, own in zip(scored, answer.logprobs.content)]
    assert sum(differences) / len(differences) < 0.3
    by_text = worker.post("/v1/score", messages=messages, continuation="Hello there")
    assert [record["token"] for record in by_text["tokens"]] == ["Hello", " there"]
    assert by_text["usage"]["total_tokens"] == by_text["usage"]["prompt_tokens"] + 2


def test_tokenize_counts_as_the_answers_do(worker):
    messages = [{"role": "user", "content": "Say hello."}]
    counted = worker.post("/tokenize", messages=messages)
    assert counted["count"] == len(counted["tokens"]) == worker.chat(max_tokens=1).usage.prompt_tokens
    stopped = worker.post("/tokenize", content="word " * 20000, stop_above=50, count_only=True)
    assert stopped["stopped"] and 50 < stopped["count"] < 5000 and "tokens" not in stopped


def test_a_context_that_does_not_fit_is_refused_with_the_numbers(worker):
    prompt = worker.post("/tokenize", messages=[{"role": "user", "content": "Say hello."}])["count"]
    full = worker.chat(max_tokens=CTX - prompt, extra_body={"ignore_eos": True}, temperature=0)
    assert full.usage.total_tokens == CTX
    with pytest.raises(openai.BadRequestError) as refused:
        worker.chat(max_tokens=CTX + 1 - prompt)
    assert refused.value.code == "context_length_exceeded"
    assert all(number in str(refused.value) for number in (str(CTX), str(prompt), str(CTX + 1 - prompt)))
    with pytest.raises(openai.BadRequestError, match="has 1[0-9]+ and"):
        worker.chat("word " * 1500, max_tokens=None)


def test_what_cannot_be_honoured_is_refused_by_name(worker):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    for field, value in {"tools": [tool], "n": 99, "top_logprobs": 5, "response_format": {"type": "json_object"}}.items():
        with pytest.raises(openai.BadRequestError) as refused:
            worker.chat(**{field: value})
        assert refused.value.param == field
    with pytest.raises(openai.NotFoundError, match=MODEL):
        worker.client().chat.completions.create(model="other", messages=[{"role": "user", "content": "x"}])
    with pytest.raises(urllib.error.HTTPError) as wrong:
        worker.get("/v1/chat/completions")
    assert wrong.value.code == 405


def test_it_says_what_it_is(worker, folder):
    model = worker.client().models.list().data[0]
    assert (model.id, model.max_model_len) == (MODEL, CTX)
    fingerprint = json.loads(worker.get("/v1/fingerprint"))
    assert fingerprint["system_fingerprint"] == worker.chat(max_tokens=1).system_fingerprint
    assert fingerprint["runtime"]["replay"] == "exact"
    assert json.loads(worker.get("/props"))["default_generation_settings"]["n_ctx"] == CTX
    assert worker.get("/ready") == worker.get("/health")
    with Worker(folder, "--rope-scaling", "linear", "--rope-scale", "2", name="scaled", parallel=1) as other:
        scaled = json.loads(other.get("/v1/fingerprint"))
    assert scaled["numerics"]["hash"] != fingerprint["numerics"]["hash"]
    assert scaled["selection"] == fingerprint["selection"]


def test_it_agrees_with_a_stock_llama_server(worker, folder):
    """Same weights, same kernels: the raw probabilities are the same, and so is the greedy answer."""
    arguments = ["-m", MODEL_FILE, "-c", str(CTX), "-np", "1", "-t", "1", "--port", "0", "--no-webui"]
    stock = Program(["bash", "-c", 'exec "$0" "$@" > >(sed -u "s/.*listening on/ready at/") 2>&1',
                     os.environ["TRUEKEEL_LLAMA_SERVER"], *arguments], folder / "stock.log", "llama-server")
    try:
        url = stock.wait_ready().url
        ask = dict(messages=[{"role": "user", "content": "Name three rivers."}], max_tokens=24, temperature=0,
                   logprobs=True, top_logprobs=5)
        theirs = openai.OpenAI(base_url=f"{url}/v1", api_key="x").chat.completions.create(
            model="x", extra_body={"cache_prompt": False}, **ask)
        ours = worker.client().chat.completions.create(model=MODEL, **ask)
    finally:
        stock.stop()
    assert ours.choices[0].message.content == theirs.choices[0].message.content
    for own, other in zip(ours.choices[0].logprobs.content, theirs.choices[0].logprobs.content):
        assert own.logprob == pytest.approx(other.logprob, abs=1e-3)
        assert [each.id for each in own.top_logprobs] == [each.id for each in other.top_logprobs]
