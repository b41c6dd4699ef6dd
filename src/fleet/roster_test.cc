// SPDX-License-Identifier: Apache-2.0
#include "fleet/roster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/test_config.h"

namespace truekeel::fleet {
namespace {

using testing::ElementsAre;

TEST(Roster, CountsOverAllPoolsAtTheStart) {
  EXPECT_THAT(number_endpoints(test_config()), ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 4)));
}

TEST(Roster, KnownOnesKeepTheirNumbersAndNewOnesComeAfterTheLast) {
  const auto known = [](const PoolConfig& pool, const EndpointConfig& endpoint) -> std::optional<EndpointId> {
    if (pool.name == "long" && endpoint.name == "l1") return 3;
    if (endpoint.name == "s2") return 1;
    return std::nullopt;
  };
  EXPECT_THAT(number_endpoints(test_config({"s9", "s2"}, {"l9", "l1"}), 5, known),
              ElementsAre(ElementsAre(5, 1), ElementsAre(6, 3)));
}

TEST(Roster, APoolWithoutEndpointsHasARow) {
  auto config = test_config();
  config.pools[0].endpoints.clear();
  EXPECT_THAT(number_endpoints(config), ElementsAre(ElementsAre(), ElementsAre(0, 1)));
}

}  // namespace
}  // namespace truekeel::fleet
