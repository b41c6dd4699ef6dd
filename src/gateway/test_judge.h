// SPDX-License-Identifier: Apache-2.0
// For the simulation: what clients and servers tell of each call, and what must be true of it.
// Thread safety: one thread.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace truekeel::gateway {

/// The answer that every server gives to the call of that number, so that a part, a mix-up or somebody else's
/// answer shows.
inline std::string answer_text(std::uint64_t call, std::size_t words) {
  std::string text;
  for (std::size_t i = 0; i < words; ++i) text += "w" + std::to_string(call) + "." + std::to_string(i) + " ";
  return text;
}

class Judge {
 public:
  struct Call {
    std::uint64_t tokens_needed = 0;   ///< prompt and output
    std::size_t words = 0;             ///< of the right answer
    std::vector<std::string> servers;  ///< that were asked, in order
    std::uint64_t sent = 0;            ///< bytes of streamed text that a server wrote
    std::uint64_t received = 0;        ///< and that the client read
    int ends = 0;
  };

  std::uint64_t begin(std::uint64_t tokens_needed, std::size_t words) {
    calls_.push_back({.tokens_needed = tokens_needed, .words = words, .servers = {}});
    return calls_.size() - 1;
  }

  /// Looks at the world whenever a server was asked.
  void at_each_call(std::function<void()> look) { at_each_call_ = std::move(look); }

  Call& call(std::uint64_t number) { return calls_.at(number); }

  /// A server was asked. Returns which attempt it is.
  std::size_t asked(std::uint64_t number, const std::string& server, std::uint64_t window) {
    auto& call = calls_.at(number);
    EXPECT_LE(call.tokens_needed, window) << server << " has too small a window";
    call.servers.push_back(server);
    if (at_each_call_) at_each_call_();
    return call.servers.size();
  }

  /// The client has got the head of an answer that this attempt gave: no later one may ever be made.
  void answered(std::uint64_t number, std::size_t attempt) { answered_[number] = attempt; }

  /// What is on its way must fit into the network and the one piece that the gateway holds.
  void wrote(std::uint64_t number, std::size_t text_bytes, std::size_t network_bytes) {
    auto& call = calls_.at(number);
    call.sent += text_bytes;
    constexpr std::uint64_t kOnePiece = 64 << 10;
    EXPECT_LE(call.sent, call.received + 2 * network_bytes + kOnePiece) << "call " << number;
  }

  void whole_answer() { ++whole_answers_; }

  /// Every call has ended once, and nobody was asked again after the client had seen an answer.
  void finish() const {
    for (std::size_t i = 0; i < calls_.size(); ++i) EXPECT_EQ(calls_[i].ends, 1) << "call " << i;
    for (const auto& [number, attempt] : answered_) {
      EXPECT_EQ(calls_[number].servers.size(), attempt)
          << "call " << number << " was retried after its first byte";
    }
  }

  [[nodiscard]] std::size_t calls() const { return calls_.size(); }
  [[nodiscard]] std::size_t whole_answers() const { return whole_answers_; }

 private:
  std::function<void()> at_each_call_;
  std::vector<Call> calls_;
  std::map<std::uint64_t, std::size_t> answered_;
  std::size_t whole_answers_ = 0;
};

}  // namespace truekeel::gateway
