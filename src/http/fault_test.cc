// SPDX-License-Identifier: Apache-2.0
// Server, client and a proxy made of both, in a world of faults: hundreds of seeds, each of which must end
// clean.
#include <gtest/gtest.h>

#include <string>

#include "base/philox.h"
#include "http/client.h"
#include "http/deadline.h"
#include "http/server.h"
#include "http/sim_net.h"

namespace truekeel::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint16_t kPort = 80;
constexpr int kClients = 6;
constexpr int kRogues = 4;
constexpr int kCallsEach = 6;

constexpr SimFaults kFaults = {.latency_max = std::chrono::milliseconds(20),
                               .grain = std::chrono::milliseconds(5),
                               .refused = 0.2,
                               .lost = 0.1,
                               .reset = 0.02,
                               .cut = 0.02,
                               .stalled = 0.02,
                               .short_write = 0.5,
                               .short_read = 0.5,
                               .window_bytes = 100'000,
                               .exhausted = 0.05};

/// A body that tells whether a byte of it is missing, doubled or somebody else's.
std::string body_of(std::uint64_t id, std::size_t size) {
  std::string body(size, ' ');
  PhiloxStream words(id);
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < size; ++i, word >>= 8) {
    if (i % 8 == 0) word = words.next();
    body[i] = static_cast<char>(word);
  }
  return body;
}

class Fleet {
 public:
  explicit Fleet(std::uint64_t seed)
      : random_(seed, 1),
        world_(seed, draw_faults(random_, kFaults)),
        upstream_client_(net("proxy"), {.kept = seconds(3)}),
        client_(net("client"), {.kept = seconds(2)}),
        upstream_(net("upstream"), options(), [this](Exchange& exchange) { return echo(exchange); }),
        proxy_(net("proxy"), options(), [this](Exchange& exchange) { return pass_on(exchange); }) {}

  void run() {
    EXPECT_TRUE(upstream_.listen({"", kPort}));
    EXPECT_TRUE(proxy_.listen({"", kPort}));
    for (int i = 0; i < kClients; ++i) spawn(net("client"), call_often());
    for (int i = 0; i < kRogues; ++i) spawn(net("rogue"), misbehave());
    if (random_.below(3) == 0) spawn(net("client"), kill_upstream());
    // All limits have passed by then: whoever still waits waits for ever.
    world_.run(Instant(seconds(600)));
    EXPECT_EQ(calls_ended_, kClients * kCallsEach);
    EXPECT_EQ(rogues_ended_, kRogues);
    EXPECT_EQ(handlers_begun_, handlers_ended_);
    EXPECT_EQ(proxy_.exchanges() + upstream_.exchanges(), 0U);
    EXPECT_EQ(proxy_.connections() + upstream_.connections(), 0U);
    EXPECT_EQ(client_.kept() + upstream_client_.kept(), 0U);
    EXPECT_EQ(world_.open_streams(), 0U);
  }

  std::uint64_t trace() const { return world_.trace(); }
  int whole_answers() const { return whole_answers_; }

 private:
  static ServerOptions options() {
    ServerOptions options;
    options.header = seconds(2);
    options.body = seconds(10);
    options.idle = seconds(5);
    return options;
  }
  static CallOptions limits() {
    return {.connect = seconds(1), .first_byte = seconds(20), .idle = seconds(4)};
  }

  Net& net(const std::string& host) { return world_.host(host); }
  Instant soon(std::uint64_t ms_max) { return world_.now() + milliseconds(random_.below(ms_max)); }

