// SPDX-License-Identifier: Apache-2.0
// Clean positions of a real model, and what each fault would have emitted there: rows for recorded_bench. A
// row holds no token and no text. Requests are written whole, so that a recording can be interrupted.
//   fault_rows_bench MODEL FILE TOKENS [SEED]
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/llama_engine.h"
#include "evidence/recording.h"
#include "worker/fault.h"
#include "worker/top_tokens.h"

namespace {

using namespace truekeel;
using namespace truekeel::worker;
using evidence::recording::Position;

constexpr std::uint32_t kSlots = 8, kWindow = 512;
constexpr std::array<const char*, evidence::recording::kFaults> kFaultTexts = {
    "tail:1,ids=uniform", "tail:1,ids=proportional", "tail:1,ids=script", "top1:1"};
constexpr std::array<const char*, 10> kTasks = {"Explain {} to a child.",
                                                "Write three facts about {}.",
                                                "Tell a short story about {}.",
                                                "What should a beginner know about {}?",
                                                "Write a poem about {}.",
                                                "Give an opinion on {} with two reasons.",
                                                "Write a Python function that has to do with {}.",
                                                "Ask me three questions about {}.",
                                                "Summarise the history of {}.",
                                                "Write a friendly e-mail about {}."};
constexpr std::array<const char*, 12> kTopics = {"ships",  "the moon", "bread",  "chess",
                                                 "rivers", "bees",     "trains", "music",
                                                 "winter", "maps",     "clocks", "gardens"};
/// Served conduct of requests, in turn.
std::array<Sampling, 4> served_samplings() {
  return {Sampling{.temperature = 1}, Sampling{.temperature = 0.7f, .top_k = 40, .top_p = 0.9},
          Sampling{.temperature = 0.7f}, Sampling{.temperature = 0}};
}

/// The laws of one row: what its request draws, and what faults draw.
class RowLaw {
 public:
  /// without_top: the choice when the best token is lost; nothing where none is left.
  RowLaw(std::span<const float> row, double normaliser, double temperature, const select::Choice& choice,
         const std::optional<select::Choice>& without_top, std::span<const Token> script)
      : raw_(row.size()), null_(row.size()), top1_(row.size()), script_(row.size()) {
    const auto best = static_cast<std::size_t>(std::ranges::max_element(row) - row.begin());
    const auto kept = likeliest(row, choice.kept_count);
    const double weight = static_cast<double>(choice.kept_weight) * 0x1p-44;
    for (std::size_t id = 0; id < row.size(); ++id) {
      raw_[id] = std::exp(static_cast<double>(row[id]) - normaliser);
      if (raw_[id] < kTailProbability) tail_mass_ += raw_[id], ++tail_;
      if (temperature > 0 && row[id] >= kept)
        null_[id] = std::exp(static_cast<double>(row[id] - row[best]) / temperature) / weight;
    }
    if (temperature == 0) null_[best] = 1;
    for (const auto token : script) {
      script_[static_cast<std::size_t>(token)] = raw_[static_cast<std::size_t>(token)] < kTailProbability;
      script_tokens_ += script_[static_cast<std::size_t>(token)];
    }
    if (without_top) lose_top(row, best, temperature, *without_top);
  }

  /// Kullback-Leibler divergence of "this share of positions is faulty" from a null that may, within the
  /// audit's tolerance, hold a little of the fault already.
  [[nodiscard]] double divergence(std::size_t fault, double rate) const {
    constexpr double kTolerance = 1e-5;
    double sum = 0, untouched = 0, beyond = 0;
    for (std::size_t id = 0; id < raw_.size(); ++id) {
      const double null = null_[id], other = law(fault, id);
      if (other == 0) {
        untouched += null;
      } else if (null == 0) {
        beyond += other;
      } else {
        const double mixed = (1 - rate) * null + rate * other;
        sum += mixed * std::log(mixed / (null + kTolerance * other));
      }
    }
    return sum + (1 - rate) * untouched * std::log(1 - rate) + rate * beyond * std::log(rate / kTolerance);
  }

