// SPDX-License-Identifier: Apache-2.0
#include "fleet/config_address.h"

namespace truekeel::fleet {

std::optional<Address> parse_address(std::string_view text) {
  const auto split = split_host_port(text);
  if (!split || !split->port) return std::nullopt;
  const auto port = parse_port(*split->port);
  const bool host_fits =
      split->bracketed ? is_ip_v6(split->host) : is_ip_v4(split->host) || split->host == "localhost";
  if (!port || !host_fits) return std::nullopt;
  return Address{std::string(split->host), *port};
}

}  // namespace truekeel::fleet
