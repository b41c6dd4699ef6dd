"""Three calls through the official clients: a short chat, a long prompt, a streamed Anthropic message."""

import json
import time

import anthropic
import openai

EXPLAIN = {"x-truekeel-explain": "1"}
LONG_TEXT = "The keel of a ship is laid first and carries everything that is built upon it. " * 140


def _decision(headers) -> dict:
    return json.loads(headers.get("x-truekeel-explain", "{}"))


def _show(what: str, answer: str, decision: dict, wanted_pool: str, started: float) -> bool:
    right = decision.get("pool") == wanted_pool
    print(f"\n{'ok  ' if right else 'FAIL'} {what} ({time.monotonic() - started:.1f} s)")
    print(f"     answer:  {' '.join(answer.split())[:160]}")
    print(f"     routing: {json.dumps(decision)}")
    if not right:
        print(f"     expected the {wanted_pool} pool")
    return right and bool(answer)


def converse(facts: dict) -> int:
    """Exit code 0 if every call was answered from the right pool, else 1."""
    model = facts["model_name"]
    chat = openai.OpenAI(base_url=f"{facts['url']}/v1", api_key="unused", max_retries=0)
    messages = anthropic.Anthropic(base_url=facts["url"], api_key="unused", max_retries=0)
    results = []

    started = time.monotonic()
    raw = chat.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "What is a keel?"}], temperature=0.7, seed=1, extra_headers=EXPLAIN)
    results.append(_show("short chat, OpenAI client, no max_tokens", raw.parse().choices[0].message.content,
                         _decision(raw.headers), "short", started))

    started = time.monotonic()
    raw = chat.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": LONG_TEXT + "Sum this up in one sentence."}],
        max_tokens=40, temperature=0, extra_headers=EXPLAIN)
    results.append(_show("long prompt, OpenAI client", raw.parse().choices[0].message.content,
                         _decision(raw.headers), "long", started))

    started = time.monotonic()
    with messages.messages.stream(model=model, max_tokens=60, system="Answer in one sentence.",
                                  messages=[{"role": "user", "content": "Why do ships float?"}],
                                  extra_headers=EXPLAIN) as stream:
        text = "".join(stream.text_stream)
        decision = _decision(stream.response.headers)
    results.append(_show("streamed message, Anthropic client", text, decision, "short", started))

    print(f"\n{sum(results)} of {len(results)} answered from the right pool")
    return 0 if all(results) else 1
