// SPDX-License-Identifier: Apache-2.0
// The small texts inside a configuration: addresses, URLs, engine names. Thread safety: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "fleet/config.h"

namespace truekeel::fleet {

/// `IP:PORT`, `[IPV6]:PORT` or `localhost:PORT`.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);

/// `http://HOST[:PORT][/PREFIX][/v1][/]`. The error's message says what is wrong with the text.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

}  // namespace truekeel::fleet
