// SPDX-License-Identifier: Apache-2.0
#include "sentinel/sentinel.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <ranges>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "base/read_file.h"
#include "evidence/snapshot.h"
#include "evidence/tick.h"

namespace truekeel::sentinel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// How often the thread looks at what the taps left; a small part of a window. Where nothing came, a window's
/// time is soon enough: a wake-up for nothing costs as much as two events of a stream.
constexpr Duration kLook = milliseconds(50);
constexpr Duration kLookIdle = evidence::FlushClock::kEvery;
constexpr Duration kSaveEvery = seconds(30);

/// Two signals' detectors, and what stands beside them.
constexpr std::size_t kStateBytesMax = 2 * evidence::kSnapshotBytesMax + (1u << 20);

WallTime wall_now() { return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now()); }
Instant now() { return std::chrono::steady_clock::now(); }

/// What an engine does when it is not told otherwise, where nothing can change that but a release of it.
Defaults fixed_defaults(const protocol::Dialect& dialect) {
  if (dialect.engine != EngineKind::truekeel) return {};
  const auto& known = dialect.defaults;
  return {.temperature = known.temperature, .top_p = known.top_p, .min_p = known.min_p, .top_k = known.top_k};
}

/// Writes beside the file and renames, so that a crash leaves the old state or the new one.
bool write_whole(const std::string& path, const std::string& bytes) {
  const std::string beside = path + ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return false;
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(file, bytes.data() + done, bytes.size() - done);
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  const bool good = done == bytes.size() && ::fsync(file) == 0;
  return ::close(file) == 0 && good && std::rename(beside.c_str(), path.c_str()) == 0;
}

}  // namespace

Sentinel::Sentinel(std::shared_ptr<const fleet::Config> config, std::vector<std::uint32_t> vocabularies)
    : config_(config),
      auditor_(config, {.false_alarms_per_day = config->evidence.false_alarms_per_day}, now(), wall_now()),
      saved_(now()) {
  note_vocabularies(*config_, vocabularies);
  place_endpoints(*config_, fleet::number_endpoints(*config_));
  load_state();
}

void Sentinel::place_endpoints(const fleet::Config& config, const fleet::Roster& roster) {
  for (const auto& [id, endpoint] : endpoints_) endpoint->removed = true;
  for (std::size_t pool = 0; pool < roster.size(); ++pool) {
    for (std::size_t i = 0; i < roster[pool].size(); ++i) {
      const fleet::EndpointConfig& endpoint = config.pools[pool].endpoints[i];
      auto& state = endpoints_[roster[pool][i]];
      if (!state) {
        state = std::make_shared<EndpointState>();
        state->name = endpoint.name;
        state->dialect = &protocol::dialect(endpoint.engine);
        state->defaults = fixed_defaults(*state->dialect);
      }
      state->removed = false;
    }
  }
}

void Sentinel::note_vocabularies(const fleet::Config& config,
                                 const std::vector<std::uint32_t>& vocabularies) {
  vocabularies_.clear();
  for (std::size_t i = 0; i < std::min(config.models.size(), vocabularies.size()); ++i)
    vocabularies_[config.models[i].name] = vocabularies[i];
}

void Sentinel::replace(const std::shared_ptr<const fleet::Config>& config, const fleet::Roster& roster,
                       const std::vector<std::uint32_t>& vocabularies) {
  const std::lock_guard lock(mutex_);
  const std::lock_guard tables_lock(tables_mutex_);
  auditor_.replace(config, roster);
  note_vocabularies(*config, vocabularies);
  place_endpoints(*config, roster);
}

/// Forgets whom the auditor has forgotten. Requires: its mutex is held.
void Sentinel::forget_removed() {
  if (std::ranges::all_of(endpoints_ | std::views::keys, [&](auto id) { return auditor_.has(id); })) return;
  const std::lock_guard tables_lock(tables_mutex_);
  std::erase_if(endpoints_, [&](const auto& item) { return !auditor_.has(item.first); });
}

