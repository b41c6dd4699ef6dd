// SPDX-License-Identifier: Apache-2.0
#include "worker/answer.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "protocol/json.h"
#include "worker/append.h"

namespace truekeel::worker {
namespace {

/// In place of protocol::append_quoted() where a string is wanted inside a format.
std::string quoted(std::string_view text) {
  std::string out;
  protocol::append_quoted(out, text);
  return out;
}

/// 10 digits: 1e-9 of a nat, far below what any two computations agree on. -inf is no JSON number; a
/// forbidden token is reported at the place of OpenAI's own floor.
void append_logprob(std::string& out, double logprob) {
  append(out, "\"logprob\":{:.10g}", std::max(logprob, -9999.0));
}

/// "token": readable, "bytes": exact.
void append_token(std::string& out, Token id, const engine::Vocabulary& vocabulary) {
  const auto piece = vocabulary.piece(id);
  append(out, "\"token\":{},\"id\":{},\"bytes\":[", quoted(piece), id);
  for (std::size_t i = 0; i < piece.size(); ++i) {
    append(out, "{}{}", i > 0 ? "," : "", static_cast<unsigned char>(piece[i]));
  }
  out += ']';
}

template <class List, class Append>
void append_list(std::string& out, const List& list, Append append_one) {
  out += '[';
  bool first = true;
  for (const auto& item : list) {
    if (!std::exchange(first, false)) out += ',';
    append_one(item);
  }
  out += ']';
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// The logprobs of /v1/completions: parallel lists, and the records beside them, since the names of the
/// alternatives need not be unique.
void append_legacy_logprobs(std::string& out, const std::vector<TokenRecord>& records,
                            const std::vector<std::size_t>& offsets, const engine::Vocabulary& vocabulary) {
  out += "{\"tokens\":";
  append_list(out, records, [&](const auto& each) { out += quoted(vocabulary.piece(each.id)); });
  out += ",\"token_logprobs\":";
  append_list(out, records,
              [&](const auto& each) { append(out, "{:.10g}", std::max(each.logprob, -9999.0)); });
  out += ",\"text_offset\":";
  append_list(out, offsets, [&](std::size_t offset) { append(out, "{}", offset); });
  out += ",\"top_logprobs\":";
  append_list(out, records, [&](const TokenRecord& record) {
    out += '{';
    std::vector<std::string> names;
    for (const auto& top : record.top) {
      auto name = quoted(vocabulary.piece(top.id));
      if (std::ranges::find(names, name) != names.end()) continue;  // the better one stands there
      append(out, "{}{}:{:.10g}", names.empty() ? "" : ",", name, std::max(top.logprob, -9999.0));
      names.push_back(std::move(name));
    }
    out += '}';
  });
  out += ",\"content\":";
  append_records(out, records, vocabulary);
  out += '}';
}

std::string make_prefix(const AnswerHead& head) {
  return fmt::format(
      R"(data: {{"id":"{}","object":"{}","created":{},"model":{},"system_fingerprint":"{}","choices":[)",
      head.id, head.chat ? "chat.completion.chunk" : "text_completion", head.created_s, quoted(head.model),
      head.fingerprint);
}

}  // namespace

std::string_view finish_name(Finish finish) {
  TK_ASSERT(finish != Finish::failed);
  return finish == Finish::stop ? "stop" : "length";
}

void append_usage(std::string& out, const Usage& usage) {
  append(out, R"("usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{}}})",
         usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens + usage.completion_tokens);
}

void append_record(std::string& out, const TokenRecord& record, const engine::Vocabulary& vocabulary) {
  out += '{';
  append_token(out, record.id, vocabulary);
  out += ',';
  append_logprob(out, record.logprob);
  append(out, ",\"rank\":{},\"top_logprobs\":", record.rank);
  append_list(out, record.top, [&](const TopToken& top) {
    out += '{';
    append_token(out, top.id, vocabulary);
    out += ',';
    append_logprob(out, top.logprob);
    out += '}';
  });
  out += '}';
}

void append_records(std::string& out, const std::vector<TokenRecord>& records,
                    const engine::Vocabulary& vocabulary) {
  append_list(out, records, [&](const TokenRecord& record) { append_record(out, record, vocabulary); });
}

void append_audit(std::string& out, const TokenRecord& record, Audit audit) {
  TK_ASSERT(audit != Audit::none);
  const auto& choice = record.choice;
  append(out, "[{},{},{},{},{},{},{},{}", record.position, choice.id, choice.rank, choice.key_margin,
         choice.kept_count, choice.kept_weight, choice.begin, choice.end);
  if (audit == Audit::full) {
    const auto& full = record.full;
    append(out, ",{:.10g},{:.10g},{},{:.10g}", full.logprob, full.normaliser, full.top_id, full.top_margin);
    for (const double mass : full.tail_mass) append(out, ",{:.7g}", mass);
  }
  out += ']';
}

