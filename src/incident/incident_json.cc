// SPDX-License-Identifier: Apache-2.0
#include "incident/incident_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace truekeel::incident {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
Duration duration_of(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

template <class T, class Show>
Json or_null(const std::optional<T>& value, Show show) {
  return value ? Json(show(*value)) : Json(nullptr);
}
Json time_json(const std::optional<WallTime>& at) { return or_null(at, rfc3339); }

/// Attributes of a conjunction differ, so that it is an object.
Json traffic_json(const Traffic& traffic) {
  Json json = Json::object();
  for (const auto& term : traffic) json[term.attribute] = term.value;
  return json;
}

Json traffics_json(const std::vector<Traffic>& traffics) {
  Json json = Json::array();
  for (const auto& traffic : traffics) json.push_back(traffic_json(traffic));
  return json;
}

Json finding_json(const Finding& finding) {
  return {{"id", finding.id},
          {"signal", finding.signal},
          {"detector", finding.detector},
          {"log_statistic", finding.log_statistic},
          {"log_threshold", finding.log_threshold},
          {"expected_false_alarms", finding.expected_false_alarms},
          {"observations", finding.observations},
          {"requests", finding.requests},
          {"sessions_at_least", finding.sessions},
          {"traffic", traffic_json(finding.traffic)},
          {"same_traffic", traffics_json(finding.same_traffic)},
          {"convicted", finding.convicted},
          {"log_lead", finding.log_lead},
          {"onset", rfc3339(finding.onset)},
          {"first_seen", rfc3339(finding.first_seen)},
          {"detected", rfc3339(finding.detected)},
          {"attributed", time_json(finding.attributed)},
          {"delay_s", seconds(finding.detected - finding.onset)}};
}

Json times_json(const Times& times) {
  return {{"introduced", time_json(times.introduced)},   {"first_impact", rfc3339(times.first_impact)},
          {"first_signal", rfc3339(times.first_signal)}, {"detected", rfc3339(times.detected)},
          {"attributed", time_json(times.attributed)},   {"action_started", time_json(times.action_started)},
          {"drained", time_json(times.drained)},         {"verified", time_json(times.verified)},
          {"resolved", time_json(times.resolved)}};
}

Json carrier_json(const Carrier& carrier) {
  return {{"endpoint", carrier.endpoint},
          {"drained", time_json(carrier.drained)},
          {"in_flight", carrier.drained ? Json(carrier.in_flight) : Json(nullptr)},
          {"routed_since_drain", carrier.drained ? Json(carrier.routed_since_drain) : Json(nullptr)}};
}

Json share(double part, double whole) { return whole > 0 ? Json(part / whole) : Json(nullptr); }

Json impact_json(const Impact& impact) {
  return {{"since", rfc3339(impact.since)},
          {"requests", impact.requests},
          {"requests_all", impact.requests_all},
          {"requests_share",
           share(static_cast<double>(impact.requests), static_cast<double>(impact.requests_all))},
          {"sessions", impact.sessions},
          {"sessions_all", impact.sessions_all},
          {"sessions_share", share(impact.sessions, impact.sessions_all)},
          {"worst_hour", time_json(impact.worst_hour)},
          {"worst_share", impact.worst_share},
          {"exact", impact.exact}};
}

Json change_json(const Change& change) {
  return {{"number", change.number},
          {"at", rfc3339(change.at)},
          {"kind", change.kind},
          {"summary", change.summary},
          {"author", change.author},
          {"link", change.link},
          {"touches", traffic_json(change.touches)}};
}

Json ranked_json(const RankedChange& item) {
  Json json = change_json(item.change);
  json["score"] = item.score;
  json["closeness"] = item.closeness;
  json["overlap"] = item.overlap;
  json["before_onset_s"] = seconds(item.before_onset);
  return json;
}

Json step_json(const Transition& step) {
  return {{"at", rfc3339(step.at)},
          {"from", or_null(step.from, [](Status status) { return to_string(status); })},
          {"to", to_string(step.to)},
          {"because", step.because}};
}

template <class T, class Show>
Json array_json(const std::vector<T>& items, Show show) {
  Json json = Json::array();
  for (const auto& item : items) json.push_back(show(item));
  return json;
}

Json brief(const Incident& incident) {
  return {{"id", id_of(incident.number)},
          {"number", incident.number},
          {"status", to_string(incident.status)},
          {"headline", headline(incident)},
          {"culprit", traffic_json(incident.traffic)},
          {"convicted", incident.convicted},
          {"times", times_json(incident.times)},
          {"ttd_s", seconds(time_to_detect(incident.times))},
          {"ttr_s", or_null(time_to_recover(incident.times), seconds)}};
}

// Reading. nlohmann's exceptions end in read(), which turns them into an Error.

template <class T>
std::optional<T> optional_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<T>());
}

