// SPDX-License-Identifier: Apache-2.0
#include "verify/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <expected>
#include <utility>

#include "protocol/json.h"
#include "protocol/response_facts.h"
#include "verify/in_order.h"
#include "verify/prompts.h"

namespace truekeel::verify {
namespace {

/// Dropped contexts in a row after which more would only cost.
constexpr std::uint64_t kDroppedMost = 8;

/// Words of the long prompts, in turn, as far as the windows allow.
constexpr std::array<std::size_t, 3> kLongWords = {600, 1000, 1800};
/// Tokens that a word of them can have at most, and what question and template add.
constexpr std::size_t kTokensAWord = 3, kTokensBeside = 96;
/// Long prompts come once some short ones have, and take at most this share of the time, so that slow servers
/// get both kinds.
constexpr std::uint64_t kShortFirst = 4;
constexpr double kLongShare = 0.5;

/// Words of a text that is scored as it stands.
constexpr std::size_t kScoredWords = 22;

struct Context {
  Stratum stratum;
  std::string text;   ///< the prompt
  std::string given;  ///< what is scored behind it; empty: the answer's first token is looked at
};

struct Read {
  Rows rows;
  std::uint64_t prompt_tokens = 0;
};

struct Outcome {
  std::expected<Point, std::string> point;
  bool stopped = false;  ///< cut by the budget or by the user, which says nothing of the servers
};

class Comparison {
 public:
  Comparison(http::Net& net, Side target, Side reference, const ComparisonSettings& settings, Budget& budget,
             DifferenceTest& test)
      : net_(net),
        sides_{target, reference},
        settings_(settings),
        budget_(budget),
        test_(test),
        reading_(reading_for(target.can, reference.can)),
        keep_(std::max(2u, std::min(target.can.top, reference.can.top) - 1)),
        began_(net.now()) {}

  http::Task<ComparisonCounts> run(const std::function<void()>& progress) {
    const auto more = [this] {
      return !budget_.is_over(net_.now()) && !test_.differs() && !is_settled() && !counts_.given_up;
    };
    const auto take = [&](Outcome outcome) {
      if (outcome.stopped) return;
      if (outcome.point) {
        test_.add(*outcome.point);
        in_a_row_ = 0;
      } else {
        ++counts_.dropped;
        counts_.trouble = outcome.point.error();
        counts_.given_up = ++in_a_row_ >= kDroppedMost;
      }
      progress();
    };
    co_await in_order<Outcome>(
        net_, settings_.width, more, [this](std::uint64_t number) { return read(number); }, take);
    co_return counts_;
  }

 private:
  /// The same, and so for long prompts, unless there is no room for any.
  [[nodiscard]] bool is_settled() const {
    constexpr std::size_t kLongLeast = 3;
    return test_.same() && (long_words() == 0 || test_.view(Stratum::long_prompts).contexts >= kLongLeast);
  }

  [[nodiscard]] std::size_t long_words() const {
    std::size_t words = kLongWords[longs_ % kLongWords.size()];
    for (const Side& side : sides_)
      if (side.can.window)
        words = std::min<std::size_t>(
            words, *side.can.window > kTokensBeside ? (*side.can.window - kTokensBeside) / kTokensAWord : 0);
    constexpr std::size_t kLeast = 200;
    return words < kLeast ? 0 : words;
  }

  Context next() {
    const auto elapsed = net_.now() - began_;
    const bool is_long =
        begun_ >= kShortFirst && long_words() > 0 &&
        std::chrono::duration<double>(long_time_) < kLongShare * std::chrono::duration<double>(elapsed) &&
        longs_under_way_ == 0;
    const std::uint64_t number = begun_++;
    Context context{
        .stratum = is_long ? Stratum::long_prompts : Stratum::short_prompts, .text = {}, .given = {}};
    if (reading_ == Reading::one_token) {
      context.text =
          is_long ? long_prompt(settings_.seed, number, long_words()) : short_prompt(settings_.seed, number);
    } else {
      context.text = is_long ? prose(settings_.seed, number, long_words() - kScoredWords) : "Report.\n";
      context.given = prose(settings_.seed + 1, number, kScoredWords);
    }
    if (is_long) ++longs_, ++longs_under_way_;
    return context;
  }

  http::Task<Outcome> read(std::uint64_t) {
    const Context context = next();
    const Instant began = net_.now();
    Outcome outcome = co_await read_twice(context);
    if (context.stratum == Stratum::long_prompts) {
      --longs_under_way_;
      long_time_ += net_.now() - began;
    }
    co_return outcome;
  }

