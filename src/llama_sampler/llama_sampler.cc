// SPDX-License-Identifier: Apache-2.0
#include "truekeel/llama_sampler.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <new>
#include <vector>

namespace {

constexpr tk_select_choice failed(std::uint32_t fault) {
  tk_select_choice choice{};
  choice.fault = fault;
  choice.fault_id = TK_SELECT_NO_ID;
  return choice;
}

/// Whether the lists of the parameters can be copied: they are where they are said to be, and no longer than
/// any valid ones (ids ascend).
bool has_lists(const tk_select_params& params, std::uint32_t vocabulary) {
  return params.counts_length == 0 && (params.chain == nullptr || params.chain_length <= TK_SELECT_OPS) &&
         params.bias_length <= vocabulary && (params.bias != nullptr || params.bias_length == 0);
}

/// The state of one sampler. Its parameters point into its own lists.
class State {
 public:
  /// Requires: has_lists(params, vocabulary).
  State(std::uint32_t vocabulary, std::uint64_t seed, std::uint32_t stream, const tk_select_params& params)
      : params_(params),
        bias_(params.bias, params.bias + params.bias_length),
        vocabulary_(vocabulary),
        seed_(seed),
        stream_(stream),
        workspace_(tk_select_workspace_bytes(vocabulary)),
        logits_(vocabulary) {
    if (params.chain == nullptr)
      tk_select_parse_chain("standard", chain_.data(), &params_.chain_length);
    else
      std::copy_n(params.chain, params.chain_length, chain_.begin());
    if (params.allowed != nullptr)
      allowed_.assign(params.allowed,
                      params.allowed + std::min<std::size_t>(params.allowed_words, (vocabulary + 63) / 64));
  }

  void accept(llama_token token) {
    ++accepted_;
    if (token < 0 || static_cast<std::uint32_t>(token) >= vocabulary_) return;
    const auto id = static_cast<std::uint32_t>(token);
    const auto at = std::ranges::lower_bound(counts_, id, {}, &tk_select_count::id);
    if (at != counts_.end() && at->id == id)
      ++at->counted;
    else
      counts_.insert(at, {id, 1, 1});
  }

  void reset() {
    accepted_ = 0;
    counts_.clear();
  }

  /// What a row of the whole vocabulary gives; it is not recorded as this sampler's choice.
  tk_select_choice choose(const float* logits) {
    tk_select_params params = params_;
    params.chain = chain_.data();
    params.bias = bias_.data();
    params.allowed = allowed_.empty() ? nullptr : allowed_.data();
    params.allowed_words = allowed_.size();
    params.counts = counts_.data();
    params.counts_length = counts_.size();
    const std::uint64_t draw = tk_select_draw(seed_, accepted_, stream_);
    tk_select_choice choice{};
    tk_select_call call{};
    call.struct_size = sizeof(call);
    call.dtype = TK_SELECT_F32;
    call.logits = logits;
    call.rows = 1;
    call.vocabulary = vocabulary_;
    call.params = &params;
    call.params_count = 1;
    call.choice_size = sizeof(choice);
    call.draws = &draw;
    call.workspace = workspace_.data();
    call.workspace_bytes = workspace_.size();
    call.choices = &choice;
    const std::uint32_t fault = tk_select(&call, nullptr);
    return fault == TK_SELECT_OK ? choice : failed(fault);
  }

  /// Selects from a row of the whole vocabulary.
  const tk_select_choice& select(const float* logits) { return choice_ = choose(logits); }

