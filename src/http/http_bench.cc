// SPDX-License-Identifier: Apache-2.0
// Measures requests/s and CPU per request over loopback: server and client on a thread each, kept
// connections.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <array>
#include <future>
#include <thread>

#include "http/client.h"
#include "http/server.h"
#include "http/tcp_net.h"

namespace truekeel::http {
namespace {

double thread_cpu_s() {
  rusage used{};
  getrusage(RUSAGE_THREAD, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// A server on a thread of its own, until it is destroyed.
class ServerThread {
 public:
  explicit ServerThread(Handler handler) {
    std::promise<std::uint16_t> port;
    auto got = port.get_future();
    thread_ = std::thread([this, handler = std::move(handler), port = std::move(port)]() mutable {
      const auto net = make_tcp_net(context_);
      Server server(*net, {}, std::move(handler));
      port.set_value(server.listen({"127.0.0.1", 0}).value());
      const auto work = boost::asio::make_work_guard(context_);
      const double before_s = thread_cpu_s();
      context_.run();
      cpu_s_ = thread_cpu_s() - before_s;
    });
    port_ = got.get();
  }
  double stop() {
    context_.stop();
    thread_.join();
    return cpu_s_;
  }
  std::uint16_t port() const { return port_; }

 private:
  boost::asio::io_context context_{1};
  std::thread thread_;
  std::uint16_t port_ = 0;
  double cpu_s_ = 0;
};

Task<void> ask(Net& net, Client& client, std::uint16_t port, const std::string& body, int requests,
               int& running) {
  const RequestHead head{
      .method = "POST", .target = "/echo", .headers = {{"content-type", "application/json"}}};
  for (int i = 0; i < requests; ++i) {
    Call call(client);
    if (!co_await call.send({"127.0.0.1", port}, head, body, {})) std::abort();
    while (true) {
      const auto piece = co_await call.read();
      if (!piece) std::abort();
      if (piece->empty()) break;
    }
  }
  if (--running == 0) net.context().stop();
}

void echo(benchmark::State& state) {
  ServerThread server([](Exchange& exchange) -> Task<void> {
    co_await exchange.respond(200, {{"content-type", "application/json"}}, exchange.body());
  });
  boost::asio::io_context context{1};
  const auto net = make_tcp_net(context);
  Client client(*net, {});
  const std::string body(600, 'x');
  const int connections = static_cast<int>(state.range(0));
  constexpr int kRequests = 200;
  const double before_s = thread_cpu_s();
  for (auto unused : state) {
    int running = connections;
    for (int i = 0; i < connections; ++i)
      spawn(*net, ask(*net, client, server.port(), body, kRequests, running));
    context.restart();
    context.run();
  }
  const double requests = static_cast<double>(state.iterations()) * connections * kRequests;
  state.counters["requests/s"] = benchmark::Counter(requests, benchmark::Counter::kIsRate);
  state.counters["client_us"] = 1e6 * (thread_cpu_s() - before_s) / requests;
  state.counters["server_us"] = 1e6 * server.stop() / requests;
}
BENCHMARK(echo)->Arg(1)->Arg(32)->Arg(256)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace truekeel::http

BENCHMARK_MAIN();