 private:
  [[nodiscard]] double law(std::size_t fault, std::size_t id) const {
    if (fault == 3) return top1_[id];
    if (raw_[id] >= kTailProbability) return 0;
    if (fault == 0) return 1 / tail_;
    if (fault == 1) return raw_[id] / tail_mass_;
    return script_[id] / script_tokens_;
  }
  void lose_top(std::span<const float> row, std::size_t best, double temperature,
                const select::Choice& other) {
    if (temperature == 0) {
      top1_[other.id] = 1;
      return;
    }
    const auto kept = likeliest(row, other.kept_count + 1);
    double sum = 0;
    for (std::size_t id = 0; id < row.size(); ++id) {
      if (id == best || row[id] < kept) continue;
      top1_[id] = std::exp(static_cast<double>(row[id] - row[best]) / temperature);
      sum += top1_[id];
    }
    for (auto& each : top1_) each /= sum;
  }
  /// The logit of the last of so many likeliest tokens.
  static float likeliest(std::span<const float> row, std::size_t count) {
    if (count >= row.size()) return -std::numeric_limits<float>::infinity();
    std::vector<float> sorted(row.begin(), row.end());
    std::ranges::nth_element(sorted, sorted.begin() + static_cast<std::ptrdiff_t>(count - 1),
                             std::greater<>());
    return sorted[count - 1];
  }

  std::vector<double> raw_, null_, top1_, script_;
  double tail_ = 0, tail_mass_ = 0, script_tokens_ = 0;
};

class Recorder {
 public:
  Recorder(engine::Engine& engine, std::uint64_t seed)
      : engine_(engine),
        selector_(static_cast<std::uint32_t>(engine.vocabulary().size()), {}),
        random_(seed) {
    for (const auto* text : kFaultTexts) {
      auto& fault = faults_.emplace_back(std::make_unique<FaultInjector>(engine.vocabulary()));
      const auto parsed = parse_fault(text);
      if (!parsed || !fault->set({*parsed})) std::abort();
    }
    for (std::size_t id = 0; id < engine.vocabulary().size(); ++id) {
      const auto token = static_cast<Token>(id);
      if (engine.vocabulary().is_text(token) && is_far_script(engine.vocabulary().piece(token)))
        script_.push_back(token);
    }
  }

  /// Some requests at once, to their ends; each is written when all are there.
  std::uint64_t round(std::FILE* file) {
    std::vector<Running> running(kSlots);
    for (engine::Slot slot = 0; slot < kSlots; ++slot) begin(slot, running[slot]);
    std::vector<engine::SlotToken> step;
    while (true) {
      step.clear();
      for (engine::Slot slot = 0; slot < kSlots; ++slot)
        if (!running[slot].ended) step.push_back({slot, running[slot].next});
      if (step.empty()) break;
      if (!engine_.decode(step)) std::abort();
      // The questions of a step differ; one after the other keeps this simple.
      for (std::size_t i = 0; i < step.size(); ++i) take(engine_.row(i), running[step[i].slot]);
    }
    std::uint64_t tokens = 0;
    for (engine::Slot slot = 0; slot < kSlots; ++slot) {
      engine_.release(slot);
      tokens += running[slot].answer.positions.size();
      evidence::recording::write(file, running[slot].answer);
    }
    std::fflush(file);
    return tokens;
  }

 private:
  struct Running {
    Sampling served;
    evidence::recording::Answer answer;
    std::uint32_t tokens_most = 0;
    Token next = 0;
    bool ended = false;
  };

  void begin(engine::Slot slot, Running& running) {
    const auto samplings = served_samplings();
    running.served = samplings[requests_++ % samplings.size()];
    running.served.seed = random_.next();
    running.answer.sampling = {.temperature = running.served.temperature,
                               .top_k = running.served.top_k,
                               .top_p = running.served.top_p,
                               .vocabulary = static_cast<std::uint32_t>(engine_.vocabulary().size())};
    running.tokens_most = static_cast<std::uint32_t>(64 + random_.below(128));
    const auto text = fmt::format(fmt::runtime(kTasks[random_.below(kTasks.size())]),
                                  kTopics[random_.below(kTopics.size())]);
    const std::array messages = {engine::Message{"user", text}};
    const auto prompt = engine_.vocabulary().render(messages);
    std::vector<Token> tokens;
    engine_.vocabulary().tokenize(prompt.value(), engine::kPrompt, tokens);
    const auto ubatch = engine_.info().numerics.ubatch;
    for (std::span<const Token> rest = tokens; !rest.empty();) {
      const auto piece = rest.first(std::min<std::size_t>(ubatch, rest.size()));
      if (!engine_.prefill(slot, piece, piece.size() == rest.size() ? 1 : 0)) std::abort();
      rest = rest.subspan(piece.size());
    }
    take(engine_.row(0), running);
  }