std::shared_ptr<Sentinel::EndpointState> Sentinel::state_of(fleet::EndpointId endpoint) {
  const std::lock_guard lock(tables_mutex_);
  const auto found = endpoints_.find(endpoint);
  TK_ASSERT(found != endpoints_.end());
  return found->second;
}

std::uint32_t Sentinel::vocabulary_of(const std::string& model) {
  const std::lock_guard lock(tables_mutex_);
  const auto found = vocabularies_.find(model);
  return found == vocabularies_.end() ? 0 : found->second;
}

Sentinel::~Sentinel() { stop(); }

void Sentinel::start(Sink sink, AskFleet ask_fleet) {
  sink_ = std::move(sink);
  ask_fleet_ = std::move(ask_fleet);
  thread_ = std::thread([this] { run(); });
}

void Sentinel::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  work(now());
  save_state();
}

void Sentinel::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, messages_.empty() ? kLookIdle : kLook);
    lock.unlock();
    const Instant at = now();
    work(at);
    if (at - saved_ >= kSaveEvery) {
      saved_ = at;
      save_state();
    }
    lock.lock();
  }
}

void Sentinel::work(Instant at) {
  // In this order: whom the fleet does not list any more, all that was admitted there is among the messages.
  const UnderWay under_way = ask_fleet_();
  queue_.take(messages_);
  std::vector<incident::Finding> findings;
  {
    const std::lock_guard lock(mutex_);
    auditor_.note_under_way(under_way);
    for (Message& message : messages_) {
      auditor_.on(std::move(message));
      if (!auditor_.flush_due(at)) continue;
      auto found = auditor_.flush(at, wall_now());
      findings.insert(findings.end(), std::move_iterator(found.begin()), std::move_iterator(found.end()));
    }
    if (auditor_.flush_due(at)) {
      auto found = auditor_.flush(at, wall_now());
      findings.insert(findings.end(), std::move_iterator(found.begin()), std::move_iterator(found.end()));
    }
    forget_removed();
    note_suspects();
    for (const auto& finding : findings) ++findings_[finding.convicted ? 1 : 0];
  }
  hand_over(findings);
}

/// Requires: its mutex is held.
void Sentinel::note_suspects() {
  for (const auto& [id, state] : endpoints_) {
    EndpointState& endpoint = *state;
    endpoint.suspected = auditor_.suspected(id);
    const auto* rho = auditor_.rho(id);
    const bool over = rho && rho->suspect();
    if (over && !std::exchange(endpoint.over_ceiling, over))
      log_warning("audit.suspect", {{"endpoint", endpoint.name},
                                    {"why", "more of its tokens are excluded than any calibration tolerates"},
                                    {"ceiling", evidence::kRhoCeiling},
                                    {"tokens_checked", rho->items()}});
    endpoint.over_ceiling = over;
  }
}

void Sentinel::hand_over(const std::vector<incident::Finding>& findings) {
  for (const auto& finding : findings) {
    log_warning(finding.convicted ? "audit.culprit" : "audit.alarm",
                {{"id", finding.id},
                 {"signal", finding.signal},
                 {"detector", finding.detector},
                 {"slice", incident::describe(finding.traffic)},
                 {"log_m", finding.log_statistic},
                 {"log_threshold", finding.log_threshold},
                 {"observations", finding.observations},
                 {"sessions", finding.sessions},
                 {"delay_s", std::chrono::duration<double>(finding.detected - finding.onset).count()},
                 {"expected_false_alarms", finding.expected_false_alarms}});
    if (sink_) sink_(finding);
  }
}

void Sentinel::count(fleet::EndpointId endpoint, Skip why) {
  state_of(endpoint)->skipped[static_cast<std::size_t>(why)].fetch_add(1, std::memory_order_relaxed);
}

