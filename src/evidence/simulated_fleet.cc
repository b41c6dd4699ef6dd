// SPDX-License-Identifier: Apache-2.0
#include "evidence/simulated_fleet.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <span>

#include "evidence/budget.h"
#include "evidence/ratio_bets.h"

namespace truekeel::evidence {
namespace {

using enum Attribute;

constexpr std::uint32_t kTokensMean = 300;
constexpr std::size_t kWitnesses = 100'000;  // requests that tell slices apart

/// 1 to `count`, each value twice as frequent as the one after the next.
ValueId skewed(PhiloxStream& random, std::uint32_t count) {
  const double u = random.uniform();
  return 1 + std::min(count - 1,
                      static_cast<std::uint32_t>(-2 * std::log2(1 - u * (1 - std::pow(0.5, count / 2.0)))));
}

std::uint32_t poisson(double mean, PhiloxStream& random) {
  std::uint32_t count = 0;
  for (double product = random.uniform(), limit = std::exp(-mean); product > limit;
       product *= random.uniform())
    ++count;
  return count;
}

class Witnesses {
 public:
  Witnesses(const SimulatedFleet& fleet, PhiloxStream& random) {
    for (std::size_t i = 0; i < kWitnesses; ++i) requests_.push_back(fleet.request(random).where);
  }

  [[nodiscard]] std::size_t in(const Slice& a) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(requests_, [&](const auto& r) { return a.holds(r); }));
  }
  [[nodiscard]] std::size_t in_both(const Slice& a, const Slice& b) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(requests_, [&](const auto& r) { return a.holds(r) && b.holds(r); }));
  }
  [[nodiscard]] bool same(const Slice& a, const Slice& b) const {
    return std::ranges::all_of(requests_, [&](const auto& r) { return a.holds(r) == b.holds(r); });
  }

 private:
  std::vector<Coordinates> requests_;
};

/// Slices of one to three attributes with a share of .03 to 25 % of the traffic that overlap little.
std::vector<SliceFault> random_faults(const TrialSettings& settings, const SimulatedFleet& fleet,
                                      const Witnesses& witnesses, PhiloxStream& random) {
  std::vector<SliceFault> faults;
  while (faults.size() < settings.faults) {
    const Coordinates where = fleet.request(random).where;
    const std::size_t depth = 1 + random.below(3);
    std::vector<Slice::Term> terms;
    while (terms.size() < depth) {
      const auto attribute = static_cast<Attribute>(random.below(kAttributes));
      if (std::ranges::none_of(terms, [&](const auto& term) { return term.attribute == attribute; }))
        terms.push_back({attribute, where[attribute]});
    }
    const Slice slice(terms);
    const std::size_t size = witnesses.in(slice);
    const bool fits = size >= kWitnesses * 3 / 10'000 && size <= kWitnesses / 4;
    const bool apart = std::ranges::all_of(faults, [&](const SliceFault& other) {
      return witnesses.in_both(slice, other.slice) * 5 < std::min(size, witnesses.in(other.slice));
    });
    if (!fits || !apart) continue;
    const double spread = std::log(settings.rate_most / settings.rate_least);
    faults.push_back({slice, settings.rate_least * std::exp(spread * random.uniform())});
  }
  return faults;
}

}  // namespace

SimulatedFleet::SimulatedFleet(std::uint32_t endpoints, PhiloxStream& random) {
  for (std::uint32_t i = 1; i <= endpoints; ++i) {
    Coordinates fixed;
    fixed[endpoint] = i;
    fixed[pool] = 1 + i % 4;
    fixed[context_class] = 1 + i % 2;
    fixed[hardware] = skewed(random, 4);
    fixed[version] = skewed(random, 3);
    fixed[fingerprint] = fixed[pool] + 4 * (fixed[hardware] - 1) + 16 * (fixed[version] - 1);
    fixed[reference] = fixed[pool] + 4 * static_cast<ValueId>(random.below(4));
    fixed[process_age] = 1 + static_cast<ValueId>(random.below(4));
    endpoints_.push_back(fixed);
  }
}

SimulatedRequest SimulatedFleet::request(PhiloxStream& random) const {
  SimulatedRequest result{.where = endpoints_[random.below(endpoints_.size())]};
  result.where[batch_size] = skewed(random, 5);
  result.where[prompt_length] = skewed(random, 4) + 4 * (result.where[context_class] - 1);
  result.where[client_version] = skewed(random, 10);
  result.tokens = 1 + static_cast<std::uint32_t>(-std::log(1 - random.uniform()) * kTokensMean);
  return result;
}