WallTime time_of(const Json& json) {
  const auto at = time_from_rfc3339(json.get_ref<const std::string&>());
  if (!at) throw std::invalid_argument(at.error().message);
  return *at;
}
std::optional<WallTime> optional_time(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(time_of(json));
}

Status status_of_json(const Json& json) {
  const auto status = status_named(json.get_ref<const std::string&>());
  if (!status) throw std::invalid_argument("unknown status");
  return *status;
}

Traffic traffic_of(const Json& json) {
  Traffic traffic;
  for (const auto& [attribute, value] : json.get_ref<const Json::object_t&>()) {
    traffic.push_back({attribute, value.get<std::string>()});
  }
  return traffic;
}

template <class Read>
auto list_of(const Json& json, Read read) {
  std::vector<decltype(read(json))> items;
  for (const auto& item : json.get_ref<const Json::array_t&>()) items.push_back(read(item));
  return items;
}

Finding finding_of(const Json& json) {
  return {.id = json.at("id"),
          .signal = json.at("signal"),
          .detector = json.at("detector"),
          .log_statistic = json.at("log_statistic"),
          .log_threshold = json.at("log_threshold"),
          .expected_false_alarms = json.at("expected_false_alarms"),
          .observations = json.at("observations"),
          .requests = json.at("requests"),
          .sessions = json.at("sessions_at_least"),
          .traffic = traffic_of(json.at("traffic")),
          .same_traffic = list_of(json.at("same_traffic"), traffic_of),
          .convicted = json.at("convicted"),
          .log_lead = json.at("log_lead"),
          .onset = time_of(json.at("onset")),
          .first_seen = time_of(json.at("first_seen")),
          .detected = time_of(json.at("detected")),
          .attributed = optional_time(json.at("attributed"))};
}

Times times_of(const Json& json) {
  return {.introduced = optional_time(json.at("introduced")),
          .first_impact = time_of(json.at("first_impact")),
          .first_signal = time_of(json.at("first_signal")),
          .detected = time_of(json.at("detected")),
          .attributed = optional_time(json.at("attributed")),
          .action_started = optional_time(json.at("action_started")),
          .drained = optional_time(json.at("drained")),
          .verified = optional_time(json.at("verified")),
          .resolved = optional_time(json.at("resolved"))};
}

Carrier carrier_of(const Json& json) {
  return {.endpoint = json.at("endpoint"),
          .drained = optional_time(json.at("drained")),
          .in_flight = optional_of<std::uint32_t>(json.at("in_flight")).value_or(0),
          .routed_since_drain = optional_of<std::uint64_t>(json.at("routed_since_drain")).value_or(0)};
}

Impact impact_of(const Json& json) {
  return {.since = time_of(json.at("since")),
          .requests = json.at("requests"),
          .requests_all = json.at("requests_all"),
          .sessions = json.at("sessions"),
          .sessions_all = json.at("sessions_all"),
          .worst_hour = optional_time(json.at("worst_hour")),
          .worst_share = json.at("worst_share"),
          .exact = json.at("exact")};
}

Change change_of(const Json& json) {
  return {.number = json.at("number"),
          .at = time_of(json.at("at")),
          .kind = json.at("kind"),
          .summary = json.at("summary"),
          .author = json.at("author"),
          .link = json.at("link"),
          .touches = traffic_of(json.at("touches"))};
}

RankedChange ranked_of(const Json& json) {
  return {.change = change_of(json),
          .score = json.at("score"),
          .closeness = json.at("closeness"),
          .overlap = json.at("overlap"),
          .before_onset = duration_of(json.at("before_onset_s"))};
}

Transition step_of(const Json& json) {
  const auto& from = json.at("from");
  return {.at = time_of(json.at("at")),
          .from = from.is_null() ? std::nullopt : std::optional(status_of_json(from)),
          .to = status_of_json(json.at("to")),
          .because = json.at("because")};
}

SignalNote note_of(const Json& json) {
  return {.signal = json.at("signal"), .looked = json.at("looked"), .said = json.at("said")};
}

