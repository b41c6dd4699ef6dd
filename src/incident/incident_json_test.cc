// SPDX-License-Identifier: Apache-2.0
#include "incident/incident_json.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "incident/book.h"
#include "incident/test_fleet.h"

namespace truekeel::incident {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::HasSubstr;

const WallTime kNow = kTestStart + milliseconds(123);

/// An incident that has been through everything.
Incident eventful() {
  Book book(test_fleet());
  ImpactLedger ledger(1);
  ledger.count("s1", "short", 1, kNow);
  ledger.count("s2", "short", 2, kNow);
  const Traffic s1 = {{"endpoint", "s1"}};
  auto finding = test_finding("a", s1, kNow, true);
  finding.same_traffic = {{{"endpoint", "s1"}, {"class", "short"}}};
  const Change change{
      .number = 3, .at = kNow - minutes(5), .kind = "deploy", .summary = "ä \"v2\"", .touches = s1};
  const Routing drained{"s1", true, 0, 0};
  static_cast<void>(book.on_finding(finding, kNow));
  static_cast<void>(book.on_changes({&change, 1}));
  static_cast<void>(book.on_impact(ledger, kNow));
  static_cast<void>(book.on_routing({&drained, 1}, kNow + minutes(1)));
  static_cast<void>(book.on_verified(1, kNow + minutes(2)));
  static_cast<void>(book.on_resolved(1, "rolled back", kNow + minutes(3)));
  return *book.find(1);
}

/// What the first release wrote. Databases hold such texts: they must stay readable, so never edit this.
constexpr const char* kFirstRelease = R"json({"id":"inc-1","number":1,"status":"resolved",
"headline":"Endpoint s1 serves wrong tokens; 50 % of requests went there. It is resolved.",
"culprit":{"endpoint":"s1"},"convicted":true,"times":{"introduced":"2025-11-24T15:55:00.123Z",
"first_impact":"2025-11-24T15:58:30.123Z","first_signal":"2025-11-24T15:58:40.123Z",
"detected":"2025-11-24T16:00:00.123Z","attributed":"2025-11-24T16:00:20.123Z",
"action_started":"2025-11-24T16:01:00.123Z","drained":"2025-11-24T16:01:00.123Z",
"verified":"2025-11-24T16:02:00.123Z","resolved":"2025-11-24T16:03:00.123Z"},"ttd_s":90.0,
"ttr_s":210.0,"same_traffic":[{"endpoint":"s1","class":"short"}],"findings":[{"id":"a",
"signal":"audit","detector":"tokens from the tail","log_statistic":25.0,"log_threshold":24.0,
"expected_false_alarms":0.001,"observations":1200,"requests":9,"sessions_at_least":5,
"traffic":{"endpoint":"s1"},"same_traffic":[{"endpoint":"s1","class":"short"}],"convicted":true,
"log_lead":0.0,"onset":"2025-11-24T15:58:30.123Z","first_seen":"2025-11-24T15:58:40.123Z",
"detected":"2025-11-24T16:00:00.123Z","attributed":"2025-11-24T16:00:20.123Z","delay_s":90.0}],
"findings_left_out":0,"last_finding":"2025-11-24T16:00:00.123Z","carriers":[{"endpoint":"s1",
"drained":"2025-11-24T16:01:00.123Z","in_flight":0,"routed_since_drain":0}],"released":null,
"impact":{"since":"2025-11-24T16:00:00.000Z","requests":1,"requests_all":2,"requests_share":0.5,
"sessions":1.0004885993744506,"sessions_all":2.001955671862574,
"sessions_share":0.49975562068445734,"worst_hour":"2025-11-24T16:00:00.000Z","worst_share":0.5,
"exact":true},"changes":[{"number":3,"at":"2025-11-24T15:55:00.123Z","kind":"deploy",
"summary":"ä \"v2\"","author":"","link":"","touches":{"endpoint":"s1"},"score":0.9448818897637795,
"closeness":0.9448818897637795,"overlap":1.0,"before_onset_s":210.0}],"related":[],"joined":null,
"resolution":"rolled back","history":[{"at":"2025-11-24T16:00:00.123Z","from":null,
"to":"investigating","because":"audit: tokens from the tail"},{"at":"2025-11-24T16:00:00.123Z",
"from":"investigating","to":"identified","because":"audit: tokens from the tail"},
{"at":"2025-11-24T16:01:00.123Z","from":"identified","to":"contained",
"because":"drained by the operator"},{"at":"2025-11-24T16:02:00.123Z","from":"contained",
"to":"verified","because":"proven well"},{"at":"2025-11-24T16:03:00.123Z","from":"verified",
"to":"resolved","because":"closed by a person"}]})json";

TEST(IncidentJson, WhatTheFirstReleaseWroteIsRead) {
  const auto read = incident_from_json(kFirstRelease);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, eventful());
}

TEST(IncidentJson, AnIncidentComesBackAsItWent) {
  const auto incident = eventful();
  const auto back = incident_from_json(to_json(incident));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(*back, incident);
}

TEST(IncidentJson, ShowsDelaysInSecondsAndNullForWhatIsUnknown) {
  const auto json = nlohmann::json::parse(to_json(eventful()));
  EXPECT_EQ(json["ttd_s"], 90);
  EXPECT_EQ(json["ttr_s"], 210);
  EXPECT_EQ(json["impact"]["requests_share"], 0.5);
  Incident fresh;
  EXPECT_TRUE(nlohmann::json::parse(to_json(fresh))["times"]["verified"].is_null());
  EXPECT_TRUE(nlohmann::json::parse(to_json_brief(fresh))["ttr_s"].is_null());
}

