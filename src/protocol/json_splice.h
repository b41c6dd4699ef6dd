// SPDX-License-Identifier: Apache-2.0
// Edits members of a JSON object and leaves every other byte as it is: numbers like 1.0 or 1e400, order,
// blanks, unknown and duplicate members. Thread safety: pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/json.h"

namespace truekeel::protocol {

/// Sets the member `name` to `value` (JSON text, taken as it is), or removes it when there is no value.
struct JsonEdit {
  std::string_view name;
  std::optional<std::string> value;
};

/// The object's text with `edits` applied; names in `edits` are unique.
///
/// Set: the first member of that name gets the new value where it stands, others of that name go (a
/// server that reads the first and one that reads the last then agree); without one it is appended.
/// Remove: all members of that name go; removing what is not there changes nothing.
/// Requires: `members` is what index_object says of `object`.
[[nodiscard]] std::string splice(std::string_view object, std::span<const JsonMember> members,
                                 std::span<const JsonEdit> edits);

/// Indexes and edits in one call. Errors as of index_object.
[[nodiscard]] Result<std::string> splice(JsonParser& parser, const std::string& object,
                                         std::span<const JsonEdit> edits);

}  // namespace truekeel::protocol
