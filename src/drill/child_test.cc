// SPDX-License-Identifier: Apache-2.0
#include "drill/child.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

namespace truekeel::drill {
namespace {

class Children : public testing::Test {
 protected:
  Children() { std::filesystem::create_directories(folder); }
  ~Children() override { std::filesystem::remove_all(folder); }

  std::unique_ptr<Child> shell(const std::string& script) {
    auto child = Child::start(context, {.name = "shell",
                                        .program = "/bin/sh",
                                        .arguments = {"-c", script},
                                        .log = (folder / "log").string()});
    EXPECT_TRUE(child) << child.error().message;
    return std::move(*child);
  }
  template <class Condition>
  static bool soon(Condition condition) {
    for (int i = 0; i < 3000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("truekeel-child-" + std::to_string(getpid()));
  boost::asio::io_context context;
};

TEST_F(Children, WriteALogAndEnd) {
  const auto child = shell("echo one; echo ready at http://here:1 and so on >&2; echo three");
  ASSERT_TRUE(soon([&] { return !child->running(); }));
  EXPECT_EQ(child->word_after("ready at "), "http://here:1");
  EXPECT_EQ(child->word_after("nowhere "), std::nullopt);
  EXPECT_EQ(child->log_tail(1), "three");
  EXPECT_EQ(child->log_tail(2), "ready at http://here:1 and so on\nthree");
  EXPECT_EQ(child->log_tail(9), "one\nready at http://here:1 and so on\nthree");
}

TEST_F(Children, AWordIsReadWhenItIsWhole) {
  const auto child = shell("printf 'ready at http://he'; exec sleep 100");
  ASSERT_TRUE(soon([&] { return !child->log_tail(1).empty(); }));
  EXPECT_EQ(child->word_after("ready at "), std::nullopt);
}

TEST_F(Children, EndWhenAsked) {
  const auto child = shell("trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.01; done");
  ASSERT_TRUE(soon([&] { return child->log_tail(1) == "begun"; }));
  EXPECT_TRUE(child->running());
  child->ask_to_end();
  ASSERT_TRUE(soon([&] { return !child->running(); }));
  EXPECT_EQ(child->log_tail(1), "bye");
}

TEST_F(Children, EndWithTheirOwner) {
  auto child = shell("trap '' TERM; echo begun; while :; do sleep 0.01; done");
  ASSERT_TRUE(soon([&] { return child->log_tail(1) == "begun"; }));
  const int pid = child->pid();
  EXPECT_EQ(kill(pid, 0), 0);
  child.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(Children, AMissingProgramIsAnError) {
  const auto child = Child::start(context, {.name = "ghost",
                                            .program = "/nonexistent/program",
                                            .arguments = {},
                                            .log = (folder / "log").string()});
  ASSERT_FALSE(child);
  EXPECT_NE(child.error().message.find("ghost cannot be started"), std::string::npos)
      << child.error().message;
}

}  // namespace
}  // namespace truekeel::drill
