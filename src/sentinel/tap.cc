// SPDX-License-Identifier: Apache-2.0
#include "sentinel/tap.h"

#include <utility>

#include "base/assert.h"

namespace truekeel::sentinel {

std::optional<AnswerId> TapQueue::admit(Instant at, Admission about) {
  const std::lock_guard lock(mutex_);
  if (under_way_ >= limits_.answers || bytes_ >= limits_.bytes || messages_.size() >= limits_.messages)
    return std::nullopt;
  ++under_way_;
  messages_.emplace_back(Admitted{next_, at, std::move(about)});
  return next_++;
}

bool TapQueue::records(Records&& records) {
  const std::lock_guard lock(mutex_);
  if (bytes_ + records.text.size() > limits_.bytes || messages_.size() >= limits_.messages) return false;
  bytes_ += records.text.size();
  messages_.emplace_back(std::move(records));
  return true;
}

void TapQueue::end(Ended&& ended) {
  const std::lock_guard lock(mutex_);
  TK_ASSERT(under_way_ > 0);
  --under_way_;
  messages_.emplace_back(std::move(ended));
}

void TapQueue::take(std::vector<Message>& messages) {
  messages.clear();
  const std::lock_guard lock(mutex_);
  bytes_ = 0;
  std::swap(messages_, messages);
}

AnswerTap::~AnswerTap() {
  if (!ended_) end({});
}

void AnswerTap::take(std::string_view json, const protocol::ResponseFacts& facts) {
  if (facts.seed) seed_ = facts.seed;
  std::string_view logprobs, audit;
  for (const auto& at : facts.records) {
    // Requests for several choices are not looked at; a server that sends them all the same is not read.
    if (at.choice != 0) continue;
    (at.kind == protocol::RecordsAt::Kind::logprobs ? logprobs : audit) = at.value.of(json);
  }
  if (logprobs.empty() && audit.empty()) return;
  Records records{.answer = answer_, .text = {}, .audit_at = logprobs.size(), .seed = seed_};
  records.text.reserve(logprobs.size() + audit.size());
  records.text.append(logprobs).append(audit);
  if (!queue_.records(std::move(records))) ++dropped_;
}

void AnswerTap::end(AnswerEnd end) {
  TK_ASSERT(!ended_);
  ended_ = true;
  queue_.end({answer_, std::move(end), dropped_});
}

}  // namespace truekeel::sentinel
