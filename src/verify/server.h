// SPDX-License-Identifier: Apache-2.0
// A server under test, as somebody outside sees it: whole answers, each bounded in bytes and in time.
// Thread safety: one thread, that of its Net.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "http/client.h"

namespace truekeel::verify {

/// Where a server is and how to be let in.
struct Access {
  std::string url;  ///< as the user wrote it
  http::Place place;
  std::string key;  ///< sent as a bearer token; empty: none
};

struct Reply {
  int status = 0;
  std::string body;

  [[nodiscard]] bool ok() const { return status == 200; }
  /// What the server says is wrong, on one line and cut to a readable length.
  [[nodiscard]] std::string complaint() const;
};

class Server {
 public:
  struct Limits {
    Duration per_call = std::chrono::seconds(120);
    std::size_t body_bytes = 32u << 20;
    Instant deadline = Instant::max();  ///< of the whole run
  };

  /// `net` is borrowed for life.
  Server(http::Net& net, Access access, const Limits& limits);

  [[nodiscard]] const Access& access() const { return access_; }
  [[nodiscard]] Instant now() const { return net_.now(); }

  /// Error::unavailable, ::timeout or ::cancelled when there is no whole answer; any status is one.
  [[nodiscard]] http::Task<Result<Reply>> get(std::string path);
  [[nodiscard]] http::Task<Result<Reply>> post(std::string path, std::string body);

  /// Ends the calls under way and refuses all later ones.
  void cancel();

 private:
  [[nodiscard]] http::Task<Result<Reply>> call(http::RequestHead head, std::string body);

  http::Net& net_;
  const Access access_;
  const Limits limits_;
  http::Client client_;
  std::set<http::Call*> under_way_;
  bool cancelled_ = false;
};

}  // namespace truekeel::verify