TEST(IncidentJson, ARequestRecordComesBackAsItWent) {
  RequestRecord record;
  record.id = "req_1";
  record.at = kNow;
  record.endpoint = "s1";
  record.status = 200;
  record.input_tokens = 7;
  record.signals = {{"audit", true, "120 tokens, nothing unusual"}, {"canary", false, "not for clients"}};
  EXPECT_EQ(request_record_from_json(to_json(record)).value(), record);
}

TEST(IncidentJson, WhatIsNoIncidentIsAnError) {
  for (const char* text : {"", "[]", "{}", "{\"number\":-1}", "null"}) {
    EXPECT_FALSE(incident_from_json(text).has_value()) << text;
  }
}

TEST(PostedChange, OnlyASummaryIsNeeded) {
  const auto change = posted_change(R"({"summary":"v2 everywhere"})", kNow).value();
  EXPECT_EQ(change.at, kNow);
  EXPECT_EQ(change.kind, "other");
  const auto full =
      posted_change(R"({"summary":"s","kind":"deploy","at":"2025-01-02T03:04:05+02:00","author":"eva",
                                      "link":"https://ci/7","touches":{"version":"v2"}})",
                    kNow)
          .value();
  EXPECT_EQ(rfc3339(full.at), "2025-01-02T01:04:05.000Z");
  EXPECT_EQ(full.touches, (Traffic{{"version", "v2"}}));
  EXPECT_EQ(change_from_json(to_json(full)).value(), full);
}

TEST(PostedChange, SaysWhichFieldIsWrongAndWhatItMustBe) {
  const auto message = [](std::string_view body) { return posted_change(body, kNow).error().message; };
  EXPECT_THAT(message("no"), HasSubstr("JSON object"));
  EXPECT_THAT(message("{}"), HasSubstr("'summary' must be"));
  EXPECT_THAT(message(R"({"summary":"s","kind":"oops"})"), HasSubstr("deploy, flag"));
  EXPECT_THAT(message(R"({"summary":"s","at":"tomorrow"})"), HasSubstr("'at' must be a time"));
  EXPECT_THAT(message(R"({"summary":"s","at":"2300-01-01T00:00:00Z"})"), HasSubstr("a day ahead"));
  EXPECT_THAT(message(R"({"summary":"s","touches":["s1"]})"), HasSubstr("'touches' must be"));
  EXPECT_THAT(message(R"({"summary":"s","oops":1})"), HasSubstr("unknown fields"));
  for (const char* control : {R"(\u001b[2J)", R"(\n)", R"(\u007f)", R"(\u009b)"}) {
    EXPECT_THAT(message(fmt::format(R"({{"summary":"a{}b"}})", control)), HasSubstr("without control"));
    EXPECT_THAT(message(fmt::format(R"({{"summary":"s","touches":{{"version":"{}"}}}})", control)),
                HasSubstr("'touches' must be"));
  }
  EXPECT_THAT(message(R"x({"summary":"s","link":"javascript:alert(1)"})x"), HasSubstr("begins with http"));
  EXPECT_THAT(message(R"({"summary":")" + std::string(501, 'x') + "\"}"), HasSubstr("at most 500 bytes"));
}

TEST(Rfc3339, ReadsOffsetsAndFractionsAndRefusesTheRest) {
  EXPECT_EQ(rfc3339(time_from_rfc3339("2026-11-22T04:05:06.7Z").value()), "2026-11-22T04:05:06.700Z");
  EXPECT_EQ(rfc3339(time_from_rfc3339("2026-11-22 04:05:06.123456-05:30").value()),
            "2026-11-22T09:35:06.123Z");
  for (const char* text :
       {"", "2026-11-22", "2026-02-30T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T04:05:06",
        "2026-11-22T04:05:06Zx", "-026-11-22T04:05:06Z", "2026-11-22T04:05:06+2"}) {
    EXPECT_FALSE(time_from_rfc3339(text).has_value()) << text;
  }
}

TEST(Headline, SaysWhetherTheCulpritIsBeingDrained) {
  Book book(test_fleet());
  const auto route = [&](bool drained) {
    const Routing routing{"s1", drained, 1, 0};
    static_cast<void>(book.on_routing({&routing, 1}, kNow));
    return headline(*book.find(1));
  };
  static_cast<void>(book.on_finding(test_finding("a", {{"endpoint", "s1"}}, kNow, true), kNow));
  EXPECT_THAT(headline(*book.find(1)), HasSubstr("Nothing has been done"));
  EXPECT_THAT(route(true), HasSubstr("It is being drained."));
  EXPECT_THAT(route(false), HasSubstr("its drain was taken back"));
}

TEST(Headline, IsASentenceForPeople) {
  auto incident = eventful();
  incident.times.resolved.reset();
  incident.times.verified.reset();
  incident.status = status_of(incident);
  EXPECT_EQ(headline(incident),
            "Endpoint s1 serves wrong tokens; 50 % of requests went there. It is drained: no request goes "
            "there any "
            "more.");
}

}  // namespace
}  // namespace truekeel::incident
