// SPDX-License-Identifier: Apache-2.0
#include "http/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.h"

namespace truekeel::http {
namespace {

// What a callback returns to stop llhttp.
constexpr int kStop = HPE_USER;

// A larger body's memory is given back when the next request comes.
constexpr std::size_t kKeptBodyBytes = 8 << 10;

// Behind a body that came in one piece: who parses it may want to read beyond its end.
constexpr std::size_t kBodySlack = 64;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// uri-host [":" port], where the host is a name, an IPv4 address or a bracketed IPv6 address (RFC
// 3986, 3.2.2), without percent-encoding: no name that can be looked up needs it.
bool is_authority(std::string_view text) {
  const auto bracket = text.rfind(']');
  const auto colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    if (port.size() > 5 || !std::ranges::all_of(port, is_digit)) return false;
  }
  const auto is_alphanumeric = [](char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (host.starts_with('[')) {
    const auto is_address = [&](char c) { return is_alphanumeric(c) || c == ':' || c == '.'; };
    return host.size() > 3 && host.ends_with(']') &&
           std::ranges::all_of(host.substr(1, host.size() - 2), is_address);
  }
  return !host.empty() && std::ranges::all_of(host, [&](char c) {
    return is_alphanumeric(c) || c == '-' || c == '.' || c == '_' || c == '~';
  });
}

}  // namespace

/// llhttp's callbacks, one table for each type of parser.
struct ParserCallbacks {
  static MessageParser& self(llhttp_t* llhttp) { return *static_cast<MessageParser*>(llhttp->data); }

  static int target(llhttp_t* llhttp, const char* at, std::size_t size) {
    return self(llhttp).on_target({at, size});
  }

  static int name(llhttp_t* llhttp, const char* at, std::size_t size) {
    MessageParser& parser = self(llhttp);
    if (parser.state_ != MessageParser::State::head) return parser.count_trailer_text(size);
    if (!std::exchange(parser.field_open_, true)) parser.headers_.open();
    parser.headers_.extend_name({at, size});
    return 0;
  }

  static int name_complete(llhttp_t* llhttp) { return self(llhttp).count_field(); }

  static int value(llhttp_t* llhttp, const char* at, std::size_t size) {
    MessageParser& parser = self(llhttp);
    if (parser.state_ == MessageParser::State::head) {
      parser.headers_.extend_value({at, size});
      return 0;
    }
    return parser.count_trailer_text(size);
  }

  static int value_complete(llhttp_t* llhttp) {
    MessageParser& parser = self(llhttp);
    parser.field_open_ = false;
    if (parser.state_ == MessageParser::State::head) parser.headers_.trim();
    return 0;
  }

  static int head_complete(llhttp_t* llhttp) {
    MessageParser& parser = self(llhttp);
    const int result = parser.on_head();
    if (result == kStop) return result;
    if (result == 1) llhttp->flags |= F_SKIPBODY;
    if (llhttp->content_length > parser.limits_.body_bytes && result == 0) {
      return parser.reject(413, fmt::format("the body has {} bytes, the limit is {}", llhttp->content_length,
                                            parser.limits_.body_bytes));
    }
    parser.keep_alive_ = llhttp_should_keep_alive(llhttp) != 0;
    parser.state_ = MessageParser::State::body;
    return result;
  }

  static int body(llhttp_t* llhttp, const char* at, std::size_t size) {
    MessageParser& parser = self(llhttp);
    parser.body_bytes_ += size;
    if (parser.body_bytes_ > parser.limits_.body_bytes) {
      return parser.reject(413, fmt::format("the body has more than {} bytes", parser.limits_.body_bytes));
    }
    return parser.on_body({at, size});
  }

  static int extension(llhttp_t* llhttp, const char*, std::size_t size) {
    MessageParser& parser = self(llhttp);
    parser.extension_bytes_ += size;
    if (parser.extension_bytes_ > parser.limits_.extension_bytes) {
      return parser.reject(
          400, fmt::format("chunk extensions of more than {} bytes", parser.limits_.extension_bytes));
    }
    return 0;
  }

  // Stops, because what follows belongs to the next message.
  static int complete(llhttp_t* llhttp) {
    self(llhttp).state_ = MessageParser::State::done;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t table = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_url = target;
      made.on_header_field = name;
      made.on_header_field_complete = name_complete;
      made.on_header_value = value;
      made.on_header_value_complete = value_complete;
      made.on_headers_complete = head_complete;
      made.on_body = body;
      made.on_chunk_extension_name = extension;
      made.on_chunk_extension_value = extension;
      made.on_message_complete = complete;
      return made;
    }();
    return &table;
  }
};

