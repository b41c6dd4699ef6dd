// SPDX-License-Identifier: Apache-2.0
// The token audit on recorded answers of a real model. Prints one JSON object a line.
//   recorded_bench clean SEED FILE...              each token of real servers once; one recording a server
//   recorded_bench redrawn SEED FILE...            each redrawn token of fault_rows_bench once
//   recorded_bench delay RUNS SEED LOG_A FILE...   tokens to the alarm, on rows of fault_rows_bench
// Clean tokens go through the lattice at the product's own thresholds. None is played twice: what was rare
// and came by chance would come again and again, and be evidence of nothing but that.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/philox.h"
#include "evidence/budget.h"
#include "evidence/calibration.h"
#include "evidence/lattice.h"
#include "evidence/recording.h"
#include "evidence/token_audit.h"

namespace {

using namespace truekeel;
using namespace truekeel::evidence;
using recording::Answer;
using recording::Position;

constexpr std::uint32_t kVocabulary = 49'152;
constexpr std::size_t kStreams = 32;
constexpr Duration kWindow = std::chrono::milliseconds(250);

std::vector<Answer> load(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) {
    fmt::print(stderr, "recorded_bench: {} cannot be read\n", path);
    std::exit(4);
  }
  auto answers = recording::read(file, kVocabulary);
  std::fclose(file);
  std::erase_if(answers, [](const Answer& answer) { return answer.positions.empty(); });
  return answers;
}

/// Clean tokens, each played once.
class Clean {
 public:
  struct Part {
    const Answer* answer;
    std::size_t redraw;  ///< kRedraws: the tokens that were drawn
  };

  Clean(const TokenAudit& audit, std::span<char* const> files, bool redrawn) : audit_(audit) {
    for (const char* file : files) recordings_.push_back(load(file));
    for (std::size_t server = 0; server < recordings_.size(); ++server) {
      for (auto& answer : recordings_[server]) {
        if (!redrawn) answer.server = static_cast<std::uint32_t>(server);
        if (!redrawn) add({&answer, recording::kRedraws});
        for (std::size_t i = 0; redrawn && !answer.redraws.empty() && i < recording::kRedraws; ++i)
          add({&answer, i});
      }
    }
  }

  [[nodiscard]] std::uint64_t tokens() const { return tokens_; }
  [[nodiscard]] std::uint64_t misfits() const { return misfits_; }
  [[nodiscard]] std::uint64_t kind(std::size_t i) const { return tokens_of_kind_[i]; }

  struct Result {
    std::uint64_t updates = 0, alarms = 0;
    double promised = 0, log_threshold = 0, log_m_most = 0;
  };
  /// log_a = 0: the product's own thresholds.
  Result play(std::uint64_t seed, double log_a) {
    PhiloxStream random(seed);
    auto parts = parts_;
    for (std::size_t i = parts.size(); i > 1; --i) std::swap(parts[i - 1], parts[random.below(i)]);
    Instant now{};
    FalseAlarmBudget budget({}, now);
    Lattice lattice(audit_.bets().log_weights());
    std::vector<Stream> streams(kStreams);
    Result result;
    for (Tick tick = 1;; ++tick) {
      std::size_t played = 0;
      for (Stream& stream : streams) played += advance(stream, parts, random, lattice);
      if (played == 0) break;
      const double log_stake = log_a > 0 ? -log_a : budget.log_stake();
      const auto alarms = lattice.flush(tick, log_stake);
      if (tick % 64 == 0) {
        lattice.each([&](NodeId node) {
          result.log_m_most = std::max(result.log_m_most, lattice.log_evidence(node) - log_stake);
        });
      }
      lattice.reset(alarms);
      result.alarms += alarms.size();
      result.updates += lattice.touched();
      now += kWindow;
      budget.next_window(now, lattice.touched());
    }
    result.log_threshold = log_a > 0 ? log_a : budget.log_threshold();
    result.promised = log_a > 0 ? static_cast<double>(result.updates) * std::exp(-log_a) : budget.spent();
    return result;
  }

 private:
  struct Stream {
    Part part = {};
    std::size_t at = 0;
    std::uint64_t session = 0;
    Coordinates where;
  };

  void add(Part part) {
    parts_.push_back(part);
    tokens_ += part.answer->positions.size();
    tokens_of_kind_.at(part.answer->kind) += part.answer->positions.size();
    for (const Position& position : part.answer->positions) misfits_ += position.draw_fits != 1;
  }

  static void begin(Stream& stream, Part part, PhiloxStream& random) {
    const auto server = static_cast<ValueId>(part.redraw == recording::kRedraws ? part.answer->server + 1
                                                                                : 1 + random.below(4));
    stream = {.part = part, .session = random.next(), .where = {}};
    auto& where = stream.where;
    where[Attribute::endpoint] = where[Attribute::fingerprint] = server;
    where[Attribute::hardware] = 1 + server % 2;
    where[Attribute::version] = 1 + server / 2 % 2;
    where[Attribute::pool] = where[Attribute::context_class] = 1;
    where[Attribute::batch_size] = static_cast<ValueId>(1 + random.below(3));
    where[Attribute::prompt_length] = part.answer->kind + 1;
    where[Attribute::client_version] = static_cast<ValueId>(1 + random.below(3));
  }

