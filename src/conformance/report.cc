// SPDX-License-Identifier: Apache-2.0
#include "conformance/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "conformance/json.h"

namespace truekeel::conformance {
namespace {

using Json = nlohmann::ordered_json;

std::string family_of(const Outcome& outcome) { return outcome.name.substr(0, outcome.name.find('/')); }

/// "12.5 % in 10.1..15": an expected share, and the range beyond which another is found.
std::string text_of(const PowerAt& power) {
  const auto percent = [](double share) { return fmt::format("{:.3g}", 100 * share); };
  return fmt::format("{} % in {}..{}", percent(power.share), percent(std::max(power.found.below, 0.0)),
                     percent(std::min(power.found.above, 1.0)));
}

std::string escaped(std::string_view text) {
  std::string xml;
  for (const char c : text) switch (c) {
      case '&':
        xml += "&amp;";
        break;
      case '<':
        xml += "&lt;";
        break;
      case '>':
        xml += "&gt;";
        break;
      case '"':
        xml += "&quot;";
        break;
      default:
        xml += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  return xml;
}

/// A row as JSON, long vocabularies cut in the middle: a person reads it, the JSON report has it whole.
std::string excerpt(const Row& row) {
  constexpr std::size_t kShown = 16;
  if (row.logits.size() <= kShown) return json_of(row).dump();
  Row cut = row;
  cut.logits.resize(kShown);
  Json json = json_of(cut);
  json["logits"].push_back(fmt::format("and {} more", row.logits.size() - kShown));
  return json.dump();
}

void append_failures(std::string& text, const Report& report) {
  for (const Outcome& outcome : report.outcomes) {
    if (outcome.status != Status::failed && outcome.status != Status::undecided) continue;
    text += fmt::format("{} {}\n  law   {}\n  seen  {}\n",
                        outcome.status == Status::failed ? "FAILED" : "UNDECIDED", outcome.name, outcome.law,
                        outcome.seen.what);
    if (outcome.seen.log10_p)
      text += fmt::format("  odds  below 1e{:.0f} if the sampler were right\n", *outcome.seen.log10_p);
    constexpr std::size_t kRowsShown = 4;
    for (std::size_t i = 0; i < std::min(outcome.example.size(), kRowsShown); ++i)
      text += fmt::format("  row {} {}\n", i, excerpt(outcome.example[i]));
    if (outcome.example.size() > kRowsShown)
      text += fmt::format("  and {} rows more\n", outcome.example.size() - kRowsShown);
    text += "\n";
  }
}

void append_observed(std::string& text, const Report& report) {
  if (report.count(Status::observed) == 0) return;
  text += "Left open by the declared semantics:\n";
  for (const Outcome& outcome : report.outcomes)
    if (outcome.status == Status::observed)
      text += fmt::format("  {:32} {}\n", outcome.name, outcome.seen.what);
  text += "\n";
}

void append_families(std::string& text, const Report& report) {
  struct Family {
    std::size_t passed = 0, all = 0;
    std::uint64_t draws = 0;
  };
  std::map<std::string, Family> families;
  for (const Outcome& outcome : report.outcomes) {
    if (outcome.status == Status::observed) continue;
    Family& family = families[family_of(outcome)];
    family.passed += outcome.status == Status::passed;
    ++family.all;
    family.draws += outcome.draws;
  }
  for (const auto& [name, family] : families)
    text += fmt::format("  {:14} {:3} of {:3} checks passed, {} draws\n", name, family.passed, family.all,
                        family.draws);
}

void append_power(std::string& text, const Report& report) {
  text += fmt::format(
      "\nStatistical checks err with probability {:.0e} in all, {:.1e} each. With 99 % they find a share "
      "outside\n"
      "the range given (heaviest cell; lightest cell):\n",
      report.options.alpha, report.alpha_each);
  for (const Outcome& outcome : report.outcomes) {
    if (outcome.seen.power.empty()) continue;
    text += fmt::format("  {:32} {}", outcome.name, text_of(outcome.seen.power.front()));
    if (outcome.seen.power.size() > 1) text += "; " + text_of(outcome.seen.power.back());
    text += "\n";
  }
}

Json json_of(const Outcome& outcome) {
  Json json = {{"name", outcome.name},
               {"law", outcome.law},
               {"status", name_of(outcome.status)},
               {"seen", outcome.seen.what},
               {"draws", outcome.draws}};
  if (outcome.seen.log10_p) json["log10_p_max"] = *outcome.seen.log10_p;
  for (const PowerAt& power : outcome.seen.power) {
    Json one = {{"share", power.share}};
    if (power.found.above <= 1) one["finds_from"] = power.found.above;
    if (power.found.below >= 0) one["finds_up_to"] = power.found.below;
    json["power"].push_back(one);
  }
  for (const Row& row : outcome.example) json["example"].push_back(json_of(row));
  return json;
}

}  // namespace

std::string text_report(const Report& report) {
  std::string text = fmt::format("Conformance of {} {}\n\n", report.semantics.name, report.semantics.version);
  append_failures(text, report);
  append_observed(text, report);
  append_families(text, report);
  if (std::ranges::any_of(report.outcomes,
                          [](const Outcome& outcome) { return !outcome.seen.power.empty(); }))
    append_power(text, report);
  const std::size_t failed = report.count(Status::failed), undecided = report.count(Status::undecided);
  const std::size_t judged = report.outcomes.size() - report.count(Status::observed);
  text += failed > 0 ? fmt::format("Does not conform: {} of {} checks failed.\n", failed, judged)
          : undecided > 0
              ? fmt::format("Undecided: {} of {} checks had no answer in time.\n", undecided, judged)
              : fmt::format("Conforms to its declared semantics in {} checks.\n", judged);
  return text;
}

std::string json_report(const Report& report) {
  Json json = {{"semantics", json_of(report.semantics)},
               {"conforms", report.conforms() && report.count(Status::undecided) == 0},
               {"alpha", report.options.alpha},
               {"alpha_each", report.alpha_each},
               {"draws_each", report.options.draws},
               {"seed", std::to_string(report.options.seed)}};
  for (const Status status : {Status::passed, Status::failed, Status::observed, Status::undecided})
    json[std::string(name_of(status))] = report.count(status);
  json["checks"] = Json::array();
  for (const Outcome& outcome : report.outcomes) json["checks"].push_back(json_of(outcome));
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string junit_report(const Report& report) {
  std::string xml = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"conformance of {}\" tests=\"{}\" "
      "failures=\"{}\" "
      "errors=\"{}\" skipped=\"{}\">\n",
      escaped(report.semantics.name), report.outcomes.size(), report.count(Status::failed),
      report.count(Status::undecided), report.count(Status::observed));
  for (const Outcome& outcome : report.outcomes) {
    xml += fmt::format("  <testcase classname=\"conformance.{}\" name=\"{}\">", escaped(family_of(outcome)),
                       escaped(outcome.name));
    const auto element = [&](const char* name, const std::string& body) {
      xml += fmt::format("<{0} message=\"{1}\">{2}</{0}>", name, escaped(outcome.seen.what), escaped(body));
    };
    std::string example = outcome.law;
    for (const Row& row : outcome.example) example += "\n" + excerpt(row);
    if (outcome.status == Status::failed) element("failure", example);
    if (outcome.status == Status::undecided) element("error", outcome.law);
    if (outcome.status == Status::observed) element("skipped", outcome.law);
    xml += "</testcase>\n";
  }
  return xml + "</testsuite>\n";
}

}  // namespace truekeel::conformance
