// SPDX-License-Identifier: Apache-2.0
// The C interface: reads size-versioned structs, calls select_in for each row.
#include <truekeel/select.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "select/bins.h"
#include "select/buffers.h"
#include "select/select.h"
#include "select/shards.h"
#include "select/transport.h"
#include "select/weight.h"

namespace truekeel::select {
namespace {

static_assert(TK_SELECT_OPS == kOps && TK_SELECT_NO_ID == Failure::kNoId);
static_assert(TK_SELECT_OP_MIN_P == static_cast<int>(Op::min_p) &&
              TK_SELECT_BF16 == static_cast<int>(DType::bf16));
static_assert(TK_SELECT_WORKSPACE_TOO_SMALL == static_cast<int>(Fault::workspace_too_small) &&
              TK_SELECT_TRANSPORT_FAILED == static_cast<int>(Fault::transport_failed));

// What every caller knows: the structs of version 0.1.0 (here up to their last field).
constexpr std::size_t kCallBytesV1 = offsetof(tk_select_call, unused) + sizeof(std::uint32_t);
constexpr std::size_t kTransportBytesV1 = offsetof(tk_select_transport, broadcast) + sizeof(void*);
constexpr std::size_t kShardCallBytesV1 = offsetof(tk_select_shard_call, full_size) + sizeof(std::uint32_t);
constexpr std::size_t kBinsCallBytesV1 = offsetof(tk_select_bins_call, unused) + sizeof(std::uint32_t);
constexpr std::size_t kBinsAnswerBytesV1 = offsetof(tk_select_bins_answer, exact) + sizeof(std::uint32_t);
static_assert(sizeof(void*) != 8 || (kCallBytesV1 == 96 && kTransportBytesV1 == 56 &&
                                     kShardCallBytesV1 == 96 && kBinsCallBytesV1 == 64));
/// The least of a choice: without its fault nobody could tell a token from none.
constexpr std::size_t kChoiceBytesMin = offsetof(tk_select_choice, id);

/// Copies a caller's struct over one with defaults. Nothing when it has fields that this library does not
/// know.
template <class T>
std::optional<T> read_struct(const T* from, std::uint32_t size, const T& defaults) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(from);
  if (size < sizeof(std::uint32_t)) return std::nullopt;
  if (std::any_of(bytes + std::min<std::size_t>(size, sizeof(T)), bytes + size,
                  [](unsigned char b) { return b != 0; }))
    return std::nullopt;
  T own = defaults;
  std::memcpy(&own, from, std::min<std::size_t>(size, sizeof(T)));
  return own;
}

/// Writes as much of a result as the caller knows, and zeros beyond what this library knows.
template <class T>
void write_struct(const T& own, T* array, std::uint32_t index, std::uint32_t size) {
  auto* to = reinterpret_cast<unsigned char*>(array) + static_cast<std::size_t>(index) * size;
  const std::size_t known = std::min<std::size_t>(size, sizeof(T));
  std::memcpy(to, &own, known);
  std::fill(to + known, to + size, static_cast<unsigned char>(0));
}

// Arrays of these are read in place, so both forms have one layout.
static_assert(sizeof(tk_select_count) == sizeof(TokenCount) &&
              offsetof(tk_select_count, repeated) == offsetof(TokenCount, repeated));
static_assert(sizeof(tk_select_bias) == sizeof(TokenBias) &&
              offsetof(tk_select_bias, bias) == offsetof(TokenBias, bias));

tk_select_params default_params() {
  const Params defaults;
  tk_select_params params{};
  params.temperature = defaults.temperature;
  params.top_p = defaults.top_p;
  params.repetition = defaults.repetition;
  return params;
}

std::optional<Chain> read_chain(const tk_select_params& from) {
  if (from.chain == nullptr) return Chain();
  if (from.chain_length > kOps) return std::nullopt;
  std::array<Op, kOps> ops{};
  for (std::uint32_t i = 0; i < from.chain_length; ++i) ops[i] = static_cast<Op>(from.chain[i]);
  try {
    auto chain = Chain::make(std::span(ops).first(from.chain_length));
    if (!chain) return std::nullopt;
    return *chain;
  } catch (...) {  // its message may not fit into memory
    return std::nullopt;
  }
}

/// Writes the parameters at this index of an array in C++ form; TK_SELECT_OK or what is wrong.
std::uint32_t read_params(const tk_select_params* array, std::uint32_t index, Params& params) {
  const std::uint32_t size = array->struct_size;
  const auto* at = reinterpret_cast<const unsigned char*>(array) + static_cast<std::size_t>(index) * size;
  const auto from = read_struct(reinterpret_cast<const tk_select_params*>(at), size, default_params());
  if (!from || from->struct_size != size) return TK_SELECT_BAD_STRUCT;
  const auto chain = read_chain(*from);
  if (!chain) return TK_SELECT_BAD_CHAIN;
  const bool missing = (from->counts == nullptr && from->counts_length != 0) ||
                       (from->bias == nullptr && from->bias_length != 0);
  if (missing) return TK_SELECT_BAD_BATCH;
  params.chain = *chain;
  params.temperature = from->temperature;
  params.top_k = from->top_k;
  params.top_p = from->top_p;
  params.min_p = from->min_p;
  params.repetition = from->repetition;
  params.frequency = from->frequency;
  params.presence = from->presence;
  params.counts = {reinterpret_cast<const TokenCount*>(from->counts), from->counts_length};
  params.bias = {reinterpret_cast<const TokenBias*>(from->bias), from->bias_length};
  params.allowed = {from->allowed, from->allowed == nullptr ? 0 : from->allowed_words};
  return TK_SELECT_OK;
}

bool fits(const tk_select_call& call) {
  const bool pointers = call.logits != nullptr && call.params != nullptr && call.draws != nullptr &&
                        call.choices != nullptr && call.workspace != nullptr;
  return pointers && call.dtype <= TK_SELECT_BF16 && (call.stride == 0 || call.stride >= call.vocabulary) &&
         (call.params_count == 1 || call.params_count == call.rows);
}

tk_select_choice to_c(const Outcome& outcome) {
  tk_select_choice choice{};
  choice.fault_id = TK_SELECT_NO_ID;
  if (!outcome) {
    choice.fault = static_cast<std::uint32_t>(outcome.error().fault);
    choice.fault_id = outcome.error().id;
    choice.fault_shards = outcome.error().shards;
    return choice;
  }
  choice.id = outcome->id;
  choice.rank = outcome->rank;
  choice.key_margin = outcome->key_margin;
  choice.kept_count = outcome->kept_count;
  choice.kept_weight = outcome->kept_weight;
  choice.begin = outcome->begin;
  choice.end = outcome->end;
  return choice;
}

tk_select_full to_c(const FullRecord& own) {
  tk_select_full full{};
  full.logprob = own.logprob;
  full.normaliser = own.normaliser;
  full.top_margin = own.top_margin;
  std::ranges::copy(own.tail_mass, full.tail_mass);
  full.top_id = own.top_id;
  return full;
}

/// The workspace in the caller's memory, whatever its alignment; nothing when it is too small.
std::optional<Buffers> place_buffers(void* memory, std::size_t space, std::uint32_t vocabulary) {
  if (std::align(Buffers::kAlignment, Buffers::bytes(vocabulary), memory, space) == nullptr)
    return std::nullopt;
  return Buffers::place(static_cast<std::byte*>(memory), vocabulary);
}

std::uint32_t select_rows(const tk_select_call& call, Buffers& buffers) {
  const Batch batch{call.logits, static_cast<DType>(call.dtype), call.rows, call.vocabulary, call.stride};
  std::uint32_t failed = 0;
  Params params;
  std::uint32_t fault = TK_SELECT_OK;
  for (std::uint32_t row = 0; row < call.rows; ++row) {
    if (row == 0 || call.params_count > 1) fault = read_params(call.params, row, params);
    FullRecord full;
    tk_select_choice choice{};
    if (fault == TK_SELECT_OK) {
      choice =
          to_c(select_in(buffers, batch.row(row), params, {call.draws[row]}, call.full ? &full : nullptr));
    } else {
      choice.fault = fault;
      choice.fault_id = TK_SELECT_NO_ID;
    }
    if (choice.fault != TK_SELECT_OK) {
      ++failed;
      full = {};
    }
    write_struct(choice, call.choices, row, call.choice_size);
    if (call.full != nullptr) write_struct(to_c(full), call.full, row, call.full_size);
  }
  return failed;
}

/// A caller's callbacks as a transport.
class CallbackTransport final : public Transport {
 public:
  explicit CallbackTransport(const tk_select_transport& calls) : calls_(calls) {}

