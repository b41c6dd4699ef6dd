// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "sentinel/test_auditor.h"

namespace truekeel::sentinel {
namespace {

using std::chrono::seconds;

/// `change`s what was sealed, and seals it anew.
template <class Change>
std::string resealed(std::string_view state, Change change) {
  std::string body(unsealed(state).value());
  change(body);
  ByteWriter writer;
  writer.put_bytes(body);
  return std::move(writer).seal();
}

TEST_F(AuditorTraffic, WhatWasKnownSurvivesARestart) {
  windows(100, 0);
  windows(2, 0.03);
  const std::string state = auditor_.save();
  const auto kept = auditor_.book().standing(EngineKind::llama_cpp, Invariant::window).kept;
  const auto restored = restart(state);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_GT(*restored, 0u);
  EXPECT_EQ(*restored, auditor_.audit().lattice().nodes() + auditor_.invariants().lattice().nodes());
  EXPECT_EQ(auditor_.book().approved(1), "fp");
  EXPECT_EQ(auditor_.book().standing(EngineKind::llama_cpp, Invariant::window).kept, kept);
  windows(1, 0);
  EXPECT_EQ(auditor_.endpoint(1).tokens, 20u) << "and it goes on";
}

TEST_F(AuditorTraffic, WhatIsDamagedChangesNothing) {
  windows(100, 0);
  windows(2, 0.03);
  const std::string state = auditor_.save();
  const auto untouched = [&](const std::string& damaged) {
    return !restart(damaged) && auditor_.book().approved(1).empty() &&
           auditor_.audit().lattice().nodes() == 0 &&
           auditor_.book().standing(EngineKind::llama_cpp, Invariant::window).kept == 0;
  };
  for (const std::size_t at : {0u, 10u, 200u, 5000u}) {
    std::string damaged = state;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_TRUE(untouched(damaged)) << at;
  }
  EXPECT_TRUE(untouched(state.substr(0, state.size() / 2)));
  EXPECT_TRUE(untouched(""));
  // Whole, as its sum says, but not as long as it should be.
  for (std::size_t size = state.size() - 9; size > 400; size -= 1 + size / 20)
    EXPECT_TRUE(untouched(resealed(state, [&](std::string& body) { body.resize(size); }))) << size;
  EXPECT_TRUE(untouched(resealed(state, [](std::string& body) { body += 'x'; })));
}

TEST_F(AuditorTraffic, WhatIsApprovedOutlivesDetectorsThatDoNotFit) {
  windows(100, 0);
  windows(2, 0.03);
  const std::string state = auditor_.save();
  for (const bool second : {false, true}) {
    const auto other = resealed(state, [&](std::string& body) {
      const std::size_t first = body.find("TKEV");
      ++body[(second ? body.find("TKEV", first + 1) : first) + 4];  // another version
    });
    EXPECT_FALSE(restart(other));
    EXPECT_EQ(auditor_.audit().lattice().nodes() + auditor_.invariants().lattice().nodes(), 0u);
    EXPECT_EQ(auditor_.book().approved(1), "fp") << "or a wrong fingerprint would be the first";
    EXPECT_GT(auditor_.book().standing(EngineKind::llama_cpp, Invariant::window).kept, 0u);
    windows(1, 0);
    EXPECT_EQ(auditor_.endpoint(1).tokens, 20u) << "and it goes on";
  }
}

TEST_F(AuditorTraffic, AnOnsetBeforeARestartIsRemembered) {
  windows(100, 0);
  const WallTime change = wall_;
  windows(12, 0.01);
  ASSERT_TRUE(findings_.empty());
  ASSERT_TRUE(restart(auditor_.save(), std::chrono::minutes(10)));
  const WallTime again = wall_;
  windows(400, 0.02);
  ASSERT_TRUE(convicted());
  const auto& culprit = findings_.back();
  EXPECT_LT(culprit.onset, again);
  EXPECT_GT(culprit.onset, change - std::chrono::minutes(1)) << "one window of each minute is saved";
  EXPECT_GE(culprit.detected, again);
}

TEST_F(AuditorTraffic, WindowsThatAreSavedAreBounded) {
  // Restarts that are days apart leave some of the windows before them each time.
  for (int day = 0; day < 5; ++day) {
    for (int minute = 0; minute < 1380; ++minute)
      for (int i = 0; i < 60; ++i) flush(seconds(1));
    ASSERT_TRUE(restart(auditor_.save())) << day;
  }
}

TEST_F(AuditorTraffic, AnOnsetIsWhenAnswersWereAdmittedNotWhenTheyCame) {
  windows(100, 0);
  const WallTime change = wall_;
  std::vector<AnswerId> slow;
  for (std::uint64_t i = 0; i < 40; ++i) slow.push_back(admit(1, false, i));
  for (int i = 0; i < 100; ++i) flush();
  for (const AnswerId answer : slow) {
    records(answer, writer_.tokens(20, evidence::Fault::tail_uniform, 0.1));
    complete(answer, 20);
  }
  flush();
  ASSERT_FALSE(findings_.empty());
  EXPECT_LE(findings_.front().onset, change);
  EXPECT_GT(findings_.front().onset, change - seconds(5));
}

}  // namespace
}  // namespace truekeel::sentinel
