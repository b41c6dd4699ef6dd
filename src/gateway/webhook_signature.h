// SPDX-License-Identifier: Apache-2.0
// Signatures of Standard Webhooks (standardwebhooks.com, version 1). Thread safety: a plain value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace truekeel::gateway {

class WebhookKey {
 public:
  /// "whsec_" and base64, as the standard writes secrets; any other text is taken as it is.
  /// Error::invalid_argument when it is empty, or the base64 is none.
  [[nodiscard]] static Result<WebhookKey> parse(std::string_view secret);

  /// The value of webhook-signature: "v1," and base64 of HMAC-SHA256 over "id.timestamp.body".
  [[nodiscard]] std::string sign(std::string_view id, std::int64_t timestamp_s, std::string_view body) const;

 private:
  explicit WebhookKey(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

}  // namespace truekeel::gateway
