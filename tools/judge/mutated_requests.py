"""Requests as clients should not write them: a grammar whose every part has odd forms, and bytes changed afterwards. Equal seeds give equal requests."""

import json
import random

# Everything that is on the first of two lists is as it should be; what is odd comes seldom, so that many requests are odd in one place.
ODD = 0.06
METHODS = (["GET", "POST", "POST", "PUT", "DELETE", "OPTIONS"], ["HEAD", "PATCH", "TRACE", "CONNECT", "get", "M-SEARCH", "PO ST", "", "POST\t"])
TARGETS = (["/", "/v1/chat/completions", "/a?b=c", "/a/b"],
           ["http://h/a", "http://other/a", "HTTP://h/A?x", "http://h", "http://h?x", "https://h:443/", "*", "/a b", "/%41", "/a%2fb", "/%zz", "/%00",
            "/..", "/a/../b", "/./a", "//x", "/\x80", "/a#b", "h:80", "", "/a\tb", "/" + "a" * 3000, "/?", "?a", "\\a", "/a\\b", "/{}|^"])
VERSIONS = (["HTTP/1.1"], ["HTTP/1.0", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1 ", "http/1.1", "HTTP/01.1", "HTTP/1.10", "HTTP/1", "", "HTTP / 1.1"])
HOSTS = ([["h"]], [["h:80"], ["H"], [""], ["a b"], ["h, i"], ["[::1]"], ["[::1]:8"], [], ["h", "h"], ["h", "i"], ["h/"], ["u@h"], ["h:"], ["h:x"], ["-"], ["h\x80"]])
PLAIN_FIELDS = ([("X-A", "1"), ("X-A", "a, b"), ("Accept", "*/*"), ("User-Agent", "judge"), ("Content-Type", "application/json"), ("X-Empty", ""),
                 ("Cookie", "a=b; c=d"), ("Authorization", "Bearer x"), ("Connection", "keep-alive")],
                [("X_Under", "1"), ("X.Dot", "1"), ("X!#$%&'*+^`|~", "1"), ("X-Utf", "\xc3\xa9"), ("X-Tab", "a\tb"), ("X-Nul", "a\0b"), ("X-Bell", "a\7b"), ("X-Del", "a\x7fb"),
                 ("X-Cr", "a\rb"), ("X-Lf", "a\nX-Smuggled: 1"), ("X-Colon", ":"), ("", "nameless"), ("X A", "1"), ("X\x80", "1"), ("X(", "1"), ("x-judge", "2"),
                 ("Connection", "close"), ("Connection", "X-A, close"), ("Connection", "upgrade"), ("Connection", "xclose"), ("Keep-Alive", "timeout=5"), ("Upgrade", "h2c"),
                 ("Expect", "100-continue"), ("Expect", "200-ok"), ("TE", "trailers"), ("Trailer", "X-T"), ("Proxy-Connection", "close"), ("Max-Forwards", "0"),
                 ("X-Long", "v" * 5000), ("Content-Encoding", "gzip"), ("X-Forwarded-For", "1.2.3.4"), ("Range", "bytes=0-1"), ("If-Match", "*")])
SEPARATORS = ([": "], [":", " :", ":\t", ":  ", "\t: ", " ", "", ": \r\n ", ":\r\n\t", ": \t "])
ENDS = (["\r\n"], ["\n", "\r", "\r\r\n", " \r\n", "\t\r\n", "\r\n ", "\0\r\n"])
LENGTHS = (["{n}"], ["+{n}", "{n} ", "0{n}", "0x{n:x}", "{n}, {n}", "{n},{more}", "", "-{n}", "{more}", "{less}", "{n};a", "{n} 0", "99999999999999999999", "18446744073709551{n}",
                    "\x0b{n}", "{n}\x0b", "{n}.0", "{n}e0", "\"{n}\"", "٣"])
CODINGS = (["chunked"], ["Chunked", "CHUNKED", "chunked, chunked", "gzip, chunked", "chunked, gzip", "identity", "identity, chunked", ", chunked", "chunked,", "chunked;a=b", "\x0bchunked",
                        "chunked\x0b", "\"chunked\"", "xchunked", "chun ked", "", "chunk\x00ed", "gzip"])
CODING_NAMES = (["Transfer-Encoding"], ["transfer-encoding", "Transfer_Encoding", "Transfer-Encoding ", "TRANSFER-ENCODING", "Transfer Encoding", "Transfer-\x00Encoding"])
SIZES = (["{n:x}"], ["{n:X}", "000{n:x}", "{n:x};e", "{n:x};e=v", "{n:x}; e=\"a;b\"", "{n:x} ", " {n:x}", "0x{n:x}", "+{n:x}", "-{n:x}", "{n:x};\x00", "{n:x};a\rb", "{more:x}", "{less:x}",
                    "ffffffffffffffff{n:x}", "1000000000000000{n:x}", "{n:x};" + "e" * 5000, "", "g", "{n:x}\t", "{n:x},1"])
LASTS = (["0"], ["00", "0;e", "0 ", "0x0", "-0", "+0", "", "000000000000000000000000", "0;a=b;c"])
TRAILERS = ([""], ["X-T: 1\r\n", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "Host: x\r\n", "X T: 1\r\n", "X-T: a\0b\r\n", " X-T: 1\r\n", "X-T 1\r\n", "X-T: 1\n", ": 1\r\n"])
SPECIAL = [b"\r", b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b",", b";", b"\x0b", b"\x0c", b"\x80", b"\xff", b"0", b"a", b"/", b"\"", b"\\", b"\x1f", b"\x7f", b"\r\n\r\n", b"0\r\n\r\n",
           b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"]


def pick(draw: random.Random, lists: tuple[list, list], odd: float = ODD):
    return draw.choice(lists[1] if draw.random() < odd else lists[0])


def line(draw: random.Random, name: str, value: str, odd: float) -> str:
    return name + pick(draw, SEPARATORS, odd / 4) + value + pick(draw, ENDS, odd / 4)


def lengths(number: int) -> dict[str, int]:
    return {"n": number, "more": number + 3, "less": max(0, number - 3)}


def in_chunks(draw: random.Random, body: str, odd: float) -> str:
    text, at = "", 0
    while at < len(body):
        piece = body[at:at + draw.randint(1, len(body) - at)]
        at += len(piece)
        text += pick(draw, SIZES, odd).format(**lengths(len(piece))) + pick(draw, ENDS, odd / 4) + piece + ("" if draw.random() < odd / 8 else pick(draw, ENDS, odd / 4))
    return text + pick(draw, LASTS, odd) + pick(draw, ENDS, odd / 4) + pick(draw, TRAILERS, odd) + pick(draw, ENDS, odd / 4)


def framing(draw: random.Random, body: str, odd: float) -> tuple[list[tuple[str, str]], str]:
    """Fields that say where the body ends, and the body as it is sent."""
    kind = draw.choices(["none", "length", "chunked", "both", "twice"], [0 if body else 6, 6, 6, odd, odd])[0]
    length = ("Content-Length", pick(draw, LENGTHS, odd * 2).format(**lengths(len(body))))
    coding = (pick(draw, CODING_NAMES, odd / 2), pick(draw, CODINGS, odd * 2))
    if kind == "none":
        return [], ""
    if kind == "length":
        return [length], body
    if kind == "chunked":
        return [coding], in_chunks(draw, body, odd)
    if kind == "both":
        return draw.sample([length, coding], 2), draw.choice([body, in_chunks(draw, body, odd)])
    return draw.choice([[length, length], [coding, coding], [length, ("Content-Length", str(len(body)))]]), draw.choice([body, in_chunks(draw, body, odd)])


def request(draw: random.Random, odd: float, method: str, target: str, body: str) -> str:
    framed, sent = framing(draw, body, odd)
    fields = [("Host", host) for host in pick(draw, HOSTS, odd)] + framed
    fields += [pick(draw, PLAIN_FIELDS, odd * 2) for _ in range(draw.randint(0, 4))]
    if draw.random() < 0.3:
        draw.shuffle(fields)
    first = " ".join([method, target, pick(draw, VERSIONS, odd)]) if draw.random() > odd / 4 else draw.choice([f"{method}  {target} HTTP/1.1", f"\r\n{method} {target} HTTP/1.1", f" {method} {target} HTTP/1.1", f"{method} {target}"])
    return first + pick(draw, ENDS, odd / 4) + "".join(line(draw, name, value, odd) for name, value in fields) + pick(draw, ENDS, odd / 4) + sent


def changed(draw: random.Random, raw: bytes) -> bytes:
    """With bytes put in, taken out, replaced or doubled in one or two places."""
    for _ in range(draw.choice([1, 1, 2])):
        at = draw.randint(0, len(raw))
        size = draw.choice([1, 1, 1, 2, 5])
        raw = draw.choice([raw[:at] + draw.choice(SPECIAL) + raw[at:], raw[:at] + raw[at + size:], raw[:at] + draw.choice(SPECIAL) + raw[at + size:], raw[:at] + raw[max(0, at - 20):]])
    return raw


def any_requests(seed: str) -> bytes:
    """What one connection carries: one to three requests to anywhere."""
    draw = random.Random(seed)
    odd = draw.choice([0, ODD, ODD, 3 * ODD])
    raw = b""
    for _ in range(draw.choice([1, 1, 2, 3])):
        body = "".join(draw.choice("abc\r\n0 5:") for _ in range(draw.choice([0, 1, 5, 30])))
        raw += request(draw, odd, pick(draw, METHODS, odd), pick(draw, TARGETS, odd), body).encode("latin-1", "replace")
    return changed(draw, raw) if draw.random() < 0.3 else raw


def chat_requests(seed: str) -> bytes:
    """As above, of calls that a gateway passes on."""
    draw = random.Random(seed)
    odd = draw.choice([0, ODD / 2, ODD])
    raw = b""
    for _ in range(draw.choice([1, 1, 2, 3])):
        target = draw.choice(["/v1/chat/completions", "/v1/chat/completions", "/v1/chat/completions?a=b", "/chat/completions", "http://h/v1/chat/completions"])
        body = json.dumps({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "".join(draw.choice("abc 05:") for _ in range(draw.randint(1, 60)))}]})
        raw += request(draw, odd, "POST", target, body).encode("latin-1", "replace")
    return changed(draw, raw) if draw.random() < 0.3 else raw
