// SPDX-License-Identifier: Apache-2.0
// Any row and any request through the C interface: the scalar reference, every SIMD target and every number
// of shards, each on a thread of its own, must agree bit for bit; and the k best by bins are certified
// exactly when they are the k best.
#include <truekeel/select.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/assert.h"
#include "select/local_transport.h"
#include "select/reference.h"
#include "select/test_callbacks.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

constexpr std::uint32_t kSizeMax = 1500;
constexpr std::uint32_t kLongSizeMax = 12'000;  // top-p samples rows from 4,096 on

/// Takes values off the front of the input; zeros when it is used up.
class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  template <class T>
  T take() {
    T value{};
    const std::size_t count = std::min(sizeof value, bytes_.size());
    std::memcpy(&value, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
    return value;
  }
  [[nodiscard]] std::span<const std::uint8_t> rest() const { return bytes_; }

 private:
  std::span<const std::uint8_t> bytes_;
};

struct Case {
  OwnedRow row;
  OwnedParams owned;
  std::uint64_t bits = 0;
  std::uint32_t shards = 1;
  std::uint32_t bins = 256, best = 1;  ///< of the best by bins
};

/// Any bits: NaN, infinities, denormals and what is out of range come by themselves.
void read_request(Input& input, std::uint32_t size, OwnedParams& owned) {
  Params& params = owned.params;
  const Chain chains[] = {Chain(), Chain::llama_cpp(), Chain::vllm(), Chain::hf()};
  params.chain = chains[input.take<std::uint8_t>() % 4];
  const auto flags = input.take<std::uint8_t>();
  if ((flags & 1) != 0) params.temperature = input.take<float>();
  if ((flags & 2) != 0) params.top_k = input.take<std::uint16_t>() % (size + 2);
  if ((flags & 4) != 0) params.top_p = input.take<std::uint16_t>() / 65535.0;
  if ((flags & 8) != 0) params.min_p = input.take<std::uint16_t>() / 65535.0;
  if ((flags & 16) != 0) {
    params.repetition = input.take<float>();
    params.frequency = input.take<float>();
    params.presence = input.take<float>();
    for (std::uint32_t id = input.take<std::uint8_t>(); id < size; id += 1 + input.take<std::uint8_t>())
      owned.counts.push_back({id, input.take<std::uint8_t>(), input.take<std::uint8_t>() % 2u});
  }
  if ((flags & 32) != 0)
    for (std::uint32_t id = input.take<std::uint8_t>(); id < size; id += 1 + input.take<std::uint8_t>())
      owned.bias.push_back({id, input.take<float>()});
  if ((flags & 64) != 0)
    for (std::uint32_t word = 0; word < (size + 63) / 64; ++word)
      owned.allowed.push_back(input.take<std::uint64_t>());
  params.counts = owned.counts;
  params.bias = owned.bias;
  params.allowed = owned.allowed;
}

/// A logit in [1, 2) with the lower of these bits. Rows of such logits are flat: top-p keeps much of them,
/// and samples the long ones.
std::uint32_t from_1_to_2(std::uint32_t bits, DType dtype) {
  switch (dtype) {
    case DType::f32:
      return (bits & 0x7fffff) | 0x3f800000;
    case DType::f16:
      return (bits & 0x3ff) | 0x3c00;
    case DType::bf16:
      break;
  }
  return (bits & 0x7f) | 0x3f80;
}

/// The rest of the input is the row, repeated with a stretch up to the wanted size.
void read_row(Input& input, std::uint32_t size, OwnedRow& row) {
  const auto stretch = input.take<std::uint8_t>();
  const auto bytes = input.rest();
  const std::size_t width = bytes_of(row.dtype);
  for (std::uint32_t i = 0; i < size; ++i) {
    std::uint32_t bits = 0;
    const std::size_t at = bytes.size() < width ? 0 : i * width % (bytes.size() - width + 1);
    std::memcpy(&bits, bytes.data() + at, std::min(width, bytes.size()));
    if ((stretch & 1) != 0) bits ^= i * stretch;
    if ((stretch & 2) == 0) bits = from_1_to_2(bits, row.dtype);
    if (row.dtype == DType::f32)
      row.wide.push_back(std::bit_cast<float>(bits));
    else
      row.narrow.push_back(static_cast<std::uint16_t>(bits));
  }
}

