// SPDX-License-Identifier: Apache-2.0
// The audit while the fleet's configuration changes.
#include "sentinel/test_auditor.h"

namespace truekeel::sentinel {
namespace {

class AuditorReload : public AuditorTraffic {
 protected:
  /// As the fleet would number them: who stays keeps his number, new ones come after the last.
  void replace(const fleet::Config& config, fleet::Roster roster) {
    auditor_.replace(std::make_shared<const fleet::Config>(config), roster);
  }
  fleet::Roster all() const { return fleet::number_endpoints(*config_); }
  /// Takes s1 out. The fleet goes on to list it while it has calls under way.
  void remove_first() {
    auto config = *config_;
    auto roster = all();
    config.pools[0].endpoints.erase(config.pools[0].endpoints.begin());
    roster[0].erase(roster[0].begin());
    replace(config, roster);
  }
};

TEST_F(AuditorReload, WhoStaysKeepsWhatIsKnown) {
  windows(20, 0);
  const auto tokens = auditor_.endpoint(1).tokens;
  const auto before = entered();
  ASSERT_GT(tokens, 0u);
  replace(*config_, all());
  EXPECT_EQ(auditor_.endpoint(1).tokens, tokens);
  EXPECT_EQ(entered(), before);
  EXPECT_EQ(auditor_.book().approved(1), "fp");
  windows(400, 0.05);
  EXPECT_TRUE(convicted()) << "evidence goes on";
}

TEST_F(AuditorReload, AnAnswerUnderWayOutlivesItsServer) {
  const auto answer = admit(0, true);
  remove_first();
  records(answer, writer_.tokens(20, evidence::Fault::tail_uniform, 0));
  complete(answer, 20);
  flush();
  EXPECT_EQ(entered(), 20u);
}

TEST_F(AuditorReload, ARemovedServerIsForgottenWhenAllItsAnswersHaveEntered) {
  const auto first = admit(1, false);  // holds up what was admitted after it
  const auto streamed = admit(0, true), whole = admit(0, false);
  remove_first();
  auditor_.note_under_way({{0, 2}, {1, 1}, {2, 0}});
  records(whole, writer_.tokens(20));
  complete(whole, 20);
  records(streamed, writer_.tokens(20));
  complete(streamed, 20);
  flush();
  EXPECT_TRUE(auditor_.has(0)) << "the fleet may still send it something";
  auditor_.note_under_way({{1, 1}, {2, 0}});
  flush();
  EXPECT_TRUE(auditor_.has(0)) << "an answer waits for its turn";
  records(first, writer_.tokens(20));
  complete(first, 20);
  flush();
  EXPECT_FALSE(auditor_.has(0));
  EXPECT_EQ(entered(), 60u);
  EXPECT_EQ(auditor_.book().approved(0), "");
  EXPECT_TRUE(auditor_.has(1) && auditor_.has(2));
}

TEST_F(AuditorReload, AStreamThatGoesOnKeepsItsServer) {
  const auto answer = admit(0, true);
  remove_first();
  auditor_.note_under_way({{1, 0}, {2, 0}});
  flush();
  records(answer, writer_.tokens(20));
  flush();
  EXPECT_EQ(auditor_.endpoint(0).tokens, 20u);
  complete(answer, 20);
  flush();
  EXPECT_FALSE(auditor_.has(0));
}

TEST_F(AuditorReload, ServersThatComeAndGoLeaveNothing) {
  auto config = *config_;
  fleet::EndpointId next = 3;
  for (int reload = 0; reload < 500; ++reload) {
    config.pools[0].endpoints[0].name = "s" + std::to_string(reload + 10);
    replace(config, {{next, 1}, {2}});
    auditor_.note_under_way({{next, 0}, {1, 0}, {2, 0}});
    const auto answer = admit(next++, true);
    records(answer, writer_.tokens(1));
    complete(answer, 1);
    flush();
  }
  EXPECT_TRUE(auditor_.has(next - 1));
  for (fleet::EndpointId id = 3; id < next - 1; ++id) ASSERT_FALSE(auditor_.has(id));
}

TEST_F(AuditorReload, NewServersAreAuditedAndRemovedOnesNotSaved) {
  auto config = *config_;
  auto roster = all();
  const auto fresh = static_cast<fleet::EndpointId>(3);
  config.pools[0].endpoints[0].name = "s9";
  roster[0][0] = fresh;
  replace(config, roster);
  const auto answer = admit(fresh, true);
  records(answer, writer_.tokens(20, evidence::Fault::tail_uniform, 0));
  complete(answer, 20, "fp9");
  flush();
  EXPECT_EQ(auditor_.endpoint(fresh).tokens, 20u);
  EXPECT_EQ(auditor_.book().approved(fresh), "fp9");
  const auto saved = auditor_.save();
  EXPECT_NE(saved.find("s9"), std::string::npos);

  config_ = std::make_shared<const fleet::Config>(config);
  ASSERT_TRUE(restart(saved));
  EXPECT_EQ(auditor_.book().approved(0), "fp9") << "numbers begin anew, names stay";
}

}  // namespace
}  // namespace truekeel::sentinel
