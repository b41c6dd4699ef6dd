// SPDX-License-Identifier: Apache-2.0
// One small call of an HTTP API. Thread safety: the client's thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "http/client.h"

namespace truekeel::drill {

/// The body of a 200. Error::unavailable for anything else.
[[nodiscard]] http::Task<Result<std::string>> ask(http::Net& net, http::Client& client,
                                                  const http::Endpoint& to, std::string_view method,
                                                  std::string path, std::string body = {});

}  // namespace truekeel::drill
