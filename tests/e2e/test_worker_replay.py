"""Replay: an answer selected anew on the path of generation is the same to the last token, or something is at fault."""

import json
import os
import random
import select
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from worker_server import BINARY, MODEL, Worker, draw_bits, wait_until

CTX = 512
TOKENS = int(os.environ.get("TRUEKEEL_REPLAY_TOKENS", "2000"))
PLACES = ["Paris", "Kyoto", "a lighthouse", "the Moon", "a small bakery", "an old library", "a harbour", "Mars"]
SAMPLINGS = [
    {},
    {"temperature": 0},
    {"temperature": 1.4},
    {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
    {"top_p": 0.9},
    {"top_k": 5},
    {"min_p": 0.1},
    {"presence_penalty": 1.5, "frequency_penalty": 0.5},
    {"temperature": 0, "frequency_penalty": 1},
    {"logit_bias": {"198": 4, "253": -100, "260": 1.5}, "temperature": 0.7},
]


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    with Worker(tmp_path_factory.mktemp("replay"), ctx=CTX, parallel=4) as running:
        yield running


def ask(worker: Worker, request: dict, stream: bool = False) -> dict:
    """Sends a request, and returns it with what a replay needs of its answer."""
    body = {**request, "model": MODEL, "return_token_ids": True}
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    if not stream:
        answer = worker.post(path, **body)
        return {**request, "tokens": answer["choices"][0]["token_ids"], "seed": answer["seed"],
                "system_fingerprint": answer["system_fingerprint"]}
    chunks = worker.post_stream(path, **body)
    tokens = [token for chunk in chunks for choice in chunk["choices"] for token in choice.get("token_ids", [])]
    seed = next(chunk["seed"] for chunk in chunks if "seed" in chunk)
    return {**request, "tokens": tokens, "seed": seed, "system_fingerprint": chunks[0]["system_fingerprint"]}


def question(text: str, **more) -> dict:
    return {"messages": [{"role": "user", "content": text}], "max_tokens": 24, **more}


def replay(worker: Worker, answer: dict, **more) -> dict:
    return worker.post("/v1/replay", **{**answer, **more})


def refused(worker: Worker, body: dict) -> tuple[int, dict]:
    with pytest.raises(urllib.error.HTTPError) as error:
        worker.post("/v1/replay", **body)
    return error.value.code, json.load(error.value)["error"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=lambda sampling: ",".join(sampling) or "plain")
def test_an_answer_is_its_own_replay(worker, sampling, stream):
    answer = ask(worker, question("Tell me about Kyoto.", **sampling), stream)
    report = replay(worker, answer)
    assert (report["verdict"], report["mode"], report["differences"]) == ("same", "exact", [])
    assert report["summary"] == {"tokens": len(answer["tokens"]), "different": 0, "counted": 0, "first_counted": None,
                                 "farthest": None, "tolerance": 0}
    assert [same for same, _ in report["positions"]] == [1] * len(answer["tokens"])
    assert all(distance is None or 0 <= distance <= 1 for _, distance in report["positions"])
    assert report["numerics_checked"] and report["numerics"].startswith(answer["system_fingerprint"][3:11])
    assert list(report)[:4] == ["object", "model", "mode", "verdict"]


def test_completions_and_further_choices_are_replayed_too(worker):
    by_text = ask(worker, {"prompt": "Once upon a time", "max_tokens": 16, "seed": 3})
    assert replay(worker, by_text)["verdict"] == "same"
    ids = worker.post("/tokenize", content="Once upon a time")["tokens"]
    assert replay(worker, {**by_text, "prompt": ids})["verdict"] == "same"
    request = question("Tell me about Mars.", n=3, seed=5, temperature=1.5)
    choices = worker.post("/v1/chat/completions", **request, return_token_ids=True)["choices"]
    for index, choice in enumerate(choices):
        assert replay(worker, request, tokens=choice["token_ids"], choice=index)["verdict"] == "same"
        assert replay(worker, request, tokens=choice["token_ids"], choice=index + 1)["verdict"] == "differs"


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.4}, {"top_k": 3}])
def test_the_distances_are_those_of_the_audit_records(worker, sampling):
    request = question("Tell me about Paris.", seed=11, **sampling)
    whole = worker.post("/v1/chat/completions", **request, return_token_ids=True, audit="basic")["choices"][0]
    report = replay(worker, request, tokens=whole["token_ids"])
    assert len(report["positions"]) == len(whole["audit"])
    for (same, distance), (place, *_, weight, begin, end) in zip(report["positions"], whole["audit"]):
        drawn = draw_bits(request["seed"], place, 0) / 2**64 * weight
        # An end of the whole range is no boundary to another token.
        ends = [drawn - begin] * (begin > 0) + [end - drawn] * (end < weight)
        assert same == 1
        assert distance == (pytest.approx(min(ends) / weight, rel=1e-6, abs=1e-9) if ends else None)


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0}, {"top_k": 5}])
def test_one_altered_token_is_found(worker, sampling):
    answer = ask(worker, question("Tell me about the Moon.", **sampling))
    place = 7
    answer["tokens"][place] = (answer["tokens"][place] + 1) % 49152
    report = replay(worker, answer)
    assert (report["verdict"], report["summary"]["first_counted"]) == ("differs", place)
    first = report["differences"][0]
    assert (first["position"], first["given"]["id"], first["counts"]) == (place, answer["tokens"][place], True)
    assert first["selected"]["id"] == (answer["tokens"][place] - 1) % 49152
    assert 0 <= first["distance"] <= 1 and report["positions"][place] == [0, first["distance"]]


