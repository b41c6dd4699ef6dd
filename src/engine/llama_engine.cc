// SPDX-License-Identifier: Apache-2.0
#include "engine/llama_engine.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/assert.h"
#include "engine/file_hash.h"
#include "engine/llama_vocabulary.h"

namespace truekeel::engine {
namespace {

struct KvType {
  std::string_view name;
  ggml_type type;
};
constexpr std::array kKvTypes = {KvType{"f32", GGML_TYPE_F32},   KvType{"f16", GGML_TYPE_F16},
                                 KvType{"bf16", GGML_TYPE_BF16}, KvType{"q8_0", GGML_TYPE_Q8_0},
                                 KvType{"q5_1", GGML_TYPE_Q5_1}, KvType{"q5_0", GGML_TYPE_Q5_0},
                                 KvType{"q4_1", GGML_TYPE_Q4_1}, KvType{"q4_0", GGML_TYPE_Q4_0}};
constexpr auto kKvTypeNames = [] {
  std::array<std::string_view, kKvTypes.size()> names;
  std::ranges::transform(kKvTypes, names.begin(), &KvType::name);
  return names;
}();

llama_rope_scaling_type to_llama(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::model:
      return LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED;
    case RopeScaling::none:
      return LLAMA_ROPE_SCALING_TYPE_NONE;
    case RopeScaling::linear:
      return LLAMA_ROPE_SCALING_TYPE_LINEAR;
    case RopeScaling::yarn:
      return LLAMA_ROPE_SCALING_TYPE_YARN;
  }
  return LLAMA_ROPE_SCALING_TYPE_UNSPECIFIED;
}

struct ContextDeleter {
  void operator()(llama_context* context) const { llama_free(context); }
};
struct ThreadpoolDeleter {
  void operator()(ggml_threadpool* pool) const { ggml_threadpool_free(pool); }
};

/// A batch that is filled anew for each call, its memory kept.
class Batch {
 public:
  explicit Batch(std::size_t tokens) : batch_(llama_batch_init(static_cast<std::int32_t>(tokens), 0, 1)) {}
  ~Batch() { llama_batch_free(batch_); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  void clear() { batch_.n_tokens = 0; }
  void add(Token token, std::uint32_t position, Slot slot, bool wants_logits) {
    const auto i = batch_.n_tokens++;
    batch_.token[i] = token;
    batch_.pos[i] = static_cast<llama_pos>(position);
    batch_.n_seq_id[i] = 1;
    batch_.seq_id[i][0] = static_cast<llama_seq_id>(slot);
    batch_.logits[i] = wants_logits ? 1 : 0;
  }
  [[nodiscard]] const llama_batch& get() const { return batch_; }

 private:
  llama_batch batch_;
};

std::string metadata(const llama_model* model, const char* key) {
  std::array<char, 256> value{};
  return llama_model_meta_val_str(model, key, value.data(), value.size()) > 0 ? std::string(value.data())
                                                                              : "";
}

/// Up to so many cells, a multiple of 256 from which llama.cpp attends to 512, it never splits attention.
constexpr std::uint32_t kCellsUnsplit = 256;

class LlamaEngine final : public Engine {
 public:
  LlamaEngine(LlamaModel model, std::unique_ptr<LlamaVocabulary> vocabulary, EngineInfo info,
              std::unique_ptr<ggml_threadpool, ThreadpoolDeleter> pool,
              std::unique_ptr<llama_context, ContextDeleter> context)
      : model_(std::move(model)),
        vocabulary_(std::move(vocabulary)),
        info_(std::move(info)),
        pool_(std::move(pool)),
        context_(std::move(context)),
        batch_(llama_n_batch(context_.get())),
        fills_gaps_(!llama_model_is_recurrent(model_.get()) && !llama_model_is_hybrid(model_.get())),
        lengths_(llama_n_seq_max(context_.get()), 0) {}

  [[nodiscard]] const EngineInfo& info() const override { return info_; }
  [[nodiscard]] const Vocabulary& vocabulary() const override { return *vocabulary_; }

