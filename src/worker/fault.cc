// SPDX-License-Identifier: Apache-2.0
#include "worker/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "base/assert.h"
#include "select/key.h"
#include "worker/top_tokens.h"

namespace truekeel::worker {
namespace {

constexpr std::array<std::string_view, 3> kIdsNames = {"uniform", "proportional", "script"};

/// Draws of faults are no draws of answers: choices of a request are few.
constexpr std::uint32_t kFaultStreams = 1u << 31;

std::unexpected<Error> bad_fault(std::string_view text, std::string_view why) {
  return fail(ErrorCode::invalid_argument,
              fmt::format("fault '{}': {}; write tail:RATE[,ids=uniform|proportional|script] or "
                          "top1:RATE[,batch>=N], with a RATE above 0 and at most 1",
                          text, why));
}

template <class Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// Reads one option of a fault; says what is wrong with it, or nothing.
std::string_view read_option(std::string_view option, Fault& fault) {
  if (fault.kind == Fault::Kind::tail && option.starts_with("ids=")) {
    const auto found = std::ranges::find(kIdsNames, option.substr(4));
    if (found == kIdsNames.end()) return "no such ids";
    fault.ids = static_cast<Fault::Ids>(found - kIdsNames.begin());
    return {};
  }
  if (fault.kind == Fault::Kind::top1 && option.starts_with("batch>=")) {
    const auto least = number_of<std::uint32_t>(option.substr(7));
    if (!least || *least == 0) return "the batch must be a number above 0";
    fault.batch_least = *least;
    return {};
  }
  return "no such option";
}

/// One character from the front of valid UTF-8; nothing, and one byte less, where it is not whole.
std::optional<char32_t> take_character(std::string_view& bytes) {
  const auto lead = static_cast<unsigned char>(bytes.front());
  const std::size_t size = lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 0;
  char32_t character = size == 1 ? lead : lead & (0x7fu >> size);
  bool whole = size > 0 && size <= bytes.size();
  for (std::size_t i = 1; whole && i < size; ++i) {
    const auto next = static_cast<unsigned char>(bytes[i]);
    whole = (next & 0xc0) == 0x80;
    character = character << 6 | (next & 0x3f);
  }
  bytes.remove_prefix(whole ? size : 1);
  return whole ? std::optional(character) : std::nullopt;
}

double log_sum_exp(std::span<const float> row) {
  const double top = *std::ranges::max_element(row);
  double sum = 0;
  for (const float logit : row) sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum);
}

/// Draws a token of the tail by `weight(id)`, which is 0 for those that shall not come.
template <class Weight>
std::optional<Token> draw(std::span<const float> row, PhiloxStream& random, Weight weight) {
  const double edge = log_sum_exp(row) + std::log(kTailProbability);
  double total = 0;
  for (std::size_t id = 0; id < row.size(); ++id)
    if (static_cast<double>(row[id]) < edge) total += weight(id);
  if (!(total > 0)) return std::nullopt;
  double rest = random.uniform() * total;
  std::optional<Token> last;
  for (std::size_t id = 0; id < row.size(); ++id) {
    if (static_cast<double>(row[id]) >= edge || weight(id) <= 0) continue;
    last = static_cast<Token>(id);
    rest -= weight(id);
    if (rest < 0) break;
  }
  return last;
}

/// The token that is drawn when the most probable one is lost.
std::optional<Token> without_top(Selector& selector, std::size_t index, const Question& question) {
  auto params = question.params;
  params.temperature = 0;
  const auto top = selector.again(index, params, question.draw);
  if (!top) return std::nullopt;
  const auto vocabulary = selector.row(index).size();
  std::vector<std::uint64_t> allowed((vocabulary + 63) / 64, ~0ull);
  allowed[top->id / 64] &= ~(1ull << top->id % 64);
  params = question.params;
  params.allowed = allowed;
  const auto other = selector.again(index, params, question.draw);
  return other ? std::optional(static_cast<Token>(other->id)) : std::nullopt;
}

}  // namespace

Result<Fault> parse_fault(std::string_view text) {
  Fault fault;
  const auto colon = text.find(':');
  const auto kind = text.substr(0, colon);
  if (colon == std::string_view::npos || (kind != "tail" && kind != "top1"))
    return bad_fault(text, "no such fault");
  fault.kind = kind == "tail" ? Fault::Kind::tail : Fault::Kind::top1;
  auto rest = text.substr(colon + 1);
  const auto comma = std::min(rest.find(','), rest.size());
  const auto rate = number_of<double>(rest.substr(0, comma));
  if (!rate || !(*rate > 0 && *rate <= 1)) return bad_fault(text, "no such rate");
  fault.rate = *rate;
  rest.remove_prefix(comma);
  if (rest.empty()) return fault;
  if (const auto why = read_option(rest.substr(1), fault); !why.empty()) return bad_fault(text, why);
  return fault;
}

