// SPDX-License-Identifier: Apache-2.0
// Whole gateways in a simulated world: two replicas, five servers that fail in every way, clients that leave,
// stall and pipeline, an operator who drains. TRUEKEEL_SIM_SEEDS sets how many seeds each test takes (a soak:
// millions), TRUEKEEL_SIM_FIRST where they begin, so that a failing seed is run alone.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "base/log.h"
#include "fleet/test_config.h"
#include "gateway/prober.h"
#include "gateway/proxy.h"
#include "gateway/test_client.h"
#include "gateway/test_upstream.h"
#include "http/deadline.h"

namespace truekeel::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array kServers = {"s1", "s2", "s3", "l1", "l2"};
constexpr int kClients = 6;
constexpr int kCallsEach = 6;

constexpr http::SimFaults kFaults = {.latency_max = milliseconds(20),
                                     .grain = milliseconds(5),
                                     .refused = 0.1,
                                     .lost = 0.05,
                                     .reset = 0.01,
                                     .cut = 0.01,
                                     .stalled = 0.01,
                                     .short_write = 0.5,
                                     .short_read = 0.5,
                                     .window_bytes = 60'000,
                                     .exhausted = 0.05};

constexpr std::uint32_t kInFlightMax = 2;
constexpr Duration kQueueTimeoutMax = seconds(5);

/// Servers that take few calls at once, with short queues, in two of three worlds.
void draw_load(PhiloxStream& random, fleet::LoadSettings& load) {
  load = {};
  load.queue_timeout = kQueueTimeoutMax;
  if (random.below(3) == 0) return;
  load.bound_milli = random.below(3) == 0 ? 0 : 1000 + static_cast<std::uint32_t>(random.below(1000));
  load.max_in_flight = random.below(4) == 0 ? kInFlightMax : 1;
  load.queue_max = static_cast<std::uint32_t>(random.below(3));
  load.queue_timeout = milliseconds(200) + random.below(50) * (kQueueTimeoutMax - milliseconds(200)) / 50;
}

std::shared_ptr<const fleet::Config> make_config(PhiloxStream& random) {
  auto config = fleet::test_config({"s1", "s2", "s3"}, {"l1", "l2"});
  config.models[0].default_max_output = SimulatedClient::kDefaultOutput;
  config.health.probe_interval = seconds(2);
  config.health.probe_timeout = seconds(2);
  config.health.ejection = seconds(3);
  config.limits.idle = seconds(20);
  config.limits.header = seconds(2);
  for (auto& pool : config.pools) {
    draw_load(random, pool.load);
    for (auto& endpoint : pool.endpoints) {
      endpoint.url = {endpoint.name, 80, ""};
      endpoint.timeout = seconds(50);
    }
  }
  return std::make_shared<const fleet::Config>(std::move(config));
}

http::ServerOptions server_options(const fleet::Limits& limits) {
  auto options = client_port_options(limits, 1);
  options.body = seconds(30);
  return options;
}

/// One gateway as its threads would run it, on one simulated host.
struct Replica {
  Replica(http::SimWorld& world, const std::string& name, const std::shared_ptr<const fleet::Config>& config,
          std::uint64_t seed)
      : net(world.host(name)),
        shared(Shared::make(config, "secret", world.now()).value()),
        proxy(net, *shared, seed),
        server(net, server_options(config->limits),
               [this](http::Exchange& exchange) { return proxy.handle(exchange); }),
        prober(net, *shared) {
    EXPECT_TRUE(server.listen({"", 80}));
    http::spawn(net, prober.run());
  }

  /// Nothing when there is no such server now.
  [[nodiscard]] std::optional<std::pair<fleet::EndpointId, fleet::MemberView>> view_of(
      const std::string& name) {
    return shared->fleet(
        [&](const fleet::Fleet& fleet) -> std::optional<std::pair<fleet::EndpointId, fleet::MemberView>> {
          const auto id = fleet.find(name);
          return id ? std::optional(std::pair(*id, fleet.view(*id, net.now()))) : std::nullopt;
        });
  }

  [[nodiscard]] std::set<std::string> drained() {
    return shared->fleet([&](const fleet::Fleet& fleet) {
      std::set<std::string> names;
      for (const auto id : fleet.endpoints()) {
        const auto view = fleet.view(id, net.now());
        if (view.drained) names.insert(view.config->name);
      }
      return names;
    });
  }

