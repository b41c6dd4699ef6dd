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
  fleet::Roster all() const {
    fleet::Roster roster;
    fleet::EndpointId next = 0;
    for (const auto& pool : config_->pools) {
      auto& ids = roster.emplace_back();
      for (std::size_t i = 0; i < pool.endpoints.size(); ++i) ids.push_back(next++);
    }
    return roster;
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
  auto config = *config_;
  auto roster = all();
  config.pools[0].endpoints.erase(config.pools[0].endpoints.begin());
  roster[0].erase(roster[0].begin());
  replace(config, roster);
  records(answer, writer_.tokens(20, evidence::Fault::tail_uniform, 0));
  complete(answer, 20);
  flush();
  EXPECT_EQ(entered(), 20u);
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
