// SPDX-License-Identifier: Apache-2.0
// Items for the store's tests.
#pragma once

#include <string>

#include "incident/book.h"
#include "incident/test_fleet.h"
#include "store/store.h"

namespace truekeel::store {

inline incident::Incident test_incident(std::uint64_t number, WallTime at = incident::kTestStart) {
  incident::Book book(incident::test_fleet());
  static_cast<void>(book.on_finding(incident::test_finding("f", {{"endpoint", "s1"}}, at, true), at));
  auto made = *book.find(1);
  made.number = number;
  return made;
}

inline incident::Incident resolved(incident::Incident item, WallTime at) {
  item.times.resolved = at;
  item.status = incident::Status::resolved;
  return item;
}

inline incident::Change test_change(std::uint64_t number, WallTime at = incident::kTestStart) {
  return {.number = number, .at = at, .kind = "deploy", .summary = "v2"};
}

inline incident::RequestRecord test_record(std::string id, WallTime at = incident::kTestStart) {
  incident::RequestRecord record;
  record.id = std::move(id);
  record.at = at;
  record.endpoint = "s1";
  return record;
}

}  // namespace truekeel::store