MessageParser::MessageParser(llhttp_type_t type, const ParserLimits& limits, Headers& headers)
    : limits_(limits), headers_(headers) {
  llhttp_init(&llhttp_, type, ParserCallbacks::settings());
  llhttp_.data = this;
}

void MessageParser::restart() {
  llhttp_reset(&llhttp_);
  state_ = State::head;
  keep_alive_ = false;
  headers_.clear();
  head_bytes_ = trailer_bytes_ = trailer_fields_ = extension_bytes_ = 0;
  body_bytes_ = 0;
  field_open_ = false;
  rejection_ = {};
}

int MessageParser::reject(int status, std::string_view reason) {
  if (state_ != State::failed) rejection_ = {status, std::string(reason)};
  state_ = State::failed;
  return kStop;
}

// Only when a name is complete: a name that breaks off is malformed, wherever the input was cut.
int MessageParser::count_field() {
  if (state_ != State::head) ++trailer_fields_;
  if (headers_.size() + trailer_fields_ <= limits_.fields) return 0;
  return reject(431, fmt::format("more than {} header fields", limits_.fields));
}

int MessageParser::count_trailer_text(std::size_t size) {
  trailer_bytes_ += size;
  if (trailer_bytes_ <= limits_.head_bytes) return 0;
  return reject(400, fmt::format("trailers of more than {} bytes", limits_.head_bytes));
}

int MessageParser::check_version_and_coding() {
  if (llhttp_.http_major != 1 || llhttp_.http_minor > 1) {
    return reject(505, fmt::format("HTTP/{}.{} is not spoken here; HTTP/1.1 is", llhttp_.http_major,
                                   llhttp_.http_minor));
  }
  const auto coding = headers_.find("transfer-encoding");
  if (!coding) return 0;
  if (llhttp_.http_minor == 0) return reject(400, "Transfer-Encoding in HTTP/1.0");
  if (headers_.count("transfer-encoding") > 1 || !equal_ignoring_case(*coding, "chunked")) {
    return reject(400, "a transfer coding other than a single chunked");
  }
  if (headers_.find("content-length")) return reject(400, "Content-Length beside Transfer-Encoding");
  return 0;
}

std::size_t MessageParser::execute(const char* data, std::size_t size) {
  std::size_t taken = 0;
  while (taken < size && state_ != State::done && state_ != State::failed) {
    // Within the head, llhttp gets no byte beyond the limit: so the limit holds wherever the input was cut.
    std::size_t slice = size - taken;
    const bool in_head = state_ == State::head;
    if (in_head) slice = std::min(slice, limits_.head_bytes - head_bytes_);
    const llhttp_errno_t error = llhttp_execute(&llhttp_, data + taken, slice);
    const std::size_t eaten =
        error == HPE_OK ? slice : static_cast<std::size_t>(llhttp_get_error_pos(&llhttp_) - (data + taken));
    taken += eaten;
    if (in_head) head_bytes_ += eaten;
    if (state_ == State::done) {
      // An interim answer gives way to the next head, which must do with what is left of the limit.
      if (const std::size_t spent = head_bytes_; on_complete()) {
        restart();
        head_bytes_ = spent;
      }
    } else if (error == HPE_PAUSED_H2_UPGRADE) {
      reject(505, "HTTP/2 is not spoken here; HTTP/1.1 is");
    } else if (error != HPE_OK && state_ != State::failed) {
      reject(400, fmt::format("malformed: {}", llhttp_get_error_reason(&llhttp_)));
    } else if (state_ == State::head && head_bytes_ == limits_.head_bytes) {
      // Still without a field: it is the target that is too long.
      reject(headers_.empty() ? 414 : 431, fmt::format("a head of more than {} bytes", limits_.head_bytes));
    }
  }
  return taken;
}

RequestParser::RequestParser(const ParserLimits& limits)
    : MessageParser(HTTP_REQUEST, limits, head_.headers) {
  reset();
}

void RequestParser::reset() {
  restart();
  head_.method.clear();
  head_.target.clear();
  expects_continue_ = false;
  if (body_.capacity() > kKeptBodyBytes) body_ = {};
  body_.clear();
}

