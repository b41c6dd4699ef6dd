// SPDX-License-Identifier: Apache-2.0
#include "samplers/llama_chain.h"

#include <llama.h>

#include <memory>

namespace truekeel::samplers {
namespace {

using namespace conformance;

struct FreeSampler {
  void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
};
using Chain = std::unique_ptr<llama_sampler, FreeSampler>;

/// The sampler of one step; null where the row leaves the step off.
llama_sampler* sampler_of(Step step, const Row& row) {
  const Params& params = row.params;
  switch (step) {
    case Step::bias: {
      if (params.bias.empty()) return nullptr;
      std::vector<llama_logit_bias> biases;
      biases.reserve(params.bias.size());
      for (const auto& [id, bias] : params.bias) biases.push_back({id, bias});
      return llama_sampler_init_logit_bias(static_cast<int>(row.logits.size()),
                                           static_cast<int>(biases.size()), biases.data());
    }
    case Step::penalties: {
      if (row.history.empty()) return nullptr;
      llama_sampler* penalties = llama_sampler_init_penalties(
          static_cast<int>(row.logits.size()), static_cast<int>(row.history.size()), params.repetition,
          params.frequency, params.presence);
      for (TokenId id : row.history) llama_sampler_accept(penalties, id);
      return penalties;
    }
    case Step::temperature:
      return params.temperature == 1 ? nullptr : llama_sampler_init_temp(params.temperature);
    case Step::top_k:
      return params.top_k ? llama_sampler_init_top_k(*params.top_k) : nullptr;
    case Step::top_p:
      return params.top_p == 1 ? nullptr : llama_sampler_init_top_p(params.top_p, 1);
    case Step::min_p:
      return params.min_p == 0 ? nullptr : llama_sampler_init_min_p(params.min_p, 1);
  }
  return nullptr;
}

Chain chain_of(const std::vector<Step>& steps, const Row& row, std::uint32_t seed) {
  Chain chain(llama_sampler_chain_init(llama_sampler_chain_default_params()));
  for (Step step : steps)
    if (llama_sampler* one = sampler_of(step, row)) llama_sampler_chain_add(chain.get(), one);
  llama_sampler_chain_add(chain.get(), llama_sampler_init_dist(seed));
  return chain;
}

Draw draw_once(llama_sampler* chain, const Row& row, std::vector<llama_token_data>& candidates) {
  candidates.clear();
  for (std::size_t id = 0; id < row.logits.size(); ++id)
    candidates.push_back({static_cast<llama_token>(id), row.logits[id], 0});
  llama_token_data_array array = {candidates.data(), candidates.size(), -1, false};
  llama_sampler_apply(chain, &array);
  if (array.selected < 0) return std::unexpected("no token was selected");
  return array.data[array.selected].id;
}

}  // namespace

const std::vector<Step> LlamaChain::kDefaultChain = {Step::bias,  Step::penalties, Step::top_k,
                                                     Step::top_p, Step::min_p,     Step::temperature};

LlamaChain::LlamaChain(std::vector<Step> chain) {
  semantics_.name = "llama.cpp";
  semantics_.version = llama_version();
  semantics_.chain = std::move(chain);
  // std::partial_sort leaves the order of equal logits open.
  semantics_.greedy_ties = semantics_.top_k_ties = semantics_.top_p_ties = Ties::any;
  semantics_.seeding = Seeding::stream;
  semantics_.resolution = 1e-6;
  semantics_.edges = {
      {Edge::temperature_zero, EdgeRule::greedy}, {Edge::temperature_negative, EdgeRule::greedy},
      {Edge::top_k_zero, EdgeRule::off},          {Edge::top_k_negative, EdgeRule::off},
      {Edge::top_p_zero, EdgeRule::greedy},       {Edge::top_p_above_one, EdgeRule::off}};
}

Result<std::vector<Draw>> LlamaChain::draw(const Call& call) {
  std::vector<Chain> chains;
  chains.reserve(call.rows.size());
  for (const Row& row : call.rows)
    // The seed with all bits set means "random" to llama.cpp.
    chains.push_back(chain_of(semantics_.chain, row,
                              static_cast<std::uint32_t>(row.seed.value_or(unseeded_++)) & 0x7FFFFFFF));
  std::vector<Draw> draws;
  std::vector<llama_token_data> candidates;
  for (std::uint64_t step = 0; step < call.steps; ++step)
    for (std::size_t row = 0; row < call.rows.size(); ++row)
      draws.push_back(draw_once(chains[row].get(), call.rows[row], candidates));
  return draws;
}

}  // namespace truekeel::samplers
