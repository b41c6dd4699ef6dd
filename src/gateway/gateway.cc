// SPDX-License-Identifier: Apache-2.0
#include "gateway/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>

#include "base/log.h"
#include "gateway/admin.h"
#include "gateway/incident_watch.h"
#include "gateway/prober.h"
#include "gateway/proxy.h"
#include "http/tcp_net.h"

namespace truekeel::gateway {
namespace {

/// What a cut stream's error event has to leave in, after the drain's limit.
constexpr Duration kLastWords = std::chrono::seconds(2);

std::uint64_t random_bits() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32 | device();
}

std::string random_secret() {
  std::string secret;
  for (int i = 0; i < 4; ++i) secret += std::to_string(random_bits());
  return secret;
}

/// Clients never take all files that the process may open: a quarter stays for connections to servers, so
/// that who only holds connections cannot make every server look unreachable.
std::uint32_t connections_within(std::uint64_t open_files, std::uint32_t wanted) {
  const std::uint64_t room = std::max<std::uint64_t>(1, open_files - open_files / 4);
  if (wanted <= room) return wanted;
  log_warning("gateway.few_open_files", {{"limit", open_files},
                                         {"limits.connections", wanted},
                                         {"effect", fmt::format("{} connections at most", room)},
                                         {"fix", "raise the limit: ulimit -Hn, LimitNOFILE of systemd"}});
  return static_cast<std::uint32_t>(room);
}

/// One thread with its own event loop and network.
class LoopThread {
 public:
  LoopThread() : net_(http::make_tcp_net(context_)) {}

  [[nodiscard]] http::Net& net() { return *net_; }
  void run() {
    thread_ = std::thread([this] { context_.run(); });
  }
  template <class Work>
  void post(Work work) {
    boost::asio::post(context_, std::move(work));
  }
  void stop() {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  // No lock around each socket: all that waits on them runs in this thread.
  boost::asio::io_context context_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
  std::unique_ptr<http::Net> net_;
  std::thread thread_;
};

struct WebhookTarget {
  http::Place place;
  WebhookKey key;
};

/// Nothing when none is needed.
Result<std::optional<AdminToken>> admin_token(const fleet::Config& config) {
  if (config.admin_token_env.empty()) return std::nullopt;
  const char* value = std::getenv(config.admin_token_env.c_str());
  auto token = AdminToken::parse(value == nullptr ? "" : value);
  if (token) return *token;
  return fail(ErrorCode::invalid_argument,
              fmt::format("admin: the environment variable {} (admin_token_env): {}", config.admin_token_env,
                          token.error().message));
}

/// Nothing when nobody is to be told.
Result<std::optional<WebhookTarget>> webhook_target(const fleet::WebhookConfig& config) {
  if (config.url.empty()) return std::nullopt;
  const auto url = parse_url(config.url);
  if (!url) return std::unexpected(url.error());
  auto place = http::place_of(*url);
  if (!place) return std::unexpected(place.error());
  const char* secret = std::getenv(config.secret_env.c_str());
  auto key = WebhookKey::parse(secret == nullptr ? "" : secret);
  if (!key) {
    return fail(ErrorCode::invalid_argument, fmt::format("webhook: the environment variable {}: {}",
                                                         config.secret_env, key.error().message));
  }
  return WebhookTarget{std::move(*place), std::move(*key)};
}

}  // namespace

class Gateway::IoThread {
 public:
  IoThread(Shared& shared, const http::ServerOptions& options)
      : proxy_(loop_.net(), shared, random_bits()),
        server_(loop_.net(), with_gate(options),
                [this](http::Exchange& exchange) { return proxy_.handle(exchange); }) {}

  Result<std::uint16_t> listen(const http::Endpoint& at, http::Sharing sharing) {
    return server_.listen(at, sharing);
  }
  void run() { loop_.run(); }

  void start_drain(Duration limit) {
    loop_.post([this, limit] { http::spawn(loop_.net(), drain(limit)); });
  }
  void join() { loop_.join(); }

 private:
  http::ServerOptions with_gate(http::ServerOptions options) {
    options.takes_body = [this](const http::RequestHead& head) { return proxy_.knows_client(head); };
    return options;
  }

  http::Task<void> drain(Duration limit) {
    auto& net = loop_.net();
    server_.stop_accepting();
    http::spawn(net, end_streams_at(net.now() + limit));
    co_await server_.drain(net.now() + limit + kLastWords);
    net.context().stop();
  }
  http::Task<void> end_streams_at(Instant deadline) {
    co_await loop_.net().sleep_until(deadline);
    proxy_.end_streams();
  }

  LoopThread loop_;
  Proxy proxy_;
  http::Server server_;
};

class Gateway::ControlThread {
 public:
  ControlThread(Shared& shared, std::optional<WebhookTarget> target, std::optional<AdminToken> token)
      : admin_(loop_.net(), shared, make_webhook(shared, std::move(target)), token),
        server_(loop_.net(), admin_options(),
                [this](http::Exchange& exchange) { return admin_.handle(exchange); }),
        prober_(loop_.net(), shared),
        watch_(loop_.net(), shared) {}

