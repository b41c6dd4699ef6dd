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

/// A 400 that names the field and says what it must be: "'max_tokens' must be a whole number."
[[nodiscard]] ApiError field_error(std::string param, std::string_view must);

/// The error's type as the provider names it for this status; by it clients tell what to retry.
[[nodiscard]] std::string_view error_type(Provider provider, int status);

/// Body of an error answer. `request_id` appears in Anthropic's shape only; empty: left out.
[[nodiscard]] std::string error_body(Provider provider, const ApiError& error,
                                     std::string_view request_id = {});

/// The error as an event for a stream whose 200 has been sent already.
[[nodiscard]] std::string error_event(Provider provider, const ApiError& error,
                                      std::string_view request_id = {});

/// Reads an upstream's error body: OpenAI's shape, FastAPI's {"detail"}, vLLM's flat {"message"}. The
/// upstream's message is kept word for word; of anything else, such as a proxy's page, only the status is.
[[nodiscard]] ApiError read_error(int status, std::string_view body);

/// problem+json (RFC 9457) for the admin API.
struct Problem {
  int status = 500;
  std::string title;
  std::string detail;
};
[[nodiscard]] std::string problem_body(const Problem& problem);

}  // namespace truekeel::protocol