std::unexpected<Skip> Sentinel::skip(fleet::EndpointId endpoint, Skip why) {
  count(endpoint, why);
  return std::unexpected(why);
}

Defaults Sentinel::server_defaults(fleet::EndpointId endpoint) {
  const auto state = state_of(endpoint);
  const std::lock_guard lock(tables_mutex_);
  return state->defaults;
}

bool Sentinel::draw(fleet::EndpointId endpoint, std::uint64_t bits) {
  const double share = state_of(endpoint)->suspected ? 1 : config_->audit.sample;
  const bool drawn = evidence::look_at(share, bits);
  if (!drawn) count(endpoint, Skip::sampled_out);
  return drawn;
}

std::expected<std::unique_ptr<Look>, Skip> Sentinel::admit(Candidate candidate, Instant at) {
  const fleet::EndpointId id = candidate.endpoint;
  const auto state = state_of(id);
  EndpointState& endpoint = *state;
  auto plan = plan_audit(
      candidate.request, candidate.body, *endpoint.dialect,
      defaults_of(candidate.model.defaults, server_defaults(id)),
      {.top_logprobs = config_->audit.top_logprobs, .vocabulary = vocabulary_of(candidate.model.name)});
  if (!plan) {
    if (plan.error() == Skip::temperature_unknown) endpoint.temperature_unknown_at = wall_now();
    return skip(id, plan.error());
  }
  if (endpoint.refuses && !plan->edits.empty()) return skip(id, Skip::refused);
  candidate.about.endpoint = id;
  candidate.about.sampling = plan->sampling;
  const auto answer = queue_.admit(at, std::move(candidate.about));
  if (!answer) return skip(id, Skip::busy);
  return std::make_unique<Look>(std::move(*plan), std::make_unique<AnswerTap>(queue_, *answer));
}

void Sentinel::refuse(fleet::EndpointId endpoint) {
  const auto state = state_of(endpoint);
  if (!state->refuses.exchange(true))
    log_warning("audit.refused", {{"endpoint", state->name},
                                  {"effect", "its tokens are audited only where clients ask for logprobs"}});
}

void Sentinel::note_defaults(fleet::EndpointId endpoint, const Defaults& defaults) {
  const std::lock_guard lock(tables_mutex_);
  const auto found = endpoints_.find(endpoint);
  if (found != endpoints_.end()) found->second->defaults = defaults;
}

std::optional<fleet::EndpointId> Sentinel::find(std::string_view endpoint) const {
  for (const auto& [id, state] : endpoints_)
    if (!state->removed && state->name == endpoint) return id;
  return std::nullopt;
}

void Sentinel::heal(std::string_view endpoint) {
  const std::lock_guard lock(mutex_);
  const auto id = find(endpoint);
  if (id) auditor_.heal(*id);
}

bool Sentinel::approve(std::string_view endpoint) {
  const std::lock_guard lock(mutex_);
  const auto id = find(endpoint);
  return id && auditor_.approve(*id);
}

void Sentinel::load_state() {
  const std::string& path = config_->evidence.state_file;
  std::error_code none;
  if (path.empty() || !std::filesystem::exists(path, none)) return;
  const std::lock_guard lock(mutex_);
  const auto bytes = read_file(path, kStateBytesMax);
  const auto detectors = bytes ? auditor_.restore(*bytes) : std::unexpected(bytes.error());
  if (detectors)
    log_info("audit.restored", {{"file", path}, {"detectors", *detectors}});
  else
    log_warning("audit.not_restored", {{"file", path}, {"why", detectors.error().message}});
}

void Sentinel::save_state() {
  const std::string& path = config_->evidence.state_file;
  if (path.empty()) return;
  std::string bytes;
  {
    const std::lock_guard lock(mutex_);
    bytes = auditor_.save();
  }
  if (!write_whole(path, bytes)) log_warning("audit.not_saved", {{"file", path}});
}

}  // namespace truekeel::sentinel
