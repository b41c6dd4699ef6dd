// SPDX-License-Identifier: Apache-2.0
#include "protocol/response_facts.h"

#include "protocol/answer_walk.h"
#include "protocol/body_walk.h"

namespace truekeel::protocol {
namespace {

/// A text, list or object with something in it.
bool is_filled(od::value value) {
  const std::string_view token = token_of(value);
  if (is_string(token)) return token.size() > 2;
  if (token == "{") return true;
  if (token != "[") return false;
  od::array array;
  bool empty = true;
  return !value.get_array().get(array) && !array.is_empty().get(empty) && !empty;
}

/// Members of a delta or message that carry what the model wrote.
bool carries_output(od::field& field) {
  return name_is(field, "content") || name_is(field, "tool_calls") || name_is(field, "reasoning_content") ||
         name_is(field, "reasoning") || name_is(field, "refusal") || name_is(field, "function_call");
}

/// Where the answer being read lies, and what it holds of records.
struct Reading {
  const JsonParser::Impl& impl;
  ResponseFacts& facts;
  std::vector<RecordsAt>& records;
};

/// Notes where the records are without looking into them.
simdjson::error_code note_records(od::field& field, RecordsAt::Kind kind, const Reading& reading) {
  RecordsAt at{.kind = kind,
               .choice = reading.facts.choices - 1,
               .begin = reading.impl.position(field.key().raw()) - 1,
               .value = {}};
  std::string_view text = token_of(field.value());
  if (is_null(text)) return simdjson::SUCCESS;
  if (text == "{" || text == "[") {
    if (const auto error = raw_container(field.value()).get(text)) return error;
  }
  const std::size_t begin = reading.impl.position(text);
  at.value = {begin, begin + text.size()};
  reading.records.push_back(at);
  reading.facts.has_logprobs |= kind == RecordsAt::Kind::logprobs;
  return simdjson::SUCCESS;
}

simdjson::error_code read_choice(od::value value, const Reading& reading) {
  ResponseFacts& facts = reading.facts;
  ++facts.choices;
  return each_field(value, [&](od::field& field) {
    if (name_is(field, "delta") || name_is(field, "message")) {
      return each_field(field.value(), [&](od::field& part) {
        if (carries_output(part)) facts.has_output |= is_filled(part.value());
        return simdjson::SUCCESS;
      });
    }
    if (name_is(field, "finish_reason")) {
      const std::string_view reason = plain_string(field);
      if (!reason.empty()) {
        facts.finish_reason = reason;
        ++facts.finished;
      }
    } else if (name_is(field, "text")) {
      facts.has_output |= is_filled(field.value());
    } else if (name_is(field, "logprobs")) {
      return note_records(field, RecordsAt::Kind::logprobs, reading);
    } else if (name_is(field, "audit")) {
      return note_records(field, RecordsAt::Kind::audit, reading);
    }
    return simdjson::SUCCESS;
  });
}

simdjson::error_code read_member(od::field& field, const Reading& reading) {
  ResponseFacts& facts = reading.facts;
  if (name_is(field, "choices")) {
    return each_element(field.value(), [&](od::value choice) { return read_choice(choice, reading); });
  }
  if (name_is(field, "usage")) return read_usage(field.value(), facts.usage);
  if (name_is(field, "id")) {
    facts.id = plain_string(field);
  } else if (name_is(field, "model")) {
    facts.model = plain_string(field);
  } else if (name_is(field, "system_fingerprint")) {
    facts.system_fingerprint = plain_string(field);
  } else if (name_is(field, "timings")) {
    return each_field(field.value(), [&](od::field& timing) {
      if (name_is(timing, "predicted_n")) facts.predicted = whole_number(token_of(timing.value()));
      return simdjson::SUCCESS;
    });
  } else if (name_is(field, "seed")) {
    facts.seed = whole_number(token_of(field.value()));
  } else {
    facts.is_error |= tells_error(field);
  }
  return simdjson::SUCCESS;
}

}  // namespace

Result<ResponseFacts> ResponseReader::read(std::string_view json) {
  ResponseFacts facts;
  records_.clear();
  const Reading reading{parser_.impl(), facts, records_};
  od::document document;
  od::object root;
  auto error = parser_.impl().open_copy(json).get(document);
  if (!error) error = document.get_object().get(root);
  if (!error) error = each_field(root, [&](od::field& field) { return read_member(field, reading); });
  if (!error) error = check_end(document);
  if (error) return fail(ErrorCode::invalid_argument, "the answer cannot be read: " + describe(error));
  facts.records = records_;
  return facts;
}

}  // namespace truekeel::protocol