Case read_case(Input input) {
  Case one;
  const std::uint32_t size_max = input.take<std::uint8_t>() % 4 == 0 ? kLongSizeMax : kSizeMax;
  const std::uint32_t size = 1 + input.take<std::uint16_t>() % size_max;
  one.row.dtype = static_cast<DType>(input.take<std::uint8_t>() % 3);
  one.shards = 1 + input.take<std::uint8_t>() % 5;
  read_request(input, size, one.owned);
  one.bits = input.take<std::uint64_t>();
  one.bins <<= input.take<std::uint8_t>() % 5;
  one.best += input.take<std::uint8_t>();
  read_row(input, size, one.row);
  return one;
}

/// The C form of a request; it points into this object and into the request.
struct CRequest {
  explicit CRequest(const Params& from) {
    tk_select_params_init(&params);
    params.chain = chain;
    for (const Op op : from.chain.ops()) chain[params.chain_length++] = static_cast<std::uint8_t>(op);
    params.temperature = from.temperature;
    params.top_k = from.top_k;
    params.top_p = from.top_p;
    params.min_p = from.min_p;
    params.repetition = from.repetition;
    params.frequency = from.frequency;
    params.presence = from.presence;
    params.counts = reinterpret_cast<const tk_select_count*>(from.counts.data());
    params.counts_length = from.counts.size();
    params.bias = reinterpret_cast<const tk_select_bias*>(from.bias.data());
    params.bias_length = from.bias.size();
    params.allowed = from.allowed.empty() ? nullptr : from.allowed.data();
    params.allowed_words = from.allowed.size();
  }
  CRequest(const CRequest&) = delete;
  CRequest& operator=(const CRequest&) = delete;

  std::uint8_t chain[kOps];
  tk_select_params params;
};

struct Selected {
  tk_select_choice choice;
  tk_select_full full;
};

Selected by_c_api(const Case& one) {
  const CRequest request(one.owned.params);
  const Row row = one.row.row();
  std::vector<unsigned char> workspace(tk_select_workspace_bytes(row.size));
  Selected selected;
  tk_select_call call{};
  call.struct_size = sizeof call;
  call.dtype = static_cast<std::uint32_t>(row.dtype);
  call.logits = row.data;
  call.rows = 1;
  call.vocabulary = row.size;
  call.params = &request.params;
  call.params_count = 1;
  call.choice_size = sizeof selected.choice;
  call.draws = &one.bits;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.choices = &selected.choice;
  call.full = &selected.full;
  call.full_size = sizeof selected.full;
  TK_ASSERT(tk_select(&call, nullptr) == TK_SELECT_OK);
  return selected;
}

/// What one shard gets of the tokens from begin to end.
Selected by_shard(const Case& one, std::uint32_t begin, std::uint32_t end, Transport& endpoint) {
  const CRequest request(one.owned.params);
  const Row row = one.row.row();
  Callbacks calls{endpoint};
  const tk_select_transport transport = calls.table();
  std::vector<unsigned char> workspace(tk_select_shard_workspace_bytes(row.size, endpoint.size()));
  Selected selected;
  tk_select_shard_call call{};
  call.struct_size = sizeof call;
  call.dtype = static_cast<std::uint32_t>(row.dtype);
  call.logits = static_cast<const std::byte*>(row.data) + begin * bytes_of(row.dtype);
  call.first_id = begin;
  call.size = end - begin;
  call.vocabulary = row.size;
  call.params = &request.params;
  call.draw = one.bits;
  call.transport = &transport;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.choice = &selected.choice;
  call.choice_size = sizeof selected.choice;
  call.full = &selected.full;
  call.full_size = sizeof selected.full;
  TK_ASSERT(tk_select_shard(&call) == TK_SELECT_OK);
  return selected;
}

Outcome outcome_of(const tk_select_choice& choice) {
  if (choice.fault != TK_SELECT_OK)
    return std::unexpected(
        Failure{static_cast<Fault>(choice.fault), 0, choice.fault_id, choice.fault_shards});
  return Choice{choice.id,          choice.rank,  choice.key_margin, choice.kept_count,
                choice.kept_weight, choice.begin, choice.end};
}

