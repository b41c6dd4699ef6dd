// SPDX-License-Identifier: Apache-2.0
#include "incident/record_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "incident/incident_json.h"

namespace truekeel::incident {
namespace {

using Json = nlohmann::json;

void append_json(std::string& out, const Json& value) {
  out += value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append(std::string& out, std::string_view text) {
  const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (std::ranges::all_of(text, is_plain)) {
    out.append(1, '"').append(text).append(1, '"');
  } else {
    append_json(out, text);
  }
}

void append(std::string& out, std::uint64_t number) { fmt::format_to(std::back_inserter(out), "{}", number); }

void append(std::string& out, const std::optional<std::uint64_t>& number) {
  number ? append(out, *number) : append_json(out, nullptr);
}

void append(std::string& out, WallTime at) { append(out, std::string_view(rfc3339(at))); }

void append(std::string& out, const std::vector<SignalNote>& notes) {
  Json json = Json::array();
  for (const auto& note : notes) {
    json.push_back({{"signal", note.signal}, {"looked", note.looked}, {"said", note.said}});
  }
  append_json(out, json);
}

}  // namespace

template <class T>
void RecordLines::member(std::string_view name, T RequestRecord::* field, const RequestRecord& record) {
  if (before_ != nullptr && record.*field == before_->*field) return;
  text_.append(text_.empty() || text_.back() == '\n' ? "{\"" : ",\"").append(name).append("\":");
  append(text_, record.*field);
}

void RecordLines::add(const RequestRecord& record) {
  using R = RequestRecord;
  member("id", &R::id, record);
  member("at", &R::at, record);
  member("operation", &R::operation, record);
  member("model", &R::model, record);
  member("class", &R::context_class, record);
  member("pool", &R::pool, record);
  member("endpoint", &R::endpoint, record);
  member("fingerprint", &R::fingerprint, record);
  member("counted", &R::counted, record);
  member("status", &R::status, record);
  member("end", &R::end, record);
  member("duration_ms", &R::duration_ms, record);
  member("input_tokens", &R::input_tokens, record);
  member("output_tokens", &R::output_tokens, record);
  member("signals", &R::signals, record);
  text_ += text_.empty() || text_.back() == '\n' ? "{}\n" : "}\n";
  before_ = &record;
}

Result<std::optional<RequestRecord>> find_record(std::string_view lines, std::string_view id) {
  Json record = Json::object(), found;
  while (!lines.empty()) {
    const auto line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(lines.size(), line.size() + 1));
    const Json differs = Json::parse(line, nullptr, false);
    if (!differs.is_object()) return fail(ErrorCode::invalid_argument, "a line is no JSON object");
    record.update(differs);
    if (record.value("id", Json()) == id) found = record;
  }
  if (found.is_null()) return std::nullopt;
  return request_record_from_json(found.dump());
}

}  // namespace truekeel::incident