Incident incident_of(const Json& json) {
  const auto& impact = json.at("impact");
  return {.number = json.at("number"),
          .status = status_of_json(json.at("status")),
          .traffic = traffic_of(json.at("culprit")),
          .same_traffic = list_of(json.at("same_traffic"), traffic_of),
          .convicted = json.at("convicted"),
          .times = times_of(json.at("times")),
          .findings = list_of(json.at("findings"), finding_of),
          .findings_left_out = json.at("findings_left_out"),
          .last_finding = time_of(json.at("last_finding")),
          .carriers = list_of(json.at("carriers"), carrier_of),
          .released = optional_time(json.at("released")),
          .impact = impact.is_null() ? std::nullopt : std::optional(impact_of(impact)),
          .changes = list_of(json.at("changes"), ranked_of),
          .related = json.at("related").get<std::vector<std::uint64_t>>(),
          .joined = optional_of<std::uint64_t>(json.at("joined")),
          .resolution = json.at("resolution"),
          .history = list_of(json.at("history"), step_of)};
}

RequestRecord record_of(const Json& json) {
  return {.id = json.at("id"),
          .at = time_of(json.at("at")),
          .operation = json.at("operation"),
          .model = json.at("model"),
          .context_class = json.at("class"),
          .pool = json.at("pool"),
          .endpoint = json.at("endpoint"),
          .fingerprint = json.at("fingerprint"),
          .counted = json.at("counted"),
          .status = json.at("status"),
          .end = json.at("end"),
          .duration_ms = json.at("duration_ms"),
          .input_tokens = optional_of<std::uint64_t>(json.at("input_tokens")),
          .output_tokens = json.at("output_tokens"),
          .signals = list_of(json.at("signals"), note_of)};
}

Brief brief_of(const Json& json) {
  return {.id = json.at("id"),
          .status = json.at("status"),
          .detected = json.at("times").at("detected"),
          .headline = json.at("headline")};
}

template <class Read>
auto read(std::string_view text, Read parse) -> Result<decltype(parse(Json()))> {
  try {
    return parse(Json::parse(text));
  } catch (const std::exception& error) {
    return fail(ErrorCode::invalid_argument, error.what());
  }
}

}  // namespace

std::string to_json_brief(const Incident& incident) { return text_of(brief(incident)); }

std::string to_json(const Incident& incident) {
  Json json = brief(incident);
  json["same_traffic"] = traffics_json(incident.same_traffic);
  json["findings"] = array_json(incident.findings, finding_json);
  json["findings_left_out"] = incident.findings_left_out;
  json["last_finding"] = rfc3339(incident.last_finding);
  json["carriers"] = array_json(incident.carriers, carrier_json);
  json["released"] = time_json(incident.released);
  json["impact"] = or_null(incident.impact, impact_json);
  json["changes"] = array_json(incident.changes, ranked_json);
  json["related"] = incident.related;
  json["joined"] = or_null(incident.joined, [](std::uint64_t number) { return number; });
  json["resolution"] = incident.resolution;
  json["history"] = array_json(incident.history, step_json);
  return text_of(json);
}

std::string to_json(const Change& change) { return text_of(change_json(change)); }

std::string to_json(const RequestRecord& record) {
  return text_of({{"id", record.id},
                  {"at", rfc3339(record.at)},
                  {"operation", record.operation},
                  {"model", record.model},
                  {"class", record.context_class},
                  {"pool", record.pool},
                  {"endpoint", record.endpoint},
                  {"fingerprint", record.fingerprint},
                  {"counted", record.counted},
                  {"status", record.status},
                  {"end", record.end},
                  {"duration_ms", record.duration_ms},
                  {"input_tokens", or_null(record.input_tokens, [](std::uint64_t tokens) { return tokens; })},
                  {"output_tokens", record.output_tokens},
                  {"signals", array_json(record.signals, [](const SignalNote& note) {
                     return Json{{"signal", note.signal}, {"looked", note.looked}, {"said", note.said}};
                   })}});
}

Result<Incident> incident_from_json(std::string_view text) { return read(text, incident_of); }
Result<Change> change_from_json(std::string_view text) { return read(text, change_of); }
Result<std::vector<Brief>> briefs_from_json(std::string_view text) {
  return read(text, [](const Json& json) { return list_of(json.at("incidents"), brief_of); });
}
Result<std::vector<Change>> changes_from_json(std::string_view text) {
  return read(text, [](const Json& json) { return list_of(json.at("changes"), change_of); });
}
Result<RequestRecord> request_record_from_json(std::string_view text) { return read(text, record_of); }

}  // namespace truekeel::incident
