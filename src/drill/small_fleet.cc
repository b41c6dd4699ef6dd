// SPDX-License-Identifier: Apache-2.0
#include "drill/small_fleet.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "drill/plan.h"
#include "http/url.h"

namespace truekeel::drill {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(50);
constexpr Duration kStartPatience = std::chrono::seconds(180), kStopPatience = std::chrono::seconds(5);
constexpr std::size_t kTail = 15;

/// Four workers share the cores of a laptop: short windows, few slots.
constexpr std::uint32_t kWindow = 1024, kSlots = 4;

Error told(Child& child, std::string_view what) {
  return {ErrorCode::unavailable,
          fmt::format("{} {}. Its log ends with:\n{}", child.name(), what, child.log_tail(kTail))};
}

Result<http::Endpoint> endpoint_of(const std::string& text) {
  const auto url = parse_url(text);
  if (!url) return std::unexpected(url.error());
  const auto place = http::place_of(*url);
  if (!place) return std::unexpected(place.error());
  return place->endpoint;
}

/// As YAML's double-quoted text.
std::string yaml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string config_yaml(const std::map<std::string, std::string>& urls, const std::string& model) {
  std::string endpoints;
  for (const auto& [name, hardware, version] : kServers) {
    endpoints += fmt::format(
        "      - {{name: {}, url: {}, engine: truekeel, labels: {{hardware: {}, version: {}}}}}\n", name,
        urls.at(std::string(name)), hardware, version);
  }
  return fmt::format(
      "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nstore: memory\n"
      "models:\n  - name: {}\n    tokenizer: {}\n    default_max_output: 128\n"
      "    classes:\n      - {{name: {}, max_tokens: {}, pool: {}}}\n"
      "pools:\n  {}:\n    endpoints:\n{}",
      kModelName, yaml_text("gguf:" + model), kClass, kWindow, kPool, kPool, endpoints);
}

SmallFleet::SmallFleet(http::Net& net, FleetOptions options) : net_(net), options_(std::move(options)) {}

SmallFleet::~SmallFleet() {
  children_.clear();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

Result<Child*> SmallFleet::launch(std::string name, std::vector<std::string> arguments) {
  auto log = fmt::format("{}/{}.log", folder_, name);
  auto child = Child::start(net_.context(), {.name = std::move(name),
                                             .program = options_.program,
                                             .arguments = std::move(arguments),
                                             .log = std::move(log)});
  if (!child) return std::unexpected(child.error());
  return children_.emplace_back(std::move(*child)).get();
}

http::Task<Result<std::string>> SmallFleet::word(Child& child, std::string_view mark,
                                                 const std::function<bool()>& cancelled) {
  const auto limit = net_.now() + kStartPatience;
  while (net_.now() < limit) {
    if (cancelled()) co_return fail(ErrorCode::cancelled, "interrupted");
    if (auto found = child.word_after(mark)) co_return std::move(*found);
    if (!child.running()) co_return std::unexpected(told(child, "has ended"));
    co_await net_.sleep_until(net_.now() + kLook);
  }
  co_return std::unexpected(told(child, "did not become ready"));
}

Result<std::string> SmallFleet::write_config(const std::map<std::string, std::string>& urls) const {
  auto path = folder_ + "/truekeel.yaml";
  std::ofstream file(path);
  file << config_yaml(urls, options_.model);
  file.close();
  if (!file) return fail(ErrorCode::unavailable, path + " cannot be written");
  return path;
}

http::Task<Result<void>> SmallFleet::start(std::function<bool()> cancelled) {
  auto folder = (std::filesystem::temp_directory_path() / "truekeel-drill-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr)
    co_return fail(ErrorCode::unavailable, "no temporary folder can be made as " + folder);
  folder_ = folder;
  std::map<std::string, Child*> launched;
  for (const auto& server : kServers) {
    const auto child = launch(std::string(server.name),
                              {"worker", "--model", options_.model, "--alias", std::string(kModelName),
                               "--port", "0", "--ctx", std::to_string(kWindow), "--parallel",
                               std::to_string(kSlots), "--threads", "1", "--drain", "1", "--drill"});
    if (!child) co_return std::unexpected(child.error());
    launched[std::string(server.name)] = *child;
  }
  std::map<std::string, std::string> urls;
  for (const auto& [name, child] : launched) {
    const auto url = co_await word(*child, "ready at ", cancelled);
    if (!url) co_return std::unexpected(url.error());
    const auto endpoint = endpoint_of(*url);
    if (!endpoint) co_return std::unexpected(endpoint.error());
    urls[name] = *url;
    workers_[name] = *endpoint;
  }
  const auto config = write_config(urls);
  if (!config) co_return std::unexpected(config.error());
  const auto serve = launch("gateway", {"serve", "-c", *config, "--threads", "1"});
  if (!serve) co_return std::unexpected(serve.error());
  for (const auto& [mark, endpoint] : {std::pair(std::string_view(", admin at "), &admin_),
                                       std::pair(std::string_view("ready at "), &gateway_)}) {
    const auto url = co_await word(**serve, mark, cancelled);
    const auto at = url ? endpoint_of(*url) : std::unexpected(url.error());
    if (!at) co_return std::unexpected(at.error());
    *endpoint = *at;
  }
  co_return Result<void>();
}

std::optional<Error> SmallFleet::casualty() {
  for (const auto& child : children_)
    if (!child->running()) return told(*child, "has ended");
  return std::nullopt;
}

http::Task<void> SmallFleet::stop() {
  for (const auto& child : children_) child->ask_to_end();
  const auto limit = net_.now() + kStopPatience;
  const auto runs = [](const auto& child) { return child->running(); };
  while (std::ranges::any_of(children_, runs) && net_.now() < limit)
    co_await net_.sleep_until(net_.now() + kLook);
}

}  // namespace truekeel::drill
