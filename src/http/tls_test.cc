// SPDX-License-Identifier: Apache-2.0
// What TLS adds; that servers and clients behave over it as without is shown by their own tests.
#include "http/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "http/client.h"
#include "http/server.h"
#include "http/sim_net.h"
#include "http/test_tls.h"

namespace truekeel::http {
namespace {

using testing::HasSubstr;

class TlsTest : public testing::Test {
 protected:
  /// What a client that trusts `ca` gets from a server of `certificate` that it dials as `host`.
  std::string ask(const std::string& ca, const std::shared_ptr<TlsContext>& server_tls,
                  const std::string& host = "server") {
    SimWorld world(1);
    ServerOptions options;
    options.tls = server_tls;
    Server server(world.host(host), options,
                  [](Exchange& exchange) -> Task<void> { co_await exchange.respond(200, {}, "well"); });
    EXPECT_TRUE(server.listen({"", 443}));
    Client client(world.host("client"), {});
    std::string got;
    spawn(world.host("client"), call(client, {host, 443, TlsContext::for_client(ca).value()}, got));
    world.run(world.now() + std::chrono::seconds(20));
    return got;
  }

  std::shared_ptr<TlsContext> server_tls(const TestCertificate& of) {
    return TlsContext::for_server(of.cert, of.key).value();
  }

 private:
  static Task<void> call(Client& client, Endpoint to, std::string& got) {
    Call call(client);
    const RequestHead head{.method = "GET", .target = "/", .headers = {}};
    if (const auto sent = co_await call.send(to, head, "", {}); !sent) {
      got = sent.error().message;
    } else {
      const auto body = co_await call.read_all(100);
      got = body ? *body : body.error().message;
    }
  }
};

TEST_F(TlsTest, AKnownCertificateWithTheRightNameIsTrusted) {
  const TestCertificate own("own");
  EXPECT_EQ(ask(own.cert, server_tls(own)), "well");
}

TEST_F(TlsTest, AStrangersCertificateIsRefused) {
  const TestCertificate own("own"), stranger("stranger");
  EXPECT_THAT(ask(own.cert, server_tls(stranger)), HasSubstr("certificate"));
  EXPECT_THAT(ask("", server_tls(own)), HasSubstr("certificate"));
}

TEST_F(TlsTest, ACertificateForAnotherNameIsRefused) {
  const TestCertificate other("other", "DNS:elsewhere"), address("address", "IP:10.0.0.1");
  EXPECT_THAT(ask(other.cert, server_tls(other)), HasSubstr("mismatch"));
  EXPECT_EQ(ask(address.cert, server_tls(address), "10.0.0.1"), "well");
  EXPECT_THAT(ask(address.cert, server_tls(address), "10.0.0.2"), HasSubstr("mismatch"));
}

TEST_F(TlsTest, AServerInTheClearIsNoTlsServer) {
  const TestCertificate own("own");
  EXPECT_THAT(ask(own.cert, nullptr), HasSubstr("TLS"));
}

TEST_F(TlsTest, ANewCertificateIsReadWithoutARestartAndABrokenOneChangesNothing) {
  const TestCertificate first("changing");
  const auto tls = server_tls(first);
  const TestCertificate trusted("trusted"), second("changing");  // in the same files
  EXPECT_THAT(ask(second.cert, tls), HasSubstr("certificate"));
  ASSERT_TRUE(tls->reload());
  EXPECT_EQ(ask(second.cert, tls), "well");
  std::ofstream(second.key) << "no key";
  EXPECT_THAT(tls->reload().error().message, HasSubstr(second.key + ": no private key"));
  EXPECT_EQ(ask(second.cert, tls), "well");
}

TEST_F(TlsTest, FilesThatAreMissingOrDoNotFitAreNamed) {
  const TestCertificate one("one"), two("two");
  EXPECT_THAT(TlsContext::for_server("/nowhere", one.key).error().message,
              HasSubstr("/nowhere: no certificate"));
  EXPECT_THAT(TlsContext::for_server(one.cert, two.key).error().message,
              HasSubstr(two.key + ": no private key"));
  EXPECT_THAT(TlsContext::for_client("/nowhere").error().message,
              HasSubstr("/nowhere: no file of certificates"));
}

// An attacker on the way who ends a connection must not make a part look whole.
TEST_F(TlsTest, AnEndThatThePeerDidNotAnnounceIsAFailure) {
  const TestCertificate own("own");
  SimWorld world(1);
  Net& net = world.host("server");
  const auto listener = net.listen({"", 443}, Sharing::first).value();
  bool failed = false;
  spawn(net, [](Listener& from, std::shared_ptr<TlsContext> tls) -> Task<void> {
    auto inner = co_await from.accept();
    Stream& raw = *inner;
    const auto stream = tls->accept(std::move(inner));
    char byte = 0;
    while (stream->read_now({&byte, 1}).state == Attempt::State::would_block) co_await stream->readable();
    raw.end_write();
    co_await stream->readable();
  }(*listener, server_tls(own)));
  spawn(world.host("client"), [](Net& from, std::shared_ptr<TlsContext> tls, bool& saw) -> Task<void> {
    const auto stream = tls->dial(from.dial({"server", 443}), "server");
    co_await stream->writable();
    const std::string_view piece = "x";
    stream->write_now({&piece, 1});
    char byte = 0;
    Attempt attempt = stream->read_now({&byte, 1});
    while (attempt.state == Attempt::State::would_block) {
      co_await stream->readable();
      attempt = stream->read_now({&byte, 1});
    }
    saw = attempt.state == Attempt::State::failed &&
          stream->why().find("without TLS saying so") != std::string::npos;
  }(world.host("client"), TlsContext::for_client(own.cert).value(), failed));
  world.run(world.now() + std::chrono::seconds(5));
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace truekeel::http
