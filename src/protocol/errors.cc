// SPDX-License-Identifier: Apache-2.0
#include "protocol/errors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocol/json.h"
#include "protocol/sse.h"

namespace truekeel::protocol {
namespace {

/// A field's name may be the client's own invention, of any length.
constexpr std::size_t kParamBytesMax = 128;

void append_member(std::string& out, std::string_view name, std::string_view value, bool null_if_empty) {
  if (out.back() != '{') out += ',';
  append_quoted(out, name);
  out += ':';
  if (value.empty() && null_if_empty) {
    out += "null";
  } else {
    append_quoted(out, value);
  }
}

std::string openai_body(const ApiError& error) {
  std::string out = R"({"error":{)";
  append_member(out, "message", error.message, false);
  append_member(out, "type", error_type(Provider::openai, error.status), false);
  append_member(out, "param", error.param, true);
  append_member(out, "code", error.code, true);
  out += "}}";
  return out;
}

std::string anthropic_body(const ApiError& error, std::string_view request_id) {
  std::string out = R"({"type":"error","error":{)";
  append_member(out, "type", error_type(Provider::anthropic, error.status), false);
  append_member(out, "message", error.message, false);
  out += '}';
  if (!request_id.empty()) append_member(out, "request_id", request_id, false);
  out += '}';
  return out;
}

/// A member as a string; a number, as in vLLM's "code": 400, as its digits; else empty.
std::string text_of(const nlohmann::json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return {};
  if (found->is_string()) return found->get<std::string>();
  return found->is_number_integer() ? found->dump() : std::string();
}

}  // namespace

ApiError field_error(std::string param, std::string_view must) {
  param.resize(std::min(param.size(), kParamBytesMax));
  std::string message = fmt::format("'{}' {}.", param, must);
  return {400, std::move(message), std::move(param), {}};
}

std::string_view error_type(Provider provider, int status) {
  struct Row {
    int status;
    std::string_view openai, anthropic;
  };
  // OpenAI documents statuses and Python classes (docs/guides/error-codes); the types are what its API
  // sends. Anthropic documents both (api/errors); it uses 529 where others use 503.
  static constexpr Row kRows[] = {
      {401, "authentication_error", "authentication_error"},
      {402, "insufficient_quota", "billing_error"},
      {403, "permission_error", "permission_error"},
      {404, "invalid_request_error", "not_found_error"},
      {413, "invalid_request_error", "request_too_large"},
      {429, "rate_limit_error", "rate_limit_error"},
      {503, "service_unavailable_error", "overloaded_error"},
      {504, "timeout_error", "timeout_error"},
      {529, "service_unavailable_error", "overloaded_error"},
  };
  const auto* const row = std::ranges::find(kRows, status, &Row::status);
  const bool openai = provider == Provider::openai;
  if (row != std::end(kRows)) return openai ? row->openai : row->anthropic;
  if (status >= 400 && status < 500) return "invalid_request_error";
  return openai ? "server_error" : "api_error";
}

std::string error_body(Provider provider, const ApiError& error, std::string_view request_id) {
  return provider == Provider::openai ? openai_body(error) : anthropic_body(error, request_id);
}

std::string error_event(Provider provider, const ApiError& error, std::string_view request_id) {
  std::string out;
  append_sse(out, provider == Provider::openai ? "" : "error", error_body(provider, error, request_id));
  return out;
}

ApiError read_error(int status, std::string_view body) {
  ApiError error{status, {}, {}, {}};
  const auto root = nlohmann::json::parse(body, nullptr, false);
  if (root.is_object()) {
    const auto inner = root.find("error");
    const nlohmann::json& object = inner != root.end() && inner->is_object() ? *inner : root;
    error.message = text_of(object, "message");
    error.param = text_of(object, "param");
    error.code = text_of(object, "code");
    if (error.message.empty()) error.message = text_of(root, "error");
    if (error.message.empty()) error.message = text_of(root, "detail");
  }
  if (error.message.empty()) {
    error.message = fmt::format("The inference server answered with status {} and no message.", status);
  }
  return error;
}

std::string problem_body(const Problem& problem) {
  std::string out = fmt::format(R"({{"type":"about:blank","status":{})", problem.status);
  append_member(out, "title", problem.title, false);
  append_member(out, "detail", problem.detail, false);
  out += '}';
  return out;
}

}  // namespace truekeel::protocol
