// SPDX-License-Identifier: Apache-2.0
// Nanoseconds a row, beside the time to read the row once and beside llama.cpp's sampler chain. Prints one
// JSON object a line; `./dev bench select` runs it and judges. All cases of one configuration take turns. Of
// each draw the least time counts, for what others do to the machine only ever adds; of 16 draws the mean,
// for a token deep in the row costs more than the first. Every row gets its full time: a least time of few
// turns is too long.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "select/select_bench.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace truekeel::select::HWY_NAMESPACE {

/// Reads a row once, as fast as the machine can: what every other time is compared with.
std::uint32_t read_once(const float* row, std::uint32_t size) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::ScalableTag<std::uint32_t> d;
  const auto* words = reinterpret_cast<const std::uint32_t*>(row);
  auto a = hn::Zero(d), b = a, c = a, e = a;
  const std::size_t step = hn::Lanes(d);
  for (std::size_t i = 0; i + 4 * step <= size; i += 4 * step) {
    a = hn::Or(a, hn::LoadU(d, words + i));
    b = hn::Or(b, hn::LoadU(d, words + i + step));
    c = hn::Or(c, hn::LoadU(d, words + i + 2 * step));
    e = hn::Or(e, hn::LoadU(d, words + i + 3 * step));
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Or(hn::Or(a, b), hn::Or(c, e))));
}

}  // namespace truekeel::select::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <hwy/targets.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/philox.h"
#include "select/buffers.h"
#include "select/draw.h"
#include "select/local_transport.h"
#include "select/mass.h"
#include "select/select.h"
#include "select/shards.h"
#include "select/survey.h"
#include "select/topp.h"

namespace truekeel::select {
namespace {

HWY_EXPORT(read_once);

using Clock = std::chrono::steady_clock;

struct Options {
  double budget_s = 1.5;         ///< for each configuration; for each row of a file
  std::uint32_t vocabulary = 0;  ///< 0: the usual three
  std::string rows, shape;       ///< fp32 rows recorded from a model, and what they are called
  std::string target;            ///< a SIMD target to keep to
  bool hot_only = false, shards = false;
};

/// Rows of one kind, enough of them to lie in DRAM or few enough to stay in the cache.
struct Rows {
  std::string shape, place;
  std::uint32_t vocabulary = 0, count = 0;
  std::vector<float> values;

  [[nodiscard]] const float* at(std::uint32_t row) const {
    // Aligned as an engine's rows are.
    auto* base = values.data();
    while (reinterpret_cast<std::uintptr_t>(base) % 64 != 0) ++base;
    return base + static_cast<std::size_t>(row % count) * vocabulary;
  }
  [[nodiscard]] float* at(std::uint32_t row) { return const_cast<float*>(std::as_const(*this).at(row)); }
};

Rows empty_rows(const std::string& shape, const std::string& place, std::uint32_t vocabulary,
                std::uint32_t count) {
  return {shape, place, vocabulary, count,
          std::vector<float>(static_cast<std::size_t>(count) * vocabulary + 16)};
}

/// Zipf's law over a random order of ids (peaked: steep), or Gaussian noise (flat: narrow).
std::vector<float> synthetic(const std::string& shape, std::uint32_t vocabulary, std::uint64_t seed) {
  PhiloxStream random(seed);
  std::vector<float> row(vocabulary);
  const auto noise = [&] {
    return std::sqrt(-2 * std::log(random.uniform() + 1e-18)) * std::cos(6.283185307 * random.uniform());
  };
  if (shape == "flat" || shape == "gaussian") {
    for (float& value : row) value = static_cast<float>((shape == "flat" ? 0.5 : 3.0) * noise());
    return row;
  }
  const double exponent = shape == "peaked" ? 4 : 1.5;
  std::vector<std::uint32_t> order(vocabulary);
  std::iota(order.begin(), order.end(), 0u);
  for (std::uint32_t i = vocabulary - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  for (std::uint32_t rank = 0; rank < vocabulary; ++rank)
    row[order[rank]] = static_cast<float>(18 - exponent * std::log(rank + 1.0) + 0.3 * noise());
  return row;
}

Rows make_rows(const std::string& shape, const std::string& place, std::uint32_t vocabulary,
               std::uint32_t count) {
  constexpr std::uint32_t kDistinct = 16;
  Rows rows = empty_rows(shape, place, vocabulary, count);
  std::vector<std::vector<float>> distinct;
  distinct.reserve(kDistinct);
  for (std::uint32_t i = 0; i < std::min(kDistinct, count); ++i)
    distinct.push_back(synthetic(shape, vocabulary, i));
  for (std::uint32_t i = 0; i < count; ++i) std::ranges::copy(distinct[i % distinct.size()], rows.at(i));
  return rows;
}

/// The rows of a file, each a set of its own: a row is hot only alone.
std::vector<Rows> load_rows(const Options& options) {
  std::ifstream in(options.rows, std::ios::binary);
  std::vector<Rows> all;
  for (;;) {
    Rows rows = empty_rows(options.shape, "hot", options.vocabulary, 1);
    if (!in.read(reinterpret_cast<char*>(rows.at(0)), std::streamsize{options.vocabulary} * 4)) return all;
    all.push_back(std::move(rows));
  }
}

/// llama.cpp's sampler chain, with the candidate array that it needs.
class LlamaChain {
 public:
  LlamaChain(std::initializer_list<llama_sampler*> samplers)
      : chain_(llama_sampler_chain_init({.no_perf = true})) {
    for (llama_sampler* sampler : samplers) llama_sampler_chain_add(chain_.get(), sampler);
  }

  std::uint32_t draw(const float* row, std::uint32_t size) {
    candidates_.resize(size);
    for (std::uint32_t id = 0; id < size; ++id) candidates_[id] = {static_cast<llama_token>(id), row[id], 0};
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_.get(), &array);
    return static_cast<std::uint32_t>(array.data[array.selected].id);
  }

 private:
  struct Free {
    void operator()(llama_sampler* sampler) const { llama_sampler_free(sampler); }
  };
  std::unique_ptr<llama_sampler, Free> chain_;
  std::vector<llama_token_data> candidates_;
};

constexpr std::uint32_t kDraws = 16;

struct Case {
  std::string name;
  std::function<std::uint32_t(const float* row, std::uint32_t draw)> select;
  std::array<double, kDraws> best_ns{};  ///< by draw; 0: not measured

