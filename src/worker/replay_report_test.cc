// SPDX-License-Identifier: Apache-2.0
#include "worker/replay_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/synthetic_engine.h"

namespace truekeel::worker {
namespace {

using nlohmann::json;

TokenRecord record(std::uint32_t position, Token given, std::uint32_t selected,
                   std::optional<double> distance) {
  TokenRecord made;
  made.id = given;
  made.position = position;
  made.choice.id = selected;
  made.distance = distance;
  return made;
}

const std::vector<TokenRecord> kRecords = {record(0, 104, 104, 0.125), record(1, 105, 106, 0.25),
                                           record(2, 33, 33, std::nullopt), record(3, 104, 33, 0.5),
                                           record(4, 104, 34, std::nullopt)};

json report(const ReplaySettings& settings, std::span<const TokenRecord> records) {
  static const auto vocabulary = engine::make_synthetic_vocabulary(1, 300);
  return json::parse(write_replay({.model = "m\"", .fingerprint = "tk-0", .numerics = "ab"}, settings,
                                  records, 3, *vocabulary));
}

TEST(ReplayReport, InExactModeEveryDifferenceCounts) {
  const auto summary = summarise(kRecords, {.mode = Mode::replay_exact, .tolerance = 0.9});
  EXPECT_EQ(summary.tokens, 5u);
  EXPECT_EQ(summary.different, 3u);
  EXPECT_EQ(summary.counted, 3u);
  EXPECT_EQ(summary.first_counted, 1u);
  EXPECT_EQ(summary.verdict(), "differs");
}

TEST(ReplayReport, InFastModeThoseBeyondTheToleranceDo) {
  const auto summary = summarise(kRecords, {.mode = Mode::replay_fast, .tolerance = 0.25});
  EXPECT_EQ(summary.different, 3u);
  EXPECT_EQ(summary.counted, 2u) << "the third has no distance, which is as far as can be";
  EXPECT_EQ(summary.first_counted, 3u);
  EXPECT_EQ(summary.farthest, 1.0);
  EXPECT_EQ(summarise(std::span(kRecords).first(3), {Mode::replay_fast, 0.25}).verdict(), "same");
}

TEST(ReplayReport, SaysTheSummaryThenTheDifferencesThenEveryPosition) {
  const auto said = report({.mode = Mode::replay_fast, .tolerance = 0.25}, kRecords);
  EXPECT_EQ(said["model"], "m\"");
  EXPECT_EQ(said["mode"], "fast");
  EXPECT_EQ(said["verdict"], "differs");
  EXPECT_EQ(said["summary"], json::parse(R"({"tokens":5,"different":3,"counted":2,"first_counted":3,
                                             "farthest":1,"tolerance":0.25})"));
  EXPECT_EQ(said["differences"].size(), 3u);
  EXPECT_EQ(said["differences"][0],
            json::parse(R"({"position":1,"given":{"id":105,"token":"i"},"selected":{"id":106,"token":"j"},
                            "distance":0.25,"counts":false})"));
  EXPECT_EQ(said["positions"], json::parse("[[1,0.125],[0,0.25],[1,null],[0,0.5],[0,null]]"));
  EXPECT_EQ(said["usage"]["total_tokens"], 8);
}

TEST(ReplayReport, WithoutDifferencesThereIsNothingToPointAt) {
  const auto said = report({}, std::span(kRecords).first(1));
  EXPECT_EQ(said["verdict"], "same");
  EXPECT_EQ(said["differences"], json::array());
  EXPECT_EQ(said["summary"]["first_counted"], nullptr);
  EXPECT_EQ(said["summary"]["farthest"], nullptr);
}

TEST(ReplayRefusal, ExactModeNeedsTheBitsOfTheAnswer) {
  const ReplayGround ground = {.numerics = "0123456789abcdef"};
  const auto code = [](const ReplayRequest& request, const ReplayGround& on) {
    const auto refused = replay_refusal(request, on);
    return refused ? refused->code : "";
  };
  ReplayRequest request;
  EXPECT_EQ(code(request, ground), "") << "nothing stated";
  for (const auto* equal : {"01234567", "0123456789abcdef"}) {
    request.numerics = equal;
    EXPECT_EQ(code(request, ground), "");
  }
  EXPECT_EQ(code(request, {.numerics = ground.numerics, .exact = false}), "replay_not_exact");
  request.numerics = "11234567";
  request.numerics_field = "system_fingerprint";
  EXPECT_EQ(code(request, ground), "numerics_differ");
  EXPECT_EQ(replay_refusal(request, ground)->status, 409);
  EXPECT_EQ(replay_refusal(request, ground)->param, "system_fingerprint");
  request.mode = Mode::replay_fast;
  EXPECT_EQ(code(request, {.numerics = ground.numerics, .exact = false}), "");
}

}  // namespace
}  // namespace truekeel::worker
