// SPDX-License-Identifier: Apache-2.0
#include "http/sim_net.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/philox.h"
#include "http/deadline.h"
#include "http/signal.h"

namespace truekeel::http {
namespace {

struct SimListener;
class SimHost;

/// One end of a connection, and what has come to it.
struct End {
  explicit End(boost::asio::io_context& context) : readable(context), writable(context) {}

  std::string host;
  std::string arrived;
  std::size_t in_flight = 0;  ///< sent by the other end, not here yet
  Instant last_arrival{};     ///< deliveries keep their order
  bool ended = false;         ///< the other end will write no more
  bool stalled = false;
  bool connected = false;
  bool closed = false;
  bool finished = false;  ///< end_write() or close() was called here
  std::string failed;     ///< why nothing works any more
  Signal readable;
  Signal writable;

  void fail(std::string why) {
    if (failed.empty()) failed = std::move(why);
    arrived.clear();
    readable.notify();
    writable.notify();
  }
};

struct Link {
  explicit Link(boost::asio::io_context& context) : ends{End(context), End(context)} {}

  std::array<End, 2> ends;
};

}  // namespace

struct SimWorld::State {
  State(std::uint64_t seed, const SimFaults& f) : random(seed), faults(f) {}

  boost::asio::io_context context{1};
  PhiloxStream random;
  SimFaults faults;
  Instant now{};
  std::uint64_t scheduled = 0;
  std::map<std::pair<Instant, std::uint64_t>, std::move_only_function<void()>> events;
  std::map<std::string, std::unique_ptr<SimHost>> hosts;
  std::map<Endpoint, SimListener*> listeners;
  std::vector<std::weak_ptr<Link>> links;
  std::size_t open_streams = 0;
  std::uint16_t next_port = 1024;
  std::uint64_t trace = 0;

  void at(Instant when, std::move_only_function<void()> what) {
    events.emplace(std::pair(std::max(when, now), scheduled++), std::move(what));
  }

  bool happens(double probability) { return probability > 0 && random.uniform() < probability; }

  // A part of n, at least one.
  std::size_t part(std::size_t n, double probability) {
    return n > 1 && happens(probability) ? 1 + random.below(n - 1) : n;
  }

  Instant arrival() {
    const Duration spread = faults.latency_max - faults.latency_min;
    const auto extra = spread.count() > 0 ? random.below(static_cast<std::uint64_t>(spread.count())) : 0;
    const Instant when = now + faults.latency_min + Duration(static_cast<std::int64_t>(extra));
    if (faults.grain.count() == 0) return when;
    const auto since = when.time_since_epoch() + faults.grain - Duration(1);
    return Instant(since - since % faults.grain);
  }

  void record(std::string_view bytes) {
    std::uint64_t hash = trace;
    const auto mix = [&hash](std::uint64_t value) {
      hash = std::rotl((hash ^ value) * 0x9E3779B97F4A7C15, 29);
    };
    mix(static_cast<std::uint64_t>(now.time_since_epoch().count()));
    mix(bytes.size());
    while (!bytes.empty()) {
      std::uint64_t word = 0;
      const std::size_t n = std::min(sizeof word, bytes.size());
      std::memcpy(&word, bytes.data(), n);
      mix(word);
      bytes.remove_prefix(n);
    }
    trace = hash;
  }

  /// Delivers bytes, or the end where there are none, to one end of the link.
  void send(const std::shared_ptr<Link>& link, std::size_t to, std::string bytes) {
    End& end = link->ends[to];
    end.in_flight += bytes.size();
    end.last_arrival = std::max(end.last_arrival, arrival());
    at(end.last_arrival, [this, link, to, bytes = std::move(bytes)] { deliver(link, to, bytes); });
  }

  void send_reset(const std::shared_ptr<Link>& link, std::size_t to) {
    at(arrival(), [link, to] { link->ends[to].fail("connection reset by peer"); });
  }

  void deliver(const std::shared_ptr<Link>& link, std::size_t to, std::string_view bytes) {
    End& reader = link->ends[to];
    End& writer = link->ends[1 - to];
    if (reader.stalled || !reader.failed.empty()) return;
    record(bytes);
    if (happens(faults.stalled)) {
      reader.stalled = true;
    } else if (happens(faults.reset)) {
      reader.fail("connection reset by peer");
      writer.fail("connection reset by peer");
    } else if (happens(faults.cut)) {
      reader.ended = reader.stalled = true;
      writer.fail("connection reset by peer");
      reader.readable.notify();
    } else if (reader.closed && !bytes.empty()) {
      send_reset(link, 1 - to);
    } else {
      reader.in_flight -= bytes.size();
      reader.arrived += bytes;
      reader.ended = reader.ended || bytes.empty();
      reader.readable.notify();
    }
  }
};

namespace {

class SimStream final : public Stream {
 public:
  SimStream(SimWorld::State& world, std::shared_ptr<Link> link, std::size_t side, Endpoint to)
      : world_(world), link_(std::move(link)), side_(side), to_(std::move(to)) {
    ++world_.open_streams;
  }
  ~SimStream() override { close(); }