  [[nodiscard]] std::uint32_t rank() const override { return calls_.rank; }
  [[nodiscard]] std::uint32_t size() const override { return calls_.shards; }
  bool all_gather(std::span<const std::byte> own, std::span<std::byte> all) override {
    return calls_.all_gather(calls_.context, own.data(), own.size(), all.data()) == 0;
  }
  bool all_reduce_sum(std::span<std::uint64_t> values) override {
    return calls_.all_reduce_sum(calls_.context, values.data(), values.size()) == 0;
  }
  bool exclusive_scan(std::uint64_t& value) override {
    return calls_.exclusive_scan(calls_.context, &value) == 0;
  }
  bool broadcast(std::span<std::byte> bytes, std::uint32_t root) override {
    return calls_.broadcast(calls_.context, bytes.data(), bytes.size(), root) == 0;
  }

 private:
  const tk_select_transport calls_;
};

bool fits(const tk_select_shard_call& call, const tk_select_transport& transport) {
  const bool callbacks = transport.all_gather != nullptr && transport.all_reduce_sum != nullptr &&
                         transport.exclusive_scan != nullptr && transport.broadcast != nullptr;
  return callbacks && transport.rank < transport.shards && (call.logits != nullptr || call.size == 0) &&
         call.dtype <= TK_SELECT_BF16 && call.params != nullptr && call.workspace != nullptr &&
         call.choice != nullptr && call.size <= call.vocabulary;
}

/// Requires: the call fits. Writes nothing when the parameters cannot be read or the workspace is too small.
std::uint32_t select_in_shard(const tk_select_shard_call& call, const tk_select_transport& calls) {
  Params params;
  if (const std::uint32_t fault = read_params(call.params, 0, params); fault != TK_SELECT_OK) return fault;
  void* memory = call.workspace;
  std::size_t space = call.workspace_bytes;
  const std::size_t buffer_bytes = Buffers::bytes(call.vocabulary);
  const std::size_t bytes = buffer_bytes + shard_message_bytes(calls.shards);
  if (std::align(Buffers::kAlignment, bytes, memory, space) == nullptr) return TK_SELECT_WORKSPACE_TOO_SMALL;
  auto* const begin = static_cast<std::byte*>(memory);
  Buffers buffers = Buffers::place(begin, call.vocabulary);
  CallbackTransport transport(calls);
  const Shard shard{{call.logits, call.size, static_cast<DType>(call.dtype)}, call.first_id, call.vocabulary};
  FullRecord full;
  const Outcome outcome =
      select_shard_in(buffers, {begin + buffer_bytes, bytes - buffer_bytes}, shard, params, {call.draw},
                      transport, {call.round_to_coarsest != 0}, call.full ? &full : nullptr);
  write_struct(to_c(outcome), call.choice, 0, call.choice_size);
  if (call.full != nullptr) write_struct(to_c(outcome ? full : FullRecord{}), call.full, 0, call.full_size);
  return TK_SELECT_OK;
}

}  // namespace
}  // namespace truekeel::select

