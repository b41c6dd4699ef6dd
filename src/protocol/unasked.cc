// SPDX-License-Identifier: Apache-2.0
#include "protocol/unasked.h"

namespace truekeel::protocol {
namespace {

constexpr bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

/// Ends `out` where a member is left out, and says where the text goes on: the comma before the member goes
/// with it, or the one after it where it was the first.
std::size_t leave_out(std::string& out, std::string_view json, std::size_t end) {
  std::size_t kept = out.size();
  while (kept > 0 && is_blank(out[kept - 1])) --kept;
  if (kept > 0 && out[kept - 1] == ',') {
    out.resize(kept - 1);
    return end;
  }
  std::size_t next = end;
  while (next < json.size() && is_blank(json[next])) ++next;
  return next < json.size() && json[next] == ',' ? next + 1 : end;
}

}  // namespace

void append_unasked(std::string& out, std::string_view json, const ResponseFacts& facts,
                    const Unasked& unasked) {
  std::size_t done = 0;
  for (const RecordsAt& at : facts.records) {
    const bool logprobs = at.kind == RecordsAt::Kind::logprobs;
    if (logprobs ? !unasked.logprobs : !unasked.audit) continue;
    if (logprobs && unasked.shown == UnaskedLogprobs::null_value) {
      out += json.substr(done, at.value.begin - done);
      out += "null";
      done = at.value.end;
    } else {
      out += json.substr(done, at.begin - done);
      done = leave_out(out, json, at.value.end);
    }
  }
  out += json.substr(done);
}

bool only_for_records(const ResponseFacts& facts, const Unasked& unasked) {
  return unasked.records_alone && unasked.any() && !facts.records.empty() && !facts.has_output &&
         facts.finished == 0 && !facts.usage && !facts.is_error;
}

}  // namespace truekeel::protocol
