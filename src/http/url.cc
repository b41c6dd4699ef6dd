// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "http/message.h"
#include "http/tls.h"

namespace truekeel::http {

Result<Url> parse_url(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is no URL to connect to: {}", text, why));
  };
  const auto scheme_end = text.find("://");
  const std::string_view scheme = text.substr(0, scheme_end);
  const bool tls = equal_ignoring_case(scheme, "https");
  if (scheme_end == std::string_view::npos || !(tls || equal_ignoring_case(scheme, "http"))) {
    return wrong("it must begin with http:// or https://");
  }
  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find_first_of("?#@ ") != std::string_view::npos)
    return wrong("it may have a host, a port and a path only");
  const std::string_view place = rest.substr(0, rest.find('/'));
  rest.remove_prefix(place.size());
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (!rest.empty() && !is_graphic(rest)) return wrong("its path has a byte that no path has");

  Url url{.endpoint = {.host = {}, .port = static_cast<std::uint16_t>(tls ? 443 : 80)},
          .prefix = std::string(rest)};
  const auto bracket = place.rfind(']');
  const auto colon = place.find(':', bracket == std::string_view::npos ? 0 : bracket);
  std::string_view host = place.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!is_graphic(host)) return wrong("it has no host");
  url.endpoint.host = host;
  if (colon != std::string_view::npos) {
    const std::string_view port = place.substr(colon + 1);
    const char* end = port.data() + port.size();
    const auto [stop, error] = std::from_chars(port.data(), end, url.endpoint.port);
    if (error != std::errc() || stop != end || url.endpoint.port == 0) return wrong("its port is none");
  }
  if (tls) {
    auto context = TlsContext::for_client({});
    if (!context) return std::unexpected(context.error());
    url.endpoint.tls = std::move(*context);
  }
  return url;
}

std::string authority(const Endpoint& endpoint) {
  const bool brackets = endpoint.host.find(':') != std::string::npos;
  std::string text = brackets ? "[" + endpoint.host + "]" : endpoint.host;
  if (endpoint.port != (endpoint.tls ? 443 : 80))
    fmt::format_to(std::back_inserter(text), ":{}", endpoint.port);
  return text;
}

}  // namespace truekeel::http
