// SPDX-License-Identifier: Apache-2.0
// The admin API: /livez /readyz /metrics, the fleet's state, what the audit shows, drain, undrain, unstick,
// approve, and incidents (incident_api.h). Errors are
// problem+json (RFC 9457). Thread safety: one thread.
#pragma once

#include <optional>

#include "gateway/admin_answer.h"
#include "gateway/admin_token.h"
#include "gateway/incident_api.h"
#include "gateway/shared.h"
#include "gateway/webhook.h"
#include "http/server.h"

namespace truekeel::gateway {

class Admin {
 public:
  /// All are borrowed for life; `webhook` may be null. Without a token the port must be on loopback.
  Admin(http::Net& net, Shared& shared, const Webhook* webhook = nullptr,
        std::optional<AdminToken> token = std::nullopt);

  http::Task<void> handle(http::Exchange& exchange);

  /// What a request is answered that may not be here: asked before its body is read.
  [[nodiscard]] std::optional<AdminAnswer> turned_away(const http::RequestHead& request) const;

 private:
  [[nodiscard]] AdminAnswer answer(const http::RequestHead& request);
  [[nodiscard]] static bool comes_from_here(const http::Headers& headers);
  [[nodiscard]] AdminAnswer read(std::string_view path);
  [[nodiscard]] std::string metrics(Instant now);
  [[nodiscard]] AdminAnswer act(std::string_view path);
  [[nodiscard]] AdminAnswer drain(std::string_view endpoint, bool drained);
  [[nodiscard]] AdminAnswer approve(std::string_view endpoint);
  [[nodiscard]] AdminAnswer unstick(std::string_view pool);

  http::Net& net_;
  Shared& shared_;
  const Webhook* webhook_;
  const std::optional<AdminToken> token_;
  std::optional<IncidentApi> incidents_;
};

}  // namespace truekeel::gateway
