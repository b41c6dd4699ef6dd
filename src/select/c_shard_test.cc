// SPDX-License-Identifier: Apache-2.0
// The C form of the sharded call, over callbacks.
#include <gtest/gtest.h>
#include <truekeel/select.h>

#include <bit>
#include <thread>
#include <vector>

#include "base/philox.h"
#include "select/local_transport.h"
#include "select/test_callbacks.h"

namespace truekeel::select {
namespace {

struct Result {
  uint32_t fault = 0;
  tk_select_choice choice{};
  tk_select_full full{};
};

/// One shard's call: a part of a row.
struct Part {
  std::vector<float> values;
  uint32_t first_id = 0;
  uint32_t vocabulary = 0;
  uint32_t dtype = TK_SELECT_F32;
};

Result select_part(const Part& part, const tk_select_params& params, uint64_t draw, Callbacks& calls) {
  Result result;
  std::vector<unsigned char> workspace(
      tk_select_shard_workspace_bytes(part.vocabulary, calls.endpoint.size()));
  const tk_select_transport transport = calls.table();
  tk_select_shard_call call{};
  call.struct_size = sizeof call;
  call.dtype = part.dtype;
  call.logits = part.values.data();
  call.first_id = part.first_id;
  call.size = static_cast<uint32_t>(part.values.size());
  call.vocabulary = part.vocabulary;
  call.params = &params;
  call.draw = draw;
  call.transport = &transport;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.choice = &result.choice;
  call.choice_size = sizeof result.choice;
  call.full = &result.full;
  call.full_size = sizeof result.full;
  result.fault = tk_select_shard(&call);
  return result;
}

std::vector<Result> on_each_shard(const std::vector<Part>& parts, const tk_select_params& params,
                                  uint64_t draw) {
  const auto shards = static_cast<uint32_t>(parts.size());
  LocalGroup group(shards);
  std::vector<Result> results(shards);
  std::vector<std::jthread> threads;
  threads.reserve(shards);
  for (uint32_t rank = 0; rank < shards; ++rank)
    threads.emplace_back([&, rank] {
      Callbacks calls{group.endpoint(rank)};
      results[rank] = select_part(parts[rank], params, draw, calls);
    });
  threads.clear();
  return results;
}

std::vector<float> make_row(uint32_t size, uint64_t seed) {
  PhiloxStream random(seed);
  std::vector<float> row(size);
  for (float& value : row) value = static_cast<float>(8 * random.uniform());
  return row;
}

Result select_whole(const std::vector<float>& row, const tk_select_params& params, uint64_t draw) {
  Result result;
  std::vector<unsigned char> workspace(tk_select_workspace_bytes(static_cast<uint32_t>(row.size())));
  tk_select_call call{};
  call.struct_size = sizeof call;
  call.logits = row.data();
  call.rows = 1;
  call.vocabulary = static_cast<uint32_t>(row.size());
  call.params = &params;
  call.params_count = 1;
  call.choice_size = sizeof result.choice;
  call.draws = &draw;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.choices = &result.choice;
  call.full = &result.full;
  call.full_size = sizeof result.full;
  result.fault = tk_select(&call, nullptr);
  return result;
}

template <class T>
std::vector<unsigned char> bytes_of_struct(const T& value) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
  return {bytes, bytes + sizeof value};
}

TEST(CShards, EveryShardGetsTheChoiceOfTheWholeRow) {
  tk_select_params params;
  tk_select_params_init(&params);
  for (uint64_t seed = 0; seed < 24; ++seed) {
    params.top_k = seed % 3 == 0 ? 40 : 0;
    params.top_p = seed % 2 == 0 ? 0.9 : 1;
    const auto row = make_row(5000, seed);
    const auto at = [&](uint32_t begin, uint32_t end) {
      return Part{{row.begin() + begin, row.begin() + end}, begin, 5000};
    };
    const uint64_t draw = tk_select_draw(seed, 3, 0);
    const Result whole = select_whole(row, params, draw);
    for (const Result& result :
         on_each_shard({at(0, 7), at(7, 7), at(7, 4000), at(4000, 5000)}, params, draw)) {
      ASSERT_EQ(result.fault, static_cast<uint32_t>(TK_SELECT_OK)) << "seed " << seed;
      ASSERT_EQ(bytes_of_struct(result.choice), bytes_of_struct(whole.choice)) << "seed " << seed;
      ASSERT_EQ(bytes_of_struct(result.full), bytes_of_struct(whole.full)) << "seed " << seed;
    }
  }
}

TEST(CShards, AMixOfTypesIsRefusedByName) {
  tk_select_params params;
  tk_select_params_init(&params);
  const auto results = on_each_shard(
      {{make_row(4, 1), 0, 12}, {make_row(4, 2), 4, 12}, {make_row(4, 3), 8, 12, TK_SELECT_BF16}}, params, 5);
  for (const Result& result : results) {
    EXPECT_EQ(result.choice.fault, static_cast<uint32_t>(TK_SELECT_SHARD_DTYPES_DIFFER));
    EXPECT_EQ(result.choice.fault_shards, 0b100u);
  }
}

TEST(CShards, AFailedCallbackIsAFaultWhereverItFails) {
  tk_select_params params;
  tk_select_params_init(&params);
  params.top_p = 0.9;
  const Part part{make_row(3000, 4), 0, 3000};
  int calls_made = 0;
  for (;; ++calls_made) {
    LocalGroup group(1);
    Callbacks calls{group.endpoint(0), calls_made};
    const Result result = select_part(part, params, 9, calls);
    ASSERT_EQ(result.fault, static_cast<uint32_t>(TK_SELECT_OK));
    if (result.choice.fault == TK_SELECT_OK) break;
    ASSERT_EQ(result.choice.fault, static_cast<uint32_t>(TK_SELECT_TRANSPORT_FAILED)) << calls_made;
  }
  EXPECT_GE(calls_made, 3);
}

TEST(CShards, RefusesWhatDoesNotFit) {
  tk_select_params params;
  tk_select_params_init(&params);
  LocalGroup group(1);
  Callbacks calls{group.endpoint(0)};
  EXPECT_EQ(select_part({{1, 2}, 0, 1}, params, 0, calls).fault, static_cast<uint32_t>(TK_SELECT_BAD_BATCH));
  EXPECT_EQ(select_part({{1, 2}, 0, 2, 7}, params, 0, calls).fault,
            static_cast<uint32_t>(TK_SELECT_BAD_BATCH));
  EXPECT_EQ(tk_select_shard(nullptr), static_cast<uint32_t>(TK_SELECT_BAD_STRUCT));
  EXPECT_EQ(tk_select_shard_workspace_bytes(0, 1), 0u);
  EXPECT_EQ(tk_select_shard_workspace_bytes(8, 0), 0u);
}

}  // namespace
}  // namespace truekeel::select
