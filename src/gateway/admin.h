// SPDX-License-Identifier: Apache-2.0
// The admin API: /livez /readyz /metrics, the fleet's state, drain, undrain, unstick. Errors are
// problem+json (RFC 9457). Thread safety: one thread.
#pragma once

#include "gateway/shared.h"
#include "http/server.h"

namespace truekeel::gateway {

class Admin {
 public:
  /// Both are borrowed for life.
  Admin(http::Net& net, Shared& shared) : net_(net), shared_(shared) {}

  http::Task<void> handle(http::Exchange& exchange);

 private:
  struct Answer;
  [[nodiscard]] Answer answer(const http::RequestHead& request);
  [[nodiscard]] static bool comes_from_here(const http::Headers& headers);
  [[nodiscard]] Answer read(std::string_view path);
  [[nodiscard]] Answer act(std::string_view path);
  [[nodiscard]] Answer drain(std::string_view endpoint, bool drained);
  [[nodiscard]] Answer unstick(std::string_view pool);

  http::Net& net_;
  Shared& shared_;
};

}  // namespace truekeel::gateway
