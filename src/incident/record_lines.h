// SPDX-License-Identifier: Apache-2.0
// Many request records as one text, for the database: a line of JSON each, which states what differs from the
// line before. Most of them say the same, so that a line has some 80 bytes instead of 400.
// Thread safety: a plain value, and a pure function.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "incident/request_record.h"

namespace truekeel::incident {

class RecordLines {
 public:
  /// Requires: the record added before is still there.
  void add(const RequestRecord& record);

  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  template <class T>
  void member(std::string_view name, T RequestRecord::* field, const RequestRecord& record);

  std::string text_;
  const RequestRecord* before_ = nullptr;
};

/// The last record of that id in such a text, or in what to_json() made of one record; nothing when there is
/// none. Error::invalid_argument when the text is something else.
[[nodiscard]] Result<std::optional<RequestRecord>> find_record(std::string_view lines, std::string_view id);

}  // namespace truekeel::incident
