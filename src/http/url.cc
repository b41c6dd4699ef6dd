// SPDX-License-Identifier: Apache-2.0
#include "http/url.h"

#include "http/tls.h"

namespace truekeel::http {

Result<Place> place_of(const Url& url) {
  Place place{.endpoint = {.host = url.host, .port = url.port}, .prefix = url.prefix};
  if (!url.tls) return place;
  auto tls = TlsContext::for_client({});
  if (!tls) return std::unexpected(tls.error());
  place.endpoint.tls = std::move(*tls);
  return place;
}

std::string authority(const Endpoint& endpoint) {
  if (endpoint.port != (endpoint.tls ? 443 : 80)) return host_port(endpoint.host, endpoint.port);
  return endpoint.host.find(':') == std::string::npos ? endpoint.host : "[" + endpoint.host + "]";
}

}  // namespace truekeel::http
