// SPDX-License-Identifier: Apache-2.0
// One job in one slot: how much of its prompt is fed, what it has sampled, when it ends.
// Thread safety: the inference thread. Invariant: the sink gets one record for every token that is counted,
// and then one ending, unless nobody wants them any more.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/vocabulary.h"
#include "worker/fault.h"
#include "worker/job.h"
#include "worker/selector.h"
#include "worker/text_stream.h"

namespace truekeel::worker {

class Sequence {
 public:
  /// `vocabulary` is borrowed for life, and so are `faults`, which may be null.
  Sequence(std::unique_ptr<Job> job, const engine::Vocabulary& vocabulary, FaultInjector* faults);

  struct PieceSizes {
    std::size_t prompt = 1, given = 1;  ///< tokens at most
  };

  struct Piece {
    std::span<const Token> tokens;
    std::size_t rows = 0;  ///< logits are wanted for so many of its last tokens
  };
  /// What to prefill next, from the beginning, so that equal prompts are cut alike. Nothing when the answer
  /// is decoded from here on.
  [[nodiscard]] std::optional<Piece> next_piece(PieceSizes sizes) const;
  [[nodiscard]] bool has_piece() const { return next_piece({}).has_value(); }
  /// Requires: that piece has been prefilled.
  void piece_done(const Piece& piece) { fed_ += piece.tokens.size(); }

  /// The token to decode next. Requires: no piece is left.
  [[nodiscard]] Token next_token() const { return next_token_; }

  enum class Outcome : std::uint8_t { goes_on, ended, failed };
  /// What is asked of the row of logits after what the slot holds. Valid until that row is taken.
  [[nodiscard]] Question question() const;
  /// Takes that row with its answer. Rows come in the order of the tokens.
  [[nodiscard]] Outcome take_row(Selector& selector, std::size_t index);

  void fail(Error error);

  [[nodiscard]] bool wanted() const { return job_->sink->wanted(); }
  [[nodiscard]] bool has_room() const { return job_->sink->has_room(); }
  [[nodiscard]] Instant deadline() const { return job_->deadline; }
  [[nodiscard]] bool prompt_fed() const { return fed_ >= job_->prompt.size(); }

 private:
  [[nodiscard]] bool generates() const { return job_->mode == Mode::generate; }
  [[nodiscard]] TokenRecord record(Selector& selector, std::size_t index);
  [[nodiscard]] select::Choice emitted(Selector& selector, std::size_t index);
  [[nodiscard]] std::optional<double> distance(Selector& selector, std::size_t index) const;
  void count(Token token);
  void end(Finish finish, std::string text, Error error = {});

  const std::unique_ptr<const Job> job_;
  const engine::Vocabulary& vocabulary_;
  FaultInjector* const faults_;
  TextStream text_;
  std::size_t fed_ = 0;
  std::uint32_t completed_ = 0;
  Token next_token_ = 0;
  bool harmed_ = false;                     // a fault has replaced one of its tokens
  std::vector<select::TokenCount> counts_;  // of the answer's tokens, ids ascending; only for penalties
};

}  // namespace truekeel::worker
