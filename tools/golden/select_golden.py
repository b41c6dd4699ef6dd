"""Writes the golden vectors of token selection, from the contract alone (docs/selection.md).

    python3 tools/golden/select_golden.py > src/select/testdata/golden.txt

Nothing here is shared with the library: numbers are exact fractions, rounding to fp32 is spelled out, and
logarithms come from Python's decimal module with 60 digits. A weight is also compared with the true exponential; a
violation of the stated error bound stops the program. The vectors may change only when the contract does.
"""

import random
import struct
from decimal import Decimal, getcontext
from fractions import Fraction

getcontext().prec = 60

NEG_INF = float("-inf")
OPS = ["bias", "penalties", "mask", "temperature", "top_k", "top_p", "min_p"]
CHAINS = {
    "standard": OPS,
    "llama.cpp": ["bias", "mask", "penalties", "top_k", "top_p", "min_p", "temperature"],
    "vllm": ["mask", "bias", "penalties", "temperature", "min_p", "top_k", "top_p"],
    "hf": ["penalties", "bias", "mask", "temperature", "top_k", "top_p", "min_p"],
}


def bits32(value: float) -> int:
    return struct.unpack("<I", struct.pack("<f", value))[0]


def from_bits32(bits: int) -> float:
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def bits64(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def f32(exact: Fraction) -> Fraction:
    """The nearest fp32 value, ties to even; no overflow."""
    if exact == 0:
        return Fraction(0)
    magnitude, exponent = abs(exact), -149
    while magnitude / Fraction(2) ** exponent >= 2**24:
        exponent += 1
    unit = Fraction(2) ** exponent
    quotient, rest = divmod(magnitude, unit)
    quotient = int(quotient)
    if rest * 2 > unit or (rest * 2 == unit and quotient % 2 == 1):
        quotient += 1
    return (quotient if exact > 0 else -quotient) * unit


def f64_ratio(exact: Fraction) -> Fraction:
    return Fraction(exact.numerator / exact.denominator)  # Python rounds this division correctly


LOG2_E = Fraction(float(1 / Decimal(2).ln()))  # the double nearest to log2(e), as the contract has it

# The contract's constants: units of the fraction 2^-24, of the product 2^-48, of the mantissa 2^-25.
SAG_U = Fraction(float.fromhex("-0x1.456f0cp+53"))
SAG_D = Fraction(float.fromhex("0x1p-105"))
SAG_G = Fraction(float.fromhex("-0x1.e105b8p-79"))
SAG_W = Fraction(float.fromhex("-0x1.afd74ap-27"))


def factor_of(temperature: Fraction) -> Fraction:
    return f32(f64_ratio(LOG2_E * 2**24 / temperature))


def weight(x: float, top: float, factor: Fraction) -> int:
    if x == NEG_INF:
        return 0
    z = f32(f32(Fraction(top) - Fraction(x)) * factor)
    fixed = int(min(z, Fraction(45 * 2**24)))
    shift, fraction = fixed >> 24, Fraction(fixed & 0xFFFFFF)
    q = f32(fraction * f32(2**24 - fraction))
    h = f32(f32(f32(q + SAG_U) * f32(f32(SAG_D * fraction) + SAG_G)) + SAG_W)
    mantissa = 2**25 - int(fraction) - int(f32(q * h))
    return (mantissa << 19) >> shift


def check_against_exp(x: float, top: float, temperature: Fraction, got: int) -> None:
    distance = (Fraction(top) - Fraction(x)) / temperature
    exact = (Decimal(-distance.numerator) / Decimal(distance.denominator)).exp() * 2**44
    octaves = float(distance) * 1.4427
    bound = Decimal(2.0**-21.9 + octaves * 3 * 2.0**-24) * exact + 1
    assert abs(Decimal(got) - exact) <= bound, (x, top, temperature, got, exact)


def philox(counter: list[int], key: list[int]) -> list[int]:
    for _ in range(10):
        a, b = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [(b >> 32) ^ counter[1] ^ key[0], b & 0xFFFFFFFF, (a >> 32) ^ counter[3] ^ key[1], a & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter


def draw_bits(seed: int, position: int, stream: int) -> int:
    words = philox([position & 0xFFFFFFFF, position >> 32, stream, 0], [seed & 0xFFFFFFFF, seed >> 32])
    return words[1] << 32 | words[0]


def key_of(x: float) -> int:
    bits = bits32(0.0 if x == 0 else x)
    return bits ^ (0xFFFFFFFF if bits >> 31 else 0x80000000)


def ceil_share(share: float, total: int) -> int:
    product = Fraction(share) * total
    return -(-product.numerator // product.denominator)


def edited(row: list[float], request: dict, op: str) -> list[float]:
    row = list(row)
    if op == "bias":
        for token, bias in request["bias"]:
            row[token] = NEG_INF if row[token] == NEG_INF else float(f32(Fraction(row[token]) + Fraction(bias)))
    if op == "penalties":
        repetition, frequency, presence = (Fraction(request[name]) for name in ("repetition", "frequency", "presence"))
        for token, counted, repeated in request["counts"]:
            if row[token] == NEG_INF:
                continue
            x = Fraction(row[token])
            if repeated:
                x = f32(x / repetition if x > 0 else x * repetition)
            row[token] = float(f32(x - f32(f32(counted * frequency) + (presence if counted else 0))))
    if op == "mask" and request["allowed"]:
        row = [x if request["allowed"][i // 64] >> (i % 64) & 1 else NEG_INF for i, x in enumerate(row)]
    return row


def select(raw: list[float], request: dict, bits: int) -> str:
    chain, row = CHAINS[request["chain"]], raw
    for op in chain:
        row = edited(row, request, op)
    order = sorted((i for i, x in enumerate(row) if x != NEG_INF), key=lambda i: (-key_of(row[i]), i))
    if not order:
        return "all_forbidden"
    top, temperature = row[order[0]], Fraction(1)

    def weights(kept: list[int]) -> list[int]:
        return [weight(row[i], top, factor_of(temperature)) for i in kept]

    kept = order
    for op in chain:
        if op == "temperature":
            temperature = Fraction(request["temperature"])
            if temperature == 0:
                return f"{order[0]} 0 0 1 {2**44} 0 {2**44}"
        if op == "top_k" and request["top_k"]:
            kept = kept[: request["top_k"]]
        if op == "top_p" and request["top_p"] < 1:
            masses = weights(kept)
            needed, length, reached = ceil_share(request["top_p"], sum(masses)), 0, 0
            while length == 0 or reached < needed:
                reached += masses[length]
                length += 1
            kept = kept[:length]
        if op == "min_p" and request["min_p"] > 0:
            kept = [i for i, w in zip(kept, weights(kept)) if w >= ceil_share(request["min_p"], 2**44)]
    by_id = dict(zip(kept, weights(kept)))
    total = sum(by_id.values())
    point, begin = bits * total >> 64, 0
    for token in sorted(by_id):
        if point < begin + by_id[token]:
            break
        begin += by_id[token]
    margin = key_of(top) - key_of(row[token])
    return f"{token} {order.index(token)} {margin} {len(kept)} {total} {begin} {begin + by_id[token]}"


def random_row(rng: random.Random, size: int) -> list[float]:
    kind = rng.randrange(5)
    if kind == 0:
        row = [rng.gauss(0, 3) for _ in range(size)]
    elif kind == 1:
        row = [rng.choice([-1.0, 0.0, -0.0, 0.5, 2.0]) for _ in range(size)]
    elif kind == 2:
        row = [rng.gauss(-40, 12) for _ in range(size)]
    elif kind == 3:
        row = [NEG_INF if rng.random() < 0.4 else rng.gauss(0, 1) for _ in range(size)]
    else:
        row = [from_bits32(rng.getrandbits(16) << 16 & 0xBFFF0000) for _ in range(size)]  # bf16, magnitudes below 2
    return [from_bits32(bits32(x)) for x in row]


def random_request(rng: random.Random, size: int) -> dict:
    edits = rng.random() < 0.4
    return {
        "chain": rng.choice(list(CHAINS)),
        "temperature": from_bits32(bits32(rng.choice([1.0, 1.0, 0.7, 0.1, 2.5, 0.0]))),
        "top_k": rng.choice([0, 0, 1, 3, 10, size]),
        "top_p": rng.choice([1.0, 0.9, 0.5, 0.0, 0.999]),
        "min_p": rng.choice([0.0, 0.0, 0.05, 0.5, 1.0]),
        "repetition": from_bits32(bits32(1.3 if edits else 1.0)),
        "frequency": 0.25 if edits else 0.0,
        "presence": 0.5 if edits else 0.0,
        "counts": [(i, rng.randrange(4), rng.randrange(2)) for i in range(0, size, 3)] if edits else [],
        "bias": [(i, from_bits32(bits32(rng.uniform(-3, 3)))) for i in range(1, size, 7)] if rng.random() < 0.3 else [],
        "allowed": [rng.getrandbits(64) for _ in range((size + 63) // 64)] if rng.random() < 0.3 else [],
    }


def write_weights(rng: random.Random) -> None:
    for _ in range(400):
        top = from_bits32(bits32(rng.choice([0.0, 17.3, -3.25, 1e-3, 88.0]) + rng.random()))
        temperature = Fraction(from_bits32(bits32(rng.choice([1.0, 0.7, 0.01, 5.0, 1e9]))))
        reach = float(temperature) * rng.choice([1e-6, 0.1, 1, 8, 31, 40])
        x = min(top, from_bits32(bits32(top - reach * rng.random())))
        got = weight(x, top, factor_of(temperature))
        check_against_exp(x, top, temperature, got)
        print(f"weight {bits32(x):08x} {bits32(top):08x} {bits32(float(temperature)):08x} {got}")


def write_draws(rng: random.Random) -> None:
    for number in range(150):
        size = rng.choice([1, 2, 7, 33, 64, 65, 80])
        row, request = random_row(rng, size), random_request(rng, size)
        bits = draw_bits(number, 3 * number, 1)
        fields = [
            request["chain"],
            f"{bits32(request['temperature']):08x}",
            str(request["top_k"]),
            f"{bits64(request['top_p']):016x}",
            f"{bits64(request['min_p']):016x}",
            *(f"{bits32(request[name]):08x}" for name in ("repetition", "frequency", "presence")),
            ",".join(f"{i}:{c}:{r}" for i, c, r in request["counts"]) or "-",
            ",".join(f"{i}:{bits32(b):08x}" for i, b in request["bias"]) or "-",
            ",".join(f"{word:016x}" for word in request["allowed"]) or "-",
            ",".join(f"{bits32(x):08x}" for x in row),
        ]
        print(f"draw {number} {3 * number} 1 {' '.join(fields)} = {select(row, request, bits)}")


def main() -> None:
    rng = random.Random(20250917)
    write_weights(rng)
    for _ in range(20):
        seed, position, stream = rng.getrandbits(64), rng.getrandbits(40), rng.getrandbits(32)
        print(f"philox {seed} {position} {stream} {draw_bits(seed, position, stream)}")
    write_draws(rng)


if __name__ == "__main__":
    main()
