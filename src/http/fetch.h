// SPDX-License-Identifier: Apache-2.0
// One call that blocks its thread, for commands that ask a server one thing. Thread safety: yes.
#pragma once

#include <string>
#include <string_view>

#include "http/client.h"
#include "http/url.h"

namespace truekeel::http {

struct Fetched {
  int status = 0;
  std::string body;
};

/// Asks for the path below the place, with a JSON `body` where it is not empty. `limit` is for the whole
/// call. An answer with a body of more than `bytes_max` is CallFailure::protocol.
[[nodiscard]] CallResult<Fetched> fetch(const Place& place, std::string_view method, std::string_view path,
                                        std::string_view body, Duration limit, std::size_t bytes_max);

}  // namespace truekeel::http
