// SPDX-License-Identifier: Apache-2.0
#include "drill/drill.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "drill/ask.h"
#include "drill/clients.h"
#include "incident/incident_json.h"

namespace truekeel::drill {
namespace {

using Json = nlohmann::json;
using http::Task;

constexpr Duration kLook = std::chrono::milliseconds(100);
/// Answers of each server before anything is injected.
constexpr std::int64_t kWarmAnswers = 3;

/// What a worker says of its faults.
struct Harm {
  std::uint64_t tokens = 0, answers = 0;
  std::optional<WallTime> first;
};

double seconds_between(WallTime from, WallTime to) {
  return std::chrono::duration<double>(to - from).count();
}

class Run {
 public:
  Run(http::Net& net, const Options& options, const bool& interrupted)
      : net_(net),
        options_(options),
        interrupted_(interrupted),
        plan_(make_plan(options.kind, options.seed, options.rate)),
        limit_(net.now() + options.limit),
        fleet_(net, options.fleet),
        client_(net, {}) {
    report_.drill = options.kind;
    report_.seed = options.seed;
    report_.rate = options.rate;
  }

  Task<Result<Outcome>> operator()() {
    say("starting four workers and a gateway");
    auto done = co_await fleet_.start([this] { return interrupted_; });
    if (done) {
      clients_ = std::make_unique<Clients>(net_, fleet_.gateway(), options_.seed, options_.clients);
      clients_->begin();
      done = co_await drill();
      co_await clients_->end();
    }
    // A call that failed for want of its server is told by that server's log.
    if (auto gone = fleet_.casualty(); gone && !done && done.error().code == ErrorCode::unavailable)
      done = std::unexpected(std::move(*gone));
    say("ending the fleet");
    co_await fleet_.stop();
    if (!done) co_return std::unexpected(done.error());
    co_return Outcome{plan_, report_, clients_->first_loss()};
  }

 private:
  /// Some time passes. Error when the drill cannot go on.
  Task<Result<void>> wait(std::string_view phase) {
    if (interrupted_) co_return fail(ErrorCode::cancelled, "interrupted");
    if (auto gone = fleet_.casualty()) co_return std::unexpected(std::move(*gone));
    say(fmt::format("{}; {} answers", phase, clients_->answers().size()));
    co_await net_.sleep_until(net_.now() + kLook);
    co_return Result<void>();
  }

  Task<Result<void>> drill() {
    const auto props = co_await ask(net_, client_, fleet_.worker(plan_.servers.front()), "GET", "/props");
    if (!props) co_return std::unexpected(props.error());
    facts_ = fleet_facts(Json::parse(*props).at("system_fingerprint").get<std::string>());
    if (auto done = co_await warm_up(); !done) co_return done;
    if (auto done = co_await inject(); !done) co_return done;
    if (auto done = co_await await_culprit(); !done) co_return done;
    if (report_.culprit && !blames_everyone()) {
      if (auto done = co_await drain(); !done) co_return done;
      if (auto done = co_await await_containment(); !done) co_return done;
    }
    co_return co_await settle_accounts();
  }

  Task<Result<void>> warm_up() {
    const auto served = [this](const Server& server) {
      return std::ranges::count(clients_->answers(), server.name, &Answered::server) >= kWarmAnswers;
    };
    while (!std::ranges::all_of(kServers, served)) {
      if (net_.now() >= limit_) co_return fail(ErrorCode::timeout, "the servers were not warm in time");
      if (auto done = co_await wait("warming up"); !done) co_return done;
    }
    const auto until = net_.now() + plan_.quiet;
    while (net_.now() < until) {
      if (auto done = co_await wait("all is well"); !done) co_return done;
    }
    co_return Result<void>();
  }

  Task<Result<void>> inject() {
    const auto body = Json{{"faults", {plan_.fault}}}.dump();
    for (const auto& server : plan_.servers) {
      const auto set = co_await ask(net_, client_, fleet_.worker(server), "POST", "/v1/fault", body);
      if (!set) co_return std::unexpected(set.error());
    }
    while (!first_impact_) {
      if (net_.now() >= limit_)
        co_return fail(ErrorCode::timeout, "no faulty token was served before --max-seconds");
      if (auto done = co_await wait("fault injected"); !done) co_return done;
      const auto harm = co_await harm_now();
      if (!harm) co_return std::unexpected(harm.error());
      first_impact_ = harm->first;
      tokens_at_impact_ = harm->tokens;
    }
    co_return Result<void>();
  }

  /// Sums over the affected servers.
  Task<Result<Harm>> harm_now() {
    Harm sum;
    for (const auto& server : plan_.servers) {
      const auto text = co_await ask(net_, client_, fleet_.worker(server), "GET", "/v1/fault");
      if (!text) co_return std::unexpected(text.error());
      const auto json = Json::parse(*text);
      sum.tokens += json.at("tokens").get<std::uint64_t>();
      sum.answers += json.at("answers_harmed").get<std::uint64_t>();
      if (const auto& first = json.at("first_replaced_ms"); !first.is_null()) {
        const WallTime at{std::chrono::milliseconds(first.get<std::int64_t>())};
        sum.first = sum.first ? std::min(*sum.first, at) : at;
      }
    }
    co_return sum;
  }

  Task<Result<void>> await_culprit() {
    while (net_.now() < limit_) {
      if (auto done = co_await wait("fault at work, unnoticed so far"); !done) co_return done;
      if (auto done = co_await look(); !done) co_return done;
      const auto named = std::ranges::find_if(incidents_, [this](const incident::Incident& each) {
        return each.convicted && each.open() && is_about_the_fault(each);
      });
      if (named == incidents_.end()) continue;
      number_ = named->number;
      report_.culprit = incident::describe(named->traffic);
      report_.culprit_correct = same_traffic(named->traffic, plan_.slice, facts_);
      break;
    }
    co_return Result<void>();
  }

