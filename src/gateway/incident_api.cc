// SPDX-License-Identifier: Apache-2.0
#include "gateway/incident_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "incident/incident_json.h"

namespace truekeel::gateway {

namespace {

constexpr std::string_view kIncidents = "/api/v1/incidents";
constexpr std::string_view kChanges = "/api/v1/changes";
constexpr std::string_view kRequests = "/api/v1/requests/";
constexpr std::string_view kEvents = "/api/v1/events";
constexpr std::string_view kResolve = "/resolve";
constexpr std::size_t kReasonMax = 500;

/// Events are rare, and 0.2 s is soon enough for eyes.
constexpr Duration kLook = std::chrono::milliseconds(200);
/// Proxies close streams that are silent for a minute.
constexpr Duration kHeartbeat = std::chrono::seconds(15);

template <class Items, class Show>
std::string list_json(std::string_view name, const Items& items, Show show) {
  std::string text;
  for (const auto& item : items) text += (text.empty() ? "" : ",") + show(item);
  return fmt::format("{{\"{}\":[{}]}}", name, text);
}

/// The part after "PREFIX/"; empty when the path is another one.
std::string_view rest_of(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix) || path.size() <= prefix.size() + 1 || path[prefix.size()] != '/') return {};
  return path.substr(prefix.size() + 1);
}

}  // namespace

bool IncidentApi::serves(std::string_view path) {
  return path == kIncidents || path == kChanges || path == kEvents || path.starts_with(kRequests) ||
         !rest_of(path, kIncidents).empty();
}

http::Task<void> IncidentApi::handle(http::Exchange& exchange) {
  const auto& request = exchange.request();
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  if (path == kEvents && request.method == "GET") co_return co_await follow(exchange);
  const auto answered = answer(request.method == "HEAD" ? "GET" : request.method, path, exchange.body());
  co_await respond(exchange, answered);
}

AdminAnswer IncidentApi::answer(std::string_view method, std::string_view path, const std::string& body) {
  const bool get = method == "GET", post = method == "POST";
  if (path == kIncidents) {
    if (!get) return AdminAnswer::takes(path, "GET");
    return AdminAnswer::json(list_json("incidents", desk_.incidents(), incident::to_json_brief));
  }
  if (path == kChanges) {
    if (post) return post_change(body);
    if (!get) return AdminAnswer::takes(path, "GET, POST");
    return AdminAnswer::json(list_json("changes", desk_.changes(), [](const incident::Change& change) {
      return incident::to_json(change);
    }));
  }
  if (path == kEvents) return AdminAnswer::takes(path, "GET");
  if (path.starts_with(kRequests)) {
    return get ? request(path.substr(kRequests.size())) : AdminAnswer::takes(path, "GET");
  }
  auto id = rest_of(path, kIncidents);
  if (!id.ends_with(kResolve)) return get ? incident(id) : AdminAnswer::takes(path, "GET");
  id.remove_suffix(kResolve.size());
  return post ? resolve(id, body) : AdminAnswer::takes(path, "POST");
}

AdminAnswer IncidentApi::incident(std::string_view id) const {
  const auto number = incident::number_of(id);
  const auto found = number ? desk_.incident(*number) : Result<std::optional<incident::Incident>>();
  if (!found) return AdminAnswer::problem(503, "Store not readable", found.error().message);
  if (!*found) return AdminAnswer::problem(404, "No such incident", "GET /api/v1/incidents lists them");
  return AdminAnswer::json(incident::to_json(**found));
}

AdminAnswer IncidentApi::resolve(std::string_view id, const std::string& body) {
  std::string why;
  if (!body.empty()) {
    const auto json = nlohmann::json::parse(body, nullptr, false);
    const bool right =
        json.is_object() && json.size() == 1 && json.contains("why") && json["why"].is_string();
    if (right) why = json["why"].get<std::string>();
    if (!right || why.size() > kReasonMax || !incident::is_plain_line(why)) {
      return AdminAnswer::problem(
          400, "Bad request",
          R"(the body must be empty or as {"why": "rolled back"}, of at most 500 bytes and )"
          "without control characters");
    }
  }
  const auto number = incident::number_of(id);
  if (!number || !desk_.resolve(*number, std::move(why), net_.wall_now())) {
    return AdminAnswer::problem(404, "No such open incident",
                                "GET /api/v1/incidents lists them with their status");
  }
  const bool kept = desk_.kept();
  auto resolved = incident(id);
  if (!kept && resolved.status == 200) resolved.status = 202;
  return resolved;
}

AdminAnswer IncidentApi::request(std::string_view id) const {
  const auto found = desk_.request(id);
  if (!found) return AdminAnswer::problem(503, "Store not readable", found.error().message);
  if (!*found) {
    return AdminAnswer::problem(
        404, "No such request",
        "how a request was handled is kept for a day, or a million requests; its id is the "
        "x-truekeel-request-id of its answer");
  }
  return AdminAnswer::json(incident::to_json(**found));
}

AdminAnswer IncidentApi::post_change(const std::string& body) {
  auto change = incident::posted_change(body, net_.wall_now());
  if (!change) return AdminAnswer::problem(400, "Bad change", change.error().message);
  const auto added = desk_.add_change(std::move(*change));
  if (!added) return AdminAnswer::problem(503, "Not recorded", added.error().message);
  return AdminAnswer::json(incident::to_json(*added), desk_.kept() ? 201 : 202);
}

std::string IncidentApi::sse(const Event& event) const {
  return fmt::format("id: {}.{}\nevent: {}\ndata: {}\n\n", started_.time_since_epoch().count(), event.number,
                     event.type, event.data);
}

/// The number of the last event that a follower has seen. Numbers begin anew with the process: of another
/// start's follower nothing of ours was seen.
std::uint64_t IncidentApi::seen_by(const http::Headers& headers) const {
  const auto last = headers.find("last-event-id");
  if (!last) return desk_.events().last();
  const auto ours = fmt::format("{}.", started_.time_since_epoch().count());
  std::uint64_t number = 0;
  if (last->starts_with(ours)) {
    std::from_chars(last->data() + ours.size(), last->data() + last->size(), number);
  }
  return std::min(number, desk_.events().last());
}

http::Task<void> IncidentApi::follow(http::Exchange& exchange) {
  std::uint64_t seen = seen_by(exchange.request().headers);
  exchange.start(200, {{"content-type", "text/event-stream"}, {"cache-control", "no-store"}});
  Instant spoken = net_.now();
  if (!co_await exchange.write(": follows incidents and changes\n\n")) co_return;
  while (!exchange.gone()) {
    std::string out;
    for (const auto& event : desk_.events().after(seen)) {
      out += sse(event);
      seen = event.number;
    }
    if (out.empty() && net_.now() - spoken > kHeartbeat) out = ": still here\n\n";
    if (!out.empty()) {
      if (!co_await exchange.write(out)) co_return;
      spoken = net_.now();
    }
    co_await net_.sleep_until(net_.now() + kLook);
  }
}

}  // namespace truekeel::gateway
