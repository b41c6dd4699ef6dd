// SPDX-License-Identifier: Apache-2.0
#include "fleet/config_url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace truekeel::fleet {
namespace {

constexpr std::size_t kHostMax = 253;  // DNS

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return port;
}

bool is_ip_v4(std::string_view text) {
  int parts = 0;
  while (true) {
    const auto dot = text.find('.');
    const auto part = text.substr(0, dot);
    const auto number = parse_port(part);
    if (!number || *number > 255 || part.size() > 3) return false;
    ++parts;
    if (dot == std::string_view::npos) return parts == 4;
    text.remove_prefix(dot + 1);
  }
}

/// Good enough to tell an address from a typing error; the socket layer has the last word.
bool is_ip_v6(std::string_view text) {
  const auto fits = [](char c) {
    return c == ':' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  return text.size() <= 45 && std::ranges::count(text, ':') >= 2 && std::ranges::all_of(text, fits);
}

bool is_host_name(std::string_view text) {
  const auto fits = [](char c) {
    return c == '-' || c == '.' || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  };
  return !text.empty() && text.size() <= kHostMax && std::ranges::all_of(text, fits);
}

struct HostPort {
  std::string_view host;  ///< without brackets
  bool bracketed = false;
  std::optional<std::string_view> port;
};

std::optional<HostPort> split_host_port(std::string_view text) {
  HostPort split;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    split.host = text.substr(1, end - 1);
    split.bracketed = true;
    text.remove_prefix(end + 1);
    if (text.empty()) return split;
    if (text.front() != ':') return std::nullopt;
    split.port = text.substr(1);
    return split;
  }
  const auto colon = text.find(':');
  split.host = text.substr(0, colon);
  if (colon != std::string_view::npos) split.port = text.substr(colon + 1);
  return split;
}

/// `/v1` and final slashes off: both spellings of a base URL are the same place.
std::string_view trim_prefix(std::string_view path) {
  const auto trim_slashes = [&] {
    while (path.ends_with('/')) path.remove_suffix(1);
  };
  trim_slashes();
  if (path.ends_with("/v1")) path.remove_suffix(3);
  trim_slashes();
  return path;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const auto split = split_host_port(text);
  if (!split || !split->port) return std::nullopt;
  const auto port = parse_port(*split->port);
  const bool host_fits =
      split->bracketed ? is_ip_v6(split->host) : is_ip_v4(split->host) || split->host == "localhost";
  if (!port || !host_fits) return std::nullopt;
  return Address{std::string(split->host), *port};
}

Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kPlain = "http://", kTls = "https://";
  const auto wrong = [](std::string message) {
    return fail(ErrorCode::invalid_argument, std::move(message));
  };
  const bool tls = text.starts_with(kTls);
  if (!tls && !text.starts_with(kPlain)) return wrong("the URL begins with neither http:// nor https://");
  text.remove_prefix(tls ? kTls.size() : kPlain.size());
  const auto slash = text.find('/');
  const auto authority = text.substr(0, slash);
  const auto path = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
  if (authority.find('@') != std::string_view::npos) {
    return wrong("the URL holds a user name or password; use api_key_env");
  }
  const auto split = split_host_port(authority);
  if (!split || !(split->bracketed ? is_ip_v6(split->host) : is_host_name(split->host))) {
    return wrong("the URL has no valid host");
  }
  Url url;
  url.host = split->host;
  url.tls = tls;
  if (tls) url.port = 443;
  if (split->port) {
    const auto port = parse_port(*split->port);
    if (!port || *port == 0) return wrong("the URL's port is not a number from 1 to 65535");
    url.port = *port;
  }
  const auto odd = [](char c) { return c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '%'; };
  if (std::ranges::any_of(path, odd)) return wrong("the URL's path holds a query or odd characters");
  url.prefix = trim_prefix(path);
  return url;
}

}  // namespace truekeel::fleet