  /// What routing depends on, but for the order of things.
  [[nodiscard]] auto state() {
    return shared->fleet([&](const fleet::Fleet& fleet) {
      std::vector<std::tuple<std::string, fleet::HealthState, bool, std::uint32_t>> members;
      for (const auto id : fleet.endpoints()) {
        const auto view = fleet.view(id, net.now());
        members.emplace_back(view.config->name, view.state, view.drained, view.in_flight);
      }
      return std::pair(members, std::pair(fleet.epoch(0), fleet.epoch(1)));
    });
  }

  [[nodiscard]] fleet::Fleet::Queue queue(std::size_t pool) {
    return shared->fleet([&](const fleet::Fleet& fleet) { return fleet.queue(pool, net.now()); });
  }

  http::Net& net;
  const std::unique_ptr<Shared> shared;
  Proxy proxy;
  http::Server server;
  Prober prober;
};

class World {
 public:
  explicit World(std::uint64_t seed)
      : random_(seed, 1),
        faults_(http::draw_faults(random_, kFaults)),
        world_(seed, faults_),
        config_(make_config(random_)),
        client_(world_.host("client"), {.kept = seconds(2)}) {
    for (const char* name : kServers) {
      upstreams_.push_back(
          std::make_unique<SimulatedUpstream>(world_, name, draw_character(name), judge_, random_.next()));
      upstreams_.back()->listen();
    }
    for (const char* name : {"gateway0", "gateway1"}) {
      replicas_.push_back(std::make_unique<Replica>(world_, name, config_, random_.next()));
    }
    for (int i = 0; i < kClients; ++i) {
      clients_.push_back(std::make_unique<SimulatedClient>(world_.host("client"), client_, judge_,
                                                           random_.next(), faults_.stalled == 0));
      spawn("client", clients_.back()->call_often(kCallsEach, {"gateway0", "gateway1"}));
    }
    for (int i = 0; i < 3; ++i) spawn("rogue", misbehave());
    spawn("operator", operate());
    spawn("operator", reconfigure());
    note_waits(*config_);
    judge_.at_each_call([this] { check_loads(); });
    http::spawn(world_.host("operator"), watch_loads());
  }

  void run() {
    constexpr Duration kAllLimits = seconds(180), kForEver = seconds(3000);
    while (busy_ > 0 && world_.now() < Instant(kForEver)) world_.run(world_.now() + seconds(5));
    EXPECT_EQ(busy_, 0) << "somebody waits for ever";
    for (const auto& replica : replicas_) replica->prober.stop();
    world_.run(world_.now() + kAllLimits);
    EXPECT_EQ(world_.open_streams(), 0u);
    judge_.finish();
    EXPECT_EQ(judge_.calls(), kClients * kCallsEach);
    for (const auto& replica : replicas_) {
      EXPECT_EQ(replica->server.exchanges(), 0u);
      EXPECT_EQ(replica->server.connections(), 0u);
      replica->shared->fleet([](const fleet::Fleet& fleet) {
        for (const auto& [id, calls] : fleet.in_flight()) EXPECT_EQ(calls, 0u);
        EXPECT_EQ(fleet.in_flight().size(), fleet.endpoints().size())
            << "removed, and not gone with its last call";
      });
      for (std::size_t pool = 0; pool < 2; ++pool) EXPECT_EQ(replica->queue(pool).waiting, 0u);
    }
    for (const auto& upstream : upstreams_) EXPECT_EQ(upstream->exchanges(), 0u);
  }

  [[nodiscard]] const Judge& judge() const { return judge_; }
  [[nodiscard]] std::uint64_t agreements() const { return agreements_; }
  [[nodiscard]] std::uint64_t waits() const { return waits_; }
  [[nodiscard]] std::uint64_t trace() const { return world_.trace(); }

 private:
  void spawn(const char* host, http::Task<void> task) {
    ++busy_;
    http::spawn(world_.host(host), finish(std::move(task)));
  }
  http::Task<void> finish(http::Task<void> task) {
    co_await std::move(task);
    --busy_;
  }

  SimulatedUpstream::Character draw_character(std::string_view name) {
    return {.window = name.starts_with('s') ? 2048u : 32768u,
            .misbehaves = random_.below(3) == 0 ? 0.5 * random_.uniform() : 0.0,
            .lies = random_.below(12) == 0,
            .knows_limit = random_.below(6) != 0,
            .network_bytes = faults_.window_bytes};
  }

  http::Task<void> pause(std::uint64_t ms_max) {
    auto& net = world_.host("operator");
    return net.sleep_until(net.now() + milliseconds(random_.below(ms_max)));
  }

