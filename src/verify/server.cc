// SPDX-License-Identifier: Apache-2.0
#include "verify/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace truekeel::verify {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kComplaintBytes = 200;

/// The message in the usual shapes of errors, else the body itself.
std::string message_of(const std::string& body) {
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) return body;
  for (const char* name : {"error", "detail", "message"}) {
    const auto found = json.find(name);
    if (found == json.end()) continue;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object() && found->contains("message") && (*found)["message"].is_string())
      return (*found)["message"].get<std::string>();
  }
  return body;
}

ErrorCode code_of(http::CallFailure failure) {
  using enum http::CallFailure;
  switch (failure) {
    case cancelled:
      return ErrorCode::cancelled;
    case first_byte_timeout:
    case idle_timeout:
    case connect_timeout:
      return ErrorCode::timeout;
    default:
      return ErrorCode::unavailable;
  }
}

}  // namespace

std::string Reply::complaint() const {
  std::string text = message_of(body.substr(0, 64 << 10));
  text.resize(std::min(text.size(), kComplaintBytes));
  // A peer's bytes do not reach the terminal as they are.
  for (char& c : text)
    if (c < ' ' || c > '~') c = c == '\n' ? ' ' : '?';
  return text.empty() ? fmt::format("status {}", status) : fmt::format("status {}: {}", status, text);
}

Server::Server(http::Net& net, Access access, const Limits& limits)
    : net_(net),
      access_(std::move(access)),
      limits_(limits),
      client_(net, {.parser = {.body_bytes = limits.body_bytes}}) {}

http::Task<Result<Reply>> Server::get(std::string path) {
  return call({.method = "GET", .target = access_.place.prefix + path, .minor_version = 1, .headers = {}},
              "");
}

http::Task<Result<Reply>> Server::post(std::string path, std::string body) {
  return call({.method = "POST",
               .target = access_.place.prefix + path,
               .minor_version = 1,
               .headers = {{"content-type", "application/json"}}},
              std::move(body));
}

http::Task<Result<Reply>> Server::call(http::RequestHead head, std::string body) {
  if (cancelled_) co_return fail(ErrorCode::cancelled, "the run was stopped");
  head.headers.add("accept", "application/json");
  head.headers.add("user-agent", "truekeel-verify");
  if (!access_.key.empty()) head.headers.add("authorization", "Bearer " + access_.key);
  http::Call call(client_);
  under_way_.insert(&call);
  const http::CallOptions options{.connect = std::chrono::seconds(10),
                                  .first_byte = limits_.per_call,
                                  .idle = limits_.per_call,
                                  .deadline = std::min(limits_.deadline, net_.now() + limits_.per_call),
                                  .idempotent = true};
  const auto sent = co_await call.send(access_.place.endpoint, head, body, options);
  Result<Reply> result;
  if (!sent) {
    result = fail(code_of(sent.error().kind), sent.error().message);
  } else if (auto text = co_await call.read_all(limits_.body_bytes); text) {
    result = Reply{call.head().status, std::move(*text)};
  } else {
    result = fail(code_of(text.error().kind), text.error().message);
  }
  under_way_.erase(&call);
  co_return result;
}

void Server::cancel() {
  cancelled_ = true;
  for (http::Call* call : std::set(under_way_)) call->cancel();
}

}  // namespace truekeel::verify
