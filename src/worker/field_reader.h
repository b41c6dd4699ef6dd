// SPDX-License-Identifier: Apache-2.0
// Reads the fields of a JSON object with their types and ranges. Thread safety: one thread.
// Invariant: the first fault found is the one that is reported; after it, every read gives its fallback.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/errors.h"

namespace truekeel::worker {

using Json = nlohmann::json;

class FieldReader {
 public:
  /// `object` is borrowed for life; `path` stands before field names in messages.
  explicit FieldReader(const Json& object, std::string path = {}) : object_(object), path_(std::move(path)) {}

  /// The field; null where it is absent or null.
  [[nodiscard]] const Json* find(std::string_view name) const;

  bool flag(std::string_view name, bool fallback);
  double number(std::string_view name, double fallback, double least, double most);
  std::optional<std::uint64_t> integer(std::string_view name, std::uint64_t least, std::uint64_t most);
  std::optional<std::string> text(std::string_view name);

  /// Remembers a fault, unless there is one.
  void refuse(std::string_view name, std::string message);
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] const std::optional<protocol::ApiError>& error() const { return error_; }

 private:
  const Json& object_;
  const std::string path_;
  std::optional<protocol::ApiError> error_;
};

/// A body as a JSON object, or a 400.
[[nodiscard]] protocol::ApiResult<Json> parse_object(const std::string& body);

}  // namespace truekeel::worker
