// SPDX-License-Identifier: Apache-2.0
// The contract of net.h, on TCP and on the simulation alike; and what the simulation promises beyond.
#include "http/net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "http/signal.h"
#include "http/test_net.h"

namespace truekeel::http {
namespace {

using std::chrono::milliseconds;
using State = Attempt::State;

class StreamTest : public NetTest {
 protected:
  /// Two ends of a connection, for the body.
  void connected(std::function<Task<void>(Stream& dialled, Stream& accepted)> body) {
    run([&]() -> Task<void> {
      const auto listener = net().listen(any(), Sharing::first).value();
      const auto dialled = net("client").dial(at(listener->port()));
      EXPECT_TRUE(co_await dialled->writable());
      const auto accepted = co_await listener->accept();
      co_await body(*dialled, *accepted);
    });
  }

  char buffer_[100];
};

TEST_P(StreamTest, CarriesPiecesInOrder) {
  connected([this](Stream& dialled, Stream& accepted) -> Task<void> {
    EXPECT_EQ(accepted.read_now(buffer_).state, State::would_block);
    const std::string_view pieces[] = {"", "ab", "", "c"};
    const Attempt attempt = dialled.write_now(pieces);
    EXPECT_EQ(attempt.state, State::done);
    EXPECT_EQ(attempt.bytes, 3U);
    EXPECT_EQ(co_await get(accepted, "abc"), "abc");
    EXPECT_FALSE(accepted.peer().empty());
  });
}

TEST_P(StreamTest, TakesOnlyWhatFitsAndGoesOnWhenRead) {
  connected([](Stream& dialled, Stream& accepted) -> Task<void> {
    const std::string block(1 << 20, 'x');
    const std::string_view piece = block;
    std::size_t sent = 0;
    for (Attempt attempt{State::done}; attempt.state == State::done; sent += attempt.bytes) {
      attempt = dialled.write_now({&piece, 1});
    }
    EXPECT_LT(sent, 64U << 20);
    std::string all(sent, ' ');
    for (std::size_t got = 0; got < sent;) {
      const Attempt attempt = accepted.read_now(std::span(all).subspan(got));
      got += attempt.bytes;
      if (attempt.state != State::done && !co_await accepted.readable()) break;
    }
    EXPECT_TRUE(co_await dialled.writable());
    EXPECT_EQ(dialled.write_now({&piece, 1}).state, State::done);
  });
}

TEST_P(StreamTest, AnEndComesAfterTheLastByteAndTheOtherHalfGoesOn) {
  connected([](Stream& dialled, Stream& accepted) -> Task<void> {
    co_await put(dialled, "last");
    dialled.end_write();
    EXPECT_EQ(co_await get(accepted), "last");
    co_await put(accepted, "answer");
    accepted.close();
    EXPECT_EQ(co_await get(dialled), "answer");
  });
}

TEST_P(StreamTest, AResetIsAFailureWithWords) {
  connected([](Stream& dialled, Stream& accepted) -> Task<void> {
    dialled.reset();
    EXPECT_EQ(co_await get(accepted), "<failed>");
    EXPECT_THAT(accepted.why(), testing::HasSubstr("reset"));
  });
}

TEST_P(StreamTest, CloseEndsTheWaitsOfBothDirectionsAndIsIdempotent) {
  int ended = 0;
  connected([&](Stream& dialled, Stream& accepted) -> Task<void> {
    const std::string block(1 << 20, 'x');
    const std::string_view piece = block;
    while (accepted.write_now({&piece, 1}).state == State::done) {
    }
    spawn(net(), [](Stream& stream, int& count) -> Task<void> {
      EXPECT_FALSE(co_await stream.readable());
      ++count;
    }(accepted, ended));
    spawn(net(), [](Stream& stream, int& count) -> Task<void> {
      EXPECT_FALSE(co_await stream.writable());
      ++count;
    }(accepted, ended));
    co_await pause(milliseconds(5));
    accepted.close();
    EXPECT_EQ(ended, 0) << "a wait ended within close()";
    accepted.close();
    co_await until([&] { return ended == 2; });
    EXPECT_EQ(accepted.read_now(buffer_).state, State::failed);
    EXPECT_EQ(accepted.write_now({&piece, 1}).state, State::failed);
    EXPECT_FALSE(co_await accepted.readable());
    EXPECT_FALSE(co_await accepted.writable());
    (void)dialled;
  });
}

TEST_P(StreamTest, ARefusedDialFailsAtTheFirstAttempt) {
  run([this]() -> Task<void> {
    const auto listener = net().listen(any(), Sharing::first).value();
    const Endpoint gone = at(listener->port());
    listener->close();
    EXPECT_EQ(co_await listener->accept(), nullptr);
    const auto stream = net("client").dial(gone);
    const std::string_view piece = "x";
    EXPECT_TRUE(co_await stream->writable());
    EXPECT_EQ(stream->write_now({&piece, 1}).state, State::failed);
    EXPECT_THAT(stream->why(), testing::HasSubstr("refused"));
  });
}

TEST_P(StreamTest, APortIsTakenOnce) {
  run([this]() -> Task<void> {
    const auto listener = net().listen(any(), Sharing::first).value();
    const auto second = net().listen(at(listener->port()), Sharing::first);
    EXPECT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::unavailable);
    co_return;
  });
}

TEST_P(StreamTest, SleepsAtLeastAsLongAsAsked) {
  run([this]() -> Task<void> {
    const Instant at = net().now() + milliseconds(20);
    co_await net().sleep_until(at);
    EXPECT_GE(net().now(), at);
  });
}

TEST_P(StreamTest, ASignalWakesOnceAndRemembersOneCall) {
  run([this]() -> Task<void> {
    Signal signal(net().context());
    signal.notify();
    signal.notify();
    co_await signal.wait();
    bool woken = false;
    spawn(net(), [](Signal& s, bool& flag) -> Task<void> {
      co_await s.wait();
      flag = true;
    }(signal, woken));
    co_await pause(milliseconds(1));
    EXPECT_FALSE(woken);
    signal.notify();
    EXPECT_FALSE(woken) << "resumed within notify()";
    co_await until([&] { return woken; });
  });
}

INSTANTIATE_TEST_SUITE_P(, StreamTest, testing::Values(NetKind::tcp, NetKind::sim), net_name);

TEST(TcpNet, ThreadsShareAPortAndLookUpNames) {
  boost::asio::io_context context;
  const auto net = make_tcp_net(context);
  const auto first = net->listen({"127.0.0.1", 0}, Sharing::first).value();
  EXPECT_TRUE(net->listen({"localhost", first->port()}, Sharing::further));
  EXPECT_EQ(net->listen({"not an address", 0}, Sharing::first).error().code, ErrorCode::invalid_argument);
  bool connected = false, abandoned = false;
  spawn(*net, [](Net& n, std::uint16_t port, bool& done) -> Task<void> {
    const auto stream = n.dial({"localhost", port});
    EXPECT_TRUE(co_await stream->writable());
    done = stream->peer() == "127.0.0.1";
  }(*net, first->port(), connected));
  const auto stream = net->dial({"no-such-host.invalid", 1});
  spawn(*net, [](Stream& s, bool& done) -> Task<void> {
    EXPECT_FALSE(co_await s.writable());
    done = true;
  }(*stream, abandoned));
  stream->close();
  context.run();
  EXPECT_TRUE(connected);
  EXPECT_TRUE(abandoned);
}

/// What the kernel watches for, by descriptor, in all epolls of this process (proc(5), fdinfo).
std::vector<std::uint32_t> watched_events() {
  std::vector<std::uint32_t> watched;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
    std::ifstream info(entry.path());
    for (std::string line; std::getline(info, line);) {
      const auto at = line.find("events:");
      if (line.starts_with("tfd:") && at != std::string::npos) {
        watched.push_back(static_cast<std::uint32_t>(std::stoul(line.substr(at + 7), nullptr, 16)));
      }
    }
  }
  return watched;
}

