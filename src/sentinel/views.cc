// SPDX-License-Identifier: Apache-2.0
// What the sentinel shows: slices, signals, coverage, metrics. Names from the configuration and numbers.
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "incident/incident_json.h"
#include "sentinel/sentinel.h"

namespace truekeel::sentinel {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kSlicesShown = 200;
constexpr const char* kTemperatureUnknown =
    "NOT AUDITED: requests state no temperature, and the server does not tell which it uses then; state it "
    "in "
    "the configuration under the model's defaults: {temperature, top_p, top_k, min_p}";

std::string text_of(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

Json rounded(double value) {
  return std::isfinite(value) ? Json(std::round(value * 1000) / 1000) : Json(nullptr);
}

/// "endpoint=s1, version=v2"
std::string name_of(const Signal& signal, const evidence::Slice& slice) {
  std::string text;
  for (const auto& [attribute, value] : signal.shown(slice))
    text += (text.empty() ? "" : ", ") + attribute + "=" + value;
  return text.empty() ? "all traffic" : text;
}

Json slice_json(const Signal& signal, const Auditor& auditor, evidence::NodeId node, double log_threshold) {
  const auto& about = signal.lattice().info(node);
  Json where = Json::object();
  for (const auto& [attribute, value] : signal.shown(about.slice)) where[attribute] = value;
  const auto levels = signal.lattice().log_sr(node);
  const std::size_t cell = evidence::leading_cell(levels, signal.lattice().log_weights());
  const double log_m = signal.lattice().log_evidence(node) + log_threshold;
  const auto peeled = signal.lattice().peeled();
  return {{"signal", signal.name()},
          {"slice", std::move(where)},
          {"log_m", rounded(std::max(log_m, 0.0))},
          {"detector", signal.detector(cell)},
          {"onset", incident::rfc3339(auditor.onset_of(signal, signal.lattice().onset(node, cell)))},
          {"items", about.items},
          {"answers", about.answers},
          {"tokens", about.tokens},
          {"culprit", std::ranges::find(peeled, about.slice) != peeled.end()}};
}

Json tolerance_json(const evidence::Tolerance& tolerance) {
  constexpr std::array<const char*, 3> kBasis = {"construction", "measured", "assumed"};
  return {{"value", tolerance.value},
          {"basis", kBasis[static_cast<std::size_t>(tolerance.basis)]},
          {"samples", tolerance.samples},
          {"confidence", tolerance.confidence > 0 ? Json(tolerance.confidence) : Json(nullptr)}};
}

/// {"0.1%": minutes, ...}; null where nothing grows.
Json forecast(const std::optional<Growth>& growth, double log_threshold, std::size_t cells,
              double per_minute) {
  constexpr std::array<const char*, 3> kNames = {"0.1%", "0.8%", "5%"};
  Json json = Json::object();
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const auto minutes =
        growth ? minutes_to_detect((*growth)[i], log_threshold, cells, per_minute) : std::nullopt;
    json[kNames[i]] = minutes ? rounded(*minutes) : Json(nullptr);
  }
  return json;
}

Growth invariant_growth() {
  Growth result{};
  for (std::size_t i = 0; i < result.size(); ++i)
    result[i] = growth(kForecastRates[i], 1 / kInvariantRate, kInvariantRate);
  return result;
}

}  // namespace

/// The inside of the sentinel, as views need it. Requires: its mutex is held.
class Views {
 public:
  explicit Views(Sentinel& sentinel) : sentinel_(sentinel), auditor_(sentinel.auditor_) {}

  [[nodiscard]] Json slices() const {
    const double log_threshold = auditor_.budget().log_threshold();
    std::vector<std::pair<double, Json>> shown;
    for (const Signal* signal : {&auditor_.audit(), &auditor_.invariants()}) {
      std::vector<std::pair<float, evidence::NodeId>> found;
      signal->lattice().each([&](evidence::NodeId node) {
        if (!signal->lattice().may_be_shown(node)) return;
        // Single attributes are always shown; of the others those with most evidence.
        const bool shallow = signal->lattice().info(node).slice.depth() <= 1;
        found.emplace_back((shallow ? 1e9f : 0) + *std::ranges::max_element(signal->lattice().log_sr(node)),
                           node);
      });
      const auto count = std::min(found.size(), kSlicesShown);
      std::ranges::partial_sort(found, found.begin() + static_cast<std::ptrdiff_t>(count), std::greater<>());
      for (std::size_t i = 0; i < count; ++i) {
        Json json = slice_json(*signal, auditor_, found[i].second, log_threshold);
        const double log_m = json["log_m"].is_null() ? 0 : json["log_m"].get<double>();
        shown.emplace_back(log_m, std::move(json));
      }
    }
    std::ranges::sort(shown, std::greater<>(), &std::pair<double, Json>::first);
    Json list = Json::array();
    for (auto& [log_m, json] : shown) list.push_back(std::move(json));
    return {{"log_threshold", rounded(log_threshold)}, {"slices", std::move(list)}};
  }

