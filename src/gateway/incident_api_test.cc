// SPDX-License-Identifier: Apache-2.0
// The stream of events, over the simulated network: who comes back gets what he missed, and nothing twice.
#include "gateway/incident_api.h"

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <vector>

#include "http/client.h"
#include "http/sim_net.h"
#include "incident/test_fleet.h"

namespace truekeel::gateway {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

fleet::Config config() {
  return fleet::parse_config(R"(
store: memory
models:
  - {name: m, tokenizer: bound, classes: [{name: c, max_tokens: 1000, pool: a}]}
pools:
  a: {endpoints: [{name: s1, url: "http://h1", engine: openai}]}
)")
      .value();
}

class EventStream : public testing::Test {
 protected:
  /// One start of a gateway.
  struct Start {
    explicit Start(http::SimWorld& world, const std::string& host)
        : api(world.host(host), *desk),
          server(world.host(host), {}, [this](http::Exchange& exchange) { return api.handle(exchange); }) {
      EXPECT_TRUE(server.listen({"", 80}));
    }
    void change(const std::string& summary) {
      EXPECT_TRUE(desk->add_change({.at = incident::kTestStart, .kind = "deploy", .summary = summary}));
    }
    const std::unique_ptr<IncidentDesk> desk = IncidentDesk::open(config(), 1).value();
    IncidentApi api;
    http::Server server;
  };

  /// What a follower gets in some seconds, after an event or from now on.
  std::string follow(const std::string& host, const std::string& last) {
    std::string seen;
    http::spawn(world_.host("client"), read(host, last, seen));
    world_.run(world_.now() + seconds(3));
    return seen;
  }
  http::Task<void> read(std::string host, std::string last, std::string& seen) {
    http::RequestHead head{.method = "GET", .target = "/api/v1/events", .minor_version = 1, .headers = {}};
    if (!last.empty()) head.headers.set("Last-Event-ID", last);
    http::Client client(world_.host("client"), {});
    http::Call call(client);
    const http::CallOptions options{.deadline = world_.now() + seconds(2)};
    if (!co_await call.send({host, 80}, head, "", options)) co_return;
    while (true) {
      const auto piece = co_await call.read();
      if (!piece || piece->empty()) co_return;
      seen += *piece;
    }
  }
  static std::vector<std::string> field(const std::string& text, std::string_view name) {
    std::vector<std::string> found;
    for (std::size_t at = 0; (at = text.find(name, at)) != std::string::npos;) {
      at += name.size();
      found.push_back(text.substr(at, text.find_first_of("\n\"", at) - at));
    }
    return found;
  }
  static std::vector<std::string> summaries(const std::string& text) { return field(text, "\"summary\":\""); }

  http::SimWorld world_{1};
};

TEST_F(EventStream, WhoComesBackGetsWhatHeMissedAndNothingTwice) {
  Start start(world_, "gateway");
  start.change("one");
  start.change("two");
  EXPECT_THAT(summaries(follow("gateway", "")), IsEmpty()) << "a new follower is told from now on";
  const auto all = follow("gateway", "0.0");
  EXPECT_THAT(summaries(all), ElementsAre("one", "two"));
  const auto ids = field(all, "id: ");
  ASSERT_EQ(ids.size(), 2u);
  start.change("three");
  EXPECT_THAT(summaries(follow("gateway", ids[0])), ElementsAre("two", "three"));
  EXPECT_THAT(summaries(follow("gateway", ids[1])), ElementsAre("three"));
}

TEST_F(EventStream, AfterARestartNothingOfItsOwnWasSeen) {
  std::string last;
  {
    Start before(world_, "before");
    before.change("one");
    before.change("two");
    last = field(follow("before", "0.0"), "id: ").back();
  }
  world_.run(world_.now() + seconds(1));
  Start after(world_, "after");
  after.change("three");
  EXPECT_THAT(summaries(follow("after", last)), ElementsAre("three"));
}

TEST_F(EventStream, ANumberThatIsNoneOrStillToComeHidesNothing) {
  Start start(world_, "gateway");
  start.change("one");
  const auto id = field(follow("gateway", "0.0"), "id: ").front();
  const auto ours = id.substr(0, id.find('.') + 1);
  EXPECT_THAT(summaries(follow("gateway", ours + "x")), ElementsAre("one"));
  EXPECT_THAT(summaries(follow("gateway", "junk")), ElementsAre("one"));
  const auto ahead = follow("gateway", ours + "999");
  EXPECT_THAT(summaries(ahead), IsEmpty());
}

}  // namespace
}  // namespace truekeel::gateway
