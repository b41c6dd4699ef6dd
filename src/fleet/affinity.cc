// SPDX-License-Identifier: Apache-2.0
#include "fleet/affinity.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <bit>

#include "base/assert.h"
#include "base/philox.h"

namespace truekeel::fleet {
namespace {

using SipKey = std::array<std::uint64_t, 2>;

/// Little-endian on every platform, so that replicas on different ones agree.
std::uint64_t load_word(const char* bytes, std::size_t count = 8) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < count; ++i) {
    word |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return word;
}

class SipState {
 public:
  explicit SipState(SipKey key)
      : v0_(key[0] ^ 0x736f6d6570736575),
        v1_(key[1] ^ 0x646f72616e646f6d),
        v2_(key[0] ^ 0x6c7967656e657261),
        v3_(key[1] ^ 0x7465646279746573) {}

  void absorb(std::uint64_t word) {
    v3_ ^= word;
    rounds(2);
    v0_ ^= word;
  }

  std::uint64_t finish() {
    v2_ ^= 0xff;
    rounds(4);
    return v0_ ^ v1_ ^ v2_ ^ v3_;
  }

 private:
  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0_ += v1_;
      v2_ += v3_;
      v1_ = std::rotl(v1_, 13) ^ v0_;
      v3_ = std::rotl(v3_, 16) ^ v2_;
      v0_ = std::rotl(v0_, 32);
      v2_ += v1_;
      v0_ += v3_;
      v1_ = std::rotl(v1_, 17) ^ v2_;
      v3_ = std::rotl(v3_, 21) ^ v0_;
      v2_ = std::rotl(v2_, 32);
    }
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

constexpr int kLengthShift = 56;  // SipHash's last word holds the length's low byte on top

/// siphash() of three words in little-endian order.
std::uint64_t siphash_words(SipKey key, std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  SipState state(key);
  state.absorb(a);
  state.absorb(b);
  state.absorb(c);
  state.absorb(std::uint64_t{24} << kLengthShift);
  return state.finish();
}

/// A part of the stable prefix enters with its length and at most this many bytes: telling sessions apart
/// needs no more, and a 64 MiB prompt then costs 10 us.
constexpr std::size_t kPartBytesMax = 16 << 10;

AffinityKey key_of(AffinitySource source, std::span<const std::string_view> parts, SipKey key) {
  std::uint64_t hash = static_cast<std::uint64_t>(source);
  for (const auto part : parts) {
    hash = siphash_words(key, hash, part.size(), siphash(key, part.substr(0, kPartBytesMax)));
  }
  return {hash, source};
}

}  // namespace

std::uint64_t siphash(std::array<std::uint64_t, 2> key, std::string_view bytes) {
  SipState state(key);
  const std::size_t whole = bytes.size() / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) state.absorb(load_word(bytes.data() + i));
  const std::uint64_t length = static_cast<std::uint64_t>(bytes.size()) << kLengthShift;
  state.absorb(load_word(bytes.data() + whole, bytes.size() - whole) | length);
  return state.finish();
}

AffinitySecret::AffinitySecret(std::string_view secret) {
  constexpr std::string_view kPurpose = "truekeel affinity v1";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  const char* key = secret.empty() ? "" : secret.data();
  const auto* done =
      HMAC(EVP_sha256(), key, static_cast<int>(secret.size()),
           reinterpret_cast<const unsigned char*>(kPurpose.data()), kPurpose.size(), digest.data(), &size);
  TK_ASSERT(done != nullptr && size >= 16);
  const auto* bytes = reinterpret_cast<const char*>(digest.data());
  key_ = {load_word(bytes), load_word(bytes + 8)};
}

const char* to_string(AffinitySource source) {
  switch (source) {
    case AffinitySource::session_header:
      return "x-truekeel-session";
    case AffinitySource::user:
      return "user";
    case AffinitySource::metadata_user_id:
      return "metadata.user_id";
    case AffinitySource::prompt_cache_key:
      return "prompt_cache_key";
    case AffinitySource::prefix:
      return "prefix";
  }
  return "";
}

AffinityKey affinity_key(const AffinityInputs& inputs, const AffinitySecret& secret) {
  const std::pair<AffinitySource, std::string_view> named[] = {
      {AffinitySource::session_header, inputs.session_header},
      {AffinitySource::user, inputs.user},
      {AffinitySource::metadata_user_id, inputs.metadata_user_id},
      {AffinitySource::prompt_cache_key, inputs.prompt_cache_key}};
  for (const auto& [source, value] : named) {
    if (!value.empty()) return key_of(source, std::span(&value, 1), secret.key());
  }
  return key_of(AffinitySource::prefix, inputs.stable_prefix, secret.key());
}

std::uint64_t member_id(std::string_view name, const AffinitySecret& secret) {
  return siphash(secret.key(), name);
}

std::uint64_t negative_log2(std::uint64_t u) {
  // One bit of the fraction per squaring (Knuth, TAOCP 1.2.2, exercise 25). Truncation keeps the order:
  // a larger u never gives a smaller logarithm.
  u = std::max<std::uint64_t>(u, 1);
  const int zeros = std::countl_zero(u);
  std::uint64_t log = static_cast<std::uint64_t>(63 - zeros);
  std::uint64_t mantissa = u << zeros;  // [1, 2) in units of 2^-63
  for (int bit = 0; bit < 32; ++bit) {
    const uint128 square = static_cast<uint128>(mantissa) * mantissa;
    const auto two_or_more = static_cast<unsigned>(square >> 127);  // a branch would be a coin's throw
    mantissa = static_cast<std::uint64_t>(square >> (63 + two_or_more));
    log = log << 1 | two_or_more;
  }
  return (std::uint64_t{64} << 32) - log;
}

std::vector<std::uint32_t> rendezvous_order(std::span<const RendezvousMember> members, const AffinityKey& key,
                                            std::uint64_t epoch, const AffinitySecret& secret) {
  // Member i arrives after an exponential time of rate w_i, -ln(u_i) / w_i, and the first wins: the
  // weighted rendezvous of Schindelhauer and Schomaker, 2005. Quotients are compared by cross products, in
  // integers: 2^38 * 2^20 at most, so exact in 64 bits; no rounding of some libm can split two replicas.
  struct Arrival {
    std::uint64_t time;
    std::uint64_t bits;
    std::uint64_t id;
    std::uint32_t weight;
    std::uint32_t index;
  };
  std::vector<Arrival> arrivals;
  arrivals.reserve(members.size());
  for (std::uint32_t i = 0; i < members.size(); ++i) {
    const auto& member = members[i];
    TK_ASSERT(member.weight_milli > 0 && member.weight_milli <= 1u << 20);
    const std::uint64_t bits = siphash_words(secret.key(), key.hash, epoch, member.id);
    arrivals.push_back({negative_log2(bits), bits, member.id, member.weight_milli, i});
  }
  std::ranges::sort(arrivals, [](const Arrival& a, const Arrival& b) {
    const std::uint64_t left = a.time * b.weight, right = b.time * a.weight;
    if (left != right) return left < right;
    if (a.bits != b.bits) return a.bits > b.bits;
    return a.id < b.id;
  });
  std::vector<std::uint32_t> order;
  order.reserve(arrivals.size());
  for (const auto& arrival : arrivals) order.push_back(arrival.index);
  return order;
}

}  // namespace truekeel::fleet