  /// A few tokens of a running answer, or of the next one; 0 when there is none left.
  std::size_t advance(Stream& stream, std::vector<Part>& left, PhiloxStream& random, Lattice& lattice) {
    const bool begins = stream.part.answer == nullptr || stream.at == stream.part.answer->positions.size();
    if (begins) {
      if (left.empty()) return 0;
      begin(stream, left.back(), random);
      left.pop_back();
    }
    const Answer& answer = *stream.part.answer;
    const auto count = std::min<std::size_t>(answer.positions.size() - stream.at, 6 + random.below(8));
    sums_.assign(audit_.bets().cells(), 0.0f);
    for (std::size_t i = 0; i < count; ++i) add_factors(answer, stream.part.redraw, stream.at++);
    lattice.add(stream.where, {.log_factors = sums_,
                               .tokens = static_cast<std::uint32_t>(count),
                               .begins = begins,
                               .client = stream.session,
                               .session = stream.session});
    return count;
  }

  void add_factors(const Answer& answer, std::size_t redraw, std::size_t at) {
    auto record = recording::record(answer.positions[at], true);
    if (redraw < recording::kRedraws) {
      const auto& again = answer.redraws[at * recording::kRedraws + redraw];
      record.logprob = again.logprob;
      record.rank = again.rank;
    }
    audit_.add(record, answer.sampling, dialect_.conduct, dialect_.audit(), sums_);
  }

  const TokenAudit& audit_;
  const ShippedDialect dialect_ = *shipped("truekeel");
  std::vector<std::vector<Answer>> recordings_;
  std::vector<Part> parts_;
  std::vector<float> sums_;
  std::array<std::uint64_t, 8> tokens_of_kind_ = {};
  std::uint64_t tokens_ = 0, misfits_ = 0;
};

int clean(bool redrawn, std::uint64_t seed, std::span<char* const> files) {
  const TokenAudit audit;
  Clean tokens(audit, files, redrawn);
  std::string kinds;
  for (std::size_t i = 0; i < 6; ++i) kinds += fmt::format("{}{}", i > 0 ? "," : "", tokens.kind(i));
  fmt::print("{{\"tokens\":{},\"kinds\":[{}],\"draws_that_do_not_fit\":{}}}\n", tokens.tokens(), kinds,
             tokens.misfits());
  for (const double a : {0.0, 1e4, 1e6}) {
    const auto result = tokens.play(seed, a > 0 ? std::log(a) : 0);
    fmt::print(
        "{{\"a\":{},\"updates\":{},\"alarms\":{},\"promised\":{:.3g},\"log_threshold\":{:.2f},"
        "\"log_m_most\":{:.2f}}}\n",
        a > 0 ? fmt::format("{:.0f}", a) : "null", result.updates, result.alarms, result.promised,
        result.log_threshold, result.log_m_most);
    std::fflush(stdout);
  }
  return 0;
}

/// Traffic as declared, and where its rows come from.
struct Traffic {
  const char* name;
  double served;        ///< temperature of the recorded answers
  std::uint32_t top_k;  ///< their top-k
  double declared;      ///< what the audit believes
  bool full;
};

class Delays {
 public:
  Delays(const TokenAudit& audit, std::span<const Answer> answers, const Traffic& traffic)
      : audit_(audit), traffic_(traffic) {
    for (const Answer& answer : answers) {
      if (std::abs(*answer.sampling.temperature - traffic.served) > 1e-3 ||
          answer.sampling.top_k != traffic.top_k)
        continue;
      answers_.push_back(&answer);
      rows_ += answer.positions.size();
    }
  }

  [[nodiscard]] std::size_t rows() const { return rows_; }

  /// Tokens to the alarm; `fault` of recording::kFaults: none.
  [[nodiscard]] std::uint64_t once(std::size_t fault, double rate, double log_a, std::uint64_t seed) const {
    constexpr std::uint64_t kTokensMost = 1'000'000;
    constexpr std::size_t kWindowTokens = 25;
    PhiloxStream random(seed);
    Detector detector(audit_.bets().log_weights());
    std::vector<float> sums(audit_.bets().cells());
    std::uint64_t tokens = 0;
    while (tokens < kTokensMost) {
      const Answer& answer = *answers_[random.below(answers_.size())];
      for (std::size_t at = 0; at < answer.positions.size(); ++at) {
        const bool faulty = fault < recording::kFaults && random.uniform() < rate;
        add_token(answer, at, faulty ? fault : recording::kFaults, random, sums);
        if (++tokens % kWindowTokens != 0) continue;
        if (detector.update(sums, -log_a, static_cast<Tick>(tokens / kWindowTokens))) return tokens;
        std::ranges::fill(sums, 0.0f);
      }
    }
    return kTokensMost;
  }

