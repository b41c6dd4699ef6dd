// SPDX-License-Identifier: Apache-2.0
#include "evidence/recording.h"

#include <gtest/gtest.h>

#include <memory>

namespace truekeel::evidence::recording {
namespace {

Answer answer_of(double temperature, std::size_t tokens) {
  Answer answer{
      .server = 2, .kind = 3, .sampling = {.temperature = temperature}, .positions = {}, .redraws = {}};
  answer.sampling.top_k = 40;
  answer.sampling.top_p = 0.5;
  for (std::size_t i = 0; i < tokens; ++i) {
    Position position;
    position.top.fill(-static_cast<float>(i));
    position.logprob = -static_cast<float>(i) - 0.5f;
    position.rank = static_cast<std::uint32_t>(i);
    position.draw_fits = 1;
    position.faulty[3].rank = static_cast<std::uint32_t>(100 + i);
    answer.positions.push_back(position);
  }
  if (temperature > 0) answer.redraws.resize(tokens * kRedraws, {.logprob = -7, .rank = 9});
  return answer;
}

TEST(Recording, ComesBackAsItWasWritten) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  write(file.get(), answer_of(0.5, 3));
  write(file.get(), answer_of(0, 2));
  std::fputs("TKR2 cut short", file.get());
  std::rewind(file.get());
  const auto answers = read(file.get(), 77);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].server, 2u);
  EXPECT_EQ(answers[0].kind, 3u);
  EXPECT_EQ(answers[0].sampling.temperature, 0.5);
  EXPECT_EQ(answers[0].sampling.top_k, 40u);
  EXPECT_EQ(answers[0].sampling.vocabulary, 77u);
  ASSERT_EQ(answers[0].positions.size(), 3u);
  EXPECT_EQ(answers[0].positions[2].faulty[3].rank, 102u);
  EXPECT_EQ(answers[0].redraws.size(), 3 * kRedraws);
  EXPECT_EQ(answers[0].redraws.back().rank, 9u);
  EXPECT_EQ(answers[1].positions.size(), 2u);
  EXPECT_TRUE(answers[1].redraws.empty()) << "at temperature 0 there is one token";
  const auto full = record(answers[0].positions[1], true), listed = record(answers[0].positions[1], false);
  EXPECT_EQ(full.draw, DrawCheck::matches);
  EXPECT_TRUE(full.has_mass && !listed.has_mass);
  EXPECT_EQ(listed.logprob, -1.5f);
}

}  // namespace
}  // namespace truekeel::evidence::recording
