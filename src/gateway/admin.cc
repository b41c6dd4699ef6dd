// SPDX-License-Identifier: Apache-2.0
#include "gateway/admin.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/url.h"
#include "fleet/explain.h"
#include "protocol/json.h"

namespace truekeel::gateway {

namespace {

constexpr std::string_view kEndpoints = "/api/v1/endpoints/";
constexpr std::string_view kAffinity = "/api/v1/affinity/";

/// The NAME of PREFIX NAME SUFFIX; empty when the path is another one.
std::string_view name_between(std::string_view path, std::string_view prefix, std::string_view suffix) {
  if (!path.starts_with(prefix) || !path.ends_with(suffix) || path.size() <= prefix.size() + suffix.size())
    return {};
  return path.substr(prefix.size(), path.size() - prefix.size() - suffix.size());
}

std::string_view path_of(const http::RequestHead& request) {
  return std::string_view(request.target).substr(0, request.target.find('?'));
}

bool is_action(std::string_view path) { return path.starts_with(kEndpoints) || path.starts_with(kAffinity); }

}  // namespace

Admin::Admin(http::Net& net, Shared& shared, const Webhook* webhook, std::optional<AdminToken> token)
    : net_(net), shared_(shared), webhook_(webhook), token_(token) {
  if (shared_.incidents() != nullptr) incidents_.emplace(net, *shared_.incidents());
}

http::Task<void> Admin::handle(http::Exchange& exchange) {
  const auto& request = exchange.request();
  const std::string_view path = path_of(request);
  const auto refusal = turned_away(request);
  if (refusal) {
    shared_.metrics().on_denial("admin");
    co_return co_await respond(exchange, *refusal);
  }
  if (incidents_ && IncidentApi::serves(path)) co_return co_await incidents_->handle(exchange);
  const auto answered = answer(request);
  co_await respond(exchange, answered);
}

std::optional<AdminAnswer> Admin::turned_away(const http::RequestHead& request) const {
  if (token_) {
    // Whether it is alive tells nothing, and those who ask often cannot send a token.
    const auto path = path_of(request);
    if (path == "/livez" || path == "/readyz" || token_->is_in(request.headers)) return std::nullopt;
    auto refusal = AdminAnswer::problem(
        401, "Token needed", "send the admin API's token as Authorization: Bearer TOKEN (admin_token_env)");
    refusal.authenticate = "Bearer";
    return refusal;
  }
  if (comes_from_here(request.headers)) return std::nullopt;
  return AdminAnswer::problem(
      403, "Not from here",
      "the admin API answers requests whose Host, and Origin if there is one, are loopback names; "
      "through a tunnel use http://localhost:PORT");
}

/// A page of some other site must not steer the fleet through the browser of somebody who may: neither by a
/// name that it lets point here (DNS rebinding; the Host tells) nor by a request across sites (the Origin
/// does).
bool Admin::comes_from_here(const http::Headers& headers) {
  const auto names_this_machine = [](std::string_view authority) {
    const auto split = split_host_port(authority);
    return split && fleet::is_loopback(split->host);
  };
  if (!names_this_machine(headers.find("host").value_or(""))) return false;
  const auto origin = headers.find("origin");
  if (!origin) return true;
  const auto scheme = origin->find("://");
  return scheme != std::string_view::npos && names_this_machine(origin->substr(scheme + 3));
}

AdminAnswer Admin::answer(const http::RequestHead& request) {
  const std::string_view path = path_of(request);
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (is_action(path) ? request.method != "POST" : !reads) {
    return AdminAnswer::takes(path, is_action(path) ? "POST" : "GET");
  }
  return reads ? read(path) : act(path);
}

AdminAnswer Admin::read(std::string_view path) {
  const Instant now = net_.now();
  if (path == "/livez") return {.status = 200, .type = "text/plain", .body = "alive\n"};
  if (path == "/readyz") {
    if (shared_.ready(now)) return {.status = 200, .type = "text/plain", .body = "ready\n"};
    return AdminAnswer::problem(
        503, "Not ready", shared_.draining() ? "shutting down" : "a context class has no ready endpoint");
  }
  if (path == "/metrics") {
    return {.status = 200, .type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics(now)};
  }
  if (path == "/api/v1/fleet") {
    return AdminAnswer::json(
        shared_.fleet([&](const fleet::Fleet& fleet) { return fleet::fleet_json(fleet, now); }));
  }
  if (path == "/api/v1/slices") return AdminAnswer::json(shared_.sentinel().slices_json());
  if (path == "/api/v1/signals") return AdminAnswer::json(shared_.sentinel().signals_json());
  if (path == "/api/v1/coverage") return AdminAnswer::json(shared_.sentinel().coverage_json());
  return AdminAnswer::problem(
      404, "Not found",
      "served are /livez, /readyz, /metrics, /api/v1/fleet, /slices, /signals, /coverage, /incidents, "
      "/changes, /requests/ID, /events, "
      "POST /api/v1/endpoints/NAME/drain, /undrain and /approve, POST /api/v1/affinity/POOL/unstick");
}

std::string Admin::metrics(Instant now) {
  auto text = shared_.fleet([&](const fleet::Fleet& fleet) { return shared_.metrics().text(fleet, now); });
  text += shared_.sentinel().metrics_text();
  if (shared_.incidents() != nullptr) text += shared_.incidents()->metrics_text();
  if (webhook_ != nullptr) text += webhook_->metrics_text();
  return text;
}

AdminAnswer Admin::act(std::string_view path) {
  if (const auto name = name_between(path, kEndpoints, "/undrain"); !name.empty()) return drain(name, false);
  if (const auto name = name_between(path, kEndpoints, "/drain"); !name.empty()) return drain(name, true);
  if (const auto name = name_between(path, kEndpoints, "/approve"); !name.empty()) return approve(name);
  if (const auto name = name_between(path, kAffinity, "/unstick"); !name.empty()) return unstick(name);
  return AdminAnswer::problem(404, "Not found",
                              "actions are endpoints/NAME/drain, endpoints/NAME/undrain, "
                              "endpoints/NAME/approve, affinity/POOL/unstick");
}

AdminAnswer Admin::drain(std::string_view endpoint, bool drained) {
  const bool known = shared_.fleet(
      [&](fleet::Fleet& fleet) { return drained ? fleet.drain(endpoint) : fleet.undrain(endpoint); });
  if (!known)
    return AdminAnswer::problem(404, "No such endpoint", fmt::format("no endpoint is named '{}'", endpoint));
  // Who lets an endpoint serve again says that it is well.
  if (!drained) shared_.sentinel().heal(endpoint);
  log_info(drained ? "endpoint.drained" : "endpoint.undrained", {{"endpoint", endpoint}});
  return AdminAnswer::json(
      fmt::format(R"({{"endpoint":{},"drained":{}}})", protocol::quoted(endpoint), drained));
}

AdminAnswer Admin::approve(std::string_view endpoint) {
  if (!shared_.sentinel().approve(endpoint))
    return AdminAnswer::problem(404, "No fingerprint",
                                fmt::format("no endpoint '{}' has stated one", endpoint));
  log_info("endpoint.approved", {{"endpoint", endpoint}});
  return AdminAnswer::json(fmt::format(R"({{"endpoint":{},"approved":true}})", protocol::quoted(endpoint)));
}

AdminAnswer Admin::unstick(std::string_view pool) {
  const auto epoch = shared_.fleet([&](fleet::Fleet& fleet) { return fleet.unstick(pool); });
  if (!epoch) return AdminAnswer::problem(404, "No such pool", fmt::format("no pool is named '{}'", pool));
  log_info("pool.unstuck", {{"pool", pool}, {"epoch", *epoch}});
  return AdminAnswer::json(fmt::format(R"({{"pool":{},"epoch":{}}})", protocol::quoted(pool), *epoch));
}

}  // namespace truekeel::gateway
