// SPDX-License-Identifier: Apache-2.0
// One whole call: on a client's loop, or blocking its thread for commands that ask a server one thing.
// Thread safety: the first as of Client; the second, yes.
#pragma once

#include <string>
#include <string_view>

#include "http/client.h"
#include "http/message.h"
#include "http/url.h"

namespace truekeel::http {

struct Fetched {
  int status = 0;
  std::string body;
};

/// Asks `to` for the path, with a JSON `body` where it is not empty. `limit` is for the whole call, which is
/// sent again on a stale connection when it is a GET. An answer with a body of more than `bytes_max` is
/// CallFailure::protocol.
Task<CallResult<Fetched>> fetch(Net& net, Client& client, Endpoint to, std::string method, std::string path,
                                std::string body, Duration limit, std::size_t bytes_max,
                                Headers headers = {});

/// Asks for the path below the place, on a connection of its own, and blocks until it ends.
[[nodiscard]] CallResult<Fetched> fetch(const Place& place, std::string_view method, std::string_view path,
                                        std::string_view body, Duration limit, std::size_t bytes_max,
                                        const Headers& headers = {});

}  // namespace truekeel::http
