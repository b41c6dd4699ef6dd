// SPDX-License-Identifier: Apache-2.0
// Errors in the shape that each API's clients understand. Thread safety: pure functions.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace truekeel::protocol {

/// Whose shape an answer has.
enum class Provider { openai, anthropic };

/// What goes wrong with a call, before it takes a provider's shape.
struct ApiError {
  int status = 500;     ///< HTTP status
  std::string message;  ///< for a person: what is wrong and what to do
  std::string param;    ///< the field at fault, such as "messages[2].content"; empty: none
  std::string code;     ///< for a program, such as "model_not_found"; empty: none

  bool operator==(const ApiError&) const = default;
};

template <class T>
using ApiResult = std::expected<T, ApiError>;

/// A 400 that names the field.
[[nodiscard]] std::unexpected<ApiError> bad_field(std::string param, std::string message);

/// `type` as the provider names it: openai 400 invalid_request_error, 401 authentication_error, ...;
/// anthropic 413 request_too_large, 529 overloaded_error, ...
[[nodiscard]] std::string_view error_type(Provider provider, int status);

/// The status that the provider's own API would use: Anthropic clients know overload as 529, not 503.
[[nodiscard]] int error_status(Provider provider, int status);

/// Body of an error answer. `request_id` appears in Anthropic's shape only; empty: left out.
[[nodiscard]] std::string error_body(Provider provider, const ApiError& error,
                                     std::string_view request_id = {});

/// The error as an event for a stream whose 200 has been sent already.
[[nodiscard]] std::string error_event(Provider provider, const ApiError& error,
                                      std::string_view request_id = {});

/// Reads an upstream's error body: OpenAI's shape, FastAPI's {"detail"}, vLLM's flat {"message"}, or plain
/// text (cut at 1,000 bytes). The upstream's message is kept word for word.
[[nodiscard]] ApiError read_error(int status, std::string_view body);

/// problem+json (RFC 9457) for the admin API.
struct Problem {
  int status = 500;
  std::string title;
  std::string detail;
};
[[nodiscard]] std::string problem_body(const Problem& problem);

}  // namespace truekeel::protocol