  /// Selects from candidates, in any order; those that are missing are forbidden.
  void apply(llama_token_data_array* candidates) {
    std::ranges::fill(logits_, -std::numeric_limits<float>::infinity());
    for (std::size_t i = 0; i < candidates->size; ++i)
      if (const auto id = static_cast<std::uint32_t>(candidates->data[i].id); id < vocabulary_)
        logits_[id] = candidates->data[i].logit;
    candidates->selected = -1;
    if (select(logits_.data()).fault != TK_SELECT_OK) return;
    // Untouched candidates stand at their ids.
    const auto is_chosen = [&](std::size_t i) {
      return candidates->data[i].id == static_cast<llama_token>(choice_.id);
    };
    std::size_t at = choice_.id;
    if (at >= candidates->size || !is_chosen(at))
      for (at = 0; !is_chosen(at);) ++at;
    candidates->selected = static_cast<std::int64_t>(at);
  }

  [[nodiscard]] const tk_select_choice& choice() const { return choice_; }

 private:
  tk_select_params params_;
  std::array<std::uint8_t, TK_SELECT_OPS> chain_{};
  std::vector<tk_select_bias> bias_;
  std::vector<std::uint64_t> allowed_;
  std::uint32_t vocabulary_;
  std::uint64_t seed_;
  std::uint32_t stream_;

  std::uint64_t accepted_ = 0;
  std::vector<tk_select_count> counts_;
  tk_select_choice choice_ = failed(TK_SELECT_BAD_BATCH);  // until the first row

  std::vector<unsigned char> workspace_;
  std::vector<float> logits_;
};

State& state_of(llama_sampler* sampler) { return *static_cast<State*>(sampler->ctx); }

const char* name_of(const llama_sampler*) { return "truekeel"; }

extern llama_sampler_i interface;

llama_sampler* clone(const llama_sampler* sampler) {
  return llama_sampler_init(&interface, new State(*static_cast<const State*>(sampler->ctx)));
}

/// Fields by name: libllama adds hooks from version to version, and those that are not set are not offered.
llama_sampler_i make_interface() {
  llama_sampler_i made{};
  made.name = name_of;
  made.accept = [](llama_sampler* sampler, llama_token token) { state_of(sampler).accept(token); };
  made.apply = [](llama_sampler* sampler, llama_token_data_array* candidates) {
    state_of(sampler).apply(candidates);
  };
  made.reset = [](llama_sampler* sampler) { state_of(sampler).reset(); };
  made.clone = clone;
  made.free = [](llama_sampler* sampler) { delete &state_of(sampler); };
  return made;
}

llama_sampler_i interface = make_interface();

/// Whether a call with these parameters could succeed: one on a vocabulary of equal logits.
bool accepted(State& state, std::uint32_t vocabulary) {
  const std::vector<float> flat(vocabulary);
  return state.choose(flat.data()).fault == TK_SELECT_OK;
}

}  // namespace

llama_sampler* truekeel_llama_sampler_init(uint32_t n_vocab, uint64_t seed, uint32_t stream,
                                           const tk_select_params* params) {
  if (params == nullptr || params->struct_size != sizeof(*params) || !has_lists(*params, n_vocab) ||
      tk_select_workspace_bytes(n_vocab) == 0)
    return nullptr;
  try {
    auto state = std::make_unique<State>(n_vocab, seed, stream, *params);
    if (!accepted(*state, n_vocab)) return nullptr;
    llama_sampler* sampler = llama_sampler_init(&interface, state.get());
    [[maybe_unused]] const State* const owned_by_sampler = state.release();
    return sampler;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

const tk_select_choice* truekeel_llama_sampler_choice(const llama_sampler* sampler) {
  if (sampler == nullptr || sampler->iface != &interface) return nullptr;
  return &static_cast<const State*>(sampler->ctx)->choice();
}

llama_token truekeel_llama_sample(llama_sampler* sampler, llama_context* context, int32_t index) {
  if (sampler == nullptr || sampler->iface != &interface) return LLAMA_TOKEN_NULL;
  const float* logits = llama_get_logits_ith(context, index);
  if (logits == nullptr || state_of(sampler).select(logits).fault != TK_SELECT_OK) return LLAMA_TOKEN_NULL;
  const auto token = static_cast<llama_token>(state_of(sampler).choice().id);
  state_of(sampler).accept(token);
  return token;
}
