// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "base/assert.h"
#include "incident/incident_json.h"

/// A change that is accepted survives the way to the database and back.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace truekeel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(incident::incident_from_json(text));
  static_cast<void>(incident::request_record_from_json(text));
  const auto change = incident::posted_change(text, WallTime(std::chrono::hours(490'000)));
  if (!change) return 0;
  const auto back = incident::change_from_json(incident::to_json(*change));
  TK_ASSERT(incident::is_plain_line(change->summary) && incident::is_plain_line(change->link));
  TK_ASSERT(back.has_value() && back->at == change->at && back->touches.size() == change->touches.size());
  return 0;
}
