// SPDX-License-Identifier: Apache-2.0
#include "verify/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace truekeel::verify {
namespace {

using Json = nlohmann::ordered_json;

Json number_or_null(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

Json to_json(const ServerReport& server) {
  Json json = {{"url", server.url}, {"trouble", server.trouble.empty() ? Json() : Json(server.trouble)}};
  if (!server.can) return json;
  json["model"] = server.can->model;
  json["engine"] = to_string(server.can->engine);
  json["engine_basis"] = server.can->engine_basis;
  json["system_fingerprint"] = server.can->fingerprint;
  json["window"] = server.can->window ? Json(*server.can->window) : Json();
  json["top_logprobs"] = server.can->top;
  Json table = Json::array();
  for (const auto& each : server.can->table)
    table.push_back({{"name", each.name}, {"has", name(each.has)}, {"detail", each.detail}});
  json["capabilities"] = std::move(table);
  return json;
}

Json to_json(const AuditReport& audit) {
  Json invariants = Json::array(), recipes = Json::array();
  for (const auto& each : audit.invariants)
    invariants.push_back({{"name", sentinel::name(each.invariant)},
                          {"kept", each.kept},
                          {"violated", each.violated},
                          {"counts", each.counts}});
  for (const auto& each : audit.recipes) recipes.push_back({{"name", each.name}, {"answers", each.answers}});
  return {{"verdict", name(audit.verdict)},
          {"summary", audit.summary},
          {"answers", audit.counts.answers},
          {"answers_lost", audit.counts.lost_answers},
          {"tokens", audit.counts.tokens},
          {"tokens_lost", audit.counts.lost_tokens},
          {"log_evidence", audit.log_e},
          {"log_threshold", audit.log_threshold},
          {"alternative", audit.lead.empty() ? Json() : Json(audit.lead)},
          {"rate", audit.lead.empty() ? Json() : Json(audit.lead_rate)},
          {"would_have_found",
           {{"tail", number_or_null(audit.found_tail)}, {"top1_excluded", number_or_null(audit.found_top1)}}},
          {"invariants", std::move(invariants)},
          {"sampling", std::move(recipes)}};
}

Json to_json(const DifferenceTest::View& view) {
  return {{"contexts", view.contexts}, {"excess", view.mean}, {"lower", view.lower}, {"upper", view.upper}};
}

Json to_json(const ComparisonReport& comparison) {
  Json points = Json::array(), strata = Json::object();
  for (const auto& point : comparison.points)
    points.push_back({{"stratum", name(point.stratum)},
                      {"tokens", point.tokens},
                      {"between", point.between},
                      {"within_target", point.within_target},
                      {"within_reference", point.within_reference}});
  for (std::size_t i = 0; i < kStrata; ++i)
    strata[std::string(name(static_cast<Stratum>(i)))] = to_json(comparison.strata[i]);
  return {{"verdict", name(comparison.verdict)},
          {"summary", comparison.summary},
          {"reading", name(comparison.reading)},
          {"tolerance", comparison.test.tolerance},
          {"error", comparison.test.error},
          {"miss", comparison.test.miss},
          {"all", to_json(comparison.all)},
          {"strata", std::move(strata)},
          {"within_target", comparison.within_target},
          {"within_reference", comparison.within_reference},
          {"contexts_dropped", comparison.counts.dropped},
          {"trouble", comparison.counts.trouble.empty() ? Json() : Json(comparison.counts.trouble)},
          {"points", std::move(points)}};
}

std::string table_text(std::string_view title, const ServerReport& server) {
  std::string text = fmt::format("{}  {}\n", title, server.url);
  if (!server.can) return text + fmt::format("  {}\n", server.trouble);
  for (const auto& each : server.can->table)
    text += fmt::format("  {:<8}{:<30}{}\n", name(each.has), each.name, each.detail);
  return text;
}

std::string audit_text(const AuditReport& audit) {
  if (audit.verdict == Verdict::not_asked) return "";
  std::string text = fmt::format("sampler     {}: {}\n", name(audit.verdict), audit.summary);
  if (audit.counts.answers == 0) return text;
  text += fmt::format(
      "  {} tokens of {} answers looked at, {} left no usable record; evidence {:.1f} of {:.1f}\n",
      audit.counts.tokens, audit.counts.answers, audit.counts.lost_tokens, std::max(audit.log_e, 0.0),
      audit.log_threshold);
  const auto share = [](const std::optional<double>& found) {
    return found ? fmt::format("in {:g} % of the tokens", *found * 100)
                 : std::string("in 5 % of the tokens not yet");
  };
  text += fmt::format("  would have been found by now: improbable tokens {}; a lost best token {}\n",
                      share(audit.found_tail), share(audit.found_top1));
  for (const auto& each : audit.invariants)
    if (each.violated > 0)
      text += fmt::format("  {} broken in {} of {} answers{}\n", sentinel::name(each.invariant),
                          each.violated, each.kept + each.violated,
                          each.counts ? "" : " (not tested for this engine, so it does not count)");
  return text;
}

std::string comparison_text(const ComparisonReport& comparison) {
  std::string text = fmt::format("reference   {}: {}\n", name(comparison.verdict), comparison.summary);
  if (comparison.points.empty()) return text;
  text += fmt::format("  {:<16}{:>9}{:>9}  {}\n", "", "contexts", "excess", "between (nats a token)");
  const auto line = [&](std::string_view of, const DifferenceTest::View& view) {
    if (view.contexts == 0) return;
    text += fmt::format("  {:<16}{:>9}{:>9.3f}  {:.3f} and {:.3f}\n", of, view.contexts, view.mean,
                        view.lower, view.upper);
  };
  for (std::size_t i = 0; i < kStrata; ++i) line(name(static_cast<Stratum>(i)), comparison.strata[i]);
  line("all", comparison.all);
  text += fmt::format(
      "  tolerance {:g}; the target differs from itself by {:.3f}, the reference by {:.3f}; read by {}\n",
      comparison.test.tolerance, comparison.within_target, comparison.within_reference,
      name(comparison.reading));
  if (comparison.counts.dropped > 0)
    text += fmt::format("  {} contexts could not be compared (the last: {})\n", comparison.counts.dropped,
                        comparison.counts.trouble);
  return text;
}

}  // namespace

std::string_view name(Verdict verdict) {
  constexpr std::array<std::string_view, 5> kNames = {"fine", "bad", "undecided", "failed", "not asked"};
  return kNames[std::to_underlying(verdict)];
}

Verdict Report::verdict() const {
  const std::array verdicts = {audit.verdict, comparison.verdict};
  const auto has = [&](Verdict verdict) { return std::ranges::find(verdicts, verdict) != verdicts.end(); };
  if (has(Verdict::bad)) return Verdict::bad;
  // Who was stopped did not fail.
  if (has(Verdict::failed)) return interrupted ? Verdict::undecided : Verdict::failed;
  return has(Verdict::undecided) ? Verdict::undecided : Verdict::fine;
}

std::string headline(const Report& report) {
  switch (report.verdict()) {
    case Verdict::bad:
      return report.comparison.verdict != Verdict::bad ? "The server does not serve what it says it serves."
             : report.audit.verdict != Verdict::bad
                 ? "The server's distributions are not those of the reference."
                 : "The server does not serve what it says, nor what the reference serves.";
    case Verdict::failed:
      return "A server could not be asked.";
    case Verdict::undecided:
      return report.interrupted ? "Stopped before it could be decided." : "It could not be decided.";
    case Verdict::fine:
    case Verdict::not_asked:
      if (!report.reference) return "The server samples what it reports.";
      return report.audit.verdict == Verdict::fine
                 ? "The server samples what it reports, and serves what the reference serves."
                 : "The server serves what the reference serves.";
  }
  std::unreachable();
}

std::string to_json(const Report& report) {
  const Json json = {{"verdict", name(report.verdict())},
                     {"headline", headline(report)},
                     {"target", to_json(report.target)},
                     {"reference", report.reference ? to_json(*report.reference) : Json()},
                     {"sampler", to_json(report.audit)},
                     {"comparison", report.reference ? to_json(report.comparison) : Json()},
                     {"seed", report.seed},
                     {"tokens", report.tokens},
                     {"seconds", report.seconds},
                     {"interrupted", report.interrupted}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_text(const Report& report) {
  std::string text = headline(report) + "\n\n" + table_text("target    ", report.target);
  if (report.reference) text += "\n" + table_text("reference ", *report.reference);
  text += "\n" + audit_text(report.audit);
  if (report.reference) text += "\n" + comparison_text(report.comparison);
  return text + fmt::format("\n{} tokens in {:.1f} s, seed {}\n", report.tokens, report.seconds, report.seed);
}

}  // namespace truekeel::verify