std::string to_string(const Fault& fault) {
  if (fault.kind == Fault::Kind::tail)
    return fmt::format("tail:{},ids={}", fault.rate, kIdsNames[std::to_underlying(fault.ids)]);
  return fault.batch_least > 1 ? fmt::format("top1:{},batch>={}", fault.rate, fault.batch_least)
                               : fmt::format("top1:{}", fault.rate);
}

bool is_far_script(std::string_view bytes) {
  constexpr std::array<std::pair<char32_t, char32_t>, 4> kScripts = {{
      {0x0e00, 0x0e7f},  // Thai
      {0x3040, 0x30ff},  // Kana
      {0x3400, 0x9fff},  // Han
      {0xac00, 0xd7a3},  // Hangul
  }};
  while (!bytes.empty()) {
    const auto character = take_character(bytes);
    if (character && std::ranges::any_of(kScripts, [&](const auto& script) {
          return *character >= script.first && *character <= script.second;
        }))
      return true;
  }
  return false;
}

Result<void> FaultInjector::set(std::vector<Fault> faults) {
  std::vector<Token> tokens;
  if (std::ranges::any_of(faults, [](const Fault& fault) { return fault.ids == Fault::Ids::script; })) {
    for (std::size_t id = 0; id < vocabulary_.size(); ++id) {
      const auto token = static_cast<Token>(id);
      if (vocabulary_.is_text(token) && is_far_script(vocabulary_.piece(token))) tokens.push_back(token);
    }
    if (tokens.empty())
      return fail(ErrorCode::invalid_argument,
                  "the model's vocabulary has no token of Thai, Han, Kana or Hangul; use other ids");
  }
  const std::lock_guard lock(mutex_);
  faults_ = std::move(faults);
  script_tokens_ = std::move(tokens);
  counts_ = {};
  return {};
}

std::vector<Fault> FaultInjector::faults() const {
  const std::lock_guard lock(mutex_);
  return faults_;
}

FaultCounts FaultInjector::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

select::Choice FaultInjector::emitted(Selector& selector, std::size_t index, const Question& question,
                                      Place place) {
  const auto chosen = *selector.outcome(index);
  const std::lock_guard lock(mutex_);
  ++counts_.tokens;
  PhiloxStream random(philox_bits(place.seed, place.position, place.stream | kFaultStreams));
  auto token = static_cast<Token>(chosen.id);
  for (const auto& fault : faults_) {
    if (random.uniform() >= fault.rate || selector.rows() < fault.batch_least) continue;
    const auto other = fault.kind == Fault::Kind::top1 ? without_top(selector, index, question)
                                                       : tail_token(fault, selector.row(index), random);
    token = other.value_or(token);
  }
  if (token == static_cast<Token>(chosen.id)) return chosen;
  ++counts_.replaced;
  counts_.answers_harmed += place.harmed ? 0 : 1;
  if (!counts_.first_replaced)
    counts_.first_replaced =
        std::chrono::time_point_cast<WallTime::duration>(std::chrono::system_clock::now());
  return restated(chosen, selector.row(index), question.params, token);
}

std::optional<Token> FaultInjector::tail_token(const Fault& fault, std::span<const float> row,
                                               PhiloxStream& random) const {
  if (fault.ids == Fault::Ids::script)
    return draw(row, random, [this](std::size_t id) {
      return std::ranges::binary_search(script_tokens_, static_cast<Token>(id)) ? 1.0 : 0.0;
    });
  if (fault.ids == Fault::Ids::uniform) return draw(row, random, [](std::size_t) { return 1.0; });
  const double top = *std::ranges::max_element(row);
  return draw(row, random, [&](std::size_t id) { return std::exp(static_cast<double>(row[id]) - top); });
}

select::Choice restated(select::Choice choice, std::span<const float> row, const select::Params& params,
                        Token token) {
  std::vector<float> edited(row.begin(), row.end());
  for (const auto& entry : params.bias) edited[entry.id] += entry.bias;
  for (const auto& entry : params.counts) {
    if (entry.counted == 0) continue;
    edited[entry.id] -= static_cast<float>(entry.counted) * params.frequency + params.presence;
  }
  choice.id = static_cast<std::uint32_t>(token);
  choice.rank = rank_of(edited, token);
  choice.key_margin = select::key_of(*std::ranges::max_element(edited)) - select::key_of(edited[choice.id]);
  return choice;
}

select::FullRecord restated(select::FullRecord record, std::span<const float> row, Token token) {
  const double logit = row[static_cast<std::size_t>(token)];
  record.logprob = logit - record.normaliser;
  record.top_margin = static_cast<double>(row[record.top_id]) - logit;
  return record;
}

}  // namespace truekeel::worker