  /// Reads the incidents, and notes the first that is about the fault.
  Task<Result<void>> look() {
    const auto list = co_await ask(net_, client_, fleet_.admin(), "GET", "/api/v1/incidents");
    if (!list) co_return std::unexpected(list.error());
    std::vector<incident::Incident> incidents;
    for (const auto& brief : Json::parse(*list).at("incidents")) {
      const auto path = "/api/v1/incidents/" + brief.at("id").get<std::string>();
      const auto text = co_await ask(net_, client_, fleet_.admin(), "GET", path);
      if (!text) co_return std::unexpected(text.error());
      auto read = incident::incident_from_json(*text);
      if (!read) co_return std::unexpected(read.error());
      incidents.push_back(std::move(*read));
    }
    std::ranges::sort(incidents, {}, [](const auto& each) { return each.times.detected; });
    incidents_ = std::move(incidents);
    const auto first =
        std::ranges::find_if(incidents_, [this](const auto& each) { return is_about_the_fault(each); });
    if (report_.detected || first == incidents_.end()) co_return Result<void>();
    co_return co_await note_detection(*first);
  }

  [[nodiscard]] bool is_about_the_fault(const incident::Incident& each) const {
    return each.times.detected >= *first_impact_ && incident::overlaps(each.traffic, plan_.slice, facts_);
  }

  Task<Result<void>> note_detection(const incident::Incident& incident) {
    const auto harm = co_await harm_now();
    if (!harm) co_return std::unexpected(harm.error());
    report_.detected = true;
    detected_ = incident.times.detected;
    report_.ttd_s = seconds_between(*first_impact_, detected_);
    report_.tokens_to_detect = harm->tokens - tokens_at_impact_;
    if (!incident.findings.empty()) report_.signal = incident.findings.front().signal;
    co_return Result<void>();
  }

  /// Then nobody would drain: there were no server left.
  [[nodiscard]] bool blames_everyone() const {
    const auto incident = std::ranges::find(incidents_, number_, &incident::Incident::number);
    return incident->carriers.size() == kServers.size();
  }

  /// By the admin API alone, as a person would.
  Task<Result<void>> drain() {
    const auto incident = std::ranges::find(incidents_, number_, &incident::Incident::number);
    std::string drained;
    for (const auto& carrier : incident->carriers) {
      const auto path = fmt::format("/api/v1/endpoints/{}/drain", carrier.endpoint);
      const auto done = co_await ask(net_, client_, fleet_.admin(), "POST", path);
      if (!done) co_return std::unexpected(done.error());
      drained += (drained.empty() ? "drain " : ", ") + carrier.endpoint;
    }
    report_.action = drained;
    const auto harm = co_await harm_now();
    if (!harm) co_return std::unexpected(harm.error());
    report_.requests_harmed_before = harm->answers;
    co_return Result<void>();
  }

  /// Until the gateway says that nothing goes to the culprit, and then until every client has been answered
  /// once more: so one sees where the sessions are.
  Task<Result<void>> await_containment() {
    std::optional<WallTime> contained;
    while (net_.now() < limit_) {
      if (auto done = co_await wait("culprit named and drained"); !done) co_return done;
      if (auto done = co_await look(); !done) co_return done;
      const auto incident = std::ranges::find(incidents_, number_, &incident::Incident::number);
      if (incident != incidents_.end() && !contained) contained = incident->times.drained;
      if (!contained) continue;
      report_.contained_s = seconds_between(*first_impact_, *contained);
      if (std::ranges::all_of(clients_->last(), [&](const auto& each) { return each.began > *contained; }))
        break;
    }
    co_return Result<void>();
  }

  Task<Result<void>> settle_accounts() {
    if (auto done = co_await look(); !done) co_return done;
    const auto harm = co_await harm_now();
    if (!harm) co_return std::unexpected(harm.error());
    if (!report_.action) report_.requests_harmed_before = harm->answers;
    report_.requests_harmed_after = harm->answers - report_.requests_harmed_before;
    report_.requests_lost = clients_->lost();
    const auto affected = [this](const Answered& each) {
      return std::ranges::find(plan_.servers, each.server) != plan_.servers.end();
    };
    report_.sessions_left = static_cast<std::uint64_t>(std::ranges::count_if(clients_->last(), affected));
    report_.false_alarms = static_cast<std::uint64_t>(std::ranges::count_if(
        incidents_, [this](const auto& each) { return !each.joined && !is_about_the_fault(each); }));
    if (report_.detected) {
      report_.requests_to_detect =
          static_cast<std::uint64_t>(std::ranges::count_if(clients_->answers(), [&](const Answered& each) {
            return affected(each) && each.ended >= *first_impact_ && each.began <= detected_;
          }));
    }
    co_return Result<void>();
  }

  void say(std::string_view phase) {
    if (options_.progress) options_.progress(phase);
  }

  http::Net& net_;
  const Options& options_;
  const bool& interrupted_;
  const Plan plan_;
  const Instant limit_;
  SmallFleet fleet_;
  http::Client client_;
  std::unique_ptr<Clients> clients_;
  Facts facts_;
  Report report_;
  std::vector<incident::Incident> incidents_;  // by their detection
  std::uint64_t number_ = 0;                   // of the incident that named a culprit
  std::optional<WallTime> first_impact_;
  WallTime detected_{};
  std::uint64_t tokens_at_impact_ = 0;
};

}  // namespace

Task<Result<Outcome>> run(http::Net& net, Options options, const bool& interrupted) {
  Run drill(net, options, interrupted);
  co_return co_await drill();
}

}  // namespace truekeel::drill
