// SPDX-License-Identifier: Apache-2.0
#include "fleet/client_keys.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>

#include "base/assert.h"
#include "fleet/config_reader.h"

namespace truekeel::fleet {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kHashPrefix = "sha256:";

/// The next word of a line, taken off it; empty at its end or before a comment.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  if (line.starts_with('#')) line = {};
  const auto word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

std::optional<KeyHash> parse_hash(std::string_view word) {
  if (!word.starts_with(kHashPrefix)) return std::nullopt;
  word.remove_prefix(kHashPrefix.size());
  KeyHash hash{};
  if (word.size() != 2 * hash.size()) return std::nullopt;
  for (std::size_t i = 0; i < hash.size(); ++i) {
    const char* from = word.data() + 2 * i;
    const auto [end, error] = std::from_chars(from, from + 2, hash[i], 16);
    if (error != std::errc() || end != from + 2) return std::nullopt;
  }
  return hash;
}

template <class T>
bool parse_limit(std::string_view word, std::string_view name, T least, T most, T& value) {
  if (!word.starts_with(name)) return false;
  word.remove_prefix(name.size());
  T read{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), read);
  if (error != std::errc() || end != word.data() + word.size() || !(read >= least && read <= most))
    return false;
  value = read;
  return true;
}

bool take_option(std::string_view word, Client& client) {
  if (word == "explain") return client.explain = true;
  return parse_limit(word, "concurrent=", 1u, kConcurrentMax, client.limits.concurrent) ||
         parse_limit(word, "requests_per_s=", kRequestsPerSMin, kRequestsPerSMax,
                     client.limits.requests_per_s);
}

bool is_name(std::string_view word) {
  return !word.empty() && word.size() <= kPlainName.length_max &&
         std::ranges::all_of(word, [](unsigned char c) {
           return (c < 0x80 && std::isalnum(c) != 0) ||
                  kPlainName.also.find(static_cast<char>(c)) != std::string_view::npos;
         });
}

class Reader {
 public:
  explicit Reader(const ClientLimits& limits) : limits_(limits) {}

  void take_line(std::string_view line) {
    ++line_;
    const char* const begin = line.data();
    const auto column_of = [&](std::string_view word) { return static_cast<int>(word.data() - begin) + 1; };
    const auto name = take_word(line);
    if (name.empty()) return;
    Client client{.name = std::string(name), .limits = limits_};
    if (!is_name(name)) return wrong(column_of(name), "no name of a client", "use letters, digits and . _ -");
    if (!names_.insert(client.name).second) {
      return wrong(column_of(name), "this client stands here twice", "give each key a name of its own");
    }
    const auto hash = take_word(line);
    const auto parsed = parse_hash(hash);
    if (!parsed) {
      return wrong(column_of(hash), "no hash of a key",
                   "write sha256: and 64 hex digits, as printf %s KEY | sha256sum gives them");
    }
    client.key = *parsed;
    if (!hashes_.insert(client.key).second) {
      return wrong(column_of(hash), "another client has this key", "give each client a key of its own");
    }
    for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
      if (!take_option(word, client)) {
        return wrong(column_of(word), "unknown option, or a value out of range",
                     "known are explain, concurrent=1..1000000 and requests_per_s=0.001..1000000");
      }
    }
    clients_.push_back(std::move(client));
  }

  std::expected<std::vector<Client>, std::vector<ConfigProblem>> finish() {
    if (problems_.empty() && clients_.empty())
      wrong(1, "no client stands in this file", "add a line: NAME sha256:HEX");
    if (!problems_.empty()) return std::unexpected(std::move(problems_));
    return std::move(clients_);
  }

 private:
  void wrong(int column, std::string message, std::string fix) {
    if (problems_.size() < kMaxProblems) {
      problems_.push_back({std::max(line_, 1), column, "", std::move(message), std::move(fix)});
    }
  }

  const ClientLimits limits_;
  int line_ = 0;
  std::set<std::string> names_;
  std::set<KeyHash> hashes_;
  std::vector<Client> clients_;
  std::vector<ConfigProblem> problems_;
};

}  // namespace

KeyHash hash_key(std::string_view key) {
  KeyHash hash{};
  const int done = EVP_Digest(key.data(), key.size(), hash.data(), nullptr, EVP_sha256(), nullptr);
  TK_ASSERT(done == 1);
  return hash;
}

std::expected<std::vector<Client>, std::vector<ConfigProblem>> parse_client_keys(std::string_view text,
                                                                                 const ClientLimits& limits) {
  Reader reader(limits);
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    reader.take_line(line);
    text.remove_prefix(std::min(line.size() + 1, text.size()));
  }
  return reader.finish();
}

const char* to_string(Denial::Reason reason) {
  switch (reason) {
    case Denial::Reason::no_key:
      return "no_key";
    case Denial::Reason::unknown_key:
      return "unknown_key";
    case Denial::Reason::too_many:
      return "too_many";
    case Denial::Reason::too_fast:
      return "too_fast";
  }
  return "";
}

void ClientGate::replace(std::vector<Client> clients, Instant now) {
  const auto before = std::exchange(by_key_, {});
  std::vector<bool> taken(clients_.size());
  for (const auto& client : clients) {
    const auto known = before.find(client.key);
    if (known == before.end()) continue;
    by_key_.insert(*known);
    taken[known->second] = true;
  }
  ClientId next = 0;
  for (auto& client : clients) {
    auto found = by_key_.find(client.key);
    if (found == by_key_.end()) {
      // The place of one who is gone, once nothing of it is under way.
      while (next < clients_.size() && (taken[next] || clients_[next].under_way > 0)) ++next;
      if (next == clients_.size()) {
        clients_.emplace_back();
        taken.push_back(false);
      }
      taken[next] = true;
      clients_[next].tokens = std::max(1.0, client.limits.requests_per_s);
      clients_[next].filled = now;
      found = by_key_.emplace(client.key, next).first;
    }
    clients_[found->second].client = std::move(client);
  }
}

std::expected<ClientGate::Admission, Denial> ClientGate::admit(const KeyHash* key, Instant now) {
  if (key == nullptr) return std::unexpected(Denial{Denial::Reason::no_key});
  const auto found = by_key_.find(*key);
  if (found == by_key_.end()) return std::unexpected(Denial{Denial::Reason::unknown_key});
  State& state = clients_[found->second];
  const auto& limits = state.client.limits;
  if (state.under_way >= limits.concurrent) return std::unexpected(Denial{Denial::Reason::too_many, 1});
  const double passed_s = std::max(0.0, std::chrono::duration<double>(now - state.filled).count());
  state.tokens =
      std::min(std::max(1.0, limits.requests_per_s), state.tokens + passed_s * limits.requests_per_s);
  state.filled = std::max(state.filled, now);
  if (state.tokens < 1) {
    const double wait_s = std::ceil((1 - state.tokens) / limits.requests_per_s);
    return std::unexpected(
        Denial{Denial::Reason::too_fast, static_cast<std::uint32_t>(std::max(1.0, wait_s))});
  }
  state.tokens -= 1;
  ++state.under_way;
  return Admission{found->second, state.client.explain};
}

void ClientGate::release(ClientId client) {
  TK_ASSERT(client < clients_.size() && clients_[client].under_way > 0);
  --clients_[client].under_way;
}

}  // namespace truekeel::fleet
