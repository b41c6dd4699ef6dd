// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <truekeel/select.h>

#include <cmath>
#include <cstring>
#include <vector>

namespace {

/// Two rows of four logits, ready to call.
struct Fixture {
  std::vector<float> logits = {1, 2, 3, 4, 4, 3, 2, 1};
  std::vector<uint64_t> draws = {0, ~0ull};
  std::vector<unsigned char> workspace = std::vector<unsigned char>(tk_select_workspace_bytes(4));
  std::vector<tk_select_choice> choices = std::vector<tk_select_choice>(2);
  std::vector<tk_select_full> full = std::vector<tk_select_full>(2);
  tk_select_params params{};
  tk_select_call call{};

  Fixture() {
    tk_select_params_init(&params);
    call.struct_size = sizeof call;
    call.dtype = TK_SELECT_F32;
    call.logits = logits.data();
    call.rows = 2;
    call.vocabulary = 4;
    call.params = &params;
    call.params_count = 1;
    call.draws = draws.data();
    call.workspace = workspace.data();
    call.workspace_bytes = workspace.size();
    call.choices = choices.data();
    call.choice_size = sizeof(tk_select_choice);
    call.full = full.data();
    call.full_size = sizeof(tk_select_full);
  }
};

TEST(CApi, SelectsRows) {
  Fixture f;
  uint32_t failed = 9;
  ASSERT_EQ(tk_select(&f.call, &failed), TK_SELECT_OK);
  EXPECT_EQ(failed, 0u);
  EXPECT_EQ(f.choices[0].id, 0u);  // bits 0: the first interval
  EXPECT_EQ(f.choices[1].id, 3u);  // all bits: the last
  EXPECT_EQ(f.choices[0].kept_count, 4u);
  EXPECT_EQ(f.choices[0].end - f.choices[0].begin, tk_select_weight(1, 4, 1));
  EXPECT_NEAR(f.full[0].logprob, 1 - std::log(std::exp(1.0) + std::exp(2.0) + std::exp(3.0) + std::exp(4.0)),
              1e-6);
}

TEST(CApi, AFaultStaysInItsRow) {
  Fixture f;
  f.logits[5] = NAN;
  uint32_t failed = 0;
  ASSERT_EQ(tk_select(&f.call, &failed), TK_SELECT_OK);
  EXPECT_EQ(failed, 1u);
  EXPECT_EQ(f.choices[0].fault, static_cast<uint32_t>(TK_SELECT_OK));
  EXPECT_EQ(f.choices[1].fault, static_cast<uint32_t>(TK_SELECT_NAN_LOGIT));
  EXPECT_EQ(f.choices[1].fault_id, 1u);
}

TEST(CApi, KnowsOlderAndNewerStructs) {
  Fixture f;
  struct NewerParams {
    tk_select_params known;
    uint64_t unknown;
  } newer{f.params, 0};
  newer.known.struct_size = sizeof newer;
  newer.known.temperature = 0;
  f.call.params = &newer.known;
  ASSERT_EQ(tk_select(&f.call, nullptr), TK_SELECT_OK);
  EXPECT_EQ(f.choices[1].id, 0u);
  EXPECT_EQ(f.choices[1].fault, static_cast<uint32_t>(TK_SELECT_OK));
  newer.unknown = 1;
  ASSERT_EQ(tk_select(&f.call, nullptr), TK_SELECT_OK);
  EXPECT_EQ(f.choices[0].fault, static_cast<uint32_t>(TK_SELECT_BAD_STRUCT));

  // An older caller stops before the penalties: they take their defaults.
  tk_select_params older = f.params;
  older.struct_size = offsetof(tk_select_params, repetition);
  older.repetition = -1;
  f.call.params = &older;
  ASSERT_EQ(tk_select(&f.call, nullptr), TK_SELECT_OK);
  EXPECT_EQ(f.choices[0].fault, static_cast<uint32_t>(TK_SELECT_OK));
}

TEST(CApi, DefaultsFillWhatTheCallerKnowsAndNoMore) {
  struct {
    tk_select_params params;
    uint64_t behind;
  } memory;
  std::memset(&memory, 0xa5, sizeof memory);
  const uint32_t older = offsetof(tk_select_params, repetition);
  tk_select_params_init_sized(&memory.params, older);
  EXPECT_EQ(memory.params.struct_size, older);
  EXPECT_EQ(memory.params.temperature, 1);
  EXPECT_EQ(memory.params.top_p, 1);
  uint32_t next = 0;
  std::memcpy(&next, reinterpret_cast<unsigned char*>(&memory) + older, sizeof next);
  EXPECT_EQ(next, 0xa5a5a5a5u);

  tk_select_params_init_sized(&memory.params, sizeof memory);  // a caller newer than the library
  EXPECT_EQ(memory.params.struct_size, sizeof memory);
  EXPECT_EQ(memory.params.repetition, 1);
  EXPECT_EQ(memory.behind, 0u);
}

TEST(CApi, RefusesWhatDoesNotFit) {
  Fixture f;
  const auto fault = [&](auto&& change) {
    tk_select_call call = f.call;
    change(call);
    return tk_select(&call, nullptr);
  };
  EXPECT_EQ(tk_select(nullptr, nullptr), static_cast<uint32_t>(TK_SELECT_BAD_STRUCT));
  EXPECT_EQ(fault([](auto& call) { call.struct_size = 8; }), static_cast<uint32_t>(TK_SELECT_BAD_STRUCT));
  EXPECT_EQ(fault([](auto& call) { call.choice_size = 4; }), static_cast<uint32_t>(TK_SELECT_BAD_STRUCT));
  EXPECT_EQ(fault([](auto& call) { call.vocabulary = 0; }), static_cast<uint32_t>(TK_SELECT_BAD_VOCABULARY));
  EXPECT_EQ(fault([](auto& call) { call.logits = nullptr; }), static_cast<uint32_t>(TK_SELECT_BAD_BATCH));
  EXPECT_EQ(fault([](auto& call) { call.stride = 3; }), static_cast<uint32_t>(TK_SELECT_BAD_BATCH));
  EXPECT_EQ(fault([](auto& call) { call.dtype = 3; }), static_cast<uint32_t>(TK_SELECT_BAD_BATCH));
  EXPECT_EQ(fault([](auto& call) { call.params_count = 3; }), static_cast<uint32_t>(TK_SELECT_BAD_BATCH));
  EXPECT_EQ(fault([](auto& call) { call.workspace_bytes = 64; }),
            static_cast<uint32_t>(TK_SELECT_WORKSPACE_TOO_SMALL));
  EXPECT_EQ(fault([](auto&) {}), static_cast<uint32_t>(TK_SELECT_OK));
}

TEST(CApi, ReadsChains) {
  Fixture f;
  uint8_t ops[TK_SELECT_OPS];
  uint32_t length = 0;
  ASSERT_EQ(tk_select_parse_chain("penalties,top_k,temperature", ops, &length),
            static_cast<uint32_t>(TK_SELECT_OK));
  EXPECT_EQ(length, 3u);
  EXPECT_EQ(ops[1], TK_SELECT_OP_TOP_K);
  EXPECT_EQ(tk_select_parse_chain("top_k,bias", ops, &length), static_cast<uint32_t>(TK_SELECT_BAD_CHAIN));
  const uint8_t unknown = 77;
  f.params.chain = &unknown;
  f.params.chain_length = 1;
  ASSERT_EQ(tk_select(&f.call, nullptr), TK_SELECT_OK);
  EXPECT_EQ(f.choices[0].fault, static_cast<uint32_t>(TK_SELECT_BAD_CHAIN));
}

TEST(CApi, EveryFaultHasWords) {
  for (uint32_t fault = 1; fault <= TK_SELECT_TRANSPORT_FAILED; ++fault)
    EXPECT_STRNE(tk_select_fault_text(fault), "unknown fault") << fault;
  EXPECT_STREQ(tk_select_fault_text(999), "unknown fault");
}

}  // namespace
