// SPDX-License-Identifier: Apache-2.0
#include "worker/fingerprint.h"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

namespace truekeel::worker {
namespace {

engine::EngineInfo some_info() {
  engine::EngineInfo info;
  info.numerics = {.weights = "abc", .ctx = 2048, .kv_type = "f16", .ubatch = 512, .engine = "e", .cpu = "c"};
  info.slots = 8;
  info.threads = 1;
  return info;
}

std::string numerics_hash(const engine::EngineInfo& info) {
  return nlohmann::json::parse(make_fingerprint(info, {}, {}).json)["numerics"]["hash"];
}

TEST(Fingerprint, EveryPartOfTheNumericsCounts) {
  const auto same = numerics_hash(some_info());
  EXPECT_EQ(numerics_hash(some_info()), same);
  const std::vector<std::function<void(engine::Numerics&)>> changes = {
      [](auto& n) { n.weights = "abd"; },
      [](auto& n) { n.rope_scaling = engine::RopeScaling::yarn; },
      [](auto& n) { n.rope_scale = 4; },
      [](auto& n) { n.yarn_orig_ctx = 8192; },
      [](auto& n) { n.ctx = 4096; },
      [](auto& n) { n.kv_type = "q8_0"; },
      [](auto& n) { n.flash_attention = true; },
      [](auto& n) { n.ubatch = 256; },
      [](auto& n) { n.engine = "f"; },
      [](auto& n) { n.cpu = "d"; }};
  for (const auto& change : changes) {
    auto info = some_info();
    change(info.numerics);
    EXPECT_NE(numerics_hash(info), same);
  }
}

TEST(Fingerprint, TheNameTellsThePartsApart) {
  auto info = some_info();
  const auto name = make_fingerprint(info, {}, {.replay = "exact"}).name;
  EXPECT_EQ(name.size(), 19u);
  info.threads = 2;
  const auto other = make_fingerprint(info, {}, {.replay = "exact"}).name;
  EXPECT_EQ(other.substr(0, 15), name.substr(0, 15));  // numerics and selection
  EXPECT_NE(other.substr(15), name.substr(15));
  info.numerics.ubatch = 64;
  EXPECT_NE(make_fingerprint(info, {}, {.replay = "exact"}).name.substr(0, 11), name.substr(0, 11));
}

TEST(Fingerprint, TheSelectionTellsShardsAndDtype) {
  std::set<std::string> names;
  for (const std::uint32_t shards : {1, 2}) {
    for (const auto dtype : {select::DType::f32, select::DType::bf16}) {
      const auto made = make_fingerprint(some_info(), {.shards = shards, .dtype = dtype}, {});
      const auto selection = nlohmann::json::parse(made.json)["selection"];
      EXPECT_EQ(selection["shards"], shards);
      EXPECT_EQ(selection["dtype"], dtype == select::DType::f32 ? "fp32" : "bf16");
      names.insert(made.name.substr(11, 4));
    }
  }
  EXPECT_EQ(names.size(), 4u);
}

TEST(Fingerprint, RoundedLogitsAreOtherNumericsAndShardsAreNot) {
  const auto numerics = [](const SelectionOptions& selection) {
    return make_fingerprint(some_info(), selection, {}).numerics;
  };
  EXPECT_EQ(numerics({.shards = 8}), numerics({}));
  EXPECT_NE(numerics({.dtype = select::DType::bf16}), numerics({}));
}

}  // namespace
}  // namespace truekeel::worker