  /// Drains, kills, un-sticks, and looks whether the replicas agree.
  http::Task<void> operate() {
    for (int i = 0; i < 12; ++i) {
      co_await pause(1500);
      const std::string server = kServers[random_.below(kServers.size())];
      auto& replica = *replicas_[random_.below(replicas_.size())];
      switch (random_.below(5)) {
        case 0:
          co_await drain_for_a_while(replica, server);
          break;
        case 1:
          world_.kill(server);
          co_await pause(3000);
          upstream(server).listen();
          break;
        case 2:
          for (auto& each : replicas_) {
            each->shared->fleet([](fleet::Fleet& fleet) { return fleet.unstick("short"); });
          }
          break;
        case 3:
          world_.kill("client");  // all clients at once: who is served, and who waits for room
          break;
        default:
          break;
      }
      compare_replicas();
    }
  }

  /// Reloads while calls are under way: servers go and come back, weights and limits change.
  http::Task<void> reconfigure() {
    for (int i = 0; i < 4; ++i) {
      co_await pause(5000);
      const auto config = draw_config();
      note_waits(config);
      for (auto& replica : replicas_) {
        const auto drained = replica->drained();
        const auto replaced = replica->shared->replace(config, world_.now());
        EXPECT_TRUE(replaced && replaced->empty());
        for (const auto& pool : config.pools) {
          for (const auto& endpoint : pool.endpoints) {
            const bool before = drained.contains(endpoint.name);
            EXPECT_EQ(replica->drained().contains(endpoint.name), before) << "a reload changed a drain";
          }
        }
      }
      reloaded_ = true;
    }
  }

  /// A pool keeps one server at least, and a limit where it has one.
  fleet::Config draw_config() {
    fleet::Config config = *config_;
    for (auto& pool : config.pools) {
      const bool limited = pool.load.max_in_flight > 0;
      draw_load(random_, pool.load);
      pool.load.max_in_flight = limited ? std::max(1u, pool.load.max_in_flight) : 0;
      auto& endpoints = pool.endpoints;
      while (endpoints.size() > 1 && random_.below(2) == 0) {
        endpoints.erase(endpoints.begin() + static_cast<std::ptrdiff_t>(random_.below(endpoints.size())));
      }
      for (auto& endpoint : endpoints)
        endpoint.weight_milli = 500 + static_cast<std::uint32_t>(random_.below(1000));
    }
    return config;
  }

  /// Nothing is routed to an endpoint from the moment it is drained.
  http::Task<void> drain_for_a_while(Replica& replica, std::string server) {
    const auto before = replica.view_of(server);
    if (!before) co_return;  // a reload has removed it
    replica.shared->fleet([&](fleet::Fleet& fleet) { EXPECT_TRUE(fleet.drain(server)); });
    co_await pause(8000);
    const auto after = replica.view_of(server);
    if (after && after->first == before->first) {
      EXPECT_EQ(after->second.requests, before->second.requests) << server << " was drained";
    }
    replica.shared->fleet([&](fleet::Fleet& fleet) { static_cast<void>(fleet.undrain(server)); });
  }

  /// Who waits already when a reload allows less may go on.
  void note_waits(const fleet::Config& config) {
    for (std::size_t pool = 0; pool < longest_wait_.size(); ++pool) {
      longest_wait_[pool] = std::max(longest_wait_[pool], config.pools[pool].load.queue_timeout);
    }
  }

  /// Who waits for too long may do so while nobody is served.
  http::Task<void> watch_loads() {
    auto& net = world_.host("operator");
    while (busy_ > 0) {
      check_loads();
      co_await net.sleep_until(net.now() + milliseconds(500));
    }
  }

  /// Whenever a call has reached a server, and in between: no server has more of them than its limit, no
  /// queue is longer than it may be, and nobody waits for longer.
  void check_loads() {
    for (const auto& replica : replicas_) {
      const auto config = replica->shared->snapshot()->config;
      for (std::size_t pool = 0; pool < 2; ++pool) {
        const auto queue = replica->queue(pool);
        const auto& load = config->pools[pool].load;
        EXPECT_LE(queue.waiting, load.queue_max);
        // A reload may send who waits to the other pool, and his time with him.
        const Duration allowed = reloaded_ ? std::ranges::max(longest_wait_) : longest_wait_[pool];
        EXPECT_LE(queue.longest, allowed + http::DeadlineWheel::kTick);
        waits_ += queue.waiting;
      }
      replica->shared->fleet([&](const fleet::Fleet& fleet) {
        for (const auto id : fleet.endpoints()) {
          const auto view = fleet.view(id, world_.now());
          const auto limit = view.pool->load.max_in_flight;
          if (limit > 0) EXPECT_LE(view.in_flight, reloaded_ ? kInFlightMax : limit);
        }
      });
    }
  }