  Result<void> prefill(Slot slot, std::span<const Token> piece, std::size_t rows) override {
    TK_ASSERT(slot < info_.slots && !piece.empty() && piece.size() <= info_.numerics.ubatch);
    TK_ASSERT(rows <= piece.size() && lengths_[slot] + piece.size() <= info_.numerics.ctx);
    batch_.clear();
    for (std::size_t i = 0; i < piece.size(); ++i) {
      batch_.add(piece[i], lengths_[slot]++, slot, i + rows >= piece.size());
    }
    return run(rows);
  }

  Result<void> decode(std::span<const SlotToken> step) override {
    TK_ASSERT(!step.empty() && step.size() <= info_.slots);
    batch_.clear();
    fillers_.clear();
    auto next = step.begin();
    const auto [first, last] = range_of(step);
    for (Slot slot = first; slot <= last; ++slot) {
      if (next != step.end() && next->slot == slot) {
        TK_ASSERT(slot < info_.slots && lengths_[slot] > 0 && lengths_[slot] < info_.numerics.ctx);
        batch_.add(next->token, lengths_[slot]++, slot, true);
        ++next;
      } else if (fills_gaps_ && lengths_[slot] < info_.numerics.ctx) {
        batch_.add(0, lengths_[slot], slot, false);
        fillers_.push_back(slot);
      }
    }
    TK_ASSERT(next == step.end());  // else the step was not in ascending order
    auto done = run(step.size());
    for (const Slot slot : fillers_) remove_from(slot, lengths_[slot]);
    return done;
  }

  [[nodiscard]] std::span<const float> logits() const override {
    return {logits_, rows_ * vocabulary_->size()};
  }

  void release(Slot slot) override {
    TK_ASSERT(slot < info_.slots);
    remove_from(slot, 0);
    lengths_[slot] = 0;
  }

  [[nodiscard]] std::uint32_t length(Slot slot) const override {
    TK_ASSERT(slot < info_.slots);
    return lengths_[slot];
  }

 private:
  /// The slots that a decode step covers. llama.cpp computes neighbouring slots together and others apart,
  /// and with several threads a slot by itself takes another path once its context is long: attention is
  /// then split over the threads, with other bits. So gaps are filled with a token that is removed again,
  /// and a long slot never steps without a neighbour. Costs one more row, saves a pass for each gap.
  [[nodiscard]] std::pair<Slot, Slot> range_of(std::span<const SlotToken> step) const {
    Slot first = step.front().slot, last = step.back().slot;
    const bool may_split = info_.threads > 1 && info_.numerics.flash_attention;
    if (fills_gaps_ && may_split && first == last && lengths_[first] + 1 > kCellsUnsplit) {
      if (last + 1 < lengths_.size()) {
        ++last;
      } else {
        --first;
      }
    }
    return {first, last};
  }

  void remove_from(Slot slot, std::uint32_t position) {
    llama_memory_seq_rm(llama_get_memory(context_.get()), static_cast<llama_seq_id>(slot),
                        static_cast<llama_pos>(position), -1);
  }

  Result<void> run(std::size_t rows) {
    rows_ = 0;
    if (const auto code = llama_decode(context_.get(), batch_.get()); code != 0) {
      return fail(ErrorCode::internal,
                  fmt::format("llama.cpp could not compute a batch of {} tokens (code {})",
                              batch_.get().n_tokens, code));
    }
    llama_synchronize(context_.get());
    logits_ = rows > 0 ? llama_get_logits(context_.get()) : nullptr;
    rows_ = rows;
    return {};
  }