  // Sends the body back in pieces, slowly at times.
  Task<void> echo(Exchange& exchange) {
    ++handlers_begun_;
    if (random_.below(4) == 0) co_await net("upstream").sleep_until(soon(1000));
    exchange.start(200, {{"x-id", exchange.request().headers.find("x-id").value_or("")}});
    std::string_view left = exchange.body();
    bool well = true;
    while (well && !left.empty()) {
      const std::string_view piece = left.substr(0, 1 + random_.below(20'000));
      left.remove_prefix(piece.size());
      well = (co_await exchange.write(piece)).has_value();
      if (random_.below(4) == 0) co_await net("upstream").sleep_until(soon(50));
    }
    if (well && random_.below(10) > 0) co_await exchange.finish();
    ++handlers_ended_;
  }

  Task<void> pass_on(Exchange& exchange) {
    ++handlers_begun_;
    co_await pass_on_to_upstream(exchange);
    ++handlers_ended_;
  }

  Task<void> pass_on_to_upstream(Exchange& exchange) {
    Call call(upstream_client_);
    exchange.on_gone([&] { call.cancel(); });
    CallOptions options = limits();
    options.idempotent = random_.below(2) == 0;
    const auto sent = co_await call.send({"upstream", kPort}, exchange.request(), exchange.body(), options);
    if (!sent) {
      co_await exchange.respond(502, {}, sent.error().message);
      co_return;
    }
    exchange.start(call.head().status, call.head().headers);
    while (true) {
      const auto piece = co_await call.read();
      if (!piece) co_return exchange.abort();
      if (piece->empty()) break;
      if (!co_await exchange.write(*piece)) co_return;
    }
    co_await exchange.finish();
  }

  Task<void> call_often() {
    for (int i = 0; i < kCallsEach; ++i) {
      co_await call_once();
      ++calls_ended_;
      co_await net("client").sleep_until(soon(100));
    }
  }

  Task<void> call_once() {
    const std::uint64_t id = ++calls_begun_;
    const std::string body = body_of(id, random_.below(2) == 0 ? random_.below(100) : random_.below(200'000));
    const RequestHead head{.method = "POST", .target = "/", .headers = {{"x-id", std::to_string(id)}}};
    Call call(client_);
    Deadline impatience(net("client").deadlines(), [&] { call.cancel(); });
    if (random_.below(4) == 0) impatience.set(soon(200));
    if (!co_await call.send({"proxy", kPort}, head, body, limits())) co_return;
    const auto answer = co_await call.read_all(SIZE_MAX);
    if (!answer || call.head().status != 200) co_return;
    ++whole_answers_;
    EXPECT_EQ(call.head().headers.find("x-id"), std::to_string(id));
    EXPECT_TRUE(*answer == body) << "an answer of " << answer->size() << " bytes to a body of "
                                 << body.size();
  }

  // Half a request, junk, a pipeline that nobody reads the answers of: then silence, an end or a reset.
  Task<void> misbehave() {
    const std::string whole = "POST / HTTP/1.1\r\nHost: proxy\r\nContent-Length: 5\r\n\r\nhello";
    const std::string texts[] = {whole.substr(0, random_.below(whole.size())), whole + whole + whole,
                                 "junk\r\n\r\n", ""};
    const auto stream = net("rogue").dial({"proxy", kPort});
    // A lost dial would wait for ever.
    Deadline patience(net("rogue").deadlines(), [&] { stream->close(); });
    patience.set(soon(3000));
    const std::string& text = texts[random_.below(4)];
    const std::string_view piece = text;
    if (co_await stream->writable() && !text.empty()) stream->write_now({&piece, 1});
    if (random_.below(2) == 0) stream->end_write();
    co_await net("rogue").sleep_until(soon(20'000));
    if (random_.below(2) == 0) stream->reset();
    ++rogues_ended_;
  }

  Task<void> kill_upstream() {
    co_await net("client").sleep_until(soon(500));
    world_.kill("upstream");
    co_await net("client").sleep_until(soon(500));
    EXPECT_TRUE(upstream_.listen({"", kPort}));
  }

  PhiloxStream random_;
  SimWorld world_;
  Client upstream_client_;
  Client client_;
  Server upstream_;
  Server proxy_;
  std::uint64_t calls_begun_ = 0;
  int calls_ended_ = 0;
  int rogues_ended_ = 0;
  int whole_answers_ = 0;
  int handlers_begun_ = 0;
  int handlers_ended_ = 0;
};

TEST(Faults, EverySeedEndsClean) {
  constexpr std::uint64_t kSeeds = 400;
  int whole_answers = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Fleet fleet(seed);
    fleet.run();
    whole_answers += fleet.whole_answers();
    if (testing::Test::HasFailure()) return;
  }
  // The faults leave enough alive for the checks of content to mean something.
  EXPECT_GT(whole_answers, static_cast<int>(kSeeds) * 5);
}

TEST(Faults, ASeedRepeatsItself) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Fleet once(seed), again(seed);
    once.run();
    again.run();
    EXPECT_EQ(once.trace(), again.trace()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace truekeel::http