  [[nodiscard]] Json signals() const {
    const auto& budget = auditor_.budget();
    Json json = {{"false_alarms_per_day", sentinel_.config_->evidence.false_alarms_per_day},
                 {"expected_false_alarms_so_far", budget.spent()},
                 {"log_threshold", rounded(budget.log_threshold())},
                 {"alarms", auditor_.alarms()},
                 {"culprits", auditor_.culprits()}};
    Json list = Json::array();
    for (const Signal* signal : {&auditor_.audit(), &auditor_.invariants()}) {
      const auto suspect = signal->suspect();
      Json culprits = Json::array();
      for (const auto& slice : signal->lattice().peeled()) culprits.push_back(name_of(*signal, slice));
      list.push_back({{"name", signal->name()},
                      {"detectors", signal->lattice().nodes()},
                      {"bets", signal->bets().cells()},
                      {"searching", suspect ? Json(name_of(*signal, *suspect)) : Json(nullptr)},
                      {"culprits", std::move(culprits)},
                      {"rolled_up", signal->lattice().rolled_up()},
                      {"refused", signal->lattice().refused()}});
    }
    json["signals"] = std::move(list);
    for (const auto& dialect : evidence::shipped_dialects())
      json["tolerances"][std::string(dialect.name)] = {
          {"rho", tolerance_json(dialect.rho)},
          {"logprob_error", tolerance_json(dialect.logprob_error)},
          {"tie_width", tolerance_json(dialect.tie_width)}};
    for (const EngineKind engine : kEngineKinds) {
      for (std::size_t i = 0; i < kInvariants; ++i) {
        const auto invariant = static_cast<Invariant>(i);
        const auto standing = auditor_.book().standing(engine, invariant);
        json["invariants"][std::string(to_string(engine))][std::string(name(invariant))] = {
            {"state", standing.armed() ? "armed" : "shadow"},
            {"proven", standing.proven},
            {"kept", standing.kept},
            {"violated", standing.violated}};
      }
    }
    return json;
  }

  [[nodiscard]] Json coverage() const {
    Json servers = Json::array();
    for (const auto& [id, state] : sentinel_.endpoints_)
      if (!state->removed) servers.push_back(endpoint(id, *state));
    return {{"servers", std::move(servers)}};
  }

 private:
  [[nodiscard]] Json endpoint(fleet::EndpointId id, const Sentinel::EndpointState& state) const {
    const EndpointAudit& audit = auditor_.endpoint(id);
    const double log_threshold = auditor_.budget().log_threshold();
    Json lost = Json::object(), skipped = Json::object();
    for (std::size_t i = 0; i < kLost; ++i) lost[std::string(name(static_cast<Lost>(i)))] = audit.lost[i];
    for (std::size_t i = 0; i < kSkips; ++i)
      if (const auto count = state.skipped[i].load())
        skipped[std::string(name(static_cast<Skip>(i)))] = count;
    Json json = {{"endpoint", state.name},
                 {"engine", to_string(state.dialect->engine)},
                 {"answers", audit.answers},
                 {"tokens", audit.tokens},
                 {"tokens_lost", std::move(lost)},
                 {"answers_not_looked_at", std::move(skipped)},
                 {"fingerprint_approved", auditor_.book().approved(id)}};
    const std::size_t cells = auditor_.audit().bets().cells();
    Json signal = {{"tokens_per_minute", rounded(audit.tokens_per_minute)}};
    if (const auto why = missing(id, state)) {
      signal["missing"] = *why;
    } else {
      if (auditor_.lately(state.temperature_unknown_at)) signal["missing_in_part"] = kTemperatureUnknown;
      signal["minutes"] = {
          {"tail", forecast(audit.speed.tail(), log_threshold, cells, audit.tokens_per_minute)},
          {"top1_excluded",
           forecast(audit.speed.top1_excluded(), log_threshold, cells, audit.tokens_per_minute)}};
    }
    if (const auto* rho = auditor_.rho(id)) {
      signal["rho"] = tolerance_json(rho->now());
      signal["rho"]["ceiling"] = evidence::kRhoCeiling;
      signal["rho"]["tokens_checked"] = rho->items();
      signal["suspect"] = rho->suspect();
    }
    json["signals"]["audit"] = std::move(signal);
    signal = {{"answers", audit.verdicts},
              {"answers_late", audit.verdicts_late},
              {"answers_per_minute", rounded(audit.verdicts_per_minute)}};
    if (!evidence::shipped(to_string(state.dialect->engine)))
      signal["missing"] = "answers of this engine are not looked at";
    else
      signal["minutes"] = forecast(invariant_growth(), log_threshold, auditor_.invariants().bets().cells(),
                                   audit.verdicts_per_minute);
    json["signals"]["invariant"] = std::move(signal);
    return json;
  }

