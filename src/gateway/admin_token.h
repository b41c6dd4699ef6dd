// SPDX-License-Identifier: Apache-2.0
// The token of the admin API. Thread safety: an immutable value.
#pragma once

#include <string_view>

#include "base/error.h"
#include "fleet/client_keys.h"
#include "http/message.h"

namespace truekeel::gateway {

class AdminToken {
 public:
  static constexpr std::size_t kBytesMin = 16;

  /// Error::invalid_argument when it is too short to be no guess.
  [[nodiscard]] static Result<AdminToken> parse(std::string_view token);

  /// Whether a request brings it, as `Authorization: Bearer TOKEN`. Takes as long for any other of its
  /// length.
  [[nodiscard]] bool is_in(const http::Headers& headers) const;

 private:
  explicit AdminToken(const fleet::KeyHash& hash) : hash_(hash) {}
  fleet::KeyHash hash_;
};

}  // namespace truekeel::gateway
