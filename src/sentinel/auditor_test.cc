// SPDX-License-Identifier: Apache-2.0
#include "sentinel/auditor.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "incident/book.h"
#include "sentinel/test_auditor.h"

namespace truekeel::sentinel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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

TEST_F(AuditorTest, TokensCountWhereTheyEnter) {
  const AnswerId first = admit(0, false), second = admit(0, false), stream = admit(0, true);
  records(second, writer_.tokens(2));
  complete(second, 2);
  records(stream, writer_.tokens(3));
  flush();
  EXPECT_EQ(auditor_.endpoint(0).tokens, 3u) << "the second is held up by the first";
  EXPECT_EQ(auditor_.endpoint(0).verdicts, 0u);
  flush(seconds(61));
  EXPECT_EQ(auditor_.endpoint(0).tokens, 5u);
  EXPECT_EQ(auditor_.endpoint(0).verdicts, 1u);
  EXPECT_EQ(auditor_.endpoint(0).verdicts_late, 2u) << "the first, and the stream that goes on";
  EXPECT_EQ(lost(Lost::late), 100u);
  records(first, writer_.tokens(4));
  complete(first, 4);
  flush();
  EXPECT_EQ(auditor_.endpoint(0).tokens, 5u) << "entered at their lower bound before";
}

TEST_F(AuditorTest, ServersThatFallSilentAreNotSeenLately) {
  const AnswerId answer = admit(0, true);
  records(answer, writer_.tokens(3));
  complete(answer, 3);
  flush();
  const EndpointAudit& seen = auditor_.endpoint(0);
  EXPECT_TRUE(auditor_.lately(seen.tokens_at) && auditor_.lately(seen.answers_at));
  for (int minute = 0; minute < 4; ++minute) {
    complete(admit(0, true), 3);  // without records
    flush(std::chrono::minutes(1));
  }
  EXPECT_FALSE(auditor_.lately(seen.tokens_at));
  EXPECT_TRUE(auditor_.lately(seen.answers_at));
  EXPECT_FALSE(auditor_.lately(auditor_.endpoint(1).answers_at)) << "never";
}

TEST_F(AuditorTest, BatchesHoldAllRequestsLookedAtOrNot) {
  const auto tokens_at = [&](const char* bin) {
    const auto& names = auditor_.audit().names();
    const auto value = names.find(evidence::Attribute::batch_size, bin);
    if (value == 0) return std::uint64_t{0};
    const evidence::Slice::Term term[] = {{evidence::Attribute::batch_size, value}};
    const auto& lattice = auditor_.audit().lattice();
    const auto node = lattice.find(evidence::Slice(term));
    return node == evidence::kNoNode ? 0 : lattice.info(node).tokens;
  };
  auditor_.note_under_way({{0, 30}});
  const AnswerId stream = admit(0, true);
  records(stream, writer_.tokens(3));
  flush();
  EXPECT_EQ(tokens_at("<=32"), 3u);
  auditor_.note_under_way({{0, 2}});
  records(stream, writer_.tokens(4));
  flush();
  EXPECT_EQ(tokens_at("<=32"), 7u) << "known when the window began";
  records(stream, writer_.tokens(5));
  flush();
  EXPECT_EQ(tokens_at("<=2"), 5u);
}

