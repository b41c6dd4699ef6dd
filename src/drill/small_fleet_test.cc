// SPDX-License-Identifier: Apache-2.0
#include "drill/small_fleet.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "drill/plan.h"
#include "fleet/config.h"
#include "http/tcp_net.h"

namespace truekeel::drill {
namespace {

TEST(SmallFleet, ItsConfigurationIsOne) {
  std::map<std::string, std::string> urls;
  for (const auto& server : kServers)
    urls[std::string(server.name)] = "http://127.0.0.1:90" + std::string(server.name.substr(1)) + "0";
  const auto config = fleet::parse_config(config_yaml(urls, R"(/a "model" with\odd: #name.gguf)"));
  ASSERT_TRUE(config) << config.error().front().message;
  EXPECT_EQ(config->models.front().gguf_path, R"(/a "model" with\odd: #name.gguf)");
  EXPECT_EQ(config->listen.port, 0);
  EXPECT_TRUE(config->store.sqlite_path.empty()) << "nothing is written";
  ASSERT_EQ(config->pools.size(), 1u);
  const auto& endpoints = config->pools.front().endpoints;
  ASSERT_EQ(endpoints.size(), kServers.size());
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    EXPECT_EQ(endpoints[i].name, kServers[i].name);
    EXPECT_EQ(endpoints[i].labels.at("hardware"), kServers[i].hardware);
    EXPECT_EQ(endpoints[i].labels.at("version"), kServers[i].version);
  }
}

http::Task<void> start(SmallFleet& fleet, bool cancelled, Result<void>& result) {
  result = co_await fleet.start([cancelled] { return cancelled; });
  co_await fleet.stop();
}

std::size_t folders() {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path()))
    count += entry.path().filename().string().starts_with("truekeel-drill-");
  return count;
}

/// Starts a fleet of /bin/sh, which knows no `worker` and ends.
Result<void> start_of_shells(bool cancelled) {
  boost::asio::io_context context(1);
  const auto net = http::make_tcp_net(context);
  Result<void> result;
  SmallFleet fleet(*net, {.program = "/bin/sh", .model = "none.gguf"});
  http::spawn(*net, start(fleet, cancelled, result));
  context.run();
  return result;
}

TEST(SmallFleet, AServerThatEndsIsToldWithItsLog) {
  const auto result = start_of_shells(false);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::unavailable);
  EXPECT_NE(result.error().message.find("s1 has ended. Its log ends with:\n"), std::string::npos);
  EXPECT_NE(result.error().message.find("worker"), std::string::npos) << "what the shell said";
}

TEST(SmallFleet, AnInterruptionEndsTheStartAndLeavesNothing) {
  const auto before = folders();
  const auto result = start_of_shells(true);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::cancelled);
  EXPECT_EQ(folders(), before);
}

}  // namespace
}  // namespace truekeel::drill
