// SPDX-License-Identifier: Apache-2.0
#include "cli/incidents_text.h"

#include <fmt/format.h>

#include <cmath>

#include "incident/incident_json.h"

namespace truekeel::cli {
namespace {

using incident::describe;
using incident::rfc3339;

void add_time(std::string& text, const char* name, const std::optional<WallTime>& at, const char* note = "") {
  text += fmt::format("  {:<15} {}{}\n", name, at ? rfc3339(*at) : "not yet", at ? note : "");
}

std::string finding_text(const incident::Finding& finding) {
  return fmt::format(
      "  {} at {}: {}\n    log statistic {:.1f} over {:.1f}, after {} observations of {} requests and at "
      "least {} sessions; {:.2g} false alarms were to be expected so far\n",
      finding.signal, rfc3339(finding.detected), finding.detector, finding.log_statistic,
      finding.log_threshold, finding.observations, finding.requests, finding.sessions,
      finding.expected_false_alarms);
}

std::string impact_text(const incident::Impact& impact) {
  if (impact.requests_all == 0) return "  no request was counted in that time\n";
  const char* most = impact.exact ? "" : "at most ";
  auto text =
      fmt::format("  {}{} of {} requests since {} ({:.2g} %)\n", most, impact.requests, impact.requests_all,
                  rfc3339(impact.since),
                  100.0 * static_cast<double>(impact.requests) / static_cast<double>(impact.requests_all));
  if (impact.sessions_all > 0) {
    text += fmt::format("  {}about {:.0f} of {:.0f} sessions ({:.2g} %)\n", most, impact.sessions,
                        impact.sessions_all, 100 * impact.sessions / impact.sessions_all);
  }
  if (impact.worst_hour) {
    text += fmt::format("  worst hour: {}, {:.2g} % of its requests\n", rfc3339(*impact.worst_hour),
                        100 * impact.worst_share);
  }
  return text;
}

std::string carrier_text(const incident::Carrier& carrier) {
  if (!carrier.drained) return fmt::format("  {}: serves\n", carrier.endpoint);
  return fmt::format("  {}: drained since {}, {} requests still running, {} routed there since\n",
                     carrier.endpoint, rfc3339(*carrier.drained), carrier.in_flight,
                     carrier.routed_since_drain);
}

std::string ranked_text(const incident::RankedChange& item) {
  const bool before = item.before_onset >= Duration::zero();
  return fmt::format("  {} ({} {} the onset, score {:.2f})\n", change_line(item.change),
                     duration_text(before ? item.before_onset : -item.before_onset),
                     before ? "before" : "after", item.score);
}

template <class Items, class Show>
void add_list(std::string& text, const char* title, const Items& items, Show show) {
  if (items.empty()) return;
  text += fmt::format("{}\n", title);
  for (const auto& item : items) text += show(item);
}

}  // namespace

std::string duration_text(Duration duration) {
  const auto total = std::llround(std::chrono::duration<double>(duration).count());
  if (total < 60) return fmt::format("{} s", total);
  if (total < 3600) return fmt::format("{} min {} s", total / 60, total % 60);
  return fmt::format("{} h {} min", total / 3600, total % 3600 / 60);
}

std::string incident_text(const incident::Incident& incident) {
  const auto& times = incident.times;
  auto text = fmt::format("{}\n\n{}: {}. Culprit: {}{}.\n", incident::headline(incident),
                          incident::id_of(incident.number), incident::to_string(incident.status),
                          describe(incident.traffic), incident.convicted ? "" : " (suspected)");
  for (const auto& other : incident.same_traffic)
    text += fmt::format("  the same traffic: {}\n", describe(other));
  text += fmt::format("Detected {} after its first impact (estimated)", duration_text(time_to_detect(times)));
  const auto recovery = time_to_recover(times);
  text += recovery ? fmt::format("; proven well {} after it.\n", duration_text(*recovery)) : ".\n";
  text += "\nTimes\n";
  if (times.introduced) add_time(text, "introduced", times.introduced, " (the likeliest change)");
  add_time(text, "first impact", times.first_impact, " (estimated)");
  add_time(text, "first signal", times.first_signal);
  add_time(text, "detected", times.detected);
  add_time(text, "attributed", times.attributed);
  add_time(text, "action started", times.action_started);
  add_time(text, "drained", times.drained);
  add_time(text, "verified", times.verified);
  if (times.resolved) add_time(text, "resolved", times.resolved);
  if (incident.impact) text += "\nAffected\n" + impact_text(*incident.impact);
  add_list(text, "\nServers", incident.carriers, carrier_text);
  add_list(text, "\nEvidence", incident.findings, finding_text);
  add_list(text, "\nChanges near the onset, likeliest first", incident.changes, ranked_text);
  add_list(text, "\nHistory", incident.history, [](const incident::Transition& step) {
    return fmt::format("  {} {}: {}\n", rfc3339(step.at), incident::to_string(step.to), step.because);
  });
  if (!incident.resolution.empty()) text += fmt::format("\nClosed because: {}\n", incident.resolution);
  return text;
}

std::string change_line(const incident::Change& change) {
  auto line = fmt::format("{} {}: {} [{}]", rfc3339(change.at), change.kind, change.summary,
                          describe(change.touches));
  if (!change.author.empty()) line += " by " + change.author;
  if (!change.link.empty()) line += " " + change.link;
  return line;
}

std::string request_text(const incident::RequestRecord& record) {
  std::string text;
  if (record.endpoint.empty()) {
    text = fmt::format("Request {} went to no server: it ended as '{}' with status {}.\n", record.id,
                       record.end, record.status);
  } else {
    text = fmt::format("Request {} was answered by server {} of pool {}, which runs {}.\n", record.id,
                       record.endpoint, record.pool,
                       record.fingerprint.empty() ? "an unknown fingerprint" : record.fingerprint);
  }
  text += fmt::format(
      "\n  ended     {}, {} with status {} after {} ms\n  model     {}\n  class     {} (prompt length: {})\n",
      rfc3339(record.at), record.end, record.status, record.duration_ms, record.model,
      record.context_class.empty() ? "none" : record.context_class,
      record.counted.empty() ? "not needed" : record.counted);
  text += fmt::format("  tokens    {} in, {} out\n",
                      record.input_tokens ? fmt::format("{}", *record.input_tokens) : "unknown",
                      record.output_tokens);
  if (record.signals.empty()) {
    text += fmt::format("  signals   {}\n",
                        record.endpoint.empty() ? "none: it went to no server" : "not recorded");
  }
  for (const auto& note : record.signals) {
    text += fmt::format("  {:<9} {}: {}\n", note.signal, note.looked ? "looked" : "did not look", note.said);
  }
  return text;
}

}  // namespace truekeel::cli
