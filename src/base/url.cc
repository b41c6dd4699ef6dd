// SPDX-License-Identifier: Apache-2.0
#include "base/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace truekeel {
namespace {

constexpr std::size_t kHostMax = 253;  // DNS

bool is_host_name(std::string_view text) {
  const auto fits = [](char c) {
    return c == '-' || c == '.' || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
  };
  return !text.empty() && text.size() <= kHostMax && std::ranges::all_of(text, fits);
}

/// Schemes are the same in capitals (RFC 3986, 3.1).
bool has_scheme(std::string_view text, std::string_view scheme) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(text.substr(0, scheme.size()), scheme, {}, lower);
}

std::string bracketed(std::string_view host) {
  return host.find(':') == std::string_view::npos ? std::string(host) : fmt::format("[{}]", host);
}

}  // namespace

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

bool is_ip_v6(std::string_view text) {
  const auto fits = [](char c) {
    return c == ':' || c == '.' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  };
  return text.size() <= 45 && std::ranges::count(text, ':') >= 2 && std::ranges::all_of(text, fits);
}

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

Result<Url> parse_url(std::string_view text) {
  constexpr std::string_view kPlain = "http://", kTls = "https://";
  const auto wrong = [](std::string message) {
    return fail(ErrorCode::invalid_argument, std::move(message));
  };
  const bool tls = has_scheme(text, kTls);
  if (!tls && !has_scheme(text, kPlain)) return wrong("the URL begins with neither http:// nor https://");
  text.remove_prefix(tls ? kTls.size() : kPlain.size());
  const auto slash = text.find('/');
  const auto authority = text.substr(0, slash);
  const auto path = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
  if (authority.find('@') != std::string_view::npos) {
    return wrong("the URL holds a user name or password");
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
  url.prefix = path;
  while (url.prefix.ends_with('/')) url.prefix.pop_back();
  return url;
}

Url without_v1(Url url) {
  if (url.prefix.ends_with("/v1")) url.prefix.resize(url.prefix.size() - 3);
  while (url.prefix.ends_with('/')) url.prefix.pop_back();
  return url;
}

std::string host_port(std::string_view host, std::uint16_t port) {
  return fmt::format("{}:{}", bracketed(host), port);
}

std::string to_string(const Url& url) {
  return fmt::format("{}://{}{}", url.tls ? "https" : "http", host_port(url.host, url.port), url.prefix);
}

}  // namespace truekeel
