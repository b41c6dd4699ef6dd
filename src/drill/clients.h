// SPDX-License-Identifier: Apache-2.0
// The drill's clients: chats of many kinds over real sockets, one after the other in each session. Thread
// safety: the net's thread. Invariant: an answer that did not come whole is counted as lost, unless end() cut
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/philox.h"
#include "base/time.h"
#include "http/client.h"

namespace truekeel::drill {

struct Ask {
  std::string body;
  bool stream = false;
};
/// The next chat: temperature 0, .7 with top-k 40 and top-p .9, or 1; streamed or not; of many prompts.
[[nodiscard]] Ask make_ask(PhiloxStream& random);

/// One answer that came, or was lost.
struct Answered {
  std::string server;  ///< empty when lost
  WallTime began{}, ended{};
};

class Clients {
 public:
  /// `net` is borrowed for life.
  Clients(http::Net& net, http::Endpoint gateway, std::uint64_t seed, unsigned count);

  void begin();
  /// Cuts what is under way; returns when no client is left.
  [[nodiscard]] http::Task<void> end();

  [[nodiscard]] const std::vector<Answered>& answers() const { return answers_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }
  [[nodiscard]] const std::string& first_loss() const { return first_loss_; }

  /// The server that gave each client its last answer, with its beginning.
  [[nodiscard]] const std::vector<Answered>& last() const { return last_; }

 private:
  [[nodiscard]] http::Task<void> live(std::size_t client);
  [[nodiscard]] http::Task<void> chat(std::size_t client, const Ask& ask, std::string session);
  void lose(std::string why);

  http::Net& net_;
  const http::Endpoint gateway_;
  const std::uint64_t seed_;
  http::Client client_;
  std::vector<Answered> answers_, last_;
  std::unordered_set<http::Call*> under_way_;
  std::size_t living_ = 0;
  std::uint64_t lost_ = 0;
  std::string first_loss_;
  bool ending_ = false;
};

/// The server that an x-truekeel-explain header names; empty when it names none.
[[nodiscard]] std::string server_named(std::string_view explain);

}  // namespace truekeel::drill