  /// Equal states give equal decisions, from any replica.
  void compare_replicas() {
    const auto same_config =
        *replicas_[0]->shared->snapshot()->config == *replicas_[1]->shared->snapshot()->config;
    if (!same_config || replicas_[0]->state() != replicas_[1]->state()) return;
    const auto plan =
        fleet::plan_context(config_->models[0], {.lower = 10, .upper = 10 + random_.below(20'000)}, 100);
    const fleet::AffinityKey key{.hash = random_.next()};
    const auto order = [&](Replica& replica) {
      return replica.shared->fleet([&](const fleet::Fleet& fleet) {
        return fleet.route(fleet::without_count(plan), key, world_.now());
      });
    };
    const auto one = order(*replicas_[0]), two = order(*replicas_[1]);
    EXPECT_EQ(one.has_value(), two.has_value());
    if (one && two) EXPECT_EQ(names_of(*one), names_of(*two));
    ++agreements_;
  }

  /// The numbers and addresses of endpoints differ from replica to replica.
  static std::vector<std::string> names_of(const fleet::Decision& decision) {
    std::vector<std::string> names;
    for (const auto& candidate : decision.order) names.push_back(candidate.config->name);
    return names;
  }

  /// Half a request, a pipeline whose answers nobody reads, junk, or nothing at all.
  http::Task<void> misbehave() {
    auto& net = world_.host("rogue");
    const std::string whole = "GET /v1/models HTTP/1.1\r\nHost: g\r\n\r\n";
    const std::string texts[] = {whole.substr(0, random_.below(whole.size())), whole + whole + whole,
                                 "junk\r\n\r\n", ""};
    const auto stream = net.dial({"gateway0", 80});
    http::Deadline patience(net.deadlines(), [&] { stream->close(); });
    patience.set(net.now() + seconds(3));
    const std::string& text = texts[random_.below(4)];
    const std::string_view piece = text;
    if (co_await stream->writable() && !text.empty()) stream->write_now({&piece, 1});
    co_await net.sleep_until(net.now() + milliseconds(random_.below(20'000)));
    if (random_.below(2) == 0) stream->reset();
  }

  SimulatedUpstream& upstream(std::string_view name) {
    return *upstreams_[static_cast<std::size_t>(std::ranges::find(kServers, name) - kServers.begin())];
  }

  PhiloxStream random_;
  const http::SimFaults faults_;
  http::SimWorld world_;
  const std::shared_ptr<const fleet::Config> config_;
  Judge judge_;
  http::Client client_;
  std::vector<std::unique_ptr<SimulatedUpstream>> upstreams_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<std::unique_ptr<SimulatedClient>> clients_;
  std::uint64_t agreements_ = 0, waits_ = 0;
  std::array<Duration, 2> longest_wait_{};  // that a configuration has allowed so far, pool by pool
  bool reloaded_ = false;
  int busy_ = 0;  // clients, rogues and the operator that have not ended
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// The parameter is a share of the seeds, so that shares run side by side.
class Simulation : public testing::TestWithParam<std::uint64_t> {
 protected:
  Simulation() { log_setup(LogLevel::error, LogFormat::text); }
};

TEST_P(Simulation, EverySeedKeepsEveryPromise) {
  const auto seeds = from_environment("TRUEKEEL_SIM_SEEDS", 500);
  const auto first = from_environment("TRUEKEEL_SIM_FIRST", 1) + GetParam() * seeds;
  std::uint64_t whole_answers = 0, agreements = 0, waits = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    SCOPED_TRACE("TRUEKEEL_SIM_SEEDS=1 TRUEKEEL_SIM_FIRST=" + std::to_string(seed));
    World world(seed);
    world.run();
    whole_answers += world.judge().whole_answers();
    agreements += world.agreements();
    waits += world.waits();
    if (HasFailure()) return;
  }
  // The faults leave enough alive for the checks to mean something.
  if (seeds >= 100) {
    EXPECT_GT(whole_answers, seeds * 10);
    EXPECT_GT(agreements, seeds);
    EXPECT_GT(waits, seeds / 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Share, Simulation, testing::Range<std::uint64_t>(0, 4));

TEST(SimulationTest, ASeedRepeatsItself) {
  log_setup(LogLevel::error, LogFormat::text);
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    World once(seed), again(seed);
    once.run();
    again.run();
    EXPECT_EQ(once.trace(), again.trace()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace truekeel::gateway