void ChoiceAnswer::add(Delivery&& delivery, bool keep_record) {
  if (!delivery.ending && keep_record) {
    records.push_back(std::move(delivery.record));
    text_offsets.push_back(characters);
  }
  characters += count_characters(delivery.text);
  text += delivery.text;
  if (delivery.ending) ending = std::move(*delivery.ending);
}

std::string write_answer(const AnswerHead& head, const std::vector<ChoiceAnswer>& choices, const Usage& usage,
                         const engine::Vocabulary& vocabulary) {
  std::string out = fmt::format(
      R"({{"id":"{}","object":"{}","created":{},"model":{},"system_fingerprint":"{}","seed":{},"choices":)",
      head.id, head.chat ? "chat.completion" : "text_completion", head.created_s, quoted(head.model),
      head.fingerprint, head.seed);
  std::size_t index = 0;
  append_list(out, choices, [&](const ChoiceAnswer& choice) {
    append(out, "{{\"index\":{},", index++);
    if (head.chat) {
      append(out, R"("message":{{"role":"assistant","content":{},"refusal":null}})", quoted(choice.text));
    } else {
      append(out, R"("text":{})", quoted(choice.text));
    }
    if (head.token_ids) {
      out += ",\"token_ids\":";
      append_list(out, choice.records, [&](const TokenRecord& record) { append(out, "{}", record.id); });
    }
    out += ",\"logprobs\":";
    if (!head.logprobs) {
      out += "null";
    } else if (head.chat) {
      out += "{\"content\":";
      append_records(out, choice.records, vocabulary);
      out += ",\"refusal\":null}";
    } else {
      append_legacy_logprobs(out, choice.records, choice.text_offsets, vocabulary);
    }
    if (head.audit != Audit::none) {
      out += ",\"audit\":";
      append_list(out, choice.records,
                  [&](const TokenRecord& record) { append_audit(out, record, head.audit); });
    }
    append(out, ",\"finish_reason\":\"{}\"}}", finish_name(choice.ending.finish));
  });
  out += ',';
  append_usage(out, usage);
  out += '}';
  return out;
}

StreamWriter::StreamWriter(const AnswerHead& head, const engine::Vocabulary& vocabulary)
    : head_(head), vocabulary_(vocabulary), prefix_(make_prefix(head)) {}

void StreamWriter::append_opening(std::string& out, std::uint32_t choice) const {
  if (!head_.chat) return;
  worker::append(
      out,
      R"({}{{"index":{},"delta":{{"role":"assistant","content":""}},"logprobs":null,"finish_reason":null}}],"seed":{}}})",
      prefix_, choice, head_.seed);
  out += "\n\n";
}

void StreamWriter::append(std::string& out, const Delivery& delivery) {
  const auto* record = head_.shows_tokens() && !delivery.ending ? &delivery.record : nullptr;
  if (!delivery.text.empty() || record != nullptr) {
    append_event(out, delivery.choice, delivery.text, record, "");
  }
  if (delivery.ending) append_event(out, delivery.choice, "", nullptr, finish_name(delivery.ending->finish));
}

void StreamWriter::append_event(std::string& out, std::uint32_t choice, std::string_view text,
                                const TokenRecord* record, std::string_view finish) {
  if (characters_.size() <= choice) characters_.resize(choice + 1);
  worker::append(out, "{}{{\"index\":{},", prefix_, choice);
  if (!head_.chat) {
    worker::append(out, "\"text\":{}", quoted(text));
  } else if (finish.empty()) {
    worker::append(out, "\"delta\":{{\"content\":{}}}", quoted(text));
  } else {
    out += "\"delta\":{}";
  }
  if (head_.token_ids && record != nullptr) worker::append(out, ",\"token_ids\":[{}]", record->id);
  out += ",\"logprobs\":";
  if (record == nullptr || !head_.logprobs) {
    out += "null";
  } else if (head_.chat) {
    out += "{\"content\":[";
    append_record(out, *record, vocabulary_);
    out += "]}";
  } else {
    append_legacy_logprobs(out, {*record}, {characters_[choice]}, vocabulary_);
  }
  if (record != nullptr && head_.audit != Audit::none) {
    out += ",\"audit\":[";
    append_audit(out, *record, head_.audit);
    out += ']';
  }
  if (finish.empty()) {
    out += ",\"finish_reason\":null}]";
  } else {
    worker::append(out, ",\"finish_reason\":\"{}\"}}],\"seed\":{}", finish, head_.seed);
  }
  out += "}\n\n";
  characters_[choice] += count_characters(text);
}

void StreamWriter::append_usage(std::string& out, const Usage& usage) const {
  out += prefix_;
  out += "],";
  worker::append_usage(out, usage);
  out += "}\n\n";
}

}  // namespace truekeel::worker
