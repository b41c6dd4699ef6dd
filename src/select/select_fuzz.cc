// SPDX-License-Identifier: Apache-2.0
// Any row and any request through the C interface: the scalar reference, every SIMD target and every number
// of shards, each on a thread of its own, must agree bit for bit.
#include <truekeel/select.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/assert.h"
#include "select/local_transport.h"
#include "select/reference.h"
#include "select/shards.h"
#include "select/test_rows.h"

namespace truekeel::select {
namespace {

constexpr std::uint32_t kSizeMax = 1500;

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

/// The rest of the input is the row, repeated with a stretch up to the wanted size.
void read_row(Input& input, std::uint32_t size, OwnedRow& row) {
  const auto stretch = input.take<std::uint8_t>();
  const auto bytes = input.rest();
  const std::size_t width = bytes_of(row.dtype);
  for (std::uint32_t i = 0; i < size; ++i) {
    std::uint32_t bits = 0;
    const std::size_t at = bytes.size() < width ? 0 : i * width % (bytes.size() - width + 1);
    std::memcpy(&bits, bytes.data() + at, std::min(width, bytes.size()));
    if (stretch % 2 == 1) bits ^= i * stretch;
    if (row.dtype == DType::f32)
      row.wide.push_back(std::bit_cast<float>(bits));
    else
      row.narrow.push_back(static_cast<std::uint16_t>(bits));
  }
}

Case read_case(Input input) {
  Case one;
  const std::uint32_t size = 1 + input.take<std::uint16_t>() % kSizeMax;
  one.row.dtype = static_cast<DType>(input.take<std::uint8_t>() % 3);
  one.shards = 1 + input.take<std::uint8_t>() % 5;
  one.bits = input.take<std::uint64_t>();
  read_request(input, size, one.owned);
  read_row(input, size, one.row);
  return one;
}

/// The C form of a request, for one row.
Outcome by_c_api(const Case& one, FullRecord& full) {
  const Params& params = one.owned.params;
  std::uint8_t chain[kOps];
  tk_select_params request;
  tk_select_params_init(&request);
  request.chain = chain;
  for (const Op op : params.chain.ops()) chain[request.chain_length++] = static_cast<std::uint8_t>(op);
  request.temperature = params.temperature;
  request.top_k = params.top_k;
  request.top_p = params.top_p;
  request.min_p = params.min_p;
  request.repetition = params.repetition;
  request.frequency = params.frequency;
  request.presence = params.presence;
  request.counts = reinterpret_cast<const tk_select_count*>(params.counts.data());
  request.counts_length = params.counts.size();
  request.bias = reinterpret_cast<const tk_select_bias*>(params.bias.data());
  request.bias_length = params.bias.size();
  request.allowed = params.allowed.empty() ? nullptr : params.allowed.data();
  request.allowed_words = params.allowed.size();

  const Row row = one.row.row();
  std::vector<unsigned char> workspace(tk_select_workspace_bytes(row.size));
  tk_select_choice choice;
  tk_select_full record;
  tk_select_call call{};
  call.struct_size = sizeof call;
  call.dtype = static_cast<std::uint32_t>(row.dtype);
  call.logits = row.data;
  call.rows = 1;
  call.vocabulary = row.size;
  call.params = &request;
  call.params_count = 1;
  call.choice_size = sizeof choice;
  call.draws = &one.bits;
  call.workspace = workspace.data();
  call.workspace_bytes = workspace.size();
  call.choices = &choice;
  call.full = &record;
  call.full_size = sizeof record;
  TK_ASSERT(tk_select(&call, nullptr) == TK_SELECT_OK);
  if (choice.fault != TK_SELECT_OK)
    return std::unexpected(Failure{static_cast<Fault>(choice.fault), 0, choice.fault_id});
  full = {record.logprob,
          record.normaliser,
          record.top_id,
          record.top_margin,
          {record.tail_mass[0], record.tail_mass[1], record.tail_mass[2]}};
  return Choice{choice.id,          choice.rank,  choice.key_margin, choice.kept_count,
                choice.kept_weight, choice.begin, choice.end};
}

void check_equal(const Outcome& outcome, const FullRecord& full, const Outcome& expected,
                 const FullRecord& expected_full, const char* who) {
  if (to_string(outcome) == to_string(expected) && (!outcome || full == expected_full)) return;
  std::fprintf(stderr, "%s: %s\nreference: %s\n", who, to_string(outcome).c_str(),
               to_string(expected).c_str());
  std::abort();
}

void check_shards(const Case& one, const Outcome& expected, const FullRecord& expected_full) {
  const Row row = one.row.row();
  LocalGroup group(one.shards);
  std::vector<std::jthread> threads;
  for (std::uint32_t rank = 0; rank < one.shards; ++rank)
    threads.emplace_back([&, rank] {
      // Uneven on purpose: the first shard has half, the last may have nothing.
      const auto begin_of = [&](std::uint32_t r) {
        return r == one.shards ? row.size : row.size - (row.size >> r);
      };
      const std::uint32_t begin = begin_of(rank), end = begin_of(rank + 1);
      const Row part{static_cast<const std::byte*>(row.data) + begin * bytes_of(row.dtype), end - begin,
                     row.dtype};
      ShardWorkspace workspace(row.size);
      FullRecord full;
      const Outcome outcome = select_shard({part, begin, row.size}, one.owned.params, {one.bits},
                                           group.endpoint(rank), workspace, {}, &full);
      check_equal(outcome, full, expected, expected_full, "a shard");
    });
}

}  // namespace
}  // namespace truekeel::select

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace truekeel::select;
  const Case one = read_case(Input({data, size}));
  FullRecord expected_full;
  const Outcome expected = reference_select(one.row.row(), one.owned.params, {one.bits}, &expected_full);
  with_each_target([&](const char* target) {
    FullRecord full;
    check_equal(by_c_api(one, full), full, expected, expected_full, target);
  });
  check_shards(one, expected, expected_full);
  return 0;
}