  void add(std::uint32_t draw, double ns) {
    double& best = best_ns[draw % kDraws];
    if (best == 0 || ns < best) best = ns;
  }
  [[nodiscard]] double mean_ns() const {
    const auto measured = std::ranges::count_if(best_ns, [](double ns) { return ns > 0; });
    return std::accumulate(best_ns.begin(), best_ns.end(), 0.0) / static_cast<double>(measured);
  }
};

Case own(const std::string& name, std::uint32_t vocabulary, Params params, bool full) {
  auto workspace = std::make_shared<Workspace>(vocabulary);
  return {name, [=](const float* row, std::uint32_t draw) {
            FullRecord record;
            const Outcome outcome = select({row, vocabulary, DType::f32}, params, Draw::at(7, draw),
                                           *workspace, full ? &record : nullptr);
            return outcome ? outcome->id : 0;
          }};
}

/// Temperature 1, and top-p below 1, without what only the record asks for: rank and margin.
Case bare(const std::string& name, std::uint32_t vocabulary, double top_p_share) {
  auto workspace = std::make_shared<Workspace>(vocabulary);
  return {name, [=](const float* row, std::uint32_t draw) {
            Buffers& buffers = workspace->buffers();
            const Blocks blocks =
                blocks_of({row, vocabulary, DType::f32}, TailBuffer(buffers.tail, TailBuffer::extent));
            const auto found = survey(blocks, buffers.groups);
            const Scale scale = Scale::of(value_of_ordinal(found->top), 1);
            const auto groups = buffers.groups.first(std::size_t{blocks.count()} * kGroups);
            std::uint64_t mass = mass_of(blocks, groups, scale, buffers.block_mass);
            Cut cut = Cut::everything();
            const std::uint64_t bits = Draw::at(7, draw).bits;
            Candidates& list = buffers.list;
            list.count = 0;
            if (top_p_share < 1) {
              const auto prefix = top_p(blocks, groups, scale, mass, needed_of(top_p_share, mass),
                                        buffers.block_mass, buffers.scratch, list);
              if (!prefix) {
                const auto weights = buffers.scratch.weights.first(list.count);
                mass = weights_of(list.all(), scale, weights);
                return find_point(list, weights, scale_bits(bits, mass)).id;
              }
              mass = prefix->mass;
              cut = prefix->cut;
            }
            return find_point(blocks, scale, cut, buffers.block_mass, scale_bits(bits, mass)).id;
          }};
}

Case llama(const std::string& name, std::uint32_t vocabulary,
           std::initializer_list<llama_sampler*> samplers) {
  auto chain = std::make_shared<LlamaChain>(samplers);
  return {name, [=](const float* row, std::uint32_t) { return chain->draw(row, vocabulary); }};
}

std::vector<Case> make_cases(std::uint32_t vocabulary) {
  std::vector<Case> cases;
  cases.push_back({"read", [=](const float* row, std::uint32_t) {
                     return HWY_DYNAMIC_DISPATCH(read_once)(row, vocabulary);
                   }});
  cases.push_back(own("greedy", vocabulary, {.temperature = 0}, false));
  cases.push_back(own("top-k 40", vocabulary, {.top_k = 40}, false));
  cases.push_back(own("top-k 40, top-p .9", vocabulary, {.top_k = 40, .top_p = 0.9}, false));
  cases.push_back(own("top-k 40, top-p .9, temperature .8", vocabulary,
                      {.chain = Chain::llama_cpp(), .temperature = 0.8f, .top_k = 40, .top_p = 0.9}, false));
  cases.push_back(own("min-p .05", vocabulary, {.min_p = 0.05}, false));
  cases.push_back(own("temperature", vocabulary, {}, false));
  cases.push_back(own("top-p .9", vocabulary, {.top_p = 0.9}, false));
  cases.push_back(bare("temperature, no record", vocabulary, 1));
  cases.push_back(bare("top-p .9, no record", vocabulary, 0.9));
  cases.push_back(own("temperature, full record", vocabulary, {}, true));
  cases.push_back(own("top-k 40, full record", vocabulary, {.top_k = 40}, true));
  cases.push_back(own("top-p .9, full record", vocabulary, {.top_p = 0.9}, true));
  cases.push_back(llama("llama.cpp temperature", vocabulary, {llama_sampler_init_dist(1)}));
  cases.push_back(llama("llama.cpp top-k 40, top-p .9, temperature .8", vocabulary,
                        {llama_sampler_init_top_k(40), llama_sampler_init_top_p(0.9f, 1),
                         llama_sampler_init_temp(0.8f), llama_sampler_init_dist(1)}));
  cases.push_back(llama("llama.cpp top-p .9", vocabulary,
                        {llama_sampler_init_top_p(0.9f, 1), llama_sampler_init_dist(1)}));
  return cases;
}

/// All cases over batches of rows, in turns, until the time is used up.
std::vector<Case> measure(const Rows& rows, std::uint32_t batch, double budget_s) {
  std::vector<Case> cases = make_cases(rows.vocabulary);
  std::uint32_t next = 0, sink = 0;
  const auto start = Clock::now();
  for (std::uint32_t round = 0;
       round < 2 * kDraws || std::chrono::duration<double>(Clock::now() - start).count() < budget_s;
       ++round) {
    for (Case& one : cases) {
      // llama.cpp gets a turn in sixteen, always with one draw: a few do for times of milliseconds.
      if (one.name.starts_with("llama.cpp") && round % kDraws != 1) continue;
      // The first of a round warms the cache; rows in DRAM are new each time.
      if (rows.place != "dram") sink += one.select(rows.at(next), round);
      const auto begin = Clock::now();
      for (std::uint32_t i = 0; i < batch; ++i) sink += one.select(rows.at(next + i), round % kDraws + i);
      one.add(round, std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / batch);
      next += batch;
    }
  }
  if (sink == 1) std::fputs("", stderr);  // keeps the compiler from dropping the work
  return cases;
}

/// Prints the means over sets of rows that were measured one after the other.
void print(const Rows& rows, std::uint32_t batch, const std::vector<std::vector<Case>>& sets) {
  for (std::size_t i = 0; i < sets[0].size(); ++i) {
    double ns = 0, read_ns = 0;
    for (const auto& cases : sets) {
      ns += cases[i].mean_ns() / static_cast<double>(sets.size());
      read_ns += cases[0].mean_ns() / static_cast<double>(sets.size());
    }
    std::printf(
        R"({"vocabulary": %u, "shape": "%s", "place": "%s", "batch": %u, "case": "%s", "ns": %.0f, "reads": %.2f})"
        "\n",
        rows.vocabulary, rows.shape.c_str(), rows.place.c_str(), batch, sets[0][i].name.c_str(), ns,
        ns / read_ns);
  }
  std::fflush(stdout);
}

/// One row in shards of equal size, each on a thread of its own.
void measure_shards(const Rows& rows, const char* name, const Params& params, double budget_s) {
  constexpr std::uint32_t kShards = 8, kRows = 20;
  const std::uint32_t size = rows.vocabulary / kShards;
  double best_ns = 1e18;
  std::uint64_t bytes = 0;
  const auto start = Clock::now();
  do {
    LocalGroup group(kShards);
    const auto begin = Clock::now();
    {
      std::vector<std::jthread> threads;
      threads.reserve(kShards);
      for (std::uint32_t rank = 0; rank < kShards; ++rank)
        threads.emplace_back([&, rank] {
          ShardWorkspace workspace(rows.vocabulary);
          const std::uint32_t first = rank * size;
          const Shard shard{{rows.at(0) + first, size, DType::f32}, first, rows.vocabulary};
          for (std::uint32_t row = 0; row < kRows; ++row)
            if (!select_shard(shard, params, Draw::at(7, row % kDraws), group.endpoint(rank), workspace))
              std::abort();
        });
    }
    best_ns =
        std::min(best_ns, std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / kRows);
    bytes = group.bytes_sent() / kRows;
  } while (std::chrono::duration<double>(Clock::now() - start).count() < budget_s);
  std::printf(
      R"({"vocabulary": %u, "shape": "%s", "place": "hot", "batch": 1, "case": "8 shards, %s", "ns": %.0f, "bytes": %llu})"
      "\n",
      rows.vocabulary, rows.shape.c_str(), name, best_ns, static_cast<unsigned long long>(bytes));
}

void run_shards(std::uint32_t vocabulary, double budget_s) {
  for (const char* shape : {"typical", "flat"}) {
    const Rows rows = make_rows(shape, "hot", vocabulary, 1);
    measure_shards(rows, "greedy", {.temperature = 0}, budget_s);
    measure_shards(rows, "top-k 40", {.top_k = 40}, budget_s);
    measure_shards(rows, "temperature", {}, budget_s);
    measure_shards(rows, "top-p .9", {.top_p = 0.9}, budget_s);
  }
}

void run_synthetic(std::uint32_t vocabulary, const Options& options) {
  for (const char* shape : {"peaked", "typical", "gaussian", "flat"}) {
    const Rows rows = make_rows(shape, "hot", vocabulary, 1);
    print(rows, 1, {measure(rows, 1, options.budget_s)});
  }
  if (options.hot_only) return;
  for (const std::uint32_t batch : {8u, 64u}) {
    const Rows rows = make_rows("typical", "cache", vocabulary, batch);
    print(rows, batch, {measure(rows, batch, options.budget_s)});
  }
  const std::uint32_t many = (1u << 30) / 4 / vocabulary;  // a gigabyte: more than any cache
  const Rows rows = make_rows("typical", "dram", vocabulary, many);
  print(rows, 1, {measure(rows, 1, options.budget_s)});
}

int run(const Options& options) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets())
    if (options.target == hwy::TargetName(target)) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
  if (!options.rows.empty()) {
    const std::vector<Rows> all = load_rows(options);
    if (all.empty()) {
      std::fprintf(stderr, "select_bench: no rows of %u values in %s\n", options.vocabulary,
                   options.rows.c_str());
      return 2;
    }
    std::vector<std::vector<Case>> sets;
    sets.reserve(all.size());
    for (const Rows& rows : all) sets.push_back(measure(rows, 1, options.budget_s));
    print(all[0], 1, sets);
    return 0;
  }
  for (const std::uint32_t vocabulary : {32768u, 131072u, 262144u}) {
    if (options.vocabulary != 0 && options.vocabulary != vocabulary) continue;
    options.shards ? run_shards(vocabulary, options.budget_s) : run_synthetic(vocabulary, options);
  }
  return 0;
}

}  // namespace
}  // namespace truekeel::select

int main(int argc, char** argv) {
  truekeel::select::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (argument == "--hot-only") {
      options.hot_only = true;
    } else if (argument == "--shards") {
      options.shards = true;
    } else if (argument == "--seconds") {
      options.budget_s = std::atof(value), ++i;
    } else if (argument == "--vocabulary") {
      options.vocabulary = static_cast<std::uint32_t>(std::strtoul(value, nullptr, 10)), ++i;
    } else if (argument == "--rows") {
      options.rows = value, ++i;
    } else if (argument == "--shape") {
      options.shape = value, ++i;
    } else if (argument == "--target") {
      options.target = value, ++i;
    } else {
      std::fputs(
          "usage: select_bench [--seconds S] [--vocabulary N] [--target NAME] [--hot-only | --shards |\n"
          "                     --rows FILE --shape NAME]\n",
          stderr);
      return 2;
    }
  }
  return truekeel::select::run(options);
}
#endif