FullRecord record_of(const tk_select_full& full) {
  return {full.logprob,
          full.normaliser,
          full.top_id,
          full.top_margin,
          {full.tail_mass[0], full.tail_mass[1], full.tail_mass[2]}};
}

[[noreturn]] void stop(const char* who, const std::string& seen, const std::string& expected) {
  std::fprintf(stderr, "%s: %s\nexpected: %s\n", who, seen.c_str(), expected.c_str());
  std::abort();
}

void check_equal(const Selected& selected, const Outcome& expected, const FullRecord& expected_full,
                 const char* who) {
  const std::string seen = to_string(outcome_of(selected.choice));
  if (seen != to_string(expected)) stop(who, seen, to_string(expected));
  if (expected && record_of(selected.full) != expected_full) stop(who, "another full record", seen);
}

void check_shards(const Case& one, const Outcome& expected, const FullRecord& expected_full) {
  const std::uint32_t size = one.row.row().size;
  LocalGroup group(one.shards);
  std::vector<std::jthread> threads;
  for (std::uint32_t rank = 0; rank < one.shards; ++rank)
    threads.emplace_back([&, rank] {
      // Uneven on purpose: the first shard has half, the last may have nothing.
      const auto begin_of = [&](std::uint32_t r) { return r == one.shards ? size : size - (size >> r); };
      check_equal(by_shard(one, begin_of(rank), begin_of(rank + 1), group.endpoint(rank)), expected,
                  expected_full, "a shard");
    });
}

struct Best {
  std::uint32_t fault = TK_SELECT_OK;
  tk_select_bins_answer answer;
  Ids ids;
};

Best best_by_bins(const Case& one, bool exact_if_uncertified) {
  const Row row = one.row.row();
  std::vector<unsigned char> workspace(tk_select_workspace_bytes(row.size));
  Best best{.answer = {}, .ids = Ids(one.best)};
  tk_select_bins_call call{};
  call.struct_size = sizeof call;
  call.dtype = static_cast<std::uint32_t>(row.dtype);
  call.logits = row.data;
  call.vocabulary = row.size;
  call.k = one.best;
  call.bins = one.bins;
  call.exact_if_uncertified = exact_if_uncertified ? 1 : 0;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.ids = best.ids.data();
  call.answer_size = sizeof best.answer;
  best.fault = tk_select_top_k_by_bins(&call, &best.answer);
  best.ids.resize(best.answer.count);
  return best;
}

/// A row is refused by bins as by a greedy choice.
void check_bins(const Case& one, const Outcome& greedy, const Ids& exact, const char* target) {
  const Best binned = best_by_bins(one, false), repaired = best_by_bins(one, true);
  if (!greedy) {
    if (binned.fault != static_cast<std::uint32_t>(greedy.error().fault) ||
        binned.answer.fault_id != greedy.error().id || repaired.fault != binned.fault)
      stop(target, "by bins: " + std::to_string(binned.fault), to_string(greedy));
    return;
  }
  const bool certified = binned.ids == exact;
  const bool has_top = std::ranges::binary_search(binned.ids, greedy->id);
  if (binned.fault != TK_SELECT_OK || (binned.answer.certified != 0) != certified || !has_top)
    stop(target, "by bins: another certificate", certified ? "certified" : "not certified");
  if (repaired.fault != TK_SELECT_OK || repaired.ids != exact || repaired.answer.exact == 0)
    stop(target, "by bins: others than the best", std::to_string(one.best) + " best");
}

}  // namespace
}  // namespace truekeel::select

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace truekeel::select;
  const Case one = read_case(Input({data, size}));
  const Row row = one.row.row();
  FullRecord expected_full;
  const Outcome expected = reference_select(row, one.owned.params, {one.bits}, &expected_full);
  const Outcome greedy = reference_select(row, {.temperature = 0}, {});
  const Ids exact = greedy ? best_of_row(row, one.best) : Ids();
  with_each_target([&](const char* target) {
    check_equal(by_c_api(one), expected, expected_full, target);
    check_bins(one, greedy, exact, target);
  });
  check_shards(one, expected, expected_full);
  return 0;
}