  /// On each server as it comes, and once more with what the server kept of it: another path through the same
  /// arithmetic wherever there is one, which shows how much of a difference means nothing.
  http::Task<Outcome> read_twice(const Context& context) {
    std::array<std::array<Read, 2>, 2> reads;  // [side][turn]
    for (const bool again : {false, true}) {
      for (std::size_t side = 0; side < sides_.size(); ++side) {
        auto result = co_await read_once(sides_[side], context, again);
        if (!result) {
          const bool stopped = result.error().code == ErrorCode::cancelled || budget_.is_over(net_.now());
          co_return Outcome{std::unexpected(fmt::format("{}: {}", side == 0 ? "target" : "reference",
                                                        result.error().message)),
                            stopped};
        }
        reads[side][again ? 1 : 0] = std::move(*result);
      }
    }
    co_return Outcome{point_of(context, reads)};
  }

  [[nodiscard]] std::expected<Point, std::string> point_of(
      const Context& context, const std::array<std::array<Read, 2>, 2>& reads) const {
    const auto first = distance(reads[0][0].rows, reads[1][0].rows, keep_);
    const auto second = distance(reads[0][1].rows, reads[1][1].rows, keep_);
    const auto target = distance(reads[0][0].rows, reads[0][1].rows, keep_);
    const auto reference = distance(reads[1][0].rows, reads[1][1].rows, keep_);
    if (!first || !second || !target || !reference)
      return std::unexpected(fmt::format("{} positions on the target, {} on the reference",
                                         reads[0][0].rows.size(), reads[1][0].rows.size()));
    return Point{.stratum = context.stratum,
                 .tokens = reads[0][0].prompt_tokens,
                 .between = (*first + *second) / 2,
                 .within_target = *target,
                 .within_reference = *reference};
  }

  http::Task<Result<Read>> read_once(const Side& side, const Context& context, bool again) {
    const auto reply = co_await side.server.post(path(), body(side.can, context, again));
    if (!reply) co_return std::unexpected(reply.error());
    if (!reply->ok()) co_return fail(ErrorCode::unavailable, reply->complaint());
    constexpr std::array kRowsIn = {protocol::RowsIn::score, protocol::RowsIn::prompt_logprobs,
                                    protocol::RowsIn::chat};
    protocol::ListedTokenReader reader;
    auto rows = reader.read(reply->body, kRowsIn[std::to_underlying(reading_)]);
    if (!rows) co_return std::unexpected(rows.error());
    if (rows->empty()) co_return fail(ErrorCode::invalid_argument, "the answer has no logprobs");
    protocol::ResponseReader facts_reader;
    const auto facts = facts_reader.read(reply->body);
    const auto usage = facts ? facts->usage : std::nullopt;
    const std::uint64_t tokens =
        usage ? usage->prompt_tokens + usage->completion_tokens : context.text.size() / 4 + 1;
    budget_.spend(tokens);
    co_return Read{std::move(*rows), usage ? usage->prompt_tokens : 0};
  }

  [[nodiscard]] const char* path() const {
    return reading_ == Reading::score             ? "/v1/score"
           : reading_ == Reading::prompt_logprobs ? "/v1/completions"
                                                  : kChatPath;
  }

  [[nodiscard]] std::string body(const Capabilities& can, const Context& context, bool again) const {
    const std::string model = protocol::quoted(can.model);
    switch (reading_) {
      case Reading::score:
        return fmt::format(R"({{"model":{},"prompt":{},"continuation":{},"top_logprobs":{}}})", model,
                           protocol::quoted(context.text), protocol::quoted(context.given), can.top);
      case Reading::prompt_logprobs:
        return fmt::format(
            R"({{"model":{},"prompt":{},"max_tokens":1,"temperature":1,"prompt_logprobs":{}}})", model,
            protocol::quoted(context.text + context.given), can.top);
      case Reading::one_token:
        return chat_body(can, {.prompt = context.text, .output_most = 1, .reuse = again});
    }
    std::unreachable();
  }

  http::Net& net_;
  const std::array<Side, 2> sides_;
  const ComparisonSettings settings_;
  Budget& budget_;
  DifferenceTest& test_;
  const Reading reading_;
  const std::size_t keep_;
  const Instant began_;
  ComparisonCounts counts_;
  std::uint64_t begun_ = 0, longs_ = 0, longs_under_way_ = 0, in_a_row_ = 0;
  Duration long_time_{};
};

}  // namespace

std::string_view name(Reading reading) {
  constexpr std::array<std::string_view, 3> kNames = {"score", "prompt_logprobs", "one_token"};
  return kNames[std::to_underlying(reading)];
}

Reading reading_for(const Capabilities& target, const Capabilities& reference) {
  if (target.score && reference.score) return Reading::score;
  if (target.prompt_logprobs && reference.prompt_logprobs) return Reading::prompt_logprobs;
  return Reading::one_token;
}

http::Task<ComparisonCounts> compare(http::Net& net, Side target, Side reference,
                                     const ComparisonSettings& settings, Budget& budget, DifferenceTest& test,
                                     const std::function<void()>& progress) {
  Comparison comparison(net, target, reference, settings, budget, test);
  co_return co_await comparison.run(progress);
}

}  // namespace truekeel::verify
