// SPDX-License-Identifier: Apache-2.0
// The rules of tick.h, by showing what happens without them. Every null here is true.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <vector>

#include "base/philox.h"
#include "evidence/bounded_rate.h"
#include "evidence/confidence.h"
#include "evidence/e_detector.h"
#include "evidence/tick.h"
#include "evidence/token_audit.h"

namespace truekeel::evidence {
namespace {

constexpr double kTail = 0.01;  // probability of a flagged token, exactly known

enum class Entered { at_completion, at_flush };

struct Count {
  std::uint64_t alarms = 0;
  std::uint64_t updates = 0;
};

/// 512 streams that start together; a flagged token ends its answer in half the cases, and every answer ends
/// after 400 tokens. Either one update at the end of each answer, or one a step for all streams together.
void run_streams(Entered entered, double threshold, std::uint64_t seed, Count& count) {
  constexpr std::size_t kStreams = 512, kSteps = 400, kLongest = 400;
  const BoundedRate bet(kTail);
  PhiloxStream random(seed);
  Detector detector(bet.bets().log_weights());
  const std::size_t cells = bet.bets().cells();
  std::vector<std::vector<float>> sums(kStreams, std::vector<float>(cells, 0.0f));
  std::vector<std::size_t> length(kStreams, 0);
  std::vector<float> window(cells);
  const auto update = [&](std::span<const float> factors) {
    count.alarms += detector.update(factors, -std::log(threshold), static_cast<Tick>(++count.updates));
  };
  for (std::size_t step = 0; step < kSteps; ++step) {
    std::ranges::fill(window, 0.0f);
    for (std::size_t i = 0; i < kStreams; ++i) {
      const bool flagged = random.uniform() < kTail;
      bet.add(flagged, entered == Entered::at_flush ? std::span(window) : std::span(sums[i]));
      const bool ends = ++length[i] == kLongest || (flagged && random.uniform() < 0.5);
      if (!ends) continue;
      if (entered == Entered::at_completion) update(sums[i]);
      std::ranges::fill(sums[i], 0.0f);
      length[i] = 0;
    }
    if (entered == Entered::at_flush) update(window);
  }
}

TEST(Validity, UpdatesAtCompletionBreakThePromiseAndFlushingKeepsIt) {
  constexpr std::uint64_t kSeed = 11;
  for (const double threshold : {1e3, 1e4, 1e5}) {
    Count completion, flush;
    for (std::uint64_t run = 0; run < 60; ++run) {
      run_streams(Entered::at_completion, threshold, kSeed + run, completion);
      run_streams(Entered::at_flush, threshold, kSeed + run, flush);
    }
    const auto promised = [&](const Count& count) { return static_cast<double>(count.updates) / threshold; };
    std::printf("A %.0e, seeds %llu..: at completion %llu alarms of %.2f promised, flushed %llu of %.2f\n",
                threshold, static_cast<unsigned long long>(kSeed),
                static_cast<unsigned long long>(completion.alarms), promised(completion),
                static_cast<unsigned long long>(flush.alarms), promised(flush));
    EXPECT_GT(static_cast<double>(completion.alarms), 10 * promised(completion));
    EXPECT_LE(static_cast<double>(flush.alarms), promised(flush));
    if (threshold == 1e3) EXPECT_LE(count_upper_bound(flush.alarms, 0.99), promised(flush));
  }
}

/// Tokens until the audit alarms at A = 1e6 on clean text whose best token (p = .9) ends inside a character
/// and so has no record; `limit` when it does not.
template <class Missing>
std::uint64_t tokens_to_alarm(std::uint64_t limit, std::uint64_t seed, Missing&& missing) {
  const TokenAudit audit;
  PhiloxStream random(seed);
  Detector detector(audit.bets().log_weights());
  std::vector<float> sums(audit.bets().cells());
  const float top[] = {std::log(0.9f), std::log(0.05f), std::log(0.02f)};
  const Sampling sampling{.vocabulary = 1000};
  for (std::uint64_t token = 1; token <= limit; ++token) {
    std::ranges::fill(sums, 0.0f);
    const double u = random.uniform();
    if (u < 0.9) {
      missing(audit, std::span(sums));
    } else {
      const std::uint32_t rank = u < 0.95 ? 1 : u < 0.97 ? 2 : 3;
      const float own = rank < 3 ? top[rank] : std::log(0.03f / 997);
      audit.add({.top = top, .logprob = own, .rank = rank}, sampling, {}, {}, sums);
    }
    if (detector.update(sums, -std::log(1e6), static_cast<Tick>(token))) return token;
  }
  return limit;
}

TEST(Validity, ATokenWithoutARecordMustEnterAtItsLowerBound) {
  constexpr std::uint64_t kSeed = 3, kLimit = 200'000;
  const auto skipped = tokens_to_alarm(kLimit, kSeed, [](const TokenAudit&, std::span<float>) {});
  const auto bounded = tokens_to_alarm(
      kLimit, kSeed, [](const TokenAudit& audit, std::span<float> sums) { audit.add_lost(1, sums); });
  std::printf(
      "best token without a record, seed %llu: skipped, alarm after %llu clean tokens; at its lower bound, "
      "none in %llu\n",
      static_cast<unsigned long long>(kSeed), static_cast<unsigned long long>(skipped),
      static_cast<unsigned long long>(bounded));
  EXPECT_LT(skipped, 1000u);
  EXPECT_EQ(bounded, kLimit);
}

/// Whole answers of `length` tokens; those with a flag come back late, as an answer with rare tokens may.
std::uint64_t whole_answers(bool in_order, double threshold, std::uint64_t seed) {
  constexpr std::size_t kAnswers = 4000, kLength = 50, kRunning = 200;
  const BoundedRate bet(kTail);
  PhiloxStream random(seed);
  Detector detector(bet.bets().log_weights());
  std::uint64_t alarms = 0;
  Tick tick = 0;
  const auto enter = [&](const std::vector<float>& sums) {
    alarms += detector.update(sums, -std::log(threshold), ++tick);
  };
  AdmissionOrder<std::vector<float>> order(kAnswers, std::chrono::hours(1));
  std::vector<std::pair<std::uint64_t, std::vector<float>>> late;
  for (std::size_t answer = 0; answer < kAnswers; ++answer) {
    const auto ticket = order.admit(Instant());
    std::vector<float> sums(bet.bets().cells());
    std::size_t flags = 0;
    for (std::size_t i = 0; i < kLength; ++i) {
      const bool flagged = random.uniform() < kTail;
      flags += flagged;
      bet.add(flagged, sums);
    }
    // Answers without a flag are slow: they are all entered after kRunning others were admitted.
    if (flags > 0 && !in_order) enter(sums);
    if (flags > 0 && in_order) order.complete(ticket, sums);
    if (flags == 0) late.emplace_back(ticket, sums);
    while (!late.empty() && (late.size() > kRunning || answer + 1 == kAnswers)) {
      if (!in_order) enter(late.front().second);
      if (in_order) order.complete(late.front().first, late.front().second);
      late.erase(late.begin());
    }
    if (in_order)
      order.release(Instant(), [&](std::uint64_t, std::optional<std::vector<float>> item) { enter(*item); });
  }
  EXPECT_EQ(tick, kAnswers);
  return alarms;
}

TEST(Validity, WholeAnswersEnterInTheOrderOfAdmission) {
  constexpr double kThreshold = 1e3;
  constexpr std::uint64_t kSeed = 5, kRuns = 20;
  std::uint64_t by_completion = 0, by_admission = 0;
  for (std::uint64_t run = 0; run < kRuns; ++run) {
    by_completion += whole_answers(false, kThreshold, kSeed + run);
    by_admission += whole_answers(true, kThreshold, kSeed + run);
  }
  const double promised = kRuns * 4000 / kThreshold;
  std::printf("whole answers, seeds %llu..: by completion %llu alarms, by admission %llu, promised %.0f\n",
              static_cast<unsigned long long>(kSeed), static_cast<unsigned long long>(by_completion),
              static_cast<unsigned long long>(by_admission), promised);
  EXPECT_GT(static_cast<double>(by_completion), 1.5 * promised);
  EXPECT_LE(count_upper_bound(by_admission, 0.99), promised);
}

// An exact null of one flag with a known rate leaves nothing to tolerance, so here the bound is tight.
TEST(Validity, TheRunLengthOfAnExactBetIsNearItsBound) {
  constexpr std::uint64_t kSeed = 19;
  constexpr double kThreshold = 1e3;
  const BoundedRate bet(kTail);
  PhiloxStream random(kSeed);
  Detector detector(bet.bets().log_weights());
  std::vector<float> sums(bet.bets().cells());
  std::uint64_t alarms = 0;
  constexpr std::uint64_t kWindows = 1'000'000;
  for (std::uint64_t i = 1; i <= kWindows; ++i) {
    std::ranges::fill(sums, 0.0f);
    bet.add(random.uniform() < kTail, sums);
    alarms += detector.update(sums, -std::log(kThreshold), static_cast<Tick>(i));
  }
  const double run_length = static_cast<double>(kWindows) / static_cast<double>(alarms);
  std::printf("exact bet, A %.0e, seed %llu: mean run length %.2f A\n", kThreshold,
              static_cast<unsigned long long>(kSeed), run_length / kThreshold);
  EXPECT_LE(count_upper_bound(alarms, 0.99), static_cast<double>(kWindows) / kThreshold);
  EXPECT_LT(run_length, 6 * kThreshold);
}

}  // namespace
}  // namespace truekeel::evidence