Trial run_trial(const TrialSettings& settings, std::uint64_t seed) {
  PhiloxStream random(seed);
  const SimulatedFleet fleet(settings.endpoints, random);
  const Witnesses witnesses(fleet, random);
  Trial trial{.faults = random_faults(settings, fleet, witnesses, random)};
  trial.detected.assign(trial.faults.size(), false);

  // The first alternative bets on the flags of tokens, the second on the noise of answers.
  const RatioBets bets(settings.noise > 0 ? 2 : 1);
  const std::size_t cells = bets.cells();
  const auto factors = [&](double token_ratio, double answer_ratio) {
    std::vector<float> result(cells);
    const std::array ratios = {token_ratio, answer_ratio};
    bets.add(std::span(ratios).first(bets.alternatives()), result);
    return result;
  };
  const auto hit = factors(1 / settings.null_rate, kNeutral), miss = factors(0, kNeutral),
             noisy = factors(kNeutral, settings.noise > 0 ? 1 / settings.noise : kNeutral),
             quiet = factors(kNeutral, 0);
  std::vector<float> sums(cells);
  Lattice lattice(bets.log_weights());
  Attribution attribution(settings.attribution);
  Instant now{};
  FalseAlarmBudget budget({.false_alarms_per_day = settings.false_alarms_per_day}, now);
  const auto window_tokens = static_cast<std::uint64_t>(settings.tokens_per_s / 4);
  std::size_t left = trial.faults.size();
  std::vector<bool> is_named(trial.faults.size(), false);
  std::uint64_t clean = 0;

  for (Tick tick = 1; trial.tokens < settings.tokens_max && left > 0; ++tick) {
    while (lattice.waiting_tokens() < window_tokens) {
      const SimulatedRequest request = fleet.request(random);
      double rate = settings.null_rate;
      for (const SliceFault& fault : trial.faults)
        if (clean >= settings.clean_tokens && fault.slice.holds(request.where)) rate += fault.rate;
      const std::uint32_t flags = std::min(request.tokens, poisson(rate * request.tokens, random));
      const auto& noise = settings.noise > 0 && random.uniform() < settings.noise ? noisy : quiet;
      for (std::size_t cell = 0; cell < cells; ++cell)
        sums[cell] = static_cast<float>(flags) * hit[cell] +
                     static_cast<float>(request.tokens - flags) * miss[cell] +
                     (settings.noise > 0 ? noise[cell] : 0);
      lattice.add(request.where, {.log_factors = sums, .tokens = request.tokens});
    }
    const bool faulty = clean >= settings.clean_tokens;
    (faulty ? trial.tokens : clean) += lattice.waiting_tokens();
    const double log_stake = budget.log_stake();
    const auto alarms = lattice.flush(tick, log_stake, &attribution);
    if (!faulty) trial.false_alarms += alarms.size();
    if (!alarms.empty() && faulty) {
      if (trial.tokens_to_first_alarm == 0) trial.tokens_to_first_alarm = trial.tokens;
      for (std::size_t i = 0; i < trial.faults.size(); ++i)
        for (const Alarm& alarm : alarms)
          if (!trial.detected[i] && witnesses.same(alarm.slice, trial.faults[i].slice))
            trial.detected[i] = true;
      attribution.begin(lattice, alarms, log_stake);
    }
    lattice.reset(alarms);
    if (const auto culprit = attribution.decide(lattice, tick)) {
      if (trial.named.empty()) trial.tokens_to_first_name = trial.tokens;
      int which = -1;
      for (std::size_t i = 0; i < trial.faults.size(); ++i)
        if (witnesses.same(culprit->slice, trial.faults[i].slice)) which = static_cast<int>(i);
      trial.named.push_back(culprit->slice);
      trial.fault_named.push_back(which);
      if (which >= 0 && !is_named[static_cast<std::size_t>(which)]) {
        is_named[static_cast<std::size_t>(which)] = true;
        --left;
      }
    }
    now += std::chrono::milliseconds(250);
    budget.next_window(now, lattice.touched());
    trial.log_threshold = budget.log_threshold();
  }
  trial.nodes = lattice.nodes();
  return trial;
}

}  // namespace truekeel::evidence