  /// Why the audit sees nothing there, by what came in the last minutes.
  [[nodiscard]] std::optional<std::string> missing(fleet::EndpointId id,
                                                   const Sentinel::EndpointState& state) const {
    const EndpointAudit& audit = auditor_.endpoint(id);
    if (!evidence::shipped(to_string(state.dialect->engine)))
      return "this engine does not say what its logprobs mean";
    if (sentinel_.config_->audit.sample <= 0) return "audit.sample is 0";
    const bool tokens = auditor_.lately(audit.tokens_at);
    if (state.refuses && !tokens) return "the server refuses to give logprobs";
    if (tokens && audit.speed.tail()) return std::nullopt;
    if (tokens) return "too few tokens so far";
    if (auditor_.lately(audit.answers_at)) return "the server gives no records of tokens";
    if (auditor_.lately(state.temperature_unknown_at)) return kTemperatureUnknown;
    return audit.answers > 0 ? "no answers to look at in the last minutes" : "no answers to look at so far";
  }

  Sentinel& sentinel_;
  const Auditor& auditor_;
};

std::string Sentinel::slices_json() {
  const std::lock_guard lock(mutex_);
  return text_of(Views(*this).slices());
}

std::string Sentinel::signals_json() {
  const std::lock_guard lock(mutex_);
  return text_of(Views(*this).signals());
}

std::string Sentinel::coverage_json() {
  const std::lock_guard lock(mutex_);
  return text_of(Views(*this).coverage());
}

std::string Sentinel::metrics_text() {
  prometheus::Registry registry;
  const auto counter = [&](const char* name, const char* help) -> auto& {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  };
  const auto gauge = [&](const char* name, const char* help) -> auto& {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  };
  auto& answers = counter("truekeel_audit_answers_total", "Answers that were looked at.");
  auto& tokens = counter("truekeel_audit_tokens_total", "Tokens checked against their distribution.");
  auto& lost = counter("truekeel_audit_tokens_lost_total",
                       "Tokens that left no usable record, entered at their lower bound.");
  auto& skipped = counter("truekeel_audit_skipped_total", "Answers not looked at, by why.");
  auto& alarms = counter("truekeel_audit_alarms_total", "Detectors that passed their threshold.");
  auto& findings = counter("truekeel_audit_findings_total", "Alarms and convictions handed over.");
  auto& expected = gauge("truekeel_audit_expected_false_alarms", "Bound on their expected number so far.");
  auto& threshold = gauge("truekeel_audit_log_threshold", "log A of the present window.");
  auto& detectors = gauge("truekeel_audit_detectors", "Live detectors.");
  const std::lock_guard lock(mutex_);
  for (const auto& [id, each] : endpoints_) {
    const auto& state = *each;
    if (state.removed) continue;
    const EndpointAudit& audit = auditor_.endpoint(id);
    answers.Add({{"endpoint", state.name}}).Increment(static_cast<double>(audit.answers));
    tokens.Add({{"endpoint", state.name}}).Increment(static_cast<double>(audit.tokens));
    for (std::size_t i = 0; i < kLost; ++i)
      lost.Add({{"endpoint", state.name}, {"why", std::string(name(static_cast<Lost>(i)))}})
          .Increment(static_cast<double>(audit.lost[i]));
    for (std::size_t i = 0; i < kSkips; ++i)
      if (const auto count = state.skipped[i].load(); count > 0)
        skipped.Add({{"endpoint", state.name}, {"why", std::string(name(static_cast<Skip>(i)))}})
            .Increment(static_cast<double>(count));
  }
  alarms.Add({}).Increment(static_cast<double>(auditor_.alarms()));
  findings.Add({{"kind", "alarm"}}).Increment(static_cast<double>(findings_[0]));
  findings.Add({{"kind", "culprit"}}).Increment(static_cast<double>(findings_[1]));
  expected.Add({}).Set(auditor_.budget().spent());
  threshold.Add({}).Set(auditor_.budget().log_threshold());
  for (const Signal* signal : {&auditor_.audit(), &auditor_.invariants()})
    detectors.Add({{"signal", signal->name()}}).Set(static_cast<double>(signal->lattice().nodes()));
  return prometheus::TextSerializer().Serialize(registry.Collect());
}

}  // namespace truekeel::sentinel
