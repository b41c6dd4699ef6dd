// SPDX-License-Identifier: Apache-2.0
#include "protocol/json.h"

#include "protocol/json_walk.h"

namespace truekeel::protocol {

JsonParser::JsonParser() : impl_(std::make_unique<Impl>()) {}
JsonParser::~JsonParser() = default;
JsonParser::JsonParser(JsonParser&&) noexcept = default;
JsonParser& JsonParser::operator=(JsonParser&&) noexcept = default;

namespace {

std::unexpected<Error> not_an_object(simdjson::error_code error) {
  return fail(ErrorCode::invalid_argument, "the text is no JSON object: " + describe(error));
}

}  // namespace

Result<std::vector<JsonMember>> index_object(JsonParser& parser, const std::string& text) {
  auto& impl = parser.impl();
  od::document document;
  od::object root;
  if (const auto error = impl.open(text).get(document)) return not_an_object(error);
  if (const auto error = document.get_object().get(root)) return not_an_object(error);

  std::vector<JsonMember> members;
  for (auto result : root) {
    od::field field;
    if (const auto error = std::move(result).get(field)) return not_an_object(error);
    if (members.size() == kJsonMembersMax) return not_an_object(kTooManyMembers);
    std::string decoded;
    const auto name = name_of(field, decoded);
    if (!name) return std::unexpected(name.error());
    const std::size_t begin = impl.position(field.key().raw()) - 1;
    const std::string_view token = token_of(field.value());
    TextRange value;
    if (const auto error = check_value(field.value(), token, 1)) return not_an_object(error);
    if (const auto error = range_of(impl, document, token, value)) return not_an_object(error);
    members.push_back({std::string(*name), begin, value});
  }
  if (const auto error = check_end(document)) return not_an_object(error);
  return members;
}

}  // namespace truekeel::protocol
