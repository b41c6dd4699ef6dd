// SPDX-License-Identifier: Apache-2.0
#include "select/shards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "select/local_transport.h"
#include "select/rounding.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

/// Where the shards of a row begin and end; some are empty.
std::vector<std::uint32_t> split(PhiloxStream& random, std::uint32_t size, std::uint32_t shards) {
  std::vector<std::uint32_t> ends;
  for (std::uint32_t shard = 0; shard + 1 < shards; ++shard)
    ends.push_back(static_cast<std::uint32_t>(random.below(size + 1)));
  ends.push_back(0);
  ends.push_back(size);
  std::ranges::sort(ends);
  return ends;
}

struct Answer {
  Outcome outcome;
  FullRecord full;
};

Row part_of(const Row& row, std::uint32_t begin, std::uint32_t end) {
  return {static_cast<const std::byte*>(row.data) + begin * bytes_of(row.dtype), end - begin, row.dtype};
}

/// Every shard on a thread of its own.
template <class F>
std::vector<Answer> on_each_shard(std::uint32_t shards, F&& f) {
  LocalGroup group(shards);
  std::vector<Answer> answers(shards);
  std::vector<std::jthread> threads;
  threads.reserve(shards);
  for (std::uint32_t rank = 0; rank < shards; ++rank)
    threads.emplace_back([&, rank] { answers[rank] = f(group.endpoint(rank), rank); });
  threads.clear();
  return answers;
}

TEST(Shards, AnySplitGivesTheTokenOfTheWholeRow) {
  for (std::uint64_t seed = 0; seed < 250; ++seed) {
    PhiloxStream random(seed, 2);
    const std::uint32_t bounds[] = {5, 300, 3000, 20000};
    const auto size = 1 + static_cast<std::uint32_t>(random.below(bounds[random.below(4)]));
    const auto shards = 1 + static_cast<std::uint32_t>(random.below(9));
    const OwnedRow row = make_row(random, static_cast<Shape>(random.below(kShapes)), size,
                                  static_cast<DType>(random.below(3)));
    const OwnedParams owned = make_params(random, size);
    const Draw draw{random.next()};
    const auto ends = split(random, size, shards);
    Workspace workspace(size);
    Answer whole;
    whole.outcome = select(row.row(), owned.params, draw, workspace, &whole.full);
    const auto answers = on_each_shard(shards, [&](Transport& transport, std::uint32_t rank) {
      ShardWorkspace own(size);
      Answer answer;
      const Shard shard{part_of(row.row(), ends[rank], ends[rank + 1]), ends[rank], size};
      answer.outcome = select_shard(shard, owned.params, draw, transport, own, {}, &answer.full);
      return answer;
    });
    for (const Answer& answer : answers) {
      ASSERT_EQ(to_string(answer.outcome), to_string(whole.outcome))
          << "seed " << seed << " size " << size << " shards " << shards << "\n"
          << describe(owned.params);
      if (whole.outcome) ASSERT_EQ(answer.full, whole.full) << "seed " << seed;
    }
  }
}

/// Four shards of four tokens; shard 2 holds bf16.
Outcome mixed(ShardOptions options, std::uint32_t odd_rank) {
  const std::vector<float> values = {1.001f, 1.0f, 0, 0};
  std::vector<std::uint16_t> narrow;
  narrow.reserve(values.size());
  for (const float value : values)
    narrow.push_back(
        static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(round_to(DType::bf16, value)) >> 16));
  const auto answers = on_each_shard(4, [&](Transport& transport, std::uint32_t rank) {
    ShardWorkspace workspace(16);
    Shard shard{{values.data(), 4, DType::f32}, rank * 4, 16};
    if (rank == odd_rank) shard.row = {narrow.data(), 4, DType::bf16};
    return Answer{select_shard(shard, {.temperature = 0}, {}, transport, workspace, options), {}};
  });
  for (const Answer& answer : answers) EXPECT_EQ(to_string(answer.outcome), to_string(answers[0].outcome));
  return answers[0].outcome;
}

TEST(Shards, AMixOfTypesIsRefusedByName) {
  EXPECT_EQ(mixed({}, 2).error(), (Failure{Fault::shard_dtypes_differ, 0, Failure::kNoId, 0b0100}));
  EXPECT_EQ(mixed({}, 0).error(), (Failure{Fault::shard_dtypes_differ, 0, Failure::kNoId, 0b1110}));
  EXPECT_NE(mixed({}, 2).error().to_error().message.find("shards 2"), std::string::npos);
}

TEST(Shards, OrRoundedToTheCoarsest) {
  // In fp32 token 0 is the best; in bf16 tokens 0 and 1 of each shard tie, and the lower id wins.
  EXPECT_EQ(mixed({.round_to_coarsest = true}, 2)->id, 0u);
}

TEST(Shards, DifferentRequestsAndRangesAreRefused) {
  const std::vector<float> values(8);
  const auto ask = [&](std::uint32_t second_first_id, float second_temperature) {
    return on_each_shard(2,
                         [&](Transport& transport, std::uint32_t rank) {
                           ShardWorkspace workspace(8);
                           const Shard shard{
                               {values.data(), 4, DType::f32}, rank == 0 ? 0 : second_first_id, 8};
                           const Params params{.temperature = rank == 0 ? 1 : second_temperature};
                           return Answer{select_shard(shard, params, {}, transport, workspace), {}};
                         })[0]
        .outcome;
  };
  EXPECT_TRUE(ask(4, 1));
  EXPECT_EQ(ask(4, 0.5f).error().fault, Fault::shard_requests_differ);
  EXPECT_EQ(ask(3, 1).error(), (Failure{Fault::shard_ranges_differ, 0, Failure::kNoId, 0b10}));
}

}  // namespace
}  // namespace truekeel::select
