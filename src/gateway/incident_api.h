// SPDX-License-Identifier: Apache-2.0
// The admin API's part about incidents: /api/v1/incidents, /changes, /requests/ID, and /events, a stream of
// server-sent events. Errors are problem+json. Thread safety: one thread.
#pragma once

#include <string_view>

#include "gateway/admin_answer.h"
#include "gateway/incident_desk.h"
#include "http/server.h"

namespace truekeel::gateway {

class IncidentApi {
 public:
  /// Both are borrowed for life.
  IncidentApi(http::Net& net, IncidentDesk& desk) : net_(net), desk_(desk), started_(net.wall_now()) {}

  /// Whether a path (without its query) is one of these.
  [[nodiscard]] static bool serves(std::string_view path);

  /// Requires: serves(path of the request).
  http::Task<void> handle(http::Exchange& exchange);

 private:
  [[nodiscard]] AdminAnswer answer(std::string_view method, std::string_view path, const std::string& body);
  [[nodiscard]] AdminAnswer incident(std::string_view id) const;
  [[nodiscard]] AdminAnswer resolve(std::string_view id, const std::string& body);
  [[nodiscard]] AdminAnswer request(std::string_view id) const;
  [[nodiscard]] AdminAnswer post_change(const std::string& body);
  http::Task<void> follow(http::Exchange& exchange);
  [[nodiscard]] std::string sse(const Event& event) const;
  [[nodiscard]] std::uint64_t seen_by(const http::Headers& headers) const;

  http::Net& net_;
  IncidentDesk& desk_;
  const WallTime started_;  // tells the events of this start from those of others
};

}  // namespace truekeel::gateway
