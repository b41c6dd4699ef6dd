// SPDX-License-Identifier: Apache-2.0
// From a URL to something that can be dialled. Thread safety: pure functions, but for the reading of a file.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/url.h"
#include "http/net.h"

namespace truekeel::http {

/// Where to connect, and what to put before every path.
struct Place {
  Endpoint endpoint;
  std::string prefix;  ///< without a slash at its end
};

/// Errors as of TlsContext::for_client(). Cost: for https, the file of the system's authorities is read.
[[nodiscard]] Result<Place> place_of(const Url& url);

/// The endpoint as it stands in a Host field.
[[nodiscard]] std::string authority(const Endpoint& endpoint);

}  // namespace truekeel::http
