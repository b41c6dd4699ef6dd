"""An OpenAI-shaped server whose misbehaviour a test can program; raw sockets, one thread per connection."""

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict:
        return json.loads(self.body)

    @property
    def is_probe(self) -> bool:
        return b'"ping"' in self.body and b":1," in self.body


def chunk(delta: dict, finish_reason: str | None = None, **extra) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **extra}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def answer(text: str = "hello", completion_tokens: int = 1) -> bytes:
    return json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m", "system_fingerprint": "fp_stub",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": completion_tokens, "total_tokens": 5 + completion_tokens},
    }).encode()


class Peer:
    """The connection of one request, as a behaviour sees it."""

    def __init__(self, connection: socket.socket):
        self.socket = connection

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def respond(self, status: int, body: bytes, content_type: str = "application/json", extra: str = "") -> None:
        self.send(f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode() + body)

    def start_stream(self) -> None:
        self.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")

    def event(self, data: bytes) -> None:
        self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end_stream(self) -> None:
        self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.socket.detach())

    def wait_closed(self, timeout_s: float) -> bool:
        """True when the other side closes within the time."""
        self.socket.settimeout(timeout_s)
        try:
            return self.socket.recv(1) == b""
        except (ConnectionError, OSError) as error:
            return not isinstance(error, TimeoutError)


def behave_well(request: Request, peer: Peer) -> None:
    if not request.json.get("stream"):
        return peer.respond(200, answer())
    peer.start_stream()
    peer.event(chunk({"role": "assistant", "content": ""}))
    for word in ("hel", "lo"):
        peer.event(chunk({"content": word}))
    peer.event(chunk({}, "stop"))
    peer.event(b"data: [DONE]\n\n")
    peer.end_stream()


Behaviour = Callable[[Request, Peer], None]


@dataclass
class Stub:
    """Serves on a free port until stop(). Probes are answered with a token unless `answer_probes` is off."""

    behaviour: Behaviour = behave_well
    answer_probes: bool = True
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self._connections: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """As a killed process: the port refuses, open connections break."""
        for open_socket in [self._listener, *self._connections]:
            with contextlib.suppress(OSError):  # may be closed already
                open_socket.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            reader = connection.makefile("rb")
            while request := self._read(reader):
                if request.is_probe:
                    if self.answer_probes:
                        Peer(connection).respond(200, answer())
                    else:
                        time.sleep(60)
                    continue
                self.requests.append(request)
                self.behaviour(request, Peer(connection))
        except (OSError, ValueError):
            pass
        finally:
            connection.close()
            self._connections.discard(connection)

    @staticmethod
    def _read(reader) -> Request | None:
        line = reader.readline().decode()
        if not line:
            return None
        method, path, _ = line.split(" ", 2)
        headers = {}
        while (field_line := reader.readline().decode().strip()):
            name, value = field_line.split(":", 1)
            headers[name.lower()] = value.strip()
        return Request(method, path, headers, reader.read(int(headers.get("content-length", 0))))