  /// log A / KL: what no test on these rows can beat on average.
  [[nodiscard]] double limit(std::size_t fault, std::size_t rate, double log_a) const {
    double sum = 0;
    for (const Answer* answer : answers_)
      for (const Position& position : answer->positions)
        sum += static_cast<double>(position.faulty[fault].divergence[rate]);
    return log_a * static_cast<double>(rows_) / sum;
  }

 private:
  void add_token(const Answer& answer, std::size_t at, std::size_t fault, PhiloxStream& random,
                 std::span<float> sums) const {
    auto record = recording::record(answer.positions[at], traffic_.full);
    if (fault < recording::kFaults) {
      record.logprob = answer.positions[at].faulty[fault].logprob;
      record.rank = answer.positions[at].faulty[fault].rank;
    } else if (!answer.redraws.empty()) {
      const auto& again = answer.redraws[at * recording::kRedraws + random.below(recording::kRedraws)];
      record.logprob = again.logprob;
      record.rank = again.rank;
    }
    auto sampling = answer.sampling;
    if (traffic_.declared != traffic_.served) sampling.temperature = traffic_.declared;
    audit_.add(record, sampling, dialect_.conduct, dialect_.audit(), sums);
  }

  const TokenAudit& audit_;
  const Traffic& traffic_;
  const ShippedDialect dialect_ = *shipped("truekeel");
  std::vector<const Answer*> answers_;
  std::size_t rows_ = 0;
};

void report(const Delays& delays, const Traffic& traffic, std::size_t fault, std::size_t rate_index,
            double log_a, int runs, std::uint64_t seed) {
  const double rate = fault < recording::kFaults ? recording::kRates[rate_index] : 1;
  constexpr std::array<const char*, 5> kNames = {"tail, uniform ids", "tail, proportional",
                                                 "tail, other scripts", "top-1 excluded",
                                                 "another temperature"};
  std::vector<std::uint64_t> tokens;
  for (int run = 0; run < runs; ++run)
    tokens.push_back(delays.once(fault, rate, log_a, seed + static_cast<std::uint64_t>(run)));
  std::ranges::sort(tokens);
  const auto limit =
      fault < recording::kFaults ? fmt::format("{:.0f}", delays.limit(fault, rate_index, log_a)) : "null";
  fmt::print(
      R"({{"traffic":"{}","fault":"{}","rate":{},"median":{},"p90":{},"limit":{},"runs":{},"rows":{}}})"
      "\n",
      traffic.name, kNames[fault], rate, tokens[tokens.size() / 2], tokens[tokens.size() * 9 / 10], limit,
      runs, delays.rows());
  std::fflush(stdout);
}

int delay(int runs, std::uint64_t seed, double log_a, std::span<char* const> files) {
  constexpr std::array<Traffic, 6> kTraffic = {{{"T .7, k 40, p .9, full record", 0.7, 40, 0.7, true},
                                                {"T .7, k 40, p .9, top 20", 0.7, 40, 0.7, false},
                                                {"T 1, full record", 1, 0, 1, true},
                                                {"T 1, top 20", 1, 0, 1, false},
                                                {"T 0, top 20", 0, 0, 0, false},
                                                {"served .7, declared 1, top 20", 0.7, 0, 1, false}}};
  const TokenAudit audit;
  std::vector<Answer> answers;
  for (const char* file : files)
    for (auto& answer : load(file)) answers.push_back(std::move(answer));
  for (const Traffic& traffic : kTraffic) {
    const Delays delays(audit, answers, traffic);
    if (delays.rows() == 0) continue;
    if (traffic.declared != traffic.served) {
      report(delays, traffic, recording::kFaults, 0, log_a, runs, seed);
      continue;
    }
    for (std::size_t fault = 0; fault < recording::kFaults; ++fault)
      for (std::size_t rate = 0; rate < recording::kRates.size(); ++rate)
        report(delays, traffic, fault, rate, log_a, runs, seed);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::span arguments(argv, static_cast<std::size_t>(argc));
  const std::string_view what = argc > 1 ? argv[1] : "";
  if (argc >= 4 && (what == "clean" || what == "redrawn"))
    return clean(what == "redrawn", std::strtoull(argv[2], nullptr, 10), arguments.subspan(3));
  if (argc >= 6 && what == "delay")
    return delay(std::atoi(argv[2]), std::strtoull(argv[3], nullptr, 10), std::strtod(argv[4], nullptr),
                 arguments.subspan(5));
  fmt::print(stderr, "usage: recorded_bench clean|redrawn SEED FILE... | delay RUNS SEED LOG_A FILE...\n");
  return 2;
}
