// SPDX-License-Identifier: Apache-2.0
// Errors as values. Thread safety: plain values.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace truekeel {

enum class ErrorCode {
  invalid_argument,  ///< what the caller gave is wrong; trying again will not help
  not_found,
  too_large,    ///< a stated limit is passed
  unavailable,  ///< a peer or a resource is not there now; trying again may help
  timeout,
  cancelled,  ///< whoever asked has left
  io,
  internal,  ///< a bug of ours, survived
};

/// What went wrong, in words that tell a person what to do.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;

  bool operator==(const Error&) const = default;
};

template <class T>
using Result = std::expected<T, Error>;

/// Shorthand for returning an error from a function that returns a Result.
[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace truekeel