def test_a_wrong_seed_or_parameter_is_found(worker):
    answer = ask(worker, question("Tell me about a harbour.", temperature=1.2))
    assert replay(worker, answer)["verdict"] == "same"
    for wrong in ({"seed": answer["seed"] + 1}, {"temperature": 0.5}, {"choice": 1}, {"messages": question("Else?")["messages"]}):
        report = replay(worker, answer, **wrong)
        assert report["verdict"] == "differs" and report["summary"]["counted"] == report["summary"]["different"] > 0, wrong
    for wrong in ({"seed": answer["seed"] + 1}, {"choice": 1}):
        assert replay(worker, answer, mode="fast", **wrong)["verdict"] == "differs", wrong


def test_fast_mode_counts_only_what_lies_beyond_the_tolerance(worker):
    answers = [ask(worker, question(f"Tell me about {place}.", max_tokens=40)) for place in PLACES[:2]]
    for answer in answers:
        report = replay(worker, answer, mode="fast")
        assert report["verdict"] == "same" and not any(each["counts"] for each in report["differences"])
    loose, strict = (replay(worker, answers[0], mode="fast", seed=answers[0]["seed"] + 1, tolerance=tolerance) for tolerance in (1, 0))
    assert loose["differences"] and (loose["verdict"], loose["summary"]["counted"]) == ("same", 0)
    assert (strict["verdict"], strict["summary"]["counted"]) == ("differs", strict["summary"]["different"])
    median = sorted(each["distance"] for each in strict["differences"])[len(strict["differences"]) // 2] + 1e-6  # reported in 7 digits
    between = replay(worker, answers[0], mode="fast", seed=answers[0]["seed"] + 1, tolerance=median)
    assert [each["counts"] for each in between["differences"]] == [each["distance"] > median for each in between["differences"]]


def test_other_numerics_are_refused_in_exact_mode(worker):
    answer = ask(worker, question("Tell me about Paris."))
    own = json.loads(worker.get("/v1/fingerprint"))["numerics"]["hash"]
    assert replay(worker, answer, numerics=own)["verdict"] == "same"
    other = f"{int(own, 16) ^ 1:016x}"
    status, error = refused(worker, {**answer, "numerics": other})
    assert (status, error["code"], error["param"]) == (409, "numerics_differ", "numerics")
    assert own in error["message"] and other in error["message"]
    status, error = refused(worker, {**answer, "system_fingerprint": "tk-0123456789abcdef"})
    assert (status, error["code"], error["param"]) == (409, "numerics_differ", "system_fingerprint")
    assert replay(worker, answer, numerics=other, mode="fast")["verdict"] == "same"


def test_an_answer_of_rounded_logits_is_replayed_on_rounded_logits_alone(worker, tmp_path):
    with Worker(tmp_path, "--shard-dtype", "bf16", ctx=CTX, parallel=4) as rounding:
        answer = ask(rounding, question("Tell me about Paris.", temperature=1.3))
        assert replay(rounding, answer)["verdict"] == "same"
        for server, given in ((worker, answer), (rounding, ask(worker, question("Tell me about Paris.")))):
            status, error = refused(server, given)
            assert (status, error["code"], error["param"]) == (409, "numerics_differ", "system_fingerprint")


def test_bad_input_names_the_field(worker):
    good = {**question("Hi."), "tokens": [1, 2], "seed": 1}
    wrong = {"tokens": [[], None, "x", [-1], [49152], [1.5]], "seed": [None, 1.5, "x"], "mode": ["slow", 1], "numerics": ["xyz", 7],
             "system_fingerprint": ["b1234"], "tolerance": [-1, 2, "x"], "choice": [-1, 1 << 20],
             "temperature": [-1], "top_p": [2], "logit_bias": [{"x": 1}], "messages": [[], 3]}
    for field, values in wrong.items():
        for value in values:
            status, error = refused(worker, {**good, field: value})
            assert (status, error["param"]) == (400, field), (field, value)
            assert error["message"]
    status, error = refused(worker, {**good, "tokens": [1] * CTX})
    assert (status, error["code"]) == (400, "context_length_exceeded")
    status, error = refused(worker, {key: value for key, value in good.items() if key != "messages"})
    assert (status, error["param"]) == (400, "prompt")
    assert replay(worker, {**good, "temperature": 0}, seed=None)["object"] == "replay"


def send_replay(worker: Worker, answer: dict) -> socket.socket:
    host, port = worker.url.removeprefix("http://").split(":")
    body = json.dumps(answer).encode()
    client = socket.create_connection((host, int(port)))
    client.sendall(f"POST /v1/replay HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    return client


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_long_replays_stall_nobody_and_end_with_their_clients(worker, mode):
    answer = {**ask(worker, question("Go on.", max_tokens=400, ignore_eos=True)), "mode": mode}
    alone = worker.chat(max_tokens=4).choices
    clients = [send_replay(worker, answer) for _ in range(3)]
    wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 3)
    assert worker.chat(max_tokens=4).choices == alone
    # Three times 400 tokens were ahead of these four, and not one replay is done.
    assert select.select(clients, [], [], 0)[0] == []
    done = worker.metric('truekeel_worker_tokens_total{type="completion"}')
    for client in clients:
        client.close()
    wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 0)
    if mode == "exact":  # had they gone on, it would have been some 1,200
        assert worker.metric('truekeel_worker_tokens_total{type="completion"}') - done < 200


