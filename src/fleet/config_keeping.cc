// SPDX-License-Identifier: Apache-2.0
// The schema of what outlives a request: the store, and whom incidents are told.
#include <fmt/format.h>

#include "fleet/config_address.h"
#include "fleet/config_sections.h"

namespace truekeel::fleet {
namespace {

constexpr std::string_view kSqlite = "sqlite:";
constexpr std::uint64_t kKeepDaysMax = 3650;

void read_store(const Place& place, StoreConfig& store) {
  const auto text = place.text();
  if (!text) return;
  if (*text == "memory") {
    store.sqlite_path.clear();
  } else if (text->starts_with(kSqlite) && text->size() > kSqlite.size()) {
    store.sqlite_path = text->substr(kSqlite.size());
  } else {
    place.wrong(fmt::format("{} is no store", quote(*text)), "write sqlite:FILE or memory");
  }
}

void read_webhook(const Place& place, WebhookConfig& webhook) {
  const Section section(place, {"url", "secret_env"});
  const auto url = section.text("url", Presence::required);
  webhook.secret_env = section.env_name("secret_env");
  if (!section.child("secret_env")) {
    place.wrong("'secret_env' is missing", "name the environment variable with the key of its signatures");
  }
  if (!url) return;
  if (const auto parsed = parse_url(*url); !parsed) {
    section.at("url").wrong(parsed.error().message, "write http://HOST:PORT/PATH or https://HOST/PATH");
  }
  webhook.url = *url;
}

}  // namespace

void read_keeping(const Section& top, Config& config) {
  if (const auto place = top.child("store")) read_store(*place, config.store);
  if (const auto days = top.integer("keep_days", {1, kKeepDaysMax})) {
    config.store.keep_days = static_cast<std::uint32_t>(*days);
  }
  if (const auto place = top.child("webhook")) read_webhook(*place, config.webhook);
}

}  // namespace truekeel::fleet
