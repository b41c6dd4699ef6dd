// SPDX-License-Identifier: Apache-2.0
#include "worker/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <nlohmann/json.hpp>

#include "select/chain.h"

namespace truekeel::worker {
namespace {

using Json = nlohmann::ordered_json;

/// Rises with every change of src/select that can change a token.
constexpr int kSelectionVersion = 1;

Json numerics_part(const engine::Numerics& of, const SelectionOptions& selection) {
  Json part = {{"weights", of.weights},
               {"rope_scaling", to_string(of.rope_scaling)},
               {"rope_scale", of.rope_scale},
               {"yarn_orig_ctx", of.yarn_orig_ctx},
               {"ctx", of.ctx},
               {"kv_type", of.kv_type},
               {"flash_attention", of.flash_attention},
               {"ubatch", of.ubatch},
               {"engine", of.engine},
               {"cpu", of.cpu},
               {"prefix_reuse", false}};
  // Rounding changes the numbers that are selected from, and logprobs with them.
  if (selection.dtype != select::DType::f32) part["logits"] = dtype_name(selection.dtype);
  return part;
}

Json selection_part(const SelectionOptions& selection) {
  return {{"sampler", fmt::format("truekeel select {}", kSelectionVersion)},
          {"order", select::Chain().to_string()},
          {"shards", selection.shards},
          {"dtype", dtype_name(selection.dtype)},
          {"draw", "philox4x32-10 by seed, position in the answer, choice"}};
}

Json runtime_part(const engine::EngineInfo& info, const Runtime& runtime) {
  return {{"threads", info.threads},
          {"slots", info.slots},
          {"width_max", runtime.width_max},
          {"queue", runtime.queue},
          {"given_piece", runtime.given_piece},
          {"replay", runtime.replay},
          {"exact_widths", runtime.exact_widths}};
}

/// Adds the hash of the other fields.
std::string seal(Json& part) {
  const auto text = part.dump();
  auto hash = fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
  part["hash"] = hash;
  return hash;
}

}  // namespace

Fingerprint make_fingerprint(const engine::EngineInfo& info, const SelectionOptions& selection,
                             const Runtime& runtime) {
  Json parts = {{"numerics", numerics_part(info.numerics, selection)},
                {"selection", selection_part(selection)},
                {"runtime", runtime_part(info, runtime)}};
  const auto numerics = seal(parts["numerics"]);
  const auto name = "tk-" + numerics.substr(0, 8) + seal(parts["selection"]).substr(0, 4) +
                    seal(parts["runtime"]).substr(0, 4);
  const Json whole = {{"system_fingerprint", name},
                      {"numerics", parts["numerics"]},
                      {"selection", parts["selection"]},
                      {"runtime", parts["runtime"]}};
  return {name, numerics, whole.dump()};
}

}  // namespace truekeel::worker