int RequestParser::on_target(std::string_view piece) {
  head_.target += piece;
  return 0;
}

int RequestParser::on_head() {
  if (const int stop = check_version_and_coding()) return stop;
  head_.minor_version = llhttp_.http_minor;
  head_.method = llhttp_method_name(static_cast<llhttp_method_t>(llhttp_.method));
  if (llhttp_.method == HTTP_CONNECT) return reject(501, "CONNECT is not spoken here");
  // Which of two is meant, another reader may decide otherwise.
  if (head_.headers.count("authorization") > 1) return reject(400, "more than one Authorization field");
  if (const int stop = check_target_and_host()) return stop;
  // A request to upgrade may be ignored (RFC 9110, 7.8); llhttp would stop for it.
  llhttp_.upgrade = 0;
  return check_expectation();
}

int RequestParser::check_target_and_host() {
  const auto hosts = head_.headers.count("host");
  if (hosts > 1) return reject(400, "more than one Host field");
  if (hosts == 0 && head_.minor_version == 1) return reject(400, "no Host field");
  const std::string_view host = head_.headers.find("host").value_or("");
  if (hosts == 1 && !is_authority(host)) return reject(400, "a malformed Host field");

  std::string_view target = head_.target;
  if (!is_graphic(target) || target.find('#') != std::string_view::npos) {
    return reject(400, "a malformed request target");
  }
  if (target.starts_with('/') || (target == "*" && llhttp_.method == HTTP_OPTIONS)) return 0;
  // The absolute form, which must be accepted (RFC 9112, 3.2.2), but only where it agrees with Host.
  const auto scheme_end = target.find("://");
  const std::string_view scheme = target.substr(0, scheme_end);
  if (scheme_end == std::string_view::npos ||
      (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https"))) {
    return reject(400, "a malformed request target");
  }
  target.remove_prefix(scheme_end + 3);
  const std::string_view authority = target.substr(0, target.find_first_of("/?"));
  if (!is_authority(authority) || (hosts == 1 && !equal_ignoring_case(authority, host))) {
    return reject(400, "the request target disagrees with the Host field");
  }
  target.remove_prefix(authority.size());
  head_.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return 0;
}

int RequestParser::check_expectation() {
  const auto expectation = head_.headers.find("expect");
  if (!expectation || head_.minor_version == 0) return 0;
  if (head_.headers.count("expect") > 1 || !equal_ignoring_case(*expectation, "100-continue")) {
    return reject(417, "an unknown expectation");
  }
  expects_continue_ = true;
  return 0;
}

int RequestParser::on_body(std::string_view piece) {
  if (body_.empty()) body_.reserve(piece.size() + kBodySlack);
  body_ += piece;
  return 0;
}

ResponseParser::ResponseParser(const ParserLimits& limits)
    : MessageParser(HTTP_RESPONSE, limits, head_.headers) {
  reset(false);
}

void ResponseParser::reset(bool head_request) {
  restart();
  head_request_ = head_request;
}

ResponseParser::Fed ResponseParser::feed(std::span<char> bytes) {
  squeezed_ = bytes.data();
  const std::size_t taken = execute(bytes.data(), bytes.size());
  return {taken, {bytes.data(), static_cast<std::size_t>(squeezed_ - bytes.data())}};
}

void ResponseParser::end() {
  if (state_ == State::done || state_ == State::failed) return;
  if (state_ == State::head) {
    reject(502, started() ? "closed within the head of the answer" : "closed without an answer");
  } else {
    llhttp_finish(&llhttp_);
    if (state_ != State::done) reject(502, "the answer was cut short");
  }
}

int ResponseParser::on_head() {
  if (const int stop = check_version_and_coding()) return stop;
  head_.status = llhttp_.status_code;
  head_.minor_version = llhttp_.http_minor;
  if (head_.status < 100 || head_.status == 101) return reject(502, "a status that nobody asked for");
  llhttp_.upgrade = 0;
  return head_request_ || head_.status < 200 ? 1 : 0;
}

int ResponseParser::on_body(std::string_view piece) {
  // Never to the right: what was squeezed out stood before it.
  TK_ASSERT(squeezed_ <= piece.data());
  if (squeezed_ != piece.data()) std::memmove(squeezed_, piece.data(), piece.size());
  squeezed_ += piece.size();
  return 0;
}

bool ResponseParser::on_complete() { return head_.status < 200; }

}  // namespace truekeel::http