  Attempt read_now(std::span<char> into) override {
    TK_ASSERT(!into.empty());
    End& end = here();
    if (!end.connected || end.closed || !end.failed.empty()) return {Attempt::State::failed};
    if (end.arrived.empty()) return {end.ended ? Attempt::State::ended : Attempt::State::would_block};
    const std::size_t n = world_.part(std::min(into.size(), end.arrived.size()), world_.faults.short_read);
    std::copy_n(end.arrived.begin(), n, into.begin());
    end.arrived.erase(0, n);
    there().writable.notify();
    return {Attempt::State::done, n};
  }

  Attempt write_now(std::span<const std::string_view> pieces) override {
    End& end = here();
    if (!end.connected || end.finished || !end.failed.empty()) return {Attempt::State::failed};
    if (room() == 0) return {Attempt::State::would_block};
    std::string bytes;
    for (const std::string_view piece : pieces) bytes += piece.substr(0, room() - bytes.size());
    TK_ASSERT(!bytes.empty());
    bytes.resize(world_.part(bytes.size(), world_.faults.short_write));
    const std::size_t n = bytes.size();
    world_.send(link_, 1 - side_, std::move(bytes));
    return {Attempt::State::done, n};
  }

  Task<bool> readable() override {
    const End& end = here();
    while (!end.closed && end.failed.empty() && end.arrived.empty() && !end.ended)
      co_await here().readable.wait();
    co_return !end.closed;
  }

  Task<bool> writable() override {
    const End& end = here();
    if (!end.connected && !std::exchange(dialled_, true)) dial();
    while (!end.closed && end.failed.empty() && (!end.connected || room() == 0))
      co_await here().writable.wait();
    co_return !end.closed;
  }

  void end_write() override {
    if (!here().connected || std::exchange(here().finished, true)) return;
    world_.send(link_, 1 - side_, {});
  }

  void close() override {
    End& end = here();
    if (end.closed) return;
    end_write();
    // The kernel answers unread bytes with a reset.
    if (!end.arrived.empty()) world_.send_reset(link_, 1 - side_);
    end.closed = true;
    end.finished = true;
    end.arrived.clear();
    end.readable.notify();
    end.writable.notify();
    --world_.open_streams;
  }

  void reset() override {
    if (here().closed) return;
    if (here().connected) world_.send_reset(link_, 1 - side_);
    here().finished = true;
    close();
  }

  std::string why() const override { return here().failed.empty() ? "closed" : here().failed; }
  bool exhausted() const override { return exhausted_; }
  std::string peer() const override { return link_->ends[1 - side_].host; }

 private:
  End& here() const { return link_->ends[side_]; }
  End& there() const { return link_->ends[1 - side_]; }

  std::size_t room() const {
    const std::size_t used = there().in_flight + there().arrived.size();
    return used < world_.faults.window_bytes ? world_.faults.window_bytes - used : 0;
  }

  void dial();

  SimWorld::State& world_;
  const std::shared_ptr<Link> link_;
  const std::size_t side_;
  const Endpoint to_;
  bool dialled_ = false;
  bool exhausted_ = false;
};

struct SimListener final : Listener {
  SimListener(SimWorld::State& w, Endpoint a) : world(w), address(std::move(a)), waiting(w.context) {
    world.listeners[address] = this;
  }
  ~SimListener() override { close(); }

  Task<std::unique_ptr<Stream>> accept() override {
    while (open && streams.empty()) co_await waiting.wait();
    if (!open) co_return nullptr;
    std::unique_ptr<Stream> stream = std::move(streams.front());
    streams.pop_front();
    co_return stream;
  }

  std::uint16_t port() const override { return address.port; }

  void close() override {
    if (!std::exchange(open, false)) return;
    world.listeners.erase(address);
    streams.clear();
    waiting.notify();
  }

  SimWorld::State& world;
  const Endpoint address;
  bool open = true;
  std::deque<std::unique_ptr<Stream>> streams;
  Signal waiting;
};

void SimStream::dial() {
  exhausted_ = world_.happens(world_.faults.exhausted);
  if (exhausted_) return here().fail("too many open files");
  if (world_.happens(world_.faults.lost)) return;
  const bool refused = world_.happens(world_.faults.refused);
  world_.at(world_.arrival(), [&world = world_, link = link_, to = to_, refused] {
    End& dialler = link->ends[0];
    if (dialler.closed) return;
    const auto listener = world.listeners.find(to);
    if (refused || listener == world.listeners.end()) {
      world.at(world.arrival(), [link] { link->ends[0].fail("connection refused"); });
      return;
    }
    link->ends[1].connected = true;
    link->ends[1].host = to.host;
    listener->second->streams.push_back(std::make_unique<SimStream>(world, link, 1, Endpoint()));
    listener->second->waiting.notify();
    world.at(world.arrival(), [link] {
      link->ends[0].connected = true;
      link->ends[0].writable.notify();
    });
  });
}

// The civil time at which every world begins.
constexpr WallTime kEpoch = std::chrono::sys_days(std::chrono::year(2026) / 1 / 1);

class SimHost final : public Net {
 public:
  SimHost(SimWorld::State& world, std::string name)
      : world_(world), name_(std::move(name)), deadlines_(*this) {}

