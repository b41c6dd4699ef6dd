// SPDX-License-Identifier: Apache-2.0
// Who may call, how much at once and how often. Keys are known by their SHA-256 alone: they are random and
// long, so that nobody finds one from its hash. Thread safety: none of its own, the caller locks.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"
#include "fleet/config.h"

namespace truekeel::fleet {

using KeyHash = std::array<std::uint8_t, 32>;

[[nodiscard]] KeyHash hash_key(std::string_view key);

struct Client {
  std::string name;  ///< for people; goes into no metric
  KeyHash key{};
  bool explain = false;  ///< may ask for the routing decision
  ClientLimits limits;
};

/// Reads a file of keys: `NAME sha256:HEX [explain] [concurrent=N] [requests_per_s=N]` a line, `#` begins a
/// comment. All problems, at most kMaxProblems, each with its line; an empty file is one.
[[nodiscard]] std::expected<std::vector<Client>, std::vector<ConfigProblem>> parse_client_keys(
    std::string_view text, const ClientLimits& limits);

/// Why a call is not taken.
struct Denial {
  enum class Reason { no_key, unknown_key, too_many, too_fast };
  Reason reason;
  std::uint32_t retry_after_s = 0;  ///< for the last two
};
[[nodiscard]] const char* to_string(Denial::Reason reason);

/// Counts what each client has under way, and how fast it comes (a token bucket that holds a second's worth).
class ClientGate {
 public:
  using ClientId = std::uint32_t;

  ClientGate(std::vector<Client> clients, Instant now) { replace(std::move(clients), now); }

  /// Other clients from now on. Who keeps the key keeps the counts; calls under way are still to be released.
  void replace(std::vector<Client> clients, Instant now);

  struct Admission {
    ClientId client = 0;
    bool may_explain = false;
  };

  [[nodiscard]] bool knows(const KeyHash& key) const { return by_key_.contains(key); }

  /// Takes a call in; each that is taken has one release(). `key` null: none was given. Cost: a look-up.
  [[nodiscard]] std::expected<Admission, Denial> admit(const KeyHash* key, Instant now);
  void release(ClientId client);

 private:
  struct State {
    Client client;
    std::uint32_t under_way = 0;
    double tokens = 0;
    Instant filled{};
  };
  std::vector<State> clients_;
  std::map<KeyHash, ClientId> by_key_;
};

}  // namespace truekeel::fleet
