// SPDX-License-Identifier: Apache-2.0
// Nanoseconds a row on one core, beside the time to read the row once and beside llama.cpp's sampler chain.
// Usage: select_bench [--quick] [--vocabulary N] [--rows FILE] — prints one JSON object a line.
// All cases of one configuration take turns, and the least time of each counts: what others do to the machine
// only ever adds.
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
  const std::uint32_t step = static_cast<std::uint32_t>(hn::Lanes(d));
  for (std::uint32_t i = 0; i + 4 * step <= size; i += 4 * step) {
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
#include <llama.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/philox.h"
#include "select/select.h"

namespace truekeel::select {
namespace {

HWY_EXPORT(read_once);

using Clock = std::chrono::steady_clock;

struct Options {
  bool quick = false;
  std::uint32_t vocabulary = 0;  ///< 0: the usual three
  std::string rows;              ///< fp32 rows recorded from a model; needs a vocabulary
};

/// Rows of one kind, enough of them to lie in DRAM or few enough to stay in the cache.
struct Rows {
  std::string shape;
  std::string place;
  std::uint32_t vocabulary = 0;
  std::uint32_t count = 0;
  std::vector<float> values;

  [[nodiscard]] const float* at(std::uint32_t row) const {
    return values.data() + static_cast<std::size_t>(row % count) * vocabulary;
  }
};

/// Zipf's law with this exponent over a random order of ids, or Gaussian noise of this width.
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
  for (std::uint32_t i = 0; i < vocabulary; ++i) order[i] = i;
  for (std::uint32_t i = vocabulary - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  for (std::uint32_t rank = 0; rank < vocabulary; ++rank)
    row[order[rank]] = static_cast<float>(18 - exponent * std::log(rank + 1.0) + 0.3 * noise());
  return row;
}

Rows make_rows(const std::string& shape, const std::string& place, std::uint32_t vocabulary,
               std::size_t bytes) {
  constexpr std::uint32_t kDistinct = 16;
  Rows rows{shape,
            place,
            vocabulary,
            static_cast<std::uint32_t>(std::max<std::size_t>(1, bytes / 4 / vocabulary)),
            {}};
  rows.values.resize(static_cast<std::size_t>(rows.count) * vocabulary);
  std::vector<std::vector<float>> distinct;
  for (std::uint32_t i = 0; i < std::min(kDistinct, rows.count); ++i)
    distinct.push_back(synthetic(shape, vocabulary, i));
  for (std::uint32_t i = 0; i < rows.count; ++i)
    std::ranges::copy(distinct[i % distinct.size()],
                      rows.values.begin() + static_cast<std::ptrdiff_t>(i) * vocabulary);
  return rows;
}

Rows load_rows(const std::string& file, std::uint32_t vocabulary) {
  std::ifstream in(file, std::ios::binary);
  Rows rows{"recorded", "hot", vocabulary, 0, {}};
  std::vector<float> row(vocabulary);
  while (in.read(reinterpret_cast<char*>(row.data()),
                 static_cast<std::streamsize>(row.size() * sizeof(float)))) {
    rows.values.insert(rows.values.end(), row.begin(), row.end());
    ++rows.count;
  }
  return rows;
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

struct Case {
  std::string name;
  std::function<std::uint32_t(const float*, std::uint32_t)> select;  ///< of one row with this index
  double best_ns = 1e18;
};

Case own(const std::string& name, std::uint32_t vocabulary, Params params, bool full) {
  auto workspace = std::make_shared<Workspace>(vocabulary);
  return {name, [=](const float* row, std::uint32_t index) {
            FullRecord record;
            const Outcome outcome = select({row, vocabulary, DType::f32}, params, Draw::at(7, index),
                                           *workspace, full ? &record : nullptr);
            return outcome ? outcome->id : 0;
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
  cases.push_back(own("min-p .05", vocabulary, {.min_p = 0.05}, false));
  cases.push_back(own("temperature", vocabulary, {}, false));
  cases.push_back(own("top-p .9", vocabulary, {.top_p = 0.9}, false));
  cases.push_back(own("temperature, full record", vocabulary, {}, true));
  cases.push_back(own("top-k 40, full record", vocabulary, {.top_k = 40}, true));
  cases.push_back(own("top-p .9, full record", vocabulary, {.top_p = 0.9}, true));
  cases.push_back(llama("llama.cpp temperature", vocabulary, {llama_sampler_init_dist(1)}));
  cases.push_back(llama("llama.cpp top-k 40, top-p .9, temperature", vocabulary,
                        {llama_sampler_init_top_k(40), llama_sampler_init_top_p(0.9f, 1),
                         llama_sampler_init_temp(0.8f), llama_sampler_init_dist(1)}));
  cases.push_back(llama("llama.cpp top-p .9", vocabulary,
                        {llama_sampler_init_top_p(0.9f, 1), llama_sampler_init_dist(1)}));
  return cases;
}

/// All cases over batches of rows, in turns, until the time is used up.
void measure(const Rows& rows, std::uint32_t batch, double budget_s) {
  std::vector<Case> cases = make_cases(rows.vocabulary);
  std::uint32_t next = 0, sink = 0;
  const auto start = Clock::now();
  for (int round = 0; round < 3 || std::chrono::duration<double>(Clock::now() - start).count() < budget_s;
       ++round) {
    for (Case& one : cases) {
      // llama.cpp gets a turn in twenty: a few are enough for times of milliseconds.
      if (one.name.starts_with("llama.cpp") && round % 20 != 1) continue;
      // The first of a round warms the cache; rows in DRAM are new each time.
      if (rows.place == "hot") sink += one.select(rows.at(next), next);
      const auto begin = Clock::now();
      for (std::uint32_t i = 0; i < batch; ++i) sink += one.select(rows.at(next + i), next + i);
      const double ns = std::chrono::duration<double, std::nano>(Clock::now() - begin).count() / batch;
      one.best_ns = std::min(one.best_ns, ns);
      next += batch;
    }
  }
  for (const Case& one : cases)
    std::printf(
        R"({"vocabulary": %u, "shape": "%s", "place": "%s", "batch": %u, "case": "%s", "ns": %.0f, "reads": %.2f})"
        "\n",
        rows.vocabulary, rows.shape.c_str(), rows.place.c_str(), batch, one.name.c_str(), one.best_ns,
        one.best_ns / cases[0].best_ns);
  std::fflush(stdout);
  if (sink == 1) std::fputs("", stderr);  // keeps the compiler from dropping the work
}

int run(const Options& options) {
  const double budget_s = options.quick ? 0.3 : 2;
  if (!options.rows.empty()) {
    const Rows rows = load_rows(options.rows, options.vocabulary);
    if (rows.count == 0) {
      std::fprintf(stderr, "select_bench: no rows of %u values in %s\n", options.vocabulary,
                   options.rows.c_str());
      return 2;
    }
    measure(rows, rows.count, budget_s);
    return 0;
  }
  for (const std::uint32_t vocabulary : {32768u, 131072u, 262144u}) {
    if (options.vocabulary != 0 && options.vocabulary != vocabulary) continue;
    for (const char* shape : {"peaked", "typical", "gaussian", "flat"})
      measure(make_rows(shape, "hot", vocabulary, 0), 1, budget_s);
    if (options.quick) continue;
    for (const std::uint32_t batch : {8u, 64u})
      measure(make_rows("typical", "hot", vocabulary, std::size_t{batch} * vocabulary * 4), batch, budget_s);
    measure(make_rows("typical", "dram", vocabulary, std::size_t{3} << 29), 1, budget_s);
  }
  return 0;
}

}  // namespace
}  // namespace truekeel::select

int main(int argc, char** argv) {
  truekeel::select::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--quick") {
      options.quick = true;
    } else if (argument == "--vocabulary" && i + 1 < argc) {
      options.vocabulary = static_cast<std::uint32_t>(std::strtoul(argv[++i], nullptr, 10));
    } else if (argument == "--rows" && i + 1 < argc) {
      options.rows = argv[++i];
    } else {
      std::fputs("usage: select_bench [--quick] [--vocabulary N] [--rows FILE]\n", stderr);
      return 2;
    }
  }
  return truekeel::select::run(options);
}
#endif