  boost::asio::io_context& context() override { return world_.context; }
  Instant now() const override { return world_.now; }
  WallTime wall_now() const override {
    return kEpoch + std::chrono::floor<std::chrono::milliseconds>(world_.now.time_since_epoch());
  }
  DeadlineWheel& deadlines() override { return deadlines_; }

  Task<void> sleep_until(Instant at) override {
    // The event alone owns the signal: were it dropped, so would be the sleeper.
    auto owned = std::make_unique<Signal>(world_.context);
    Signal& signal = *owned;
    world_.at(at, [owned = std::move(owned)] { owned->notify(); });
    return signal.wait();
  }

  Result<std::unique_ptr<Listener>> listen(const Endpoint& at, Sharing sharing) override {
    const Endpoint address{name_, at.port != 0 ? at.port : world_.next_port++};
    if (sharing == Sharing::further || world_.listeners.contains(address)) {
      return truekeel::fail(ErrorCode::unavailable,
                            name_ + " already listens on port " + std::to_string(address.port));
    }
    return std::make_unique<SimListener>(world_, address);
  }

  std::unique_ptr<Stream> dial(const Endpoint& to) override {
    auto link = std::make_shared<Link>(world_.context);
    link->ends[0].host = name_;
    std::erase_if(world_.links, [](const auto& other) { return other.expired(); });
    world_.links.push_back(link);
    return std::make_unique<SimStream>(world_, std::move(link), 0, Endpoint{to.host, to.port});
  }

 private:
  SimWorld::State& world_;
  const std::string name_;
  DeadlineWheel deadlines_;
};

}  // namespace

SimFaults draw_faults(PhiloxStream& random, const SimFaults& most) {
  constexpr std::size_t kWindowMin = 500;
  const auto maybe = [&](double rate) { return random.below(2) == 0 ? 0.0 : rate * random.uniform(); };
  const auto spread = static_cast<std::uint64_t>((most.latency_max - most.latency_min).count());
  return {.latency_min = most.latency_min,
          .latency_max = most.latency_min + Duration(static_cast<std::int64_t>(random.below(spread + 1))),
          .grain = random.below(2) == 0 ? Duration(0) : most.grain,
          .refused = maybe(most.refused),
          .lost = maybe(most.lost),
          .reset = maybe(most.reset),
          .cut = maybe(most.cut),
          .stalled = maybe(most.stalled),
          .short_write = maybe(most.short_write),
          .short_read = maybe(most.short_read),
          .window_bytes = kWindowMin + random.below(most.window_bytes),
          .exhausted = maybe(most.exhausted)};
}

SimWorld::SimWorld(std::uint64_t seed, const SimFaults& faults)
    : state_(std::make_unique<State>(seed, faults)) {}

SimWorld::~SimWorld() {
  const auto settle = [this] {
    state_->context.restart();
    state_->context.poll();
  };
  settle();
  state_->events.clear();
  settle();
}

Net& SimWorld::host(const std::string& name) {
  auto& host = state_->hosts[name];
  if (!host) host = std::make_unique<SimHost>(*state_, name);
  return *host;
}

void SimWorld::run(Instant until) {
  while (true) {
    state_->context.restart();
    state_->context.poll();
    if (state_->events.empty() || state_->events.begin()->first.first > until) break;
    // All of one instant before anybody reacts, as an event loop wakes up for several sockets at once.
    state_->now = state_->events.begin()->first.first;
    while (!state_->events.empty() && state_->events.begin()->first.first == state_->now) {
      state_->events.extract(state_->events.begin()).mapped()();
    }
  }
  if (until != Instant::max()) state_->now = std::max(state_->now, until);
}

Instant SimWorld::now() const { return state_->now; }
void SimWorld::set_faults(const SimFaults& faults) { state_->faults = faults; }

void SimWorld::kill(const std::string& name) {
  for (const auto& weak : state_->links) {
    const auto link = weak.lock();
    if (!link || (link->ends[0].host != name && link->ends[1].host != name)) continue;
    for (std::size_t side : {0, 1}) {
      if (link->ends[side].host == name) {
        link->ends[side].fail("killed");
      } else {
        state_->send_reset(link, side);
      }
    }
  }
  // After the resets: streams that nobody has accepted yet end with their listener, in an orderly way.
  std::vector<SimListener*> listening;
  for (const auto& [address, listener] : state_->listeners) {
    if (address.host == name) listening.push_back(listener);
  }
  for (SimListener* listener : listening) listener->close();
}

std::size_t SimWorld::open_streams() const { return state_->open_streams; }
std::uint64_t SimWorld::trace() const { return state_->trace; }

}  // namespace truekeel::http
