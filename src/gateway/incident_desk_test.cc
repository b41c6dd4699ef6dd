// SPDX-License-Identifier: Apache-2.0
#include "gateway/incident_desk.h"

#include <gmock/gmock.h>

#include "base/test_folder.h"
#include "incident/test_fleet.h"
#include "store/sqlite.h"

namespace truekeel::gateway {
namespace {

using incident::Status;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

const WallTime kNow = incident::kTestStart;
const incident::Traffic kS1 = {{"endpoint", "s1"}};

fleet::Config config(const std::string& store = "memory") {
  const auto parsed = fleet::parse_config("keep_days: 3650\nstore: " + store + R"(
models:
  - {name: m, tokenizer: bound, classes: [{name: c, max_tokens: 1000, pool: a}, {name: d, max_tokens: 2000, pool: a}]}
pools:
  a: {endpoints: [{name: s1, url: "http://h1", engine: openai, labels: {version: v1}},
                  {name: s2, url: "http://h2", engine: openai, labels: {version: v2, hardware: h100}}]}
)");
  EXPECT_TRUE(parsed) << fleet::format_problem("test", parsed.error().front());
  return *parsed;
}

incident::Finding conviction(const std::string& id = "f") {
  return incident::test_finding(id, kS1, kNow, true);
}

std::vector<std::string> types(const EventRing& ring) {
  std::vector<std::string> found;
  for (const auto& event : ring.after(0)) found.push_back(event.type);
  return found;
}

TEST(EndpointFacts, SayPoolLabelsAndClasses) {
  const auto facts = endpoint_facts(config());
  ASSERT_THAT(facts, SizeIs(2));
  EXPECT_THAT(facts[0].values.at("class"), ElementsAre("c", "d"));
  EXPECT_THAT(facts[1].values.at("version"), ElementsAre("v2"));
  EXPECT_THAT(incident::endpoints_of({{"hardware", "h100"}}, facts), ElementsAre("s2"));
  EXPECT_THAT(incident::endpoints_of({{"fingerprint", "f"}}, facts), testing::IsEmpty())
      << "none stated so far";
}

TEST(IncidentDesk, AFindingBecomesAnIncidentThatADrainContains) {
  auto desk = IncidentDesk::open(config(), 1).value();
  desk->on_routed("s1", "c", {.hash = 5}, kNow);
  desk->on_routed("s2", "c", {.hash = 6}, kNow);
  desk->on_finding(conviction(), kNow);
  EXPECT_EQ(desk->incidents()[0].impact->requests, 1u);
  const incident::Routing drained{"s1", true, 0, 0};
  desk->on_routing({&drained, 1}, kNow + minutes(1));
  EXPECT_EQ(desk->incident(1).value()->status, Status::contained);
  EXPECT_THAT(types(desk->events()), ElementsAre("incident.opened", "incident.status"));
  EXPECT_THAT(desk->events().after(0)[0].data, HasSubstr("50 % of requests went there"));
  EXPECT_THAT(desk->metrics_text(), HasSubstr("truekeel_incidents{status=\"contained\"} 1\n"));
  EXPECT_THAT(desk->drained_before(), ElementsAre("s1"));
  EXPECT_TRUE(desk->resolve(1, "why", kNow + minutes(2)));
  EXPECT_FALSE(desk->resolve(1, "why", kNow + minutes(2)));
  EXPECT_TRUE(desk->drained_before().empty());
}

TEST(IncidentDesk, ToldIsWhatTheBriefShows) {
  auto desk = IncidentDesk::open(config(), 1).value();
  desk->on_finding(conviction(), kNow);
  desk->on_finding(conviction("g"), kNow);
  EXPECT_THAT(types(desk->events()), ElementsAre("incident.opened")) << "more evidence of the same";
  for (const std::uint64_t session : {5, 6, 7}) {
    desk->on_routed(session == 5 ? "s1" : "s2", "c", {.hash = session}, kNow);
  }
  desk->measure(kNow);
  desk->measure(kNow + minutes(1));
  EXPECT_THAT(types(desk->events()), ElementsAre("incident.opened", "incident.updated"));
  EXPECT_TRUE(desk->resolve(1, "why", kNow + minutes(2)));
  EXPECT_THAT(types(desk->status_events()), ElementsAre("incident.opened", "incident.status"));
  EXPECT_EQ(desk->status_events().last(), 2u) << "numbered without gaps, so that a gap is a miss";
}

TEST(IncidentDesk, ChangesGetNumbersAndAreRankedForWhatComesLater) {
  auto desk = IncidentDesk::open(config(), 1).value();
  const incident::Change change{.at = kNow - minutes(3), .kind = "deploy", .summary = "v1", .touches = kS1};
  EXPECT_EQ(desk->add_change(change).value().number, 1u);
  EXPECT_EQ(desk->add_change(change).value().number, 2u);
  desk->on_finding(conviction(), kNow);
  EXPECT_THAT(desk->incident(1).value()->changes, SizeIs(2));
  EXPECT_THAT(desk->changes(), SizeIs(2));
}

TEST(IncidentDesk, ExplainsARequestAtOnce) {
  auto desk = IncidentDesk::open(config(), 1).value();
  incident::RequestRecord record;
  record.id = "req_1";
  record.at = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
  desk->on_done(record);
  EXPECT_EQ(desk->request("req_1").value(), record);
  EXPECT_FALSE(desk->request("req_2").value().has_value());
}

TEST(IncidentDesk, ARestartForgetsNothing) {
  const TestFolder folder;
  const std::string file = folder.file("gateway.db");
  const auto settings = config("sqlite:" + file);
  incident::Incident before;
  {
    auto desk = IncidentDesk::open(settings, 1).value();
    desk->on_finding(conviction(), kNow);
    static_cast<void>(desk->add_change({.at = kNow - minutes(3), .kind = "deploy", .summary = "v1"}));
    before = desk->incident(1).value().value();
  }
  auto desk = IncidentDesk::open(settings, 2).value();
  EXPECT_EQ(desk->incident(1).value(), before);
  EXPECT_EQ(desk->add_change({.at = kNow, .kind = "flag", .summary = "x"}).value().number, 2u);
  desk->on_finding(conviction("g"), kNow + minutes(1));
  EXPECT_THAT(types(desk->events()), testing::Not(testing::Contains("incident.opened")))
      << "it was told before";
}

TEST(IncidentDesk, AnUnreadableRowIsAnErrorAndStaysAsItIs) {
  const TestFolder folder;
  const std::string file = folder.file("gateway.db");
  const auto settings = config("sqlite:" + file);
  for (const char* table : {"incidents", "changes"}) {
    {
      auto desk = IncidentDesk::open(settings, 1).value();
      desk->on_finding(conviction(), kNow);
      static_cast<void>(desk->add_change({.at = kNow, .kind = "deploy", .summary = "v1"}));
    }
    const std::string spoil = std::string("UPDATE ") + table + " SET json = json || ";
    ASSERT_TRUE(store::Database::open(file).value().run(spoil + "'x' WHERE number = 1"));
    const auto opened = IncidentDesk::open(settings, 1);
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
    EXPECT_THAT(opened.error().message, HasSubstr(" 1 is not readable"));
    ASSERT_TRUE(store::Database::open(file).value().run(std::string("UPDATE ") + table +
                                                        " SET json = rtrim(json, 'x') WHERE number = 1"));
  }
}

TEST(IncidentDesk, AStoreThatCannotBeOpenedIsAnError) {
  EXPECT_THAT(IncidentDesk::open(config("sqlite:/no/such/folder/x.db"), 1).error().message,
              HasSubstr("/no/such"));
}

TEST(EventRing, KeepsTheLatestAndNumbersAll) {
  EventRing ring(2);
  for (const auto* id : {"a", "b", "c"}) ring.publish("t", id, "{}");
  EXPECT_EQ(ring.last(), 3u);
  ASSERT_THAT(ring.after(0), SizeIs(2));
  EXPECT_EQ(ring.after(0)[0].number, 2u);
  EXPECT_EQ(ring.after(2)[0].id, "c");
}

}  // namespace
}  // namespace truekeel::gateway
