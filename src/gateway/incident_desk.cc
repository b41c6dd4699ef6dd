// SPDX-License-Identifier: Apache-2.0
#include "gateway/incident_desk.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "incident/incident_json.h"
#include "store/sqlite_store.h"

namespace truekeel::gateway {
namespace {

constexpr std::size_t kChangesMax = 1000;  ///< the latest, kept in memory to be ranked
/// An explanation may be asked for before it is written.
constexpr Duration kFlush = std::chrono::milliseconds(200);
constexpr Duration kCountsKept = std::chrono::hours(48);

store::WriterOptions writer_options(const fleet::Config& config) {
  store::WriterOptions options;
  options.keep = std::chrono::days(config.store.keep_days);
  return options;
}

/// The same for the same event after a restart. Numbers alone are used again, by replicas and by who keeps
/// nothing: when the incident was opened tells them apart.
std::string event_id(const incident::Incident& item) {
  const auto opened = item.history.empty() ? item.times.detected : item.history.front().at;
  return fmt::format("{}-{}-{}", incident::id_of(item.number), opened.time_since_epoch().count(),
                     item.history.size());
}

/// Ascending, each number once.
void add(incident::Book::Changed& changed, const incident::Book::Changed& more) {
  changed.insert(changed.end(), more.begin(), more.end());
  std::ranges::sort(changed);
  const auto rest = std::ranges::unique(changed);
  changed.erase(rest.begin(), rest.end());
}

}  // namespace

std::vector<incident::EndpointFacts> endpoint_facts(const fleet::Config& config) {
  // What an endpoint does not state it has no traffic of, as in the evidence.
  std::map<std::string, std::vector<std::string>, std::less<>> none = {{"fingerprint", {}}};
  for (const auto& pool : config.pools) {
    for (const auto& endpoint : pool.endpoints) {
      for (const auto& [label, value] : endpoint.labels) none[label];
    }
  }
  std::vector<incident::EndpointFacts> facts;
  for (std::size_t pool = 0; pool < config.pools.size(); ++pool) {
    std::vector<std::string> classes;
    for (const auto& model : config.models) {
      for (const auto& item : model.classes) {
        const bool new_one = std::ranges::find(classes, item.name) == classes.end();
        if (item.pool_index == pool && new_one) classes.push_back(item.name);
      }
    }
    for (const auto& endpoint : config.pools[pool].endpoints) {
      incident::EndpointFacts item{endpoint.name, none};
      for (const auto& [label, value] : endpoint.labels) item.values[label] = {value};
      item.values["pool"] = {config.pools[pool].name};
      item.values["class"] = classes;
      facts.push_back(std::move(item));
    }
  }
  return facts;
}

std::vector<incident::Routing> routing_of(const fleet::Fleet& fleet, Instant now) {
  std::vector<incident::Routing> routing;
  for (const auto id : fleet.endpoints()) {
    const auto view = fleet.view(id, now);
    routing.push_back({view.config->name, view.drained, view.in_flight, view.requests_since_drain});
  }
  return routing;
}

Result<std::unique_ptr<IncidentDesk>> IncidentDesk::open(const fleet::Config& config, std::uint64_t key) {
  const auto& path = config.store.sqlite_path;
  auto opened = path.empty() ? store::make_memory_store() : store::open_sqlite_store(path);
  if (!opened) return fail(opened.error().code, "store: " + opened.error().message);
  std::unique_ptr<IncidentDesk> desk(new IncidentDesk(config, std::move(*opened), key));
  if (const auto taken = desk->take_back(); !taken) {
    return fail(ErrorCode::unavailable,
                fmt::format("store: '{}': {}; restore a backup of it", path, taken.error().message));
  }
  return desk;
}

IncidentDesk::IncidentDesk(const fleet::Config& config, std::unique_ptr<store::Store> store,
                           std::uint64_t key)
    : writer_(std::move(store), writer_options(config)),
      book_(endpoint_facts(config)),
      key_(key),
      ledger_(key),
      fresh_(key) {}

Result<void> IncidentDesk::take_back() {
  auto& store = writer_.store();
  auto incidents = store.incidents(incident::BookSettings().incidents_max);
  if (!incidents) return std::unexpected(incidents.error());
  auto changes = store.changes(WallTime(), kChangesMax);
  if (!changes) return std::unexpected(changes.error());
  const auto last_change = store.last_change_number();
  if (!last_change) return std::unexpected(last_change.error());
  for (auto& item : *incidents) {
    told_.insert({item.number, {item.status, incident::to_json_brief(item)}});
    book_.restore(std::move(item));
  }
  changes_ = std::move(*changes);
  std::ranges::reverse(changes_);
  last_change_ = *last_change;
  return {};
}

void IncidentDesk::tell(const incident::Book::Changed& changed) {
  for (const auto number : changed) {
    const auto* item = book_.find(number);
    if (item == nullptr) continue;
    writer_.put(*item);
    publish(*item);
  }
  if (told_.size() > book_.incidents().size()) {
    std::erase_if(told_, [this](const auto& told) { return book_.find(told.first) == nullptr; });
  }
}

void IncidentDesk::publish(const incident::Incident& item) {
  auto brief = incident::to_json_brief(item);
  const auto before = told_.find(item.number);
  const bool opened = before == told_.end();
  const bool moved = opened || before->second.status != item.status;
  if (!moved && before->second.brief == brief) return;
  const char* type = opened ? "incident.opened" : moved ? "incident.status" : "incident.updated";
  const auto id = event_id(item);
  events_.publish(type, id, brief);
  if (moved) {
    status_events_.publish(type, id, brief);
    log_warning(type, {{"id", incident::id_of(item.number)},
                       {"status", incident::to_string(item.status)},
                       {"culprit", incident::describe(item.traffic)}});
  }
  told_.insert_or_assign(item.number, Told{item.status, std::move(brief)});
}

void IncidentDesk::on_finding(const incident::Finding& finding, WallTime now) {
  const std::lock_guard lock(mutex_);
  auto changed = book_.on_finding(finding, now);
  add(changed, book_.on_changes(changes_));
  add(changed, measured(now));
  tell(changed);
}

void IncidentDesk::on_routed(std::string_view endpoint, std::string_view context_class,
                             const fleet::AffinityKey& session, WallTime now) {
  const std::lock_guard lock(fresh_mutex_);
  fresh_.count(endpoint, context_class, session.hash, now);
}

void IncidentDesk::on_routing(std::span<const incident::Routing> routing, WallTime now) {
  const std::lock_guard lock(mutex_);
  tell(book_.on_routing(routing, now));
}

void IncidentDesk::set_fingerprint(std::string_view endpoint, const std::string& fingerprint) {
  const std::lock_guard lock(mutex_);
  auto facts = book_.fleet();
  const auto found = std::ranges::find(facts, endpoint, &incident::EndpointFacts::name);
  if (found == facts.end()) return;
  found->values["fingerprint"] = {fingerprint};
  book_.set_fleet(std::move(facts));
}

void IncidentDesk::set_fleet(const fleet::Config& config) {
  const std::lock_guard lock(mutex_);
  auto facts = endpoint_facts(config);
  for (auto& item : facts) {
    const auto before = std::ranges::find(book_.fleet(), item.name, &incident::EndpointFacts::name);
    if (before != book_.fleet().end()) item.values["fingerprint"] = before->values.at("fingerprint");
  }
  book_.set_fleet(std::move(facts));
}

incident::Book::Changed IncidentDesk::measured(WallTime now) {
  incident::ImpactLedger fresh(key_);
  {
    const std::lock_guard lock(fresh_mutex_);
    std::swap(fresh, fresh_);
  }
  ledger_.add(fresh);
  ledger_.forget_before(now - std::chrono::floor<std::chrono::milliseconds>(kCountsKept));
  return book_.on_impact(ledger_, now);
}

void IncidentDesk::measure(WallTime now) {
  const std::lock_guard lock(mutex_);
  tell(measured(now));
}

Result<incident::Change> IncidentDesk::add_change(incident::Change change) {
  const std::lock_guard lock(mutex_);
  change.number = last_change_ + 1;
  if (!writer_.put(change)) return fail(ErrorCode::unavailable, "the store has no room now; try again later");
  ++last_change_;
  changes_.push_back(change);
  std::ranges::sort(changes_, {}, &incident::Change::at);
  if (changes_.size() > kChangesMax) changes_.erase(changes_.begin());
  events_.publish("change.added", fmt::format("change-{}", change.number), incident::to_json(change));
  tell(book_.on_changes(changes_));
  return change;
}

bool IncidentDesk::resolve(std::uint64_t number, std::string why, WallTime now) {
  const std::lock_guard lock(mutex_);
  const auto changed = book_.on_resolved(number, std::move(why), now);
  tell(changed);
  return !changed.empty();
}

std::vector<incident::Incident> IncidentDesk::incidents() const {
  const std::lock_guard lock(mutex_);
  std::vector<incident::Incident> found;
  for (const auto& [number, item] : book_.incidents()) found.push_back(item);
  std::ranges::reverse(found);
  return found;
}

Result<std::optional<incident::Incident>> IncidentDesk::incident(std::uint64_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto* item = book_.find(number)) return *item;
  }
  return writer_.store().incident(number);
}

