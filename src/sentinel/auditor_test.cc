// SPDX-License-Identifier: Apache-2.0
#include "sentinel/auditor.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "incident/book.h"
#include "sentinel/test_traffic.h"

namespace truekeel::sentinel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t kSeed = 61;
const evidence::Sampling kChat{
    .temperature = 0.7, .top_k = 40, .top_p = 0.9, .vocabulary = RecordWriter::kVocabulary};

class AuditorTest : public testing::Test {
 protected:
  AnswerId admit(fleet::EndpointId endpoint, bool streamed, std::uint64_t session = 1,
                 std::string client_version = "") {
    Admission about{.endpoint = endpoint,
                    .context_class = endpoint < 2 ? "short" : "long",
                    .window = 2048,
                    .client_version = std::move(client_version)};
    about.prompt = fleet::TokenRange::exactly(10);
    about.output_most = 100;
    about.session = about.client = session;
    about.streamed = streamed;
    about.sampling = writer_.sampling();
    auditor_.on(Admitted{++last_, now_, about});
    return last_;
  }
  void records(AnswerId answer, std::string text) {
    const std::size_t size = text.size();
    auditor_.on(Records{.answer = answer, .text = std::move(text), .audit_at = size, .seed = {}});
  }
  void complete(AnswerId answer, std::uint64_t drawn, const std::string& fingerprint = "fp") {
    AnswerEnd end{.how = AnswerEnd::How::complete};
    end.usage = protocol::Usage{.prompt_tokens = 10, .completion_tokens = drawn, .total_tokens = 10 + drawn};
    end.drawn = drawn;
    end.finish_reason = "stop";
    end.fingerprint = fingerprint;
    auditor_.on(Ended{.answer = answer, .end = end});
  }
  std::vector<incident::Finding> flush(Duration step = milliseconds(250)) {
    now_ += step;
    wall_ += std::chrono::duration_cast<milliseconds>(step);
    EXPECT_TRUE(auditor_.flush_due(now_));
    auto found = auditor_.flush(now_, wall_);
    findings_.insert(findings_.end(), found.begin(), found.end());
    return found;
  }
  std::uint64_t entered() const {
    const auto& lattice = auditor_.audit().lattice();
    const auto all = lattice.find(evidence::Slice());
    return all == evidence::kNoNode ? 0 : lattice.info(all).tokens;
  }
  std::uint64_t lost(Lost why, fleet::EndpointId endpoint = 0) const {
    return auditor_.endpoint(endpoint).lost[static_cast<std::size_t>(why)];
  }