@pytest.mark.parametrize("path", ["/v1/replay", "/v1/score"])
def test_a_deadline_ends_a_replay_and_a_score(worker, path):
    body = {**question("Go on."), "seed": 1, "tokens": [28] * 400, "continuation": [28] * 400}
    request = urllib.request.Request(worker.url + path, data=json.dumps(body).encode(), headers={"x-truekeel-timeout-ms": "1"})
    with pytest.raises(urllib.error.HTTPError) as late:
        urllib.request.urlopen(request)
    assert (late.value.code, json.load(late.value)["error"]["code"]) == (504, "deadline_exceeded")
    wait_until(lambda: worker.metric("truekeel_worker_busy_slots") == 0)


@pytest.mark.timeout(120 + TOKENS // 10)
def test_a_clean_mixed_load_has_no_difference(tmp_path):
    """All slots at work with answers and replays of every kind. TRUEKEEL_REPLAY_TOKENS sets how many tokens are replayed."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    done, lock = [0, 0], threading.Lock()
    with Worker(tmp_path, ctx=CTX, parallel=8) as worker:

        def one(index: int) -> list:
            own = random.Random(seed + index)
            request = question(f"Tell me about {own.choice(PLACES)}, and mind the number {own.randrange(1000)}.",
                               **{**own.choice(SAMPLINGS), "max_tokens": own.randrange(20, 240), "ignore_eos": own.random() < 0.5})
            answer = ask(worker, request, stream=own.random() < 0.5)
            report = replay(worker, answer)
            with lock:
                done[0] += report["summary"]["tokens"]
                done[1] += 1
            assert report["summary"]["tokens"] == len(answer["tokens"])
            return [(index, difference) for difference in report["differences"]]

        differences = []
        with ThreadPoolExecutor(8) as pool:
            first = 0
            while done[0] < TOKENS:
                # Rounds of uneven answers: slots come and go, and every width occurs.
                for found in pool.map(one, range(first, first + 48)):
                    differences += found
                first += 48
                print(f"{done[0]} tokens in {done[1]} replays, {len(differences)} differences", flush=True)
    assert not differences, f"seed {seed}: {differences[:5]}"
    assert done[0] >= TOKENS


def cli(*arguments, given: str = "") -> subprocess.CompletedProcess:
    return subprocess.run([BINARY, "replay", *map(str, arguments)], input=given, capture_output=True, text=True, timeout=100)


def test_the_command_says_whether_an_answer_is_the_same(worker, tmp_path):
    answer = ask(worker, question("Tell me about a bakery."))
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(answer))
    for url in (worker.url, worker.url + "/v1", worker.url + "/v1/"):
        same = cli(url, file)
        assert (same.returncode, same.stderr, same.stdout) == (0, "", f"exact replay of {len(answer['tokens'])} tokens: all the same\n")
    piped = cli(worker.url, "--json", "--mode", "fast", given=json.dumps(answer))
    assert (piped.returncode, json.loads(piped.stdout)["mode"]) == (0, "fast")

    answer["tokens"][5] += 1
    file.write_text(json.dumps(answer))
    differs = cli(worker.url, file)
    assert differs.returncode == 1 and "differ" in differs.stdout and f"position 5: the answer has {answer['tokens'][5]}" in differs.stdout
    report = cli(worker.url, file, "--json")
    assert report.returncode == 1 and json.loads(report.stdout)["summary"]["first_counted"] == 5
    within = cli(worker.url, file, "--mode", "fast", "--tolerance", "1")
    assert within.returncode == 0 and "none beyond the tolerance" in within.stdout


def test_the_command_names_what_went_wrong(worker, tmp_path):
    answer = {**question("Hi."), "tokens": [1, 2], "seed": 1}

    def outcome(given, *more, url=worker.url):
        result = cli(url, *more, given=given if isinstance(given, str) else json.dumps(given))
        assert result.stdout == ""
        return result.returncode, result.stderr

    assert outcome({**answer, "system_fingerprint": "tk-0123456789abcdef"})[0] == 3
    assert "equal numerics" in outcome({**answer, "system_fingerprint": "tk-0123456789abcdef"})[1]
    for given, said in (("", "no JSON object"), ("[1]", "no JSON object"), ({**answer, "tokens": []}, "return_token_ids"),
                        ({**answer, "seed": None}, "seed"), ({**answer, "model": "other"}, "other")):
        code, text = outcome(given)
        assert code == 2 and said in text, (given, text)
    assert "cannot be read" in outcome("", tmp_path / "none.json")[1]
    assert outcome(answer, url="ftp://x")[0] == outcome(answer, "--mode", "slow")[0] == outcome(answer, "--tolerance", "3")[0] == 2
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        code, text = outcome(answer, url=f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert code == 4 and text
    code, text = outcome(answer, url=worker.url + "/elsewhere")
    assert code == 4 and "must be a truekeel worker" in text
    broken = cli(worker.url, "--json", given="x")
    assert broken.returncode == 2 and "JSON object" in json.loads(broken.stdout)["error"]["message"]


def test_the_command_explains_itself():
    helped = cli("--help")
    assert helped.returncode == 0
    for said in ("Examples:", "truekeel replay http://127.0.0.1:9101 request.json", "--mode", "Exit codes:", "return_token_ids"):
        assert said in helped.stdout
