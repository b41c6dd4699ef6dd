// SPDX-License-Identifier: Apache-2.0
// Addresses to listen on, as a configuration writes them. Thread safety: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "fleet/config.h"

namespace truekeel::fleet {

/// `IP:PORT`, `[IPV6]:PORT` or `localhost:PORT`.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

}  // namespace truekeel::fleet