  // In the order in which they must be destroyed, last first.
  const LlamaModel model_;
  const std::unique_ptr<LlamaVocabulary> vocabulary_;
  const EngineInfo info_;
  const std::unique_ptr<ggml_threadpool, ThreadpoolDeleter> pool_;
  const std::unique_ptr<llama_context, ContextDeleter> context_;
  Batch batch_;
  const bool fills_gaps_;               // a recurrent state cannot give a token back
  std::vector<std::uint32_t> lengths_;  // of all sequences; there may be one more than slots, to fill with
  std::vector<Slot> fillers_;
  const float* logits_ = nullptr;
  std::size_t rows_ = 0;
};

llama_context_params context_params(const LlamaOptions& options, ggml_type kv_type) {
  auto params = llama_context_default_params();
  // A single slot still needs a neighbour; see LlamaEngine::range_of().
  params.n_seq_max = std::max(options.slots, options.threads > 1 && options.flash_attention ? 2u : 1u);
  params.n_ctx = options.ctx * params.n_seq_max;
  params.n_batch = std::max(options.ubatch, params.n_seq_max);
  params.n_ubatch = params.n_batch;
  params.n_threads = params.n_threads_batch = static_cast<std::int32_t>(options.threads);
  params.rope_scaling_type = to_llama(options.rope_scaling);
  if (options.rope_scaling != RopeScaling::model) {
    params.rope_freq_scale = static_cast<float>(1 / options.rope_scale);
  }
  params.yarn_orig_ctx = options.yarn_orig_ctx;
  params.flash_attn_type =
      options.flash_attention ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.type_k = params.type_v = kv_type;
  params.kv_unified = false;
  params.no_perf = true;
  return params;
}

EngineInfo describe(const LlamaOptions& options, const llama_model* model, std::string weights) {
  EngineInfo info;
  info.numerics = {
      .weights = std::move(weights),
      .rope_scaling = options.rope_scaling,
      .rope_scale = options.rope_scale,
      .yarn_orig_ctx = options.yarn_orig_ctx,
      .ctx = options.ctx,
      .kv_type = options.kv_type,
      .flash_attention = options.flash_attention,
      .ubatch = options.ubatch,
      .engine = fmt::format("llama.cpp {}{}", llama_version(), options.repack ? "" : ", no repack"),
      .cpu = llama_print_system_info()};
  info.model_name = metadata(model, "general.name");
  info.ctx_trained = static_cast<std::uint32_t>(llama_model_n_ctx_train(model));
  info.parameters = llama_model_n_params(model);
  info.model_bytes = llama_model_size(model);
  info.slots = options.slots;
  info.threads = options.threads;
  return info;
}

}  // namespace

const char* to_string(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::model:
      return "model";
    case RopeScaling::none:
      return "none";
    case RopeScaling::linear:
      return "linear";
    case RopeScaling::yarn:
      return "yarn";
  }
  return "?";
}

std::span<const std::string_view> kv_type_names() { return kKvTypeNames; }

Result<std::unique_ptr<Engine>> make_llama_engine(const LlamaOptions& options) {
  const auto kv_type = std::ranges::find(kKvTypes, options.kv_type, &KvType::name);
  if (kv_type == kKvTypes.end()) {
    return fail(ErrorCode::invalid_argument, fmt::format("no KV type '{}'", options.kv_type));
  }
  auto model = load_llama_model(options.model_path, {.repack = options.repack});
  if (!model) return std::unexpected(std::move(model.error()));
  auto vocabulary = LlamaVocabulary::make(**model);
  if (!vocabulary) return std::unexpected(std::move(vocabulary.error()));
  auto weights = hash_file(options.model_path);
  if (!weights) return std::unexpected(std::move(weights.error()));

  std::unique_ptr<llama_context, ContextDeleter> context(
      llama_init_from_model(model->get(), context_params(options, kv_type->type)));
  if (!context) {
    return fail(ErrorCode::unavailable,
                fmt::format("llama.cpp could not set up {} slots of {} tokens: lower --parallel or --ctx",
                            options.slots, options.ctx));
  }
  // Without a pool of its own llama.cpp would start threads for every batch.
  auto pool_params = ggml_threadpool_params_default(static_cast<int>(options.threads));
  std::unique_ptr<ggml_threadpool, ThreadpoolDeleter> pool(ggml_threadpool_new(&pool_params));
  llama_attach_threadpool(context.get(), pool.get(), pool.get());

  auto info = describe(options, model->get(), std::move(*weights));
  return std::make_unique<LlamaEngine>(std::move(*model), std::move(*vocabulary), std::move(info),
                                       std::move(pool), std::move(context));
}

}  // namespace truekeel::engine