using namespace truekeel::select;

extern "C" {

uint32_t tk_select(const tk_select_call* from, uint32_t* failed_rows) {
  if (from == nullptr) return TK_SELECT_BAD_STRUCT;
  const auto call = read_struct(from, from->struct_size, tk_select_call{});
  if (!call || call->struct_size < kCallBytesV1 || call->choice_size < kChoiceBytesMin ||
      (call->full != nullptr && call->full_size == 0))
    return TK_SELECT_BAD_STRUCT;
  if (call->vocabulary == 0 || call->vocabulary > kVocabularyMax) return TK_SELECT_BAD_VOCABULARY;
  if (!fits(*call)) return TK_SELECT_BAD_BATCH;
  auto buffers = place_buffers(call->workspace, call->workspace_bytes, call->vocabulary);
  if (!buffers) return TK_SELECT_WORKSPACE_TOO_SMALL;
  const std::uint32_t failed = select_rows(*call, *buffers);
  if (failed_rows != nullptr) *failed_rows = failed;
  return TK_SELECT_OK;
}

uint32_t tk_select_shard(const tk_select_shard_call* from) {
  if (from == nullptr) return TK_SELECT_BAD_STRUCT;
  const auto call = read_struct(from, from->struct_size, tk_select_shard_call{});
  if (!call || call->struct_size < kShardCallBytesV1 || call->choice_size < kChoiceBytesMin ||
      (call->full != nullptr && call->full_size == 0))
    return TK_SELECT_BAD_STRUCT;
  if (call->vocabulary == 0 || call->vocabulary > kVocabularyMax) return TK_SELECT_BAD_VOCABULARY;
  if (call->transport == nullptr) return TK_SELECT_BAD_BATCH;
  const auto transport = read_struct(call->transport, call->transport->struct_size, tk_select_transport{});
  if (!transport || transport->struct_size < kTransportBytesV1) return TK_SELECT_BAD_STRUCT;
  if (!fits(*call, *transport)) return TK_SELECT_BAD_BATCH;
  return select_in_shard(*call, *transport);
}

uint32_t tk_select_top_k_by_bins(const tk_select_bins_call* from, tk_select_bins_answer* answer) {
  if (from == nullptr || answer == nullptr) return TK_SELECT_BAD_STRUCT;
  const auto call = read_struct(from, from->struct_size, tk_select_bins_call{});
  if (!call || call->struct_size < kBinsCallBytesV1 || call->answer_size < kBinsAnswerBytesV1)
    return TK_SELECT_BAD_STRUCT;
  if (call->vocabulary == 0 || call->vocabulary > kVocabularyMax) return TK_SELECT_BAD_VOCABULARY;
  if (call->logits == nullptr || call->workspace == nullptr || call->ids == nullptr ||
      call->dtype > TK_SELECT_BF16)
    return TK_SELECT_BAD_BATCH;
  auto buffers = place_buffers(call->workspace, call->workspace_bytes, call->vocabulary);
  if (!buffers) return TK_SELECT_WORKSPACE_TOO_SMALL;
  const auto found =
      top_k_by_bins_in(*buffers, {call->logits, call->vocabulary, static_cast<DType>(call->dtype)},
                       {call->k, call->bins, call->exact_if_uncertified != 0}, {call->ids, call->k});
  write_struct(found ? tk_select_bins_answer{TK_SELECT_NO_ID, found->count, found->certified, found->exact}
                     : tk_select_bins_answer{found.error().id, 0, 0, 0},
               answer, 0, call->answer_size);
  return found ? TK_SELECT_OK : static_cast<uint32_t>(found.error().fault);
}

size_t tk_select_shard_workspace_bytes(uint32_t vocabulary, uint32_t shards) {
  if (vocabulary == 0 || vocabulary > kVocabularyMax || shards == 0) return 0;
  return Buffers::bytes(vocabulary) + shard_message_bytes(shards) + Buffers::kAlignment;
}

void tk_select_params_init_sized(tk_select_params* params, uint32_t size) {
  tk_select_params defaults = default_params();
  defaults.struct_size = size;
  write_struct(defaults, params, 0, size);
}

size_t tk_select_workspace_bytes(uint32_t vocabulary) {
  if (vocabulary == 0 || vocabulary > kVocabularyMax) return 0;
  return Buffers::bytes(vocabulary) + Buffers::kAlignment;
}

uint64_t tk_select_draw(uint64_t seed, uint64_t position, uint32_t stream) {
  return Draw::at(seed, position, stream).bits;
}

uint64_t tk_select_weight(float x, float max, float temperature) {
  if (!(x <= max) || !(temperature >= kTemperatureMin && temperature <= kTemperatureMax)) return 0;
  return weight_of(x, Scale::of(max, temperature));
}

uint32_t tk_select_parse_chain(const char* text, uint8_t ops[TK_SELECT_OPS], uint32_t* length) {
  if (text == nullptr || ops == nullptr || length == nullptr) return TK_SELECT_BAD_CHAIN;
  try {
    const auto chain = Chain::parse(text);
    if (!chain) return TK_SELECT_BAD_CHAIN;
    *length = 0;
    for (const Op op : chain->ops()) ops[(*length)++] = static_cast<uint8_t>(op);
    return TK_SELECT_OK;
  } catch (...) {  // a message may not fit into memory
    return TK_SELECT_BAD_CHAIN;
  }
}

const char* tk_select_fault_text(uint32_t fault) {
  switch (fault) {
    case TK_SELECT_OK:
      return "no fault";
    case TK_SELECT_BAD_STRUCT:
      return "a struct has an unknown size, or fields that this library does not know";
    case TK_SELECT_BAD_CHAIN:
      return "the chain has an unknown operation, one twice, or an edit after a filter";
    default:
      return fault < TK_SELECT_BAD_STRUCT ? text_of(static_cast<Fault>(fault)) : "unknown fault";
  }
}

const char* tk_select_version(void) { return TRUEKEEL_VERSION; }

}  // extern "C"
