// SPDX-License-Identifier: Apache-2.0
#include "protocol/json_splice.h"

#include <algorithm>

#include "base/assert.h"

namespace truekeel::protocol {

std::string splice(std::string_view object, std::span<const JsonMember> members,
                   std::span<const JsonEdit> edits) {
  std::size_t added = 0;
  for (const auto& edit : edits) added += edit.name.size() + (edit.value ? edit.value->size() : 0) + 4;
  std::string out;
  out.reserve(object.size() + added + kJsonPadding);  // the next reader parses it in place

  const std::size_t open = object.find('{');
  TK_ASSERT(open != std::string_view::npos);
  out += object.substr(0, open + 1);

  // What stands between a member and the one before it, comma and blanks, stays with the member; the
  // first that stays takes what stood before the first of all.
  std::vector<bool> placed(edits.size());
  bool any = false;
  std::size_t end = open + 1;
  for (const auto& member : members) {
    const std::size_t gap = any ? end : open + 1;
    const std::size_t gap_end = any ? member.begin : members.front().begin;
    end = member.value.end;
    std::string_view value = member.value.of(object);
    if (const auto found = std::ranges::find(edits, member.name, &JsonEdit::name); found != edits.end()) {
      const std::optional<std::string>& set = found->value;
      auto placed_here = placed[found - edits.begin()];
      if (!set || placed_here) continue;
      value = *set;
      placed_here = true;
    }
    any = true;
    out += object.substr(gap, gap_end - gap);
    out += object.substr(member.begin, member.value.begin - member.begin);
    out += value;
  }
  for (std::size_t i = 0; i < edits.size(); ++i) {
    const auto& value = edits[i].value;
    if (placed[i] || !value) continue;
    if (any) out += ',';
    any = true;
    append_quoted(out, edits[i].name);
    out += ':';
    out += *value;
  }
  out += object.substr(end);
  return out;
}

Result<std::string> splice(JsonParser& parser, const std::string& object, std::span<const JsonEdit> edits) {
  const auto members = index_object(parser, object);
  if (!members) return std::unexpected(members.error());
  return splice(object, *members, edits);
}

}  // namespace truekeel::protocol
