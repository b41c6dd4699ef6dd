// SPDX-License-Identifier: Apache-2.0
#include "samplers/process_sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <thread>

#include "base/test_folder.h"

namespace truekeel::samplers {
namespace {

using namespace conformance;
using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr const char* kHello = R"(read hello; echo '{"semantics":{"name":"shell"}}')";

/// A sampler that is a shell script.
Result<std::unique_ptr<ProcessSampler>> start(const std::string& script, ProcessOptions options = {}) {
  signal(SIGPIPE, SIG_IGN);
  return ProcessSampler::start({"/bin/sh", "-c", script}, options);
}

/// Whether the process exists and is more than a zombie.
bool runs(pid_t pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string number, name, state;
  return stat >> number >> name >> state && state != "Z";
}

const Call kCall = {.rows = {{.logits = {0, 1}}}};

TEST(ProcessSampler, SaysHelloAndDraws) {
  auto sampler = start(std::string(kHello) + R"(; read call; echo '{"id":1,"tokens":[[1]]}')");
  ASSERT_TRUE(sampler) << sampler.error().message;
  EXPECT_EQ((*sampler)->semantics().name, "shell");
  const auto draws = (*sampler)->draw(kCall);
  ASSERT_TRUE(draws) << draws.error().message;
  EXPECT_EQ(draws->front(), Draw(1));
}

TEST(ProcessSampler, StartsAgainAfterADeathAndSaysHowItDied) {
  auto sampler = start(std::string(kHello) + "; read call; kill -SEGV $$");
  ASSERT_TRUE(sampler);
  for (int i = 0; i < 2; ++i) {
    const auto draws = (*sampler)->draw(kCall);
    ASSERT_FALSE(draws);
    EXPECT_EQ(draws.error().code, ErrorCode::unavailable);
    EXPECT_THAT(draws.error().message, HasSubstr("signal 11"));
  }
}

TEST(ProcessSampler, KillsASilentChildWithAllThatItStarted) {
  const TestFolder folder;
  const std::string pid_file = folder.file("grandchild.pid");
  auto sampler =
      start(std::string(kHello) + "; sleep 1000 & echo $! > " + pid_file + "; wait", {.call_timeout = 200ms});
  ASSERT_TRUE(sampler);
  const auto draws = (*sampler)->draw(kCall);
  ASSERT_FALSE(draws);
  EXPECT_EQ(draws.error().code, ErrorCode::timeout);
  EXPECT_THAT(draws.error().message, HasSubstr("killed"));
  pid_t grandchild = 0;
  std::ifstream(pid_file) >> grandchild;
  ASSERT_GT(grandchild, 0);
  for (int i = 0; i < 500 && runs(grandchild); ++i) std::this_thread::sleep_for(10ms);
  EXPECT_FALSE(runs(grandchild)) << "the child's own child outlived it";
}

TEST(ProcessSampler, BoundsTheLineThatItReads) {
  auto sampler = start(std::string(kHello) + "; read call; head -c 100000 /dev/zero", {.line_max = 1000});
  ASSERT_TRUE(sampler);
  EXPECT_EQ((*sampler)->draw(kCall).error().code, ErrorCode::too_large);
}

TEST(ProcessSampler, SendsMoreThanAPipeHolds) {
  // The child answers before it has read: both directions are full at once.
  auto sampler =
      start(std::string(kHello) + R"(; printf '{"id":1,"tokens":[[0]], "pad":"%0200000d"}\n' 0; read call)");
  ASSERT_TRUE(sampler);
  const Call large = {.rows = {{.logits = std::vector<float>(200'000)}}};
  const auto draws = (*sampler)->draw(large);
  ASSERT_TRUE(draws) << draws.error().message;
}

TEST(ProcessSampler, ReportsWhatCannotStart) {
  signal(SIGPIPE, SIG_IGN);
  EXPECT_THAT(ProcessSampler::start({"/no/such/program"}).error().message, HasSubstr("/no/such/program"));
  EXPECT_THAT(start("read hello; echo nonsense").error().message, HasSubstr("not a JSON object"));
  EXPECT_THAT(start("exit 3").error().message, HasSubstr("closed its output"));
}

}  // namespace
}  // namespace truekeel::samplers