TEST_F(AuditorTest, LostAnswersAreLostAndRefusedOnesAreNothing) {
  const AnswerId gone = admit(0, false), refused = admit(0, false);
  auditor_.on(Ended{.answer = gone, .end = {.how = AnswerEnd::How::lost}});
  auditor_.on(Ended{.answer = refused, .end = {.how = AnswerEnd::How::refused}});
  flush();
  EXPECT_EQ(entered(), 100u);
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

TEST_F(AuditorTest, WhatWasLostOnOurSideIsTakenAtItsMost) {
  const AnswerId unreadable = admit(0, true);
  records(unreadable, writer_.tokens(2));
  records(unreadable, "no JSON");
  auditor_.on(Ended{.answer = unreadable, .end = {.how = AnswerEnd::How::complete}});
  flush();
  EXPECT_EQ(entered(), 100u) << "no count: as long as it may have been";
  EXPECT_EQ(lost(Lost::unreadable), 98u);

  const AnswerId dropped = admit(0, true);
  records(dropped, writer_.tokens(2));
  auditor_.on(Ended{.answer = dropped, .end = {.how = AnswerEnd::How::cut}, .dropped = 1});
  flush();
  EXPECT_EQ(entered(), 200u) << "what came before the cut is not known";

  const AnswerId cut = admit(0, true);
  records(cut, writer_.tokens(2));
  auditor_.on(Ended{.answer = cut, .end = {.how = AnswerEnd::How::cut}});
  flush();
  EXPECT_EQ(entered(), 202u) << "all that was delivered was seen";

  const AnswerId whole = admit(0, false);
  records(whole, writer_.tokens(2));
  auditor_.on(Ended{.answer = whole, .end = {.how = AnswerEnd::How::cut}});
  flush();
  EXPECT_EQ(entered(), 302u) << "a part of a whole answer is none";
}

TEST_F(AuditorTest, WithoutACountTheHiddenAreTakenAtTheirMost) {
  const AnswerId answer = admit(0, true);
  records(answer, writer_.tokens(2));
  auditor_.on(Ended{.answer = answer, .end = {.how = AnswerEnd::How::complete}});
  flush();
  EXPECT_EQ(entered(), 5u) << "an answer may end inside a character";
}

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

TEST_F(AuditorTraffic, AFaultFromTheFirstTokenIsNotCalibratedAway) {
  windows(400, 0.02);
  ASSERT_TRUE(convicted());
  EXPECT_EQ(findings_.back().traffic[0], (incident::Term{"endpoint", "s2"}));
  findings_.clear();
  while (!auditor_.rho(1)->suspect() && auditor_.endpoint(1).tokens < 40'000) window(0, 0.02);
  EXPECT_TRUE(auditor_.rho(1)->suspect());
  EXPECT_TRUE(auditor_.suspected(1)) << "all its answers are looked at";
  for (const fleet::EndpointId id : {0u, 1u, 2u})
    EXPECT_LE(auditor_.rho(id)->now().value, evidence::kRhoCeiling);
  EXPECT_FALSE(auditor_.rho(0)->suspect() || auditor_.rho(2)->suspect());
  EXPECT_EQ(restart(auditor_.save()).has_value(), true);
  EXPECT_TRUE(auditor_.rho(1)->suspect()) << "and after a restart";
  auditor_.heal(1);
  EXPECT_FALSE(auditor_.suspected(1)) << "mended";
}

TEST_F(AuditorTest, TokensCalibrateOnceTheyHaveEntered) {
  const AnswerId held_up = admit(0, false), whole = admit(0, false), stream = admit(0, true);
  records(whole, writer_.tokens(40));
  complete(whole, 40);
  records(stream, writer_.tokens(40));
  EXPECT_EQ(auditor_.rho(0)->items(), 0u);
  flush();
  const auto first = auditor_.rho(0)->items();
  EXPECT_GE(first, 1u);
  EXPECT_LE(first, 10u) << "one of four, where the filters end in the list";
  complete(held_up, 0);
  flush();
  EXPECT_GT(auditor_.rho(0)->items(), first) << "the whole answer's";
}

TEST_F(AuditorTraffic, SessionsAreThoseThatAccuseSinceTheOnset) {
  windows(300, 0);
  windows(400, 0.02, 40);
  ASSERT_TRUE(convicted());
  EXPECT_EQ(std::ranges::find_if(findings_, &incident::Finding::convicted)->sessions, 1u);
}

TEST_F(AuditorTraffic, WhoIsWellAgainMayBeNamedAnewHoweverTheCulpritIsCalled) {
  const auto culprits = [&] { return auditor_.audit().lattice().peeled().size(); };
  windows(100, 0);
  windows(400, 0.05);
  ASSERT_TRUE(convicted());
  auditor_.heal(0);
  EXPECT_EQ(culprits(), 1u) << "another server";
  auditor_.heal(1);
  EXPECT_EQ(culprits(), 0u);
  findings_.clear();
  windows(400, 0.05);
  EXPECT_TRUE(convicted()) << "named anew, without a wait";

  // Two servers of one version: named by it, and healed by either.
  for (const fleet::EndpointId healed : {0u, 2u}) {
    Auditor fresh(config_, {}, now_, wall_);
    bool named = false;
    for (int i = 0; i < 400 && !named; ++i) {
      for (fleet::EndpointId endpoint = 0; endpoint < 3; ++endpoint) {
        Admission about{.endpoint = endpoint, .context_class = "short", .window = 2048};
        about.streamed = true;
        about.sampling = writer_.sampling();
        about.session = static_cast<std::uint64_t>(i);
        fresh.on(Admitted{++last_, now_, about});
        std::string text = writer_.tokens(20, evidence::Fault::tail_uniform, endpoint == 1 ? 0 : 0.05);
        const std::size_t size = text.size();
        fresh.on(Records{.answer = last_, .text = std::move(text), .audit_at = size, .seed = {}});
        fresh.on(Ended{.answer = last_, .end = {}});
      }
      now_ += milliseconds(250);
      for (const auto& finding : fresh.flush(now_, wall_)) named = named || finding.convicted;
    }
    ASSERT_TRUE(named);
    const auto& lattice = fresh.audit().lattice();
    ASSERT_EQ(fresh.audit().names().describe(lattice.peeled()[0]), "version=v1");
    fresh.heal(1);
    EXPECT_EQ(lattice.peeled().size(), 1u);
    fresh.heal(healed);
    EXPECT_EQ(lattice.peeled().size(), 0u);
  }
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
  EXPECT_TRUE(auditor_.invariants().lattice().peeled().empty());
  EXPECT_EQ(auditor_.book().approved(0), "fp");
  const auto violated = [&] {
    return auditor_.book().standing(EngineKind::llama_cpp, Invariant::fingerprint).violated;
  };
  const auto before = violated();
  const AnswerId answer = admit(2, true);
  records(answer, writer_.tokens(3));
  complete(answer, 3, "other");
  flush();
  EXPECT_EQ(violated(), before) << "the approved one";
}

TEST_F(AuditorTraffic, SuspectsAreLookedAtMoreClosely) {
  windows(50, 0);
  EXPECT_FALSE(auditor_.suspected(1));
  while (findings_.empty()) windows(1, 0.05);
  while (!convicted() && !(auditor_.suspected(1) && !auditor_.suspected(2))) windows(1, 0.05);
  EXPECT_FALSE(convicted()) << "the search is over before the suspect was looked at more closely";
}

}  // namespace
}  // namespace truekeel::sentinel
