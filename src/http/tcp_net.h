// SPDX-License-Identifier: Apache-2.0
// The network as it is: TCP over IPv4 and IPv6, and the steady clock. Thread safety: as net.h says.
#pragma once

#include <memory>

#include "http/net.h"

namespace truekeel::http {

/// `context` is borrowed for life.
[[nodiscard]] std::unique_ptr<Net> make_tcp_net(boost::asio::io_context& context);

}  // namespace truekeel::http
