// SPDX-License-Identifier: Apache-2.0
// URLs of servers to call. Thread safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/net.h"

namespace truekeel::http {

/// Where to connect, and what to put before every path.
struct Url {
  Endpoint endpoint;
  std::string prefix;  ///< without a slash at its end

  bool operator==(const Url&) const = default;
};

/// Error::invalid_argument when it is not `http[s]://host[:port][/prefix]`. https trusts the system's
/// authorities.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

/// The endpoint as it stands in a Host field.
[[nodiscard]] std::string authority(const Endpoint& endpoint);

}  // namespace truekeel::http
