// SPDX-License-Identifier: Apache-2.0
// Tokens until the token audit alarms, on synthetic rows in the shape of real text, beside the information
// limit log A / KL of the same rows.
//   delay_bench [RUNS [SEED [A]]]
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <vector>

#include "evidence/calibration.h"
#include "evidence/e_detector.h"
#include "evidence/synthetic_rows.h"

namespace {

using namespace truekeel;
using namespace truekeel::evidence;

constexpr std::uint32_t kVocabulary = 49'152;
constexpr std::size_t kRows = 96, kListed = 20, kWindow = 25;
constexpr std::uint64_t kTokensMax = 2'000'000;

struct Traffic {
  const char* name;
  Sampling sampling;
  bool full;
};

struct Served {
  const char* name;
  Fault fault;
  std::optional<double> temperature;  // served instead of the declared one, on every token
};

struct Setting {
  const Traffic& traffic;
  const Served& served;
  double rate;
  double log_threshold;
};

double divergence(const DrawLaw& truth, const DrawLaw& null) {
  double sum = 0;
  for (std::size_t token = 0; token < kVocabulary; ++token) {
    const double p = truth.probability(token);
    if (p > 0) sum += p * std::log(p / std::max(null.probability(token), 1e-5));
  }
  return sum;
}

class Delays {
 public:
  Delays(const std::vector<SyntheticRow>& rows, const Setting& setting) : rows_(rows), setting_(setting) {
    const auto& conduct = shipped("truekeel")->conduct;
    double sum = 0;
    for (const SyntheticRow& row : rows) {
      declared_.emplace_back(row, setting.traffic.sampling, conduct);
      if (setting.served.temperature)
        served_.emplace_back(row, at_temperature(setting.traffic.sampling, *setting.served.temperature),
                             conduct);
      sum += served_.empty() ? declared_.back().divergence(setting.served.fault, setting.rate, 1e-5)
                             : divergence(served_.back(), declared_.back());
    }
    limit_ = setting.log_threshold / (sum / static_cast<double>(rows.size()));
  }

  [[nodiscard]] double limit() const { return limit_; }

  [[nodiscard]] std::uint64_t once(std::uint64_t seed) const {
    PhiloxStream random(seed);
    const TokenAudit audit;
    const ShippedDialect dialect = *shipped("truekeel");
    Detector detector(audit.bets().log_weights());
    std::vector<float> sums(audit.bets().cells());
    for (std::uint64_t tokens = 0; tokens < kTokensMax;) {
      std::ranges::fill(sums, 0.0f);
      for (std::size_t i = 0; i < kWindow; ++i, ++tokens) {
        const std::size_t row = random.below(rows_.size());
        const bool faulty = random.uniform() < setting_.rate;
        const std::size_t token =
            !served_.empty() ? served_[row].draw(random)
                             : declared_[row].draw(faulty ? setting_.served.fault : Fault::none, random);
        audit.add(rows_[row].record(token, kListed, setting_.traffic.full), setting_.traffic.sampling,
                  dialect.conduct, dialect.audit(), sums);
      }
      if (detector.update(sums, -setting_.log_threshold, static_cast<Tick>(tokens / kWindow))) return tokens;
    }
    return kTokensMax;
  }

 private:
  const std::vector<SyntheticRow>& rows_;
  Setting setting_;
  std::vector<DrawLaw> declared_, served_;
  double limit_ = 0;
};

void report(const std::vector<SyntheticRow>& rows, const Setting& setting, int runs, std::uint64_t seed) {
  const Delays delays(rows, setting);
  std::vector<double> tokens;
  for (int run = 0; run < runs; ++run)
    tokens.push_back(static_cast<double>(delays.once(seed + static_cast<std::uint64_t>(run))));
  std::ranges::sort(tokens);
  const double median = tokens[tokens.size() / 2], late = tokens[tokens.size() * 9 / 10];
  std::printf("%-28s %-20s %5.1f %%  median %9.0f  90 %% %9.0f  limit %9.0f  ratio %.2f\n",
              setting.traffic.name, setting.served.name, 100 * setting.rate, median, late, delays.limit(),
              median / delays.limit());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int runs = argc > 1 ? std::atoi(argv[1]) : 21;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const double threshold = argc > 3 ? std::strtod(argv[3], nullptr) : 1e10;
  PhiloxStream random(seed);
  std::vector<SyntheticRow> rows;
  for (std::size_t i = 0; i < kRows; ++i) rows.push_back(synthetic_row(random, kVocabulary));
  double best = 0, beyond = 0;
  for (const SyntheticRow& row : rows) {
    best += std::exp(static_cast<double>(row.logprob[0])) / kRows;
    double top = 0;
    for (std::size_t i = 0; i < kListed; ++i) top += std::exp(static_cast<double>(row.logprob[i]));
    beyond += (1 - top) / kRows;
  }
  std::printf(
      "A %.0e, seed %llu, %d runs, %zu rows, vocabulary %u, mean top-1 %.2f, mass beyond the top 20 %.2f\n",
      threshold, static_cast<unsigned long long>(seed), runs, kRows, kVocabulary, best, beyond);
  const Traffic traffic[] = {
      {"T .7, k 40, p .9, top 20",
       {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .vocabulary = kVocabulary},
       false},
      {"T 1, full record", {.temperature = 1, .vocabulary = kVocabulary}, true},
      {"T 1, top 20", {.temperature = 1, .vocabulary = kVocabulary}, false},
      {"T 0, top 20", {.temperature = 0, .vocabulary = kVocabulary}, false},
  };
  const Served faults[] = {{"tail, uniform ids", Fault::tail_uniform, {}},
                           {"tail, proportional", Fault::tail_proportional, {}},
                           {"top-1 excluded", Fault::top1_excluded, {}}};
  for (const Traffic& t : traffic)
    for (const Served& served : faults)
      for (const double rate : {0.008, 0.05})
        report(rows, {t, served, rate, std::log(threshold)}, runs, seed);
  report(rows, {traffic[2], {"served at .7", Fault::none, 0.7}, 1, std::log(threshold)}, runs, seed);
  const Traffic cooler{"T .7, top 20", {.temperature = 0.7, .vocabulary = kVocabulary}, false};
  report(rows, {cooler, {"served at 1", Fault::none, 1.0}, 1, std::log(threshold)}, runs, seed);
}