std::vector<incident::Change> IncidentDesk::changes() const {
  const std::lock_guard lock(mutex_);
  return {changes_.rbegin(), changes_.rend()};
}

Result<std::optional<incident::RequestRecord>> IncidentDesk::request(std::string_view id) {
  static_cast<void>(writer_.flush(kFlush));
  return writer_.store().request(id);
}

std::vector<std::string> IncidentDesk::drained_before() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [number, item] : book_.incidents()) {
    for (const auto& carrier : item.carriers) {
      if (item.open() && carrier.drained) names.push_back(carrier.endpoint);
    }
  }
  return names;
}

std::string IncidentDesk::metrics_text() const {
  std::map<std::string_view, int> counts;
  for (int status = 0; status <= static_cast<int>(incident::Status::resolved); ++status) {
    counts[incident::to_string(static_cast<incident::Status>(status))] = 0;
  }
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, item] : book_.incidents()) ++counts[incident::to_string(item.status)];
  }
  const auto state = writer_.state();
  std::string text =
      "# HELP truekeel_incidents Incidents by status.\n"
      "# TYPE truekeel_incidents gauge\n";
  for (const auto& [status, count] : counts) {
    text += fmt::format("truekeel_incidents{{status=\"{}\"}} {}\n", status, count);
  }
  text += fmt::format(
      "# HELP truekeel_store_dropped_total Rows that found no room in the queue or on the disk.\n"
      "# TYPE truekeel_store_dropped_total counter\n"
      "truekeel_store_dropped_total {}\n"
      "# HELP truekeel_store_failing 1 when the last attempt to write failed, as on a full disk.\n"
      "# TYPE truekeel_store_failing gauge\n"
      "truekeel_store_failing {}\n",
      state.dropped, state.failing ? 1 : 0);
  return text;
}

}  // namespace truekeel::gateway
