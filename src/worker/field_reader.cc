// SPDX-License-Identifier: Apache-2.0
#include "worker/field_reader.h"

#include <fmt/format.h>

#include <utility>

#include "protocol/json.h"

namespace truekeel::worker {

const Json* FieldReader::find(std::string_view name) const {
  const auto field = object_.find(name);
  return field == object_.end() || field->is_null() ? nullptr : &*field;
}

bool FieldReader::flag(std::string_view name, bool fallback) {
  const auto* field = find(name);
  if (field == nullptr) return fallback;
  if (field->is_boolean()) return field->get<bool>();
  refuse(name, fmt::format("'{}' must be true or false.", name));
  return fallback;
}

double FieldReader::number(std::string_view name, double fallback, double least, double most) {
  const auto* field = find(name);
  if (field == nullptr) return fallback;
  if (field->is_number()) {
    const auto value = field->get<double>();
    if (value >= least && value <= most) return value;
  }
  refuse(name, fmt::format("'{}' must be a number from {} to {}.", name, least, most));
  return fallback;
}

std::optional<std::uint64_t> FieldReader::integer(std::string_view name, std::uint64_t least,
                                                  std::uint64_t most) {
  const auto* field = find(name);
  if (field == nullptr) return std::nullopt;
  if (field->is_number_unsigned()) {
    const auto value = field->get<std::uint64_t>();
    if (value >= least && value <= most) return value;
  }
  refuse(name, fmt::format("'{}' must be an integer from {} to {}.", name, least, most));
  return std::nullopt;
}

std::optional<std::string> FieldReader::text(std::string_view name) {
  const auto* field = find(name);
  if (field == nullptr) return std::nullopt;
  if (field->is_string()) return field->get<std::string>();
  refuse(name, fmt::format("'{}' must be a string.", name));
  return std::nullopt;
}

void FieldReader::refuse(std::string_view name, std::string message) {
  if (error_) return;
  error_ = {.status = 400, .message = std::move(message), .param = path_ + std::string(name), .code = ""};
}

protocol::ApiResult<Json> parse_object(const std::string& body) {
  // The first reader bounds the depth, which the second one does not.
  protocol::JsonParser parser;
  if (const auto index = protocol::index_object(parser, body); !index) {
    return std::unexpected(
        protocol::ApiError{.status = 400,
                           .message = "The body is no JSON object: " + index.error().message,
                           .param = "",
                           .code = ""});
  }
  auto parsed = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return std::unexpected(
        protocol::ApiError{.status = 400, .message = "The body is no JSON object.", .param = "", .code = ""});
  }
  return parsed;
}

}  // namespace truekeel::worker