// Room there nearly always is: each read would wake the thread a second time.
TEST(TcpNet, ADialledStreamThatWaitsToReadIsNotToldOfRoomToWrite) {
  boost::asio::io_context context;
  const auto net = make_tcp_net(context);
  const auto listener = net->listen({"127.0.0.1", 0}, Sharing::first).value();
  const auto stream = net->dial({"127.0.0.1", listener->port()});
  const auto others = watched_events().size();
  bool waited = false;
  spawn(*net, [](Stream& s, std::size_t others_watched, bool& done) -> Task<void> {
    EXPECT_TRUE(co_await s.writable());
    boost::asio::post(co_await boost::asio::this_coro::executor, [&s, others_watched] {
      const auto watched = watched_events();
      EXPECT_EQ(watched.size(), others_watched + 1);
      for (const auto events : watched) EXPECT_EQ(events & EPOLLOUT, 0U);
      s.close();
    });
    EXPECT_FALSE(co_await s.readable());
    done = true;
  }(*stream, others, waited));
  context.run();
  EXPECT_TRUE(waited);
}

TEST(SimWorld, AKilledHostResetsItsConnectionsAndMayComeBack) {
  SimWorld world(1);
  Net& net = world.host("a");
  auto listener = net.listen({"", 80}, Sharing::first).value();
  std::string got;
  const auto stream = world.host("b").dial({"a", 80});
  spawn(net, [](Stream& s, std::string& text) -> Task<void> {
    co_await s.writable();
    text = co_await get(s);
  }(*stream, got));
  world.run();
  EXPECT_EQ(got, "");
  world.kill("a");
  world.run();
  EXPECT_EQ(got, "<failed>");
  EXPECT_TRUE(net.listen({"", 80}, Sharing::first));
}

TEST(SimWorld, TimeStopsWhereItIsTold) {
  SimWorld world(1);
  int woken = 0;
  const auto sleep = [](Net& net, Instant at, int& count) -> Task<void> {
    co_await net.sleep_until(at);
    ++count;
  };
  for (const int s : {1, 2, 3})
    spawn(world.host("a"), sleep(world.host("a"), Instant(std::chrono::seconds(s)), woken));
  world.run(Instant(std::chrono::seconds(2)));
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(world.now(), Instant(std::chrono::seconds(2)));
  world.run();
  EXPECT_EQ(woken, 3);
}

}  // namespace
}  // namespace truekeel::http
