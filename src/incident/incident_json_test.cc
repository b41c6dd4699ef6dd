// SPDX-License-Identifier: Apache-2.0
#include "incident/incident_json.h"

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
