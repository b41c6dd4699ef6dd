"""Tools, images and documents of Anthropic's API over servers that speak OpenAI's; the official client judges."""

import json
from pathlib import Path

import anthropic
import pytest
from gateway import Gateway, config, endpoint
from llama_server import LlamaServer
from stub_upstream import Stub, chunk
from worker_server import MODEL

WEATHER = {"name": "weather", "description": "The weather of a city.",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 12}}, "required": ["city"]}}


def asked(city: str) -> dict:
    return {"role": "user", "content": f"What is the weather in {city}?"}


def exchange(city: str) -> list[dict]:
    """A call, its answer and what was made of it: enough of these, and a small model does the same."""
    use = {"type": "tool_use", "id": f"toolu_{city}", "name": "weather", "input": {"city": city}}
    return [asked(city), {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use["id"], "content": "Sun, 20 degrees."}]},
            {"role": "assistant", "content": f"It is sunny in {city}."}]


ASK = {"max_tokens": 100, "tools": [WEATHER], "extra_body": {"temperature": 0},
       "messages": [*exchange("Paris"), *exchange("Berlin"), *exchange("Madrid"), asked("Rome")]}


def final(stream) -> anthropic.types.Message:
    with stream as events:
        return events.get_final_message()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A gateway before a stock llama-server that knows of tools."""
    folder = tmp_path_factory.mktemp("tools")
    template = Path(__file__).with_name("tools_template.jinja")
    with LlamaServer(folder, "--jinja", "--chat-template-file", str(template)) as server:
        settings = config({"main": [endpoint("s1", server.url, "llama.cpp")]}, {"main": 1024}, MODEL, "endpoint")
        with Gateway(settings, folder) as gateway:
            yield gateway.anthropic()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_real_model_calls_a_tool_and_hears_its_answer(real, streamed):
    ask = {**ASK, "model": MODEL, "tool_choice": {"type": "any"}}
    called = final(real.messages.stream(**ask)) if streamed else real.messages.create(**ask)
    assert called.stop_reason == "tool_use"
    block = called.content[-1]
    assert block.type == "tool_use" and block.name == "weather" and block.input == {"city": "Rome"} and block.id
    told = [*ask["messages"], {"role": "assistant", "content": [block.model_dump(exclude_unset=True) for block in called.content]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block.id, "content": "Rain, 12 degrees."}]}]
    ask |= {"messages": told, "tool_choice": {"type": "none"}, "max_tokens": 20}
    answered = final(real.messages.stream(**ask)) if streamed else real.messages.create(**ask)
    assert "Rome" in answered.content[0].text and answered.stop_reason in ("end_turn", "max_tokens")
    assert real.messages.count_tokens(model=MODEL, messages=told, tools=[WEATHER]).input_tokens > 400


@pytest.fixture
def stub():
    server = Stub()
    yield server
    server.stop()


@pytest.fixture
def client(stub, tmp_path):
    with Gateway(config({"main": [endpoint("s1", stub.url)]}), tmp_path) as gateway:
        yield gateway.anthropic()


def piece(index: int, **call) -> bytes:
    return chunk({"tool_calls": [{"index": index, **call}]})


def test_parallel_calls_arrive_whole(stub, client):
    def call(request, peer):
        if request.is_probe:
            return peer.respond(200, b'{"choices":[{"message":{"content":"x"}}]}')
        peer.start_stream()
        peer.event(chunk({"role": "assistant", "content": None}))
        for index, city in enumerate(["Köln", "S\u00e3o \"P\""]):
            arguments = json.dumps({"city": city})
            peer.event(piece(index, id=f"call_{index}", type="function", function={"name": "weather", "arguments": ""}))
            for at in range(0, len(arguments), 5):
                peer.event(piece(index, function={"arguments": arguments[at:at + 5]}))
        peer.event(chunk({}, "stop"))  # not tool_calls: some servers say so
        peer.event(b"data: [DONE]\n\n")
        peer.end_stream()

    stub.behaviour = call
    message = final(client.messages.stream(model="m", **ASK))
    assert message.stop_reason == "tool_use"
    assert [(block.id, block.input) for block in message.content] == [("call_0", {"city": "Köln"}), ("call_1", {"city": 'São "P"'})]


def test_what_the_server_gets(stub, client):
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
    client.messages.create(model="m", max_tokens=5, tools=[WEATHER], tool_choice={"type": "tool", "name": "weather"}, messages=[
        {"role": "user", "content": [image, {"type": "text", "text": "Where is this?"}]}])
    body = next(request.json for request in reversed(stub.requests) if not request.is_probe)
    assert body["tools"] == [{"type": "function", "function": {"name": "weather", "description": "The weather of a city.", "parameters": WEATHER["input_schema"]}}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert body["messages"][0]["content"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}, {"type": "text", "text": "Where is this?"}]


def test_a_tool_of_the_provider_is_refused_by_name(client):
    with pytest.raises(anthropic.BadRequestError, match=r"tools\[0\].type"):
        client.messages.create(model="m", max_tokens=5, messages=ASK["messages"], tools=[{"type": "web_search_20250305", "name": "web_search"}])
