// SPDX-License-Identifier: Apache-2.0
// Chooses the tokens of all rows of one call of the engine in one batch, from the engine's memory.
// Thread safety: the inference thread. Invariant: what a row gives depends on the row, its question and the
// dtype alone: not on the other rows, nor on the number of shards.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "select/select.h"
#include "worker/shard_team.h"

namespace truekeel::worker {

struct SelectionOptions {
  std::uint32_t shards = 1;                  ///< parts of the vocabulary, a thread each
  select::DType dtype = select::DType::f32;  ///< that logits are rounded to first: f32 or bf16
};

/// "fp32" or "bf16".
[[nodiscard]] std::string_view dtype_name(select::DType dtype);

/// How a token is to be chosen from a row.
struct Question {
  select::Params params;
  select::Draw draw;
  bool full = false;  ///< whether the full record is wanted
};

class Selector {
 public:
  Selector(std::uint32_t vocabulary, SelectionOptions options);

  /// Answers one question a row. `rows` lie one after the other and are borrowed until the next call.
  /// Cost: full records for all rows where any question wants one.
  void select(std::span<const float> rows, std::span<const Question> questions);

  // Of the last call, by row:

  [[nodiscard]] const select::Outcome& outcome(std::size_t index) const { return outcomes_[index]; }
  /// Requires: the question wanted it, and the outcome is a choice.
  [[nodiscard]] const select::FullRecord& full(std::size_t index) const { return full_[index]; }
  /// The row that was selected from, rounded where the dtype says so.
  [[nodiscard]] std::span<const float> row(std::size_t index) const {
    return rows_.subspan(index * vocabulary_, vocabulary_);
  }
  [[nodiscard]] std::uint32_t rows() const { return batch_.rows; }
  /// Answers another question about the same row.
  [[nodiscard]] select::Outcome again(std::size_t index, const select::Params& params, select::Draw draw);

 private:
  void run(const select::Batch& batch, std::span<const select::Params> params,
           std::span<const select::Draw> draws, std::span<select::Outcome> out,
           std::span<select::FullRecord> full);

  const std::uint32_t vocabulary_;
  const SelectionOptions options_;
  select::Workspace workspace_;
  std::unique_ptr<ShardTeam> team_;  // null for one shard
  std::span<const float> rows_;
  select::Batch batch_;
  std::vector<float> rounded_;  // the rows, where the dtype is coarser
  std::vector<select::Params> params_;
  std::vector<select::Draw> draws_;
  std::vector<select::Outcome> outcomes_;
  std::vector<select::FullRecord> full_;
};

}  // namespace truekeel::worker
