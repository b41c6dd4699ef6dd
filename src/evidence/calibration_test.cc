// SPDX-License-Identifier: Apache-2.0
#include "evidence/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/philox.h"
#include "evidence/e_detector.h"
#include "evidence/synthetic_rows.h"

namespace truekeel::evidence {
namespace {

TEST(Shipped, EveryDialectStatesItsBasisAndKeepsToTheCeilings) {
  for (const ShippedDialect& dialect : shipped_dialects()) {
    EXPECT_LE(dialect.rho.value, kRhoCeiling) << dialect.name;
    for (const Tolerance& t : {dialect.rho, dialect.logprob_error, dialect.tie_width}) {
      EXPECT_EQ(t.confidence > 0, t.basis == Basis::measured) << dialect.name;
      EXPECT_TRUE(t.samples > 0 || t.basis == Basis::assumed) << dialect.name;
    }
  }
  EXPECT_FALSE(shipped("openai")) << "an API that does not say what its logprobs mean is not audited";
}

TEST(LiveTolerance, CleanItemsTightenItWithTheStatedConfidence) {
  LiveTolerance rate({.shipped = {2e-3, 0, 10, Basis::assumed}, .ceiling = 0.01});
  for (int i = 0; i < 4095; ++i) rate.add(false);
  EXPECT_EQ(rate.now().basis, Basis::assumed);
  rate.add(false);
  EXPECT_EQ(rate.now().samples, 4096u);
  EXPECT_NEAR(rate.now().value, std::log(2 / 0.01) / 4096, 1e-5);  // the first look may err with half of 1 %
  for (int i = 4096; i < 65'536; ++i) rate.add(false);
  EXPECT_LT(rate.now().value, 2e-4);
  EXPECT_FALSE(rate.suspect());
}

TEST(LiveTolerance, CoversTheTrueRate) {
  constexpr std::uint64_t kSeed = 41;
  constexpr double kRate = 2e-3;
  PhiloxStream random(kSeed);
  int broken = 0;
  constexpr int kRuns = 300;
  for (int run = 0; run < kRuns; ++run) {
    LiveTolerance rate({.shipped = {0.01, 0, 0, Basis::assumed}, .ceiling = 0.01, .confidence = 0.9});
    double least = 1;
    for (int i = 0; i < 16'384; ++i) {
      rate.add(random.uniform() < kRate);
      least = std::min(least, rate.now().value);
    }
    broken += least < kRate;
    EXPECT_LT(rate.now().value, 0.01);
    EXPECT_FALSE(rate.suspect());
  }
  EXPECT_LE(broken, 0.1 * kRuns);
  EXPECT_GT(broken, 0) << "a bound that never errs is none";
}

TEST(LiveTolerance, WhatPassesTheCeilingIsSuspectAndToleratedNoFurther) {
  PhiloxStream random(2);
  LiveTolerance rho = live_rho(*shipped("llama.cpp"));
  std::uint64_t tokens = 0;
  while (!rho.suspect() && tokens < 100'000) {
    rho.add(random.uniform() < 0.001);
    ++tokens;
  }
  EXPECT_LT(tokens, 50'000u);
  for (int i = 0; i < 100'000; ++i) rho.add(false);
  EXPECT_LE(rho.now().value, kRhoCeiling);
  EXPECT_TRUE(rho.suspect());
}

TEST(LiveTolerance, WhatWasShippedStandsUntilItIsTightenedOrRefuted) {
  LiveTolerance built = live_rho(*shipped("llama.cpp")), assumed = live_rho(*shipped("sglang"));
  ASSERT_EQ(assumed.now().value, kRhoCeiling);
  for (int i = 0; i < 200'000; ++i) {
    built.add(false);
    assumed.add(false);
  }
  EXPECT_EQ(built.now(), shipped("llama.cpp")->rho) << "few clean items do not make it worse";
  EXPECT_LT(assumed.now().value, 0.7 * kRhoCeiling);
  EXPECT_EQ(assumed.now().basis, Basis::measured);
  // A server that is a little worse than was thought, and below the ceiling.
  LiveTolerance worse = live_rho(*shipped("llama.cpp"));
  for (int i = 1; i <= 1 << 21; ++i) worse.add(i % 20'000 == 0);
  EXPECT_GT(worse.now().value, 5e-5);
  EXPECT_LT(worse.now().value, kRhoCeiling);
  EXPECT_FALSE(worse.suspect());
}

TEST(LiveTolerance, GoesOnAfterARestart) {
  const auto sealed = [](const LiveTolerance& rho) {
    ByteWriter out;
    rho.save(out);
    return std::move(out).seal();
  };
  LiveTolerance rho = live_rho(*shipped("sglang")), again = live_rho(*shipped("sglang"));
  for (int i = 0; i < 140'000; ++i) rho.add(i == 70'000);
  ASSERT_EQ(rho.now().basis, Basis::measured);
  const std::string saved = sealed(rho);
  ByteReader in(*unsealed(saved));
  again.load(in);
  EXPECT_TRUE(in.ok() && in.at_end());
  EXPECT_EQ(again.now(), rho.now());
  for (int i = 0; i < 140'000; ++i) {
    rho.add(i % 1000 == 0);
    again.add(i % 1000 == 0);
  }
  EXPECT_TRUE(again.suspect());
  EXPECT_EQ(sealed(again), sealed(rho));
  // Each number on its own as large as it can be, or cut off.
  for (std::size_t at = 0; at < 48; at += 8) {
    std::string wrong(*unsealed(saved));
    wrong.replace(at, 8, 8, '\xff');
    ByteReader bad(wrong);
    again.load(bad);
    EXPECT_EQ(bad.ok(), at == 8 || at == 16) << at << ": only looks may be as late as that";
  }
  ByteReader none("");
  again.load(none);
  EXPECT_FALSE(none.ok());
}

TEST(LiveTolerance, ACleanServerIsHardlyEverSuspect) {
  PhiloxStream random(3);
  int suspected = 0;
  for (int run = 0; run < 100; ++run) {
    LiveTolerance rho = live_rho(*shipped("llama.cpp"));
    for (int i = 0; i < 20'000; ++i) rho.add(random.uniform() < kRhoCeiling);
    suspected += rho.suspect();
  }
  EXPECT_EQ(suspected, 0);
}

/// Tokens until the audit alarms at A = 1e10 when a share of the tokens is replaced from the very first on,
/// and the tolerance is calibrated on that same traffic.
std::uint64_t tokens_to_alarm(const Sampling& sampling, double rate, std::uint64_t seed) {
  PhiloxStream random(seed);
  const ShippedDialect dialect = *shipped("llama.cpp");
  const TokenAudit audit;
  LiveTolerance rho = live_rho(*shipped("llama.cpp"));
  std::vector<SyntheticRow> rows;
  std::vector<DrawLaw> laws;
  for (int i = 0; i < 24; ++i) {
    rows.push_back(synthetic_row(random, 2000));
    laws.emplace_back(rows.back(), sampling, dialect.conduct);
  }
  Detector detector(audit.bets().log_weights());
  for (std::uint64_t token = 1; token <= 200'000; ++token) {
    const std::size_t row = random.below(rows.size());
    const Fault fault = random.uniform() < rate ? Fault::tail_uniform : Fault::none;
    const TokenRecord record = rows[row].record(laws[row].draw(fault, random), 20, false);
    AuditTolerances tolerances = dialect.audit();
    tolerances.rho = rho.now().value;
    std::vector<float> sums(audit.bets().cells());
    audit.add(record, sampling, dialect.conduct, tolerances, sums);
    const auto r = ratios(record, sampling, dialect.conduct, tolerances);
    rho.add(r[static_cast<std::size_t>(Alternative::impossible)] > 0);
    if (detector.update(sums, -std::log(1e10), static_cast<Tick>(token))) return token;
  }
  return 200'000;
}

TEST(LiveTolerance, AFaultFromTheFirstTokenIsNotCalibratedAway) {
  constexpr std::uint64_t kSeed = 43;
  const Sampling chat{.temperature = 0.7, .top_k = 40, .top_p = 0.9, .vocabulary = 2000};
  const Sampling plain{.temperature = 1, .vocabulary = 2000};
  const auto filtered = tokens_to_alarm(chat, 0.008, kSeed),
             unfiltered = tokens_to_alarm(plain, 0.008, kSeed);
  // So rare that the live bound passes the shipped value before the alarm: tolerated more, but not for ever.
  const auto rare = tokens_to_alarm(chat, 0.0005, kSeed);
  std::printf(
      "fault from the first token, seed %llu: alarm after %llu (chat), %llu (temperature 1), %llu (.05 %%)\n",
      static_cast<unsigned long long>(kSeed), static_cast<unsigned long long>(filtered),
      static_cast<unsigned long long>(unfiltered), static_cast<unsigned long long>(rare));
  EXPECT_LT(filtered, 3000u);
  EXPECT_LT(unfiltered, 100'000u);
  EXPECT_LT(rare, 100'000u);
}

}  // namespace
}  // namespace truekeel::evidence