  std::shared_ptr<const fleet::Config> config_ = test_fleet();
  Instant now_{};
  WallTime wall_{std::chrono::hours(480'000)};
  Auditor auditor_{config_, {}, now_, wall_};
  RecordWriter writer_{kChat, kSeed};
  AnswerId last_ = 0;
  std::vector<incident::Finding> findings_;
};

TEST_F(AuditorTest, StreamsEnterAtTheFlushWhileTheyRun) {
  const AnswerId answer = admit(0, true);
  records(answer, writer_.tokens(3));
  EXPECT_EQ(entered(), 0u);
  flush();
  EXPECT_EQ(entered(), 3u);
  records(answer, writer_.tokens(2));
  complete(answer, 5);
  EXPECT_EQ(entered(), 3u) << "the end of an answer triggers nothing";
  flush();
  EXPECT_EQ(entered(), 5u);
  const auto& about = auditor_.audit().lattice().info(auditor_.audit().lattice().find(evidence::Slice()));
  EXPECT_EQ(about.answers, 1u) << "in two parts, but one answer";
}

TEST_F(AuditorTest, ManyTokensEndAWindowEarly) {
  const AnswerId answer = admit(0, true);
  EXPECT_FALSE(auditor_.flush_due(now_));
  records(answer, writer_.tokens(1024));
  EXPECT_TRUE(auditor_.flush_due(now_));
}

TEST_F(AuditorTest, WholeAnswersEnterInTheOrderOfAdmission) {
  const AnswerId first = admit(0, false), second = admit(1, false), third = admit(0, false);
  records(third, writer_.tokens(4));
  complete(third, 4);
  records(second, writer_.tokens(2));
  complete(second, 2);
  flush();
  EXPECT_EQ(entered(), 0u) << "the first is still under way";
  records(first, writer_.tokens(1));
  complete(first, 1);
  flush();
  EXPECT_EQ(entered(), 7u);
}

TEST_F(AuditorTest, WhatDoesNotComeInTimeEntersAtTheBoundOfTheLongestAnswer) {
  const AnswerId slow = admit(0, false), quick = admit(0, false);
  records(quick, writer_.tokens(2));
  complete(quick, 2);
  flush(seconds(61));
  EXPECT_EQ(entered(), 102u);
  EXPECT_EQ(lost(Lost::late), 100u);
  records(slow, writer_.tokens(1));
  complete(slow, 1);
  flush();
  EXPECT_EQ(entered(), 102u) << "too late: it has been entered";
}

TEST_F(AuditorTest, OneLongStreamHoldsUpNoMoreThanABoundedNumber) {
  const AnswerId open = admit(0, true);
  records(open, writer_.tokens(1));
  for (int i = 0; i < 40'000; ++i)
    auditor_.on(Ended{.answer = admit(1, i % 2 == 0), .end = {.how = AnswerEnd::How::refused}});
  flush();
  const auto& verdicts = auditor_.invariants().lattice();
  EXPECT_EQ(verdicts.info(verdicts.find(evidence::Slice())).tokens, 40'001u) << "the stream's at its bound";
  complete(open, 1);
  flush();
  EXPECT_EQ(verdicts.info(verdicts.find(evidence::Slice())).tokens, 40'001u) << "entered before";
}

TEST_F(AuditorTest, LostAnswersAreLostAndRefusedOnesAreNothing) {
  const AnswerId gone = admit(0, false), refused = admit(0, false);
  auditor_.on(Ended{.answer = gone, .end = {.how = AnswerEnd::How::lost}});
  auditor_.on(Ended{.answer = refused, .end = {.how = AnswerEnd::How::refused}});
  flush();
  EXPECT_EQ(entered(), 100u);
  EXPECT_EQ(auditor_.endpoint(0).under_way, 0u);
}

TEST_F(AuditorTest, TokensWithoutARecordEnterAtTheirLowerBound) {
  const AnswerId answer = admit(0, true);
  records(answer, writer_.tokens(3));
  records(answer,
          R"({"content":[{"logprob":-1,"bytes":[152]}]})");  // goes on with a character; nothing listed
  complete(answer, 7);
  flush();
  EXPECT_EQ(entered(), 7u);
  EXPECT_EQ(lost(Lost::missing), 3u);
  EXPECT_EQ(lost(Lost::unreadable), 1u) << "a record without a distribution";
  EXPECT_EQ(auditor_.endpoint(0).tokens, 3u);
}

TEST_F(AuditorTest, DroppedAndUnreadableRecordsAreMadeUpForByTheCount) {
  const AnswerId answer = admit(0, true);
  records(answer, writer_.tokens(2));
  records(answer, "no JSON");
  AnswerEnd end{.how = AnswerEnd::How::complete};
  end.drawn = 10;
  auditor_.on(Ended{.answer = answer, .end = end, .dropped = 3});
  flush();
  EXPECT_EQ(entered(), 10u);
  EXPECT_EQ(lost(Lost::unreadable), 1u);
  EXPECT_EQ(lost(Lost::dropped), 7u);
}

TEST_F(AuditorTest, WithoutACountTheHiddenAreTakenAtTheirMost) {
  const AnswerId answer = admit(0, true);
  records(answer, writer_.tokens(2));
  auditor_.on(Ended{.answer = answer, .end = {.how = AnswerEnd::How::complete}});
  flush();
  EXPECT_EQ(entered(), 5u) << "an answer may end inside a character";
}

/// Windows of traffic on all three servers; tokens of s2 are faulty at some rate.
class AuditorTraffic : public AuditorTest {
 protected:
  void windows(int count, double rate) {
    for (int i = 0; i < count && !convicted(); ++i) window(i, rate);
  }
  void window(int number, double rate) {
    std::vector<AnswerId> answers;
    for (fleet::EndpointId endpoint = 0; endpoint < 3; ++endpoint) {
      const bool streamed = (number + static_cast<int>(endpoint)) % 3 != 0;
      answers.push_back(admit(endpoint, streamed, 1 + static_cast<std::uint64_t>(number) % 9));
      records(answers.back(), writer_.tokens(20, evidence::Fault::tail_uniform, endpoint == 1 ? rate : 0));
    }
    for (const AnswerId answer : answers) complete(answer, 20);
    flush();
  }
  bool convicted() const { return std::ranges::any_of(findings_, &incident::Finding::convicted); }
};

TEST_F(AuditorTraffic, CleanTrafficAccusesNobody) {
  windows(1500, 0);
  EXPECT_TRUE(findings_.empty()) << findings_.front().detector
                                 << incident::describe(findings_.front().traffic);
  EXPECT_EQ(auditor_.endpoint(2).tokens, 30'000u);
  EXPECT_LT(auditor_.budget().spent(), 0.1);
}

TEST_F(AuditorTraffic, AFaultyServerIsFoundAndNamed) {
  windows(200, 0);
  ASSERT_TRUE(findings_.empty());
  const WallTime change = wall_;
  windows(400, 0.02);
  ASSERT_TRUE(convicted());
  const auto culprit = std::ranges::find_if(findings_, &incident::Finding::convicted);
  ASSERT_EQ(culprit->traffic.size(), 1u);
  EXPECT_EQ(culprit->traffic[0], (incident::Term{"endpoint", "s2"}));
  const incident::Traffic by_version = {{"version", "v2"}};
  EXPECT_NE(std::ranges::find(culprit->same_traffic, by_version), culprit->same_traffic.end());
  EXPECT_EQ(culprit->id, findings_.front().id) << "the conviction goes back to the alarm";
  EXPECT_FALSE(findings_.front().convicted);
  EXPECT_GE(culprit->log_statistic, culprit->log_threshold);
  EXPECT_LE(culprit->onset, culprit->detected);
  EXPECT_LE(culprit->detected, culprit->attributed.value());
  EXPECT_LT(std::chrono::abs(culprit->onset - change), seconds(20));
  EXPECT_GE(culprit->sessions, 2u);
  EXPECT_GT(culprit->observations, 0u);
  EXPECT_LT(culprit->observations, auditor_.endpoint(1).tokens);
}

TEST_F(AuditorTraffic, ACulpritThatGoesOnIsToldAgainAsOne) {
  windows(400, 0.05);
  ASSERT_TRUE(convicted());
  const auto first = *std::ranges::find_if(findings_, &incident::Finding::convicted);
  findings_.clear();
  for (int i = 0; i < 400 && findings_.empty(); ++i) window(i, 0.05);
  ASSERT_FALSE(findings_.empty());
  const auto& again = findings_.front();
  EXPECT_EQ(again.traffic, first.traffic);
  EXPECT_NE(again.id, first.id);
  EXPECT_TRUE(again.convicted);
  EXPECT_EQ(again.attributed, again.detected);
  EXPECT_GE(again.detected - *first.attributed, std::chrono::minutes(1));
  incident::Book book(std::vector<incident::EndpointFacts>{{.name = "s2", .values = {}}});
  static_cast<void>(book.on_finding(first, *first.attributed));
  static_cast<void>(book.on_resolved(1, "mended, as somebody thought", *first.attributed));
  static_cast<void>(book.on_finding(again, again.detected));
  EXPECT_EQ(book.find(2)->status, incident::Status::identified);
}

TEST_F(AuditorTraffic, WhatFewClientsShapeIsNotNamed) {
  const auto answer = [&](fleet::EndpointId endpoint, std::uint64_t client, const char* version,
                          double rate) {
    const AnswerId id = admit(endpoint, true, client, version);
    records(id, writer_.tokens(20, evidence::Fault::tail_uniform, rate));
    complete(id, 20);
  };
  for (int i = 0; i < 600 && !convicted(); ++i) {
    for (fleet::EndpointId endpoint = 0; endpoint < 3; ++endpoint) {
      answer(endpoint, 1 + static_cast<std::uint64_t>(i) % 9, "common", 0);
      answer(endpoint, 1 + static_cast<std::uint64_t>(i) % 4, "rare", 0.1);
    }
    flush();
  }
  ASSERT_TRUE(convicted());
  const incident::Term hidden = {"client_version", "(fewer than 5 clients)"};
  EXPECT_NE(std::ranges::find(findings_.back().traffic, hidden), findings_.back().traffic.end());
  for (const auto& finding : findings_) {
    EXPECT_EQ(incident::describe(finding.traffic).find("rare"), std::string::npos);
    for (const auto& other : finding.same_traffic)
      EXPECT_EQ(incident::describe(other).find("rare"), std::string::npos);
  }
}

TEST_F(AuditorTraffic, WhatWasKnownSurvivesARestart) {
  windows(100, 0);
  windows(2, 0.03);
  const std::string state = auditor_.save();
  Auditor again(config_, {}, now_, wall_);
  const auto restored = again.restore(state);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_GT(*restored, 0u);
  EXPECT_EQ(again.book().approved(1), "fp");
  const auto standing = again.book().standing(EngineKind::llama_cpp, Invariant::window);
  EXPECT_EQ(standing.kept, auditor_.book().standing(EngineKind::llama_cpp, Invariant::window).kept);
  for (const std::size_t at : {0u, 10u, 200u, 5000u}) {
    std::string damaged = state;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_FALSE(Auditor(config_, {}, now_, wall_).restore(damaged)) << at;
  }
  EXPECT_FALSE(Auditor(config_, {}, now_, wall_).restore(state.substr(0, state.size() / 2)));
}

TEST_F(AuditorTraffic, AChangedFingerprintIsAnAlarmUntilItIsApproved) {
  windows(20, 0);
  for (int i = 0; i < 40 && findings_.empty(); ++i) {
    const AnswerId answer = admit(2, true, static_cast<std::uint64_t>(i));
    records(answer, writer_.tokens(3));
    complete(answer, 3, "other");
    flush();
  }
  ASSERT_FALSE(findings_.empty());
  EXPECT_EQ(findings_.front().signal, "invariant");
  EXPECT_TRUE(findings_.front().detector.starts_with("fingerprint")) << findings_.front().detector;
  EXPECT_TRUE(auditor_.approve(2));
  EXPECT_EQ(auditor_.book().approved(2), "other");
  EXPECT_FALSE(auditor_.approve(0) && auditor_.book().approved(0) != "fp");
}

TEST_F(AuditorTraffic, SuspectsAreLookedAtMoreClosely) {
  windows(50, 0);
  EXPECT_FALSE(auditor_.suspected(1));
  while (findings_.empty()) windows(1, 0.05);
  EXPECT_TRUE(auditor_.suspected(1) || convicted());
}

}  // namespace
}  // namespace truekeel::sentinel
