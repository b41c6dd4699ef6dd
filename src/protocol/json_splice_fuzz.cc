// SPDX-License-Identifier: Apache-2.0
// What splice() makes of an object is an object again: edited as told, all other members as they were.
#include <algorithm>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "protocol/fuzz_oracle.h"
#include "protocol/json_splice.h"

using namespace truekeel::protocol;

namespace {

using Written = std::vector<std::pair<std::string, std::string>>;

/// Name and bytes of each member whose name is none of `except`.
Written members(JsonParser& parser, const std::string& object, const std::vector<std::string>& except) {
  const auto found = index_object(parser, object);
  TK_ASSERT(found);
  Written out;
  for (const auto& member : *found) {
    if (std::ranges::find(except, member.name) != except.end()) continue;
    out.emplace_back(member.name, member.value.of(object));
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string object(reinterpret_cast<const char*>(data), size);
  JsonParser parser;
  const auto found = index_object(parser, object);
  if (!found) return 0;
  const bool escaped = object.find('\\') != std::string::npos;
  TK_ASSERT(escaped || JsonOracle::accepts(object));

  // Set the first name, remove the last, add one.
  const std::string first = found->empty() ? "a" : found->front().name;
  const std::string last = found->empty() ? "b" : found->back().name;
  std::vector<JsonEdit> edits = {{first, "[1.0]"}};
  if (last != first) edits.push_back({last, std::nullopt});
  if (first != "new" && last != "new") edits.push_back({"new", "2"});
  const auto out = splice(parser, object, edits);
  TK_ASSERT(out);
  TK_ASSERT(escaped || JsonOracle::accepts(*out));
  TK_ASSERT(members(parser, object, {first, last, "new"}) == members(parser, *out, {first, last, "new"}));

  const auto after = index_object(parser, *out);
  TK_ASSERT(after);
  const auto count = [&](const std::string& name) {
    return std::ranges::count(*after, name, &JsonMember::name);
  };
  TK_ASSERT(count(first) == 1);
  TK_ASSERT(last == first || last == "new" || count(last) == 0);
  TK_ASSERT(splice(parser, object, {}) == object);
  return 0;
}
