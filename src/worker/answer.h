// SPDX-License-Identifier: Apache-2.0
// Answers as JSON: OpenAI's shapes, with what we add beside them. Thread safety: pure, but StreamWriter.
// Written by hand rather than through a tree: with 20 alternatives a token is 1.6 KB of JSON.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/vocabulary.h"
#include "worker/mailbox.h"

namespace truekeel::worker {

/// What all parts of one answer repeat.
struct AnswerHead {
  bool chat = true;
  std::string id;
  std::int64_t created_s = 0;
  std::string model;
  std::string fingerprint;
  std::uint64_t seed = 0;
  bool logprobs = false;
  bool token_ids = false;  ///< beside each text
  Audit audit = Audit::none;

  /// Whether the answer shows every token, with or without text.
  [[nodiscard]] bool shows_tokens() const { return logprobs || token_ids || audit != Audit::none; }
};

struct Usage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
};

/// `stop` or `length`; Requires: not failed.
[[nodiscard]] std::string_view finish_name(Finish finish);

/// Appends "usage":{...}.
void append_usage(std::string& out, const Usage& usage);

/// Appends {"token", "id", "logprob", "bytes", "rank", "top_logprobs"}: OpenAI's record with ids and rank.
void append_record(std::string& out, const TokenRecord& record, const engine::Vocabulary& vocabulary);

/// Appends [record, ...].
void append_records(std::string& out, const std::vector<TokenRecord>& records,
                    const engine::Vocabulary& vocabulary);

/// Appends [position, id, rank, ...]: the columns of docs/worker-api.md, those of the basic record or all.
/// Requires: audit is not none, and the record was made for it.
void append_audit(std::string& out, const TokenRecord& record, Audit audit);

/// One choice of an unstreamed answer, as it grows.
struct ChoiceAnswer {
  std::string text;
  std::vector<TokenRecord> records;
  std::vector<std::size_t> text_offsets;  ///< characters shown before each record
  std::size_t characters = 0;
  Ending ending;

  void add(Delivery&& delivery, bool keep_record);
};

[[nodiscard]] std::string write_answer(const AnswerHead& head, const std::vector<ChoiceAnswer>& choices,
                                       const Usage& usage, const engine::Vocabulary& vocabulary);

/// The events of a streamed answer.
class StreamWriter {
 public:
  /// Both are borrowed for life.
  StreamWriter(const AnswerHead& head, const engine::Vocabulary& vocabulary);

  /// Appends the event that opens a choice: its role, and once the seed.
  void append_opening(std::string& out, std::uint32_t choice) const;
  /// Appends the events of one delivery; none when it has nothing to show.
  void append(std::string& out, const Delivery& delivery);
  void append_usage(std::string& out, const Usage& usage) const;

 private:
  void append_event(std::string& out, std::uint32_t choice, std::string_view text, const TokenRecord* record,
                    std::string_view finish);

  const AnswerHead& head_;
  const engine::Vocabulary& vocabulary_;
  const std::string prefix_;             // of every event, up to its choices
  std::vector<std::size_t> characters_;  // shown so far, by choice
};

}  // namespace truekeel::worker
