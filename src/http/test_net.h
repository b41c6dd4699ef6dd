// SPDX-License-Identifier: Apache-2.0
// For tests: one body of tests runs over TCP on loopback and over the simulated network.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/deadline.h"
#include "http/net.h"
#include "http/sim_net.h"
#include "http/tcp_net.h"
#include "http/test_tls.h"

namespace truekeel::http {

enum class NetKind { tcp, sim, tls };  // tls: over the simulated network

/// A fixture with two hosts. Over TCP both are this machine.
class NetTest : public testing::TestWithParam<NetKind> {
 protected:
  NetTest() {
    if (GetParam() == NetKind::tcp) tcp_ = make_tcp_net(context_);
  }

  Net& net(const std::string& host = "server") {
    if (tcp_) return *tcp_;
    if (GetParam() != NetKind::tls) return world_.host(host);
    auto& net = tls_[host];
    if (!net) net = std::make_unique<TlsTestNet>(world_.host(host));
    return *net;
  }
  Endpoint at(std::uint16_t port) const { return {tcp_ ? "127.0.0.1" : "server", port}; }
  Endpoint any() const { return at(0); }
  SimWorld& world() { return world_; }

  /// Runs until the coroutine is through.
  void run(std::function<Task<void>()> body) {
    bool done = false;
    spawn(net(), finish(body, done));
    if (tcp_) {
      context_.restart();
      while (!done && context_.run_one() > 0) {
      }
    } else {
      world_.run();
    }
    EXPECT_TRUE(done) << "the test's coroutine still waits";
  }

  /// Waits until the condition holds; fails the test when it never does.
  Task<void> until(std::function<bool()> condition) {
    const Instant patience = net().now() + std::chrono::seconds(30);
    while (!condition() && net().now() < patience) co_await pause(std::chrono::milliseconds(1));
    EXPECT_TRUE(condition());
  }
  Task<void> pause(Duration duration) { return net().sleep_until(net().now() + duration); }

 private:
  static Task<void> finish(std::function<Task<void>()>& body, bool& done) {
    co_await body();
    done = true;
  }

  SimWorld world_{1};
  boost::asio::io_context context_{1};
  std::unique_ptr<Net> tcp_;
  std::map<std::string, std::unique_ptr<Net>> tls_;
};

inline std::string net_name(const testing::TestParamInfo<NetKind>& info) {
  constexpr const char* kNames[] = {"Tcp", "Sim", "Tls"};
  return kNames[static_cast<int>(info.param)];
}

/// Writes all of it. False when the stream ended first.
inline Task<bool> put(Stream& stream, std::string bytes) {
  std::string_view left = bytes;
  if (!co_await stream.writable()) co_return false;
  while (!left.empty()) {
    const Attempt attempt = stream.write_now({&left, 1});
    if (attempt.state == Attempt::State::failed) co_return false;
    left.remove_prefix(attempt.bytes);
    if (attempt.state == Attempt::State::would_block && !co_await stream.writable()) co_return false;
  }
  co_return true;
}

/// Reads until the text stands in what was read, or to the end.
inline Task<std::string> get(Stream& stream, std::string until = "no such text") {
  std::string got;
  char buffer[4096];
  while (got.find(until) == std::string::npos) {
    const Attempt attempt = stream.read_now(buffer);
    if (attempt.state == Attempt::State::ended) break;
    if (attempt.state == Attempt::State::failed) {
      got += "<failed>";
      break;
    }
    got.append(buffer, attempt.bytes);
    if (attempt.state == Attempt::State::would_block && !co_await stream.readable()) break;
  }
  co_return got;
}

}  // namespace truekeel::http
