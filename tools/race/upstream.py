"""A stand-in for an inference server: one small answer, or a paced stream whose events say when they were sent.

A request's "max_tokens" says how many events. Asked for logprobs it gives the top 20 with each.
"""

import asyncio
import gc
import json
import math
import random
import sys
import time

INTERVAL_MS = 20  # of events
ANSWER = json.dumps({
    "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}).encode()
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


MASSES = [0.5**rank for rank in range(1, 21)]


def records(chosen: int) -> dict:
    top = [{"id": 1000 + rank, "token": " word", "bytes": list(b" word"), "logprob": math.log(mass)} for rank, mass in enumerate(MASSES)]
    return {"content": [{**top[chosen], "top_logprobs": top}]}


def event(logprobs: dict | None) -> tuple[bytes, bytes]:
    """An event around the time when it is sent."""
    choice = {"index": 0, "delta": {"content": " word"}, "finish_reason": None, **({"logprobs": logprobs} if logprobs else {})}
    text = json.dumps({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], "sent_ns": "@"})
    before, after = f"data: {text}\n\n".encode().split(b'"@"')
    return before, after


PLAIN = event(None)
# One for each token that may be drawn; drawn by their masses, for an audit reads them.
AUDITED = [event(records(chosen)) for chosen in range(len(MASSES))]
LAST = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def end(count: int) -> bytes:
    """With how many tokens it has drawn, as llama.cpp tells: an audit must else take some for hidden."""
    return f"data: {json.dumps({**LAST, 'timings': {'predicted_n': count}})}\n\ndata: [DONE]\n\n".encode()


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Server(asyncio.Protocol):
    def connection_made(self, transport) -> None:
        self.transport, self.buffer, self.stream = transport, b"", None

    def connection_lost(self, _) -> None:
        if self.stream:
            self.stream.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15:].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4:end + 4 + length], self.buffer[end + 4 + length:]
            self.answer(json.loads(body) if body else {})

    def answer(self, ask: dict) -> None:
        if not ask.get("stream"):
            self.transport.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(ANSWER)}\r\n\r\n".encode() + ANSWER)
        else:
            self.stream = asyncio.ensure_future(self.pace(ask["max_tokens"], bool(ask.get("logprobs"))))

    async def pace(self, count: int, logprobs: bool) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        self.transport.write(STREAM_HEAD)
        for _ in range(count):
            due += INTERVAL_MS / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))
            before, after = random.choices(AUDITED, MASSES)[0] if logprobs else PLAIN
            self.transport.write(chunked(before + str(time.monotonic_ns()).encode() + after))
        self.transport.write(chunked(end(count)) + b"0\r\n\r\n")


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=512)
    print(f"ready at http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    gc.disable()
    sys.exit(asyncio.run(serve()))