  void take(std::span<const float> row, Running& running) {
    const auto& served = running.served;
    const auto position = static_cast<std::uint32_t>(running.answer.positions.size());
    const Question question{
        .params = {.temperature = served.temperature, .top_k = served.top_k, .top_p = served.top_p},
        .draw = select::Draw::at(served.seed, position),
        .full = true};
    selector_.select(row, {&question, 1});
    const auto choice = *selector_.outcome(0);
    running.answer.positions.push_back(describe(row, question, choice, running));
    running.next = static_cast<Token>(choice.id);
    running.ended =
        engine_.vocabulary().is_end(running.next) || running.answer.positions.size() >= running.tokens_most;
  }

  Position describe(std::span<const float> row, const Question& question, const select::Choice& choice,
                    Running& running) {
    const auto full = selector_.full(0);
    Position position;
    const auto top = top_tokens(row, full.normaliser, evidence::recording::kListed);
    for (std::size_t i = 0; i < top.size(); ++i) position.top[i] = static_cast<float>(top[i].logprob);
    position.logprob = static_cast<float>(full.logprob);
    position.rank = choice.rank;
    for (std::size_t i = 0; i < 3; ++i) position.mass_below[i] = static_cast<float>(full.tail_mass[i]);
    position.kept_weight = static_cast<float>(static_cast<double>(choice.kept_weight) * 0x1p-44);
    position.draw_fits = 1;
    const auto logprob = [&](std::uint32_t id) {
      return static_cast<float>(static_cast<double>(row[id]) - full.normaliser);
    };
    const RowLaw law(row, full.normaliser, question.params.temperature, choice, without_top(row, question),
                     script_);
    for (std::size_t i = 0; i < faults_.size(); ++i) {
      const auto at = static_cast<std::uint32_t>(running.answer.positions.size());
      const auto other =
          faults_[i]->emitted(selector_, 0, question, {.seed = running.served.seed, .position = at});
      auto& faulty = position.faulty[i];
      faulty.logprob = logprob(other.id);
      faulty.rank = other.rank;
      for (std::size_t r = 0; r < evidence::recording::kRates.size(); ++r)
        faulty.divergence[r] = static_cast<float>(law.divergence(i, evidence::recording::kRates[r]));
    }
    for (std::size_t i = 0; question.params.temperature > 0 && i < evidence::recording::kRedraws; ++i) {
      const auto again = *selector_.again(0, question.params, {random_.next()});
      running.answer.redraws.push_back({logprob(again.id), again.rank});
    }
    return position;
  }

  std::optional<select::Choice> without_top(std::span<const float> row, const Question& question) {
    const auto best = static_cast<std::size_t>(std::ranges::max_element(row) - row.begin());
    std::vector<std::uint64_t> allowed((row.size() + 63) / 64, ~0ull);
    allowed[best / 64] &= ~(1ull << best % 64);
    auto params = question.params;
    params.allowed = allowed;
    const auto other = selector_.again(0, params, question.draw);
    return other ? std::optional(*other) : std::nullopt;
  }

  engine::Engine& engine_;
  Selector selector_;
  PhiloxStream random_;
  std::vector<std::unique_ptr<FaultInjector>> faults_;
  std::vector<Token> script_;
  std::uint64_t requests_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: fault_rows_bench MODEL FILE TOKENS [SEED]\n");
    return 2;
  }
  engine::LlamaOptions options;
  options.model_path = argv[1];
  options.ctx = kWindow;
  options.slots = kSlots;
  options.threads = 1;
  const auto engine = engine::make_llama_engine(options);
  std::FILE* file = std::fopen(argv[2], "ab");
  if (!engine || file == nullptr) {
    fmt::print(stderr, "fault_rows_bench: {}\n",
               engine ? "the file cannot be written" : engine.error().message);
    return 4;
  }
  Recorder recorder(**engine, argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 1);
  const auto wanted = std::strtoull(argv[3], nullptr, 10);
  for (std::uint64_t tokens = 0; tokens < wanted;) tokens += recorder.round(file);
  std::fclose(file);
  return 0;
}
