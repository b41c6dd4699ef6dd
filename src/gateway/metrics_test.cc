// SPDX-License-Identifier: Apache-2.0
#include "gateway/metrics.h"

#include <gmock/gmock.h>

#include <string>

#include "fleet/test_config.h"

namespace truekeel::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

class MetricsTest : public testing::Test {
 protected:
  static CallRecord call() {
    CallRecord made;
    made.request.operation = "chat";
    made.request.model = "m";
    made.request.pool = made.request.context_class = "short";
    made.request.endpoint = "s1";
    made.request.counted = "bound";
    made.request.status = 200;
    made.request.end = "ok";
    made.total = seconds(2);
    made.first_token = milliseconds(500);
    made.request.output_tokens = 31;
    made.request.input_tokens = 7;
    return made;
  }
  /// The value of a series; "none" where there is none. `labels` in the order of the exposition.
  std::string value(const std::string& series) {
    const auto text = metrics_.text(fleet_, now_);
    const auto at = text.find(series + " ");
    if (at == std::string::npos) return "none";
    const auto from = at + series.size() + 1;
    return text.substr(from, text.find('\n', from) - from);
  }
  std::string requests(const std::string& model, const std::string& pool, const std::string& endpoint = "s1",
                       int status = 200) {
    return value("truekeel_requests_total{class=\"short\",counted=\"bound\",end=\"ok\",endpoint=\"" +
                 endpoint + "\",model=\"" + model + "\",pool=\"" + pool + "\",status=\"" +
                 std::to_string(status) + "\"}");
  }
  std::string served(const std::string& name, const std::string& operation = "chat",
                     const std::string& more = "") {
    return value(name + "{gen_ai_operation_name=\"" + operation + "\",gen_ai_request_model=\"m\"" + more +
                 ",pool=\"short\"}");
  }

  Instant now_ = Instant{} + seconds(1);
  fleet::Fleet fleet_{std::make_shared<const fleet::Config>(fleet::test_config()), fleet::AffinitySecret("s"),
                      now_};
  Metrics metrics_;
};

TEST_F(MetricsTest, EqualCallsAreOneSeriesAndOthersAnother) {
  metrics_.on_call(call());
  metrics_.on_call(call());
  auto other = call();
  other.request.status = 503;
  metrics_.on_call(other);
  other = call();
  other.request.endpoint = "s2";
  metrics_.on_call(other);
  EXPECT_EQ(requests("m", "short"), "2");
  EXPECT_EQ(requests("m", "short", "s1", 503), "1");
  EXPECT_EQ(requests("m", "short", "s2"), "1");
}

TEST_F(MetricsTest, NamesThatJoinToTheSameTextAreStillTwoSeries) {
  auto one = call(), other = call();
  one.request.model = "ab";
  one.request.pool = "c";
  other.request.model = "a";
  other.request.pool = "bc";
  metrics_.on_call(one);
  metrics_.on_call(other);
  EXPECT_EQ(requests("ab", "c"), "1");
  EXPECT_EQ(requests("a", "bc"), "1");
}

TEST_F(MetricsTest, WhatACallDidNotHaveIsNotMeasured) {
  // Whatever comes first: a series that is found again must be that of a call of the same kind.
  auto mute = call();
  mute.first_token.reset();
  mute.request.input_tokens.reset();
  metrics_.on_call(mute);
  EXPECT_EQ(served("gen_ai_server_time_to_first_token_seconds_count"), "none");
  metrics_.on_call(call());
  metrics_.on_call(mute);
  EXPECT_EQ(served("gen_ai_server_time_to_first_token_seconds_count"), "1");
  EXPECT_EQ(served("gen_ai_server_request_duration_seconds_count"), "3");
}

TEST_F(MetricsTest, OperationsAreToldApart) {
  auto other = call();
  other.request.operation = "text_completion";
  metrics_.on_call(call());
  metrics_.on_call(other);
  EXPECT_EQ(served("gen_ai_server_request_duration_seconds_count"), "1");
  EXPECT_EQ(served("gen_ai_server_request_duration_seconds_count", "text_completion"), "1");
}

TEST_F(MetricsTest, ACallThatReachedNoServerIsCountedAlone) {
  CallRecord refused = call();
  refused.request.endpoint.clear();
  refused.request.pool.clear();
  metrics_.on_call(refused);
  EXPECT_EQ(requests("m", "", ""), "1");
  EXPECT_THAT(metrics_.text(fleet_, now_), Not(HasSubstr("gen_ai_server_request_duration_seconds_count")));
}

TEST_F(MetricsTest, SeriesOfAnEndpointGoWithIt) {
  auto other = call(), refused = call();
  other.request.endpoint = "s2";
  refused.request.endpoint.clear();
  for (const auto& each : {call(), other, refused}) metrics_.on_call(each);
  for (const char* endpoint : {"s1", "s2"}) {
    metrics_.on_retry(endpoint, "reset");
    metrics_.on_passed_over(endpoint);
    metrics_.on_probe(endpoint, "token");
  }
  ASSERT_THAT(metrics_.text(fleet_, now_), HasSubstr("endpoint=\"s1\""));
  fleet_.replace(std::make_shared<const fleet::Config>(fleet::test_config({"s2", "s3"})), now_);
  EXPECT_THAT(metrics_.text(fleet_, now_), Not(HasSubstr("endpoint=\"s1\"")));
  EXPECT_EQ(requests("m", "short", "s2"), "1");
  EXPECT_EQ(requests("m", "short", ""), "1");
  for (const char* name : {"truekeel_retries_total", "truekeel_passed_over_total", "truekeel_probes_total"}) {
    EXPECT_THAT(metrics_.text(fleet_, now_), HasSubstr(std::string(name) + "{endpoint=\"s2\""));
  }
  EXPECT_EQ(served("gen_ai_server_request_duration_seconds_count"), "2") << "of the pool, which stays";

  metrics_.on_call(call());  // its last one, under way when it was removed
  EXPECT_THAT(metrics_.text(fleet_, now_), Not(HasSubstr("endpoint=\"s1\"")));
  fleet_.replace(std::make_shared<const fleet::Config>(fleet::test_config()), now_);
  metrics_.on_call(call());
  EXPECT_EQ(requests("m", "short"), "1") << "it begins anew";
}

}  // namespace
}  // namespace truekeel::gateway
