// SPDX-License-Identifier: Apache-2.0
#include "verify/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "verify/in_order.h"
#include "verify/prompts.h"

namespace truekeel::verify {
namespace {

/// Tokens of each answer that is audited.
constexpr unsigned kAnswerTokens = 96;

/// Answers in a row that did not come, after which the audit gives up.
constexpr std::uint64_t kFailuresMost = 6;

/// With a reference to come, the audit may spend this share of time and tokens.
constexpr double kAuditShare = 0.4;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

Server::Limits limits_of(const Settings& settings, Instant now) {
  return {.per_call = std::min<Duration>(std::chrono::seconds(120), settings.time_most),
          .deadline = now + settings.time_most};
}

std::uint64_t tokens_of(const std::string& body) {
  protocol::ResponseReader reader;
  const auto facts = reader.read(body);
  return facts && facts->usage ? facts->usage->prompt_tokens + facts->usage->completion_tokens
                               : kAnswerTokens;
}

AuditReport audit_without(Verdict verdict, std::string summary) {
  AuditReport report;
  report.verdict = verdict;
  report.summary = std::move(summary);
  return report;
}

double mean_of(std::span<const Point> points, double Point::* member) {
  double sum = 0;
  for (const Point& point : points) sum += point.*member;
  return points.empty() ? 0 : sum / static_cast<double>(points.size());
}

std::string comparison_summary(const DifferenceTest& test, const ComparisonCounts& counts, Verdict verdict) {
  const auto all = test.all();
  switch (verdict) {
    case Verdict::bad: {
      const auto view_of = [&](Stratum stratum) { return test.view(stratum); };
      const auto brief = view_of(Stratum::short_prompts), longer = view_of(Stratum::long_prompts);
      const bool is_long = longer.lower > brief.lower;
      return fmt::format(
          "the distributions differ by at least {:.2f} nats a token beyond the servers' own noise, in {}",
          std::max(brief.lower, longer.lower),
          name(is_long ? Stratum::long_prompts : Stratum::short_prompts));
    }
    case Verdict::fine:
      return fmt::format("no difference beyond the tolerance of {:g} nats a token; at most {:.2f}",
                         test.settings().tolerance, std::max(0.0, all.upper));
    default:
      break;
  }
  if (test.too_noisy())
    return "a server differs from itself by more than the tolerance; is it several servers?";
  if (counts.given_up) return "given up: " + counts.trouble;
  return fmt::format("{} contexts are not enough: the difference is between {:.2f} and {:.2f} nats a token",
                     all.contexts, all.lower, all.upper);
}

}  // namespace

/// An answer that was asked for.
struct Verification::Answer {
  const Recipe* recipe = nullptr;
  std::string body;  ///< empty: it did not come
  std::string trouble;
  bool cut = false;  ///< by us
};

Verification::Verification(http::Net& net, Settings settings, Watch watch)
    : net_(net),
      settings_(std::move(settings)),
      watch_(std::move(watch)),
      began_(net.now()),
      budget_{.deadline = began_ + settings_.time_most, .tokens_left = settings_.tokens_most},
      target_(net, settings_.target, limits_of(settings_, began_)) {
  if (settings_.reference) reference_.emplace(net, *settings_.reference, limits_of(settings_, began_));
}

void Verification::stop() {
  budget_.stopped = true;
  target_.cancel();
  if (reference_) reference_->cancel();
}

void Verification::tell(std::string_view phase, double evidence) const {
  watch_({.phase = phase,
          .tokens = budget_.tokens_spent,
          .seconds = seconds(net_.now() - began_),
          .seconds_most = seconds(settings_.time_most),
          .evidence = evidence});
}

http::Task<Report> Verification::run() {
  Report report;
  report.seed = settings_.seed;
  tell("asking the target what it can", 0);
  report.target = co_await ask(target_, settings_.target_hints);
  if (reference_) {
    tell("asking the reference what it can", 0);
    report.reference = co_await ask(*reference_, settings_.reference_hints);
  }
  if (report.target.can) {
    if (settings_.sampler) report.audit = co_await audit(*report.target.can);
    if (reference_ && report.reference->can)
      report.comparison = co_await comparison(*report.target.can, *report.reference->can);
  } else {
    report.audit = audit_without(Verdict::failed, report.target.trouble);
  }
  if (report.reference && report.comparison.verdict == Verdict::not_asked) {
    report.comparison.verdict = Verdict::failed;
    report.comparison.summary = report.target.can ? report.reference->trouble : report.target.trouble;
  }
  report.tokens = budget_.tokens_spent;
  report.seconds = seconds(net_.now() - began_);
  report.interrupted = budget_.stopped;
  co_return report;
}

http::Task<ServerReport> Verification::ask(Server& server, const Hints& hints) {
  ServerReport report{.url = server.access().url, .can = {}, .trouble = {}};
  auto can = co_await probe(server, hints);
  if (can) {
    budget_.spend(can->tokens_spent);
    report.can = std::move(*can);
  } else {
    report.trouble = can.error().message;
  }
  co_return report;
}

http::Task<AuditReport> Verification::audit(const Capabilities& can) {
  if (can.top == 0)
    co_return audit_without(Verdict::undecided,
                            "the server gives no logprobs, so its sampling cannot be seen");
  if (!can.plain)
    co_return audit_without(Verdict::undecided,
                            "the server changes the distribution by default (penalties or further samplers)");
  const double share = reference_ ? kAuditShare : 1;
  const Instant until =
      net_.now() + std::chrono::duration_cast<Duration>((budget_.deadline - net_.now()) * share);
  const auto tokens_least =
      static_cast<std::uint64_t>(static_cast<double>(budget_.tokens_left) * (1 - share));
  const auto mix = recipes(can.engine);
  SamplerAudit audit(can.engine, settings_.audit_error);
  std::vector<RecipeCount> counts;
  for (const Recipe& recipe : mix)
    if (std::ranges::find(counts, recipe.name, &RecipeCount::name) == counts.end())
      counts.push_back({recipe.name, 0});
  std::uint64_t failures = 0;
  std::string trouble;
  const auto more = [&] {
    return !budget_.is_over(net_.now()) && net_.now() < until && budget_.tokens_left > tokens_least &&
           !audit.objects() && !audit.is_enough() && failures < kFailuresMost;
  };
  const auto job = [&](std::uint64_t number) {
    return answer(can, mix[number % mix.size()], short_prompt(settings_.seed, number));
  };
  const auto take = [&](const Answer& answer) {
    if (answer.body.empty()) {
      audit.lose(kAnswerTokens);
    } else if (!audit.add(answer.body, *answer.recipe, kAnswerTokens)) {
      failures += 1;
      trouble = "an answer is no completion in OpenAI's shape";
      return;
    }
    failures = answer.body.empty() && !answer.cut ? failures + 1 : 0;
    if (!answer.body.empty()) ++std::ranges::find(counts, answer.recipe->name, &RecipeCount::name)->answers;
    if (!answer.trouble.empty()) trouble = answer.trouble;
    tell("auditing the sampler", std::clamp(audit.log_e() / audit.log_threshold(), 0.0, 1.0));
  };
  co_await in_order<Answer>(net_, settings_.width, more, job, take);
  AuditReport report = conclude(audit);
  if (report.verdict == Verdict::undecided && failures > 0) report.summary += ": " + trouble;
  report.recipes = std::move(counts);
  co_return report;
}

http::Task<Verification::Answer> Verification::answer(const Capabilities& can, const Recipe& recipe,
                                                      std::string prompt) {
  Answer answer{.recipe = &recipe, .body = {}, .trouble = {}, .cut = false};
  const Ask ask{.prompt = prompt,
                .output_most = kAnswerTokens,
                .temperature = recipe.temperature,
                .top_p = recipe.top_p,
                .audit = true};
  auto reply = co_await target_.post(kChatPath, chat_body(can, ask));
  if (reply && reply->ok()) {
    budget_.spend(tokens_of(reply->body));
    answer.body = std::move(reply->body);
  } else {
    answer.trouble = reply ? reply->complaint() : reply.error().message;
    answer.cut = budget_.is_over(net_.now());
  }
  co_return answer;
}

AuditReport Verification::conclude(const SamplerAudit& audit) const {
  AuditReport report{.verdict = Verdict::undecided,
                     .summary = "too few tokens",
                     .counts = audit.counts(),
                     .log_e = audit.log_e(),
                     .log_threshold = audit.log_threshold(),
                     .lead = {},
                     .lead_rate = 0,
                     .found_tail = audit.found_tail(),
                     .found_top1 = audit.found_top1(),
                     .invariants = audit.invariants(),
                     .recipes = {}};
  if (audit.sampler_objects()) {
    const auto lead = audit.lead();
    report.verdict = Verdict::bad;
    report.lead = evidence::name(lead.alternative);
    report.lead_rate = lead.rate;
    report.summary =
        fmt::format("tokens were not drawn from the distributions reported with them; best explained by '{}'",
                    report.lead);
  } else if (audit.objects()) {
    report.verdict = Verdict::bad;
    report.summary = "answers break what this engine's answers keep";
  } else if (report.found_tail && report.found_top1) {
    report.verdict = Verdict::fine;
    report.summary = "tokens are as if drawn from the distributions reported with them";
  }
  return report;
}

http::Task<ComparisonReport> Verification::comparison(const Capabilities& target,
                                                      const Capabilities& reference) {
  ComparisonReport report;
  report.test = settings_.test;
  report.verdict = Verdict::undecided;
  if (target.top < 2 || reference.top < 2) {
    report.summary =
        fmt::format("the {} gives no logprobs to compare", target.top < 2 ? "target" : "reference");
    co_return report;
  }
  report.reading = reading_for(target, reference);
  DifferenceTest test(settings_.test);
  report.counts =
      co_await compare(net_, {target_, target}, {*reference_, reference},
                       {.test = settings_.test, .seed = settings_.seed, .width = settings_.width}, budget_,
                       test, [&] { tell("comparing with the reference", test.progress()); });
  if (test.differs())
    report.verdict = Verdict::bad;
  else if (test.same())
    report.verdict = Verdict::fine;
  report.summary = comparison_summary(test, report.counts, report.verdict);
  report.all = test.all();
  for (std::size_t i = 0; i < kStrata; ++i) report.strata[i] = test.view(static_cast<Stratum>(i));
  report.points.assign(test.points().begin(), test.points().end());
  report.within_target = mean_of(report.points, &Point::within_target);
  report.within_reference = mean_of(report.points, &Point::within_reference);
  co_return report;
}

}  // namespace truekeel::verify
