// SPDX-License-Identifier: Apache-2.0
// URLs of servers, and the hosts and ports in them. Thread safety: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace truekeel {

/// Where a server is: `http[s]://HOST[:PORT][/PREFIX]`.
struct Url {
  std::string host;  ///< without brackets
  std::uint16_t port = 80;
  std::string prefix;  ///< without a final slash; mostly empty
  bool tls = false;

  bool operator==(const Url&) const = default;
};

/// Error::invalid_argument says what is wrong with the text, without repeating it.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

/// With and without a final `/v1` a base URL of an inference API is the same place.
[[nodiscard]] Url without_v1(Url url);

[[nodiscard]] std::string to_string(const Url& url);

/// `HOST:PORT`, IPv6 addresses in brackets.
[[nodiscard]] std::string host_port(std::string_view host, std::uint16_t port);

struct HostPort {
  std::string_view host;  ///< without brackets
  bool bracketed = false;
  std::optional<std::string_view> port;
};

/// `HOST[:PORT]` or `[IPV6][:PORT]`; the parts are not looked into.
[[nodiscard]] std::optional<HostPort> split_host_port(std::string_view text);

/// A number of 16 bits, 0 included.
[[nodiscard]] std::optional<std::uint16_t> parse_port(std::string_view text);

[[nodiscard]] bool is_ip_v4(std::string_view text);

/// Good enough to tell an address from a typing error; the socket layer has the last word.
[[nodiscard]] bool is_ip_v6(std::string_view text);

}  // namespace truekeel