  Result<std::uint16_t> listen(const http::Endpoint& at) { return server_.listen(at); }
  void run() {
    loop_.post([this] {
      http::spawn(loop_.net(), prober_.run());
      http::spawn(loop_.net(), watch_.run());
      if (webhook_) http::spawn(loop_.net(), webhook_->run());
    });
    loop_.run();
  }
  void stop() { loop_.stop(); }

 private:
  http::ServerOptions admin_options() {
    http::ServerOptions options;
    options.takes_body = [this](const http::RequestHead& head) { return !admin_.turned_away(head); };
    options.parser.body_bytes = 1 << 20;
    options.connections = 1000;
    options.error_body = [](int status, std::string_view message, std::string_view) {
      return http::ErrorBody{
          "application/problem+json",
          protocol::problem_body({status, std::string(http::reason_phrase(status)), std::string(message)})};
    };
    return options;
  }

  const Webhook* make_webhook(Shared& shared, std::optional<WebhookTarget> target) {
    if (!target) return nullptr;
    return &webhook_.emplace(loop_.net(), shared.incidents()->status_events(), std::move(target->place),
                             std::move(target->key));
  }

  LoopThread loop_;
  std::optional<Webhook> webhook_;
  Admin admin_;
  http::Server server_;
  Prober prober_;
  IncidentWatch watch_;
};

Result<std::unique_ptr<Gateway>> Gateway::start(const std::shared_ptr<const fleet::Config>& config,
                                                GatewayOptions options) {
  std::unique_ptr<Gateway> gateway(new Gateway());
  if (options.affinity_secret.empty()) options.affinity_secret = random_secret();
  auto shared = Shared::make(config, options.affinity_secret, std::chrono::steady_clock::now());
  if (!shared) return std::unexpected(shared.error());
  gateway->shared_ = std::move(*shared);
  auto desk = IncidentDesk::open(*config, random_bits());
  if (!desk) return std::unexpected(desk.error());
  gateway->shared_->open_incidents(std::move(*desk));
  gateway->shared_->sentinel().start(
      [desk = gateway->shared_->incidents()](const incident::Finding& finding) {
        desk->on_finding(finding, finding.attributed.value_or(finding.detected));
      },
      [shared = gateway->shared_.get()] {
        return shared->fleet([](const fleet::Fleet& fleet) { return fleet.in_flight(); });
      });
  if (const auto opened = gateway->open(*config, options); !opened) return std::unexpected(opened.error());
  for (auto& thread : gateway->io_threads_) thread->run();
  gateway->control_->run();
  return gateway;
}

Result<void> Gateway::open(const fleet::Config& config, const GatewayOptions& options) {
  const unsigned threads = std::max(1u, options.io_threads);
  auto limits = config.limits;
  limits.connections = connections_within(options.open_files, limits.connections);
  auto server = client_port_options(limits, threads);
  server.tls = shared_->tls();
  port_ = config.listen.port;
  for (unsigned i = 0; i < threads; ++i) {
    auto& thread = io_threads_.emplace_back(std::make_unique<IoThread>(*shared_, server));
    const auto port =
        thread->listen({config.listen.host, port_}, i == 0 ? http::Sharing::first : http::Sharing::further);
    if (!port) return std::unexpected(port.error());
    port_ = *port;
  }
  auto target = webhook_target(config.webhook);
  if (!target) return std::unexpected(target.error());
  const auto token = admin_token(config);
  if (!token) return std::unexpected(token.error());
  control_ = std::make_unique<ControlThread>(*shared_, std::move(*target), *token);
  const auto port = control_->listen({config.admin.host, config.admin.port});
  if (!port) return std::unexpected(port.error());
  admin_port_ = *port;
  return {};
}

Gateway::~Gateway() {
  if (control_) {
    stop();
  } else if (shared_) {
    shared_->sentinel().stop();  // the start has failed; its thread must not ask a fleet that is gone
  }
}

bool Gateway::complete() {
  return shared_->fleet(
      [](const fleet::Fleet& fleet) { return fleet.complete(std::chrono::steady_clock::now()); });
}

Result<void> Gateway::read_files_again() {
  return shared_->read_files_again(std::chrono::steady_clock::now());
}

Result<std::vector<std::string>> Gateway::replace(fleet::Config wanted) {
  return shared_->replace(std::move(wanted), std::chrono::steady_clock::now());
}

void Gateway::stop() {
  shared_->start_draining();
  log_info("gateway.draining");
  for (auto& thread : io_threads_) thread->start_drain(shared_->settings().limits.drain);
  for (auto& thread : io_threads_) thread->join();
  control_->stop();
  shared_->sentinel().stop();
  log_info("gateway.stopped");
}

}  // namespace truekeel::gateway
