// SPDX-License-Identifier: Apache-2.0
#include "worker/sequence.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "worker/replay_distance.h"
#include "worker/top_tokens.h"

namespace truekeel::worker {

Sequence::Sequence(std::unique_ptr<Job> job, const engine::Vocabulary& vocabulary, FaultInjector* faults)
    : job_(std::move(job)), vocabulary_(vocabulary), faults_(faults), text_(job_->stop) {
  TK_ASSERT(!job_->prompt.empty() && job_->max_tokens > 0 && job_->sink);
  TK_ASSERT(generates() ? job_->given.empty() : job_->given.size() == job_->max_tokens);
}

std::optional<Sequence::Piece> Sequence::next_piece(PieceSizes sizes) const {
  const std::span<const Token> prompt = job_->prompt;
  if (fed_ < prompt.size()) {
    const auto tokens = prompt.subspan(fed_, std::min(sizes.prompt, prompt.size() - fed_));
    return Piece{tokens, fed_ + tokens.size() == prompt.size() ? 1u : 0u};
  }
  if (job_->mode != Mode::score && job_->mode != Mode::replay_fast) return std::nullopt;
  // Of the given tokens the last one need not be fed: nothing is asked about what follows it.
  const auto fed = fed_ - prompt.size();
  if (fed + 1 >= job_->given.size()) return std::nullopt;
  const auto size = std::min(sizes.given, job_->given.size() - 1 - fed);
  return Piece{std::span<const Token>(job_->given).subspan(fed, size), size};
}

Question Sequence::question() const {
  // Scored tokens are given, and the greedy choice costs least: what is wanted is the record.
  if (job_->mode == Mode::score) return {.params = {.temperature = 0}, .draw = {}, .full = true};
  const auto& sampling = job_->sampling;
  return {.params = {.temperature = sampling.temperature,
                     .top_k = sampling.top_k,
                     .top_p = sampling.top_p,
                     .min_p = sampling.min_p,
                     .frequency = sampling.frequency,
                     .presence = sampling.presence,
                     .counts = counts_,
                     .bias = sampling.bias},
          .draw = select::Draw::at(sampling.seed, completed_, sampling.stream),
          .full = job_->logprobs || job_->audit == Audit::full};
}

Sequence::Outcome Sequence::take_row(Selector& selector, std::size_t index) {
  if (const auto& outcome = selector.outcome(index); !outcome) {
    auto failure = outcome.error();
    failure.row = completed_;  // of the answer: that of the batch depends on the other jobs
    fail(failure.to_error());
    return Outcome::failed;
  }
  auto taken = record(selector, index);
  next_token_ = taken.id;
  ++completed_;
  count(next_token_);

  const bool is_end = generates() && !job_->ignore_end && vocabulary_.is_end(next_token_);
  const bool shows = generates() && vocabulary_.is_text(next_token_);
  job_->sink->token(std::move(taken), shows ? text_.push(vocabulary_.piece(next_token_)) : std::string());
  if (!is_end && !text_.stopped() && completed_ < job_->max_tokens) return Outcome::goes_on;
  end(is_end || text_.stopped() ? Finish::stop : Finish::length, text_.finish());
  return Outcome::ended;
}

/// What selection chose, or what a fault made of it.
select::Choice Sequence::emitted(Selector& selector, std::size_t index) {
  const auto& chosen = *selector.outcome(index);
  if (faults_ == nullptr || !generates()) return chosen;
  const auto& sampling = job_->sampling;
  const auto choice = faults_->emitted(
      selector, index, question(),
      {.seed = sampling.seed, .position = completed_, .stream = sampling.stream, .harmed = harmed_});
  harmed_ |= choice.id != chosen.id;
  return choice;
}

TokenRecord Sequence::record(Selector& selector, std::size_t index) {
  TokenRecord record{.position = completed_, .choice = emitted(selector, index)};
  record.id = generates() ? static_cast<Token>(record.choice.id) : job_->given[completed_];
  if (job_->mode == Mode::replay_exact || job_->mode == Mode::replay_fast) {
    record.distance = distance(selector, index);
  }
  if (job_->audit == Audit::full) {
    record.full = selector.full(index);
    if (record.choice.id != selector.outcome(index)->id)
      record.full = restated(record.full, selector.row(index), record.id);
  }
  if (job_->logprobs) {
    const auto row = selector.row(index);
    const auto normaliser = selector.full(index).normaliser;
    record.logprob = static_cast<double>(row[static_cast<std::size_t>(record.id)]) - normaliser;
    record.rank = rank_of(row, record.id);
    record.top = top_tokens(row, normaliser, job_->top);
  }
  return record;
}

std::optional<double> Sequence::distance(Selector& selector, std::size_t index) const {
  const auto asked = question();
  return replay_distance(
      asked.params, asked.draw, *selector.outcome(index), static_cast<std::uint32_t>(job_->given[completed_]),
      static_cast<std::uint32_t>(vocabulary_.size()),
      [&](const select::Params& params, select::Draw draw) { return selector.again(index, params, draw); });
}

void Sequence::count(Token token) {
  if (job_->sampling.presence == 0 && job_->sampling.frequency == 0) return;
  const auto id = static_cast<std::uint32_t>(token);
  const auto at = std::ranges::lower_bound(counts_, id, {}, &select::TokenCount::id);
  if (at != counts_.end() && at->id == id) {
    ++at->counted;
  } else {
    counts_.insert(at, {.id = id, .counted = 1});
  }
}

void Sequence::fail(Error error) { end(Finish::failed, text_.finish(), std::move(error)); }

void Sequence::end(Finish finish, std::string text, Error error) {
  job_->sink->end({.finish = finish,
                   .prompt_tokens = static_cast<std::uint32_t>(job_->prompt.size()),
                   .completion_tokens = completed_,
                   .error = std::move(error)},
                  std::move(text));
}

}  // namespace truekeel::worker
