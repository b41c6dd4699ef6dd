// SPDX-License-Identifier: Apache-2.0
#include "gateway/webhook_signature.h"

#include <gtest/gtest.h>

namespace truekeel::gateway {
namespace {

TEST(WebhookKey, GivesTheSignatureOfThePublishedExample) {
  const auto key = WebhookKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").value();
  EXPECT_EQ(key.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

TEST(WebhookKey, AnyTextIsAKeyButAnEmptyOneAndBrokenBase64) {
  EXPECT_TRUE(WebhookKey::parse("correct horse").has_value());
  EXPECT_FALSE(WebhookKey::parse("").has_value());
  EXPECT_FALSE(WebhookKey::parse("whsec_").has_value());
  EXPECT_FALSE(WebhookKey::parse("whsec_abc").has_value());
  EXPECT_FALSE(WebhookKey::parse("whsec_a*c=").has_value());
}

TEST(WebhookKey, PaddedBase64HasNoBytesOfItsPadding) {
  EXPECT_EQ(WebhookKey::parse("whsec_YQ==").value().sign("i", 1, "b"),
            WebhookKey::parse("a").value().sign("i", 1, "b"));
}

}  // namespace
}  // namespace truekeel::gateway
