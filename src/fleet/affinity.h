// SPDX-License-Identifier: Apache-2.0
// Stickiness without a session table: the endpoint is a pure function of the session's key, the pool's
// epoch and the ready members (weighted rendezvous hashing). Thread safety: pure functions and values.
// Invariants: equal inputs give equal orders on every platform, integers only; removing a member moves
// only the sessions that it had; nobody without the secret can aim at a server or confirm a guessed prompt.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace truekeel::fleet {

/// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed pseudo-random function, fast on short inputs.
/// A merely fast hash with a secret seed (XXH3) would let a client learn to steer; HMAC-SHA256 costs some
/// 50 times as much (1.2 us against 20 ns) for every member of every request.
[[nodiscard]] std::uint64_t siphash(std::array<std::uint64_t, 2> key, std::string_view bytes);

/// The key of all affinity hashes, equal on every replica that is given the same secret.
class AffinitySecret {
 public:
  /// Any number of bytes; derived by HMAC-SHA256.
  explicit AffinitySecret(std::string_view secret);

  [[nodiscard]] const std::array<std::uint64_t, 2>& key() const { return key_; }

 private:
  std::array<std::uint64_t, 2> key_{};
};

enum class AffinitySource { session_header, user, metadata_user_id, prompt_cache_key, prefix };
[[nodiscard]] const char* to_string(AffinitySource source);

/// What a request offers; empty means absent. The first that is present is taken, in this order.
struct AffinityInputs {
  std::string_view session_header;  ///< x-truekeel-session
  std::string_view user;
  std::string_view metadata_user_id;
  std::string_view prompt_cache_key;
  /// What stays as the conversation grows: model, system prompt and first user message, in parts.
  std::span<const std::string_view> stable_prefix;
};

struct AffinityKey {
  std::uint64_t hash = 0;
  AffinitySource source = AffinitySource::prefix;

  bool operator==(const AffinityKey&) const = default;
};

[[nodiscard]] AffinityKey affinity_key(const AffinityInputs& inputs, const AffinitySecret& secret);

/// One candidate of a rendezvous.
struct RendezvousMember {
  std::uint64_t id = 0;  ///< member_id() of its name
  std::uint32_t weight_milli = 1000;
};

[[nodiscard]] std::uint64_t member_id(std::string_view name, const AffinitySecret& secret);

/// The members' indices, best first: each is first with a probability proportional to its weight, and the
/// rest follow as if the better ones did not exist. Cost: about 0.15 us a member.
[[nodiscard]] std::vector<std::uint32_t> rendezvous_order(std::span<const RendezvousMember> members,
                                                          const AffinityKey& key, std::uint64_t epoch,
                                                          const AffinitySecret& secret);

/// -log2(u / 2^64) in units of 2^-32, rounded down; u = 0 counts as 1. Monotone in u. For tests.
[[nodiscard]] std::uint64_t negative_log2(std::uint64_t u);

}  // namespace truekeel::fleet
