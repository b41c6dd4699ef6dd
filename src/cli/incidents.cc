// SPDX-License-Identifier: Apache-2.0
// truekeel incidents: lists, shows and closes the incidents of a running gateway.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/incidents_text.h"
#include "incident/incident_json.h"

namespace truekeel::cli {
namespace {

constexpr const char* kPath = "/api/v1/incidents";

struct Arguments {
  std::string admin = kDefaultAdmin;
  std::string id;
  std::string why;
  bool json = false;
};

/// Exit code 1 when an incident is open: what was checked is not well.
int list(const Arguments& arguments) {
  const auto answer = ask_admin(arguments.admin, "GET", kPath);
  if (!answer || answer->status != 200) return report_failure("incidents", answer);
  const auto items = incident::briefs_from_json(answer->body);
  if (!items) return report_stranger("incidents", items.error().message);
  const auto open = std::ranges::count_if(*items, [](const auto& item) { return item.status != "resolved"; });
  if (arguments.json) {
    fmt::print("{}\n", answer->body);
  } else if (items->empty()) {
    fmt::print("No incident is on record.\n");
  } else {
    fmt::print("{} of {} incidents {} open.\n\n", open, items->size(), open == 1 ? "is" : "are");
    for (const auto& [id, status, detected, headline] : *items)
      fmt::print("{:<8} {:<13} {} {}\n", id, status, detected, headline);
  }
  return open > 0 ? kBad : kFine;
}

int print(const Arguments& arguments, const Result<AdminAnswer>& answer) {
  // 202: done, but not written to the store yet.
  if (!answer || (answer->status != 200 && answer->status != 202)) return report_failure("incidents", answer);
  const auto incident = incident::incident_from_json(answer->body);
  if (!incident) return report_stranger("incidents", incident.error().message);
  fmt::print("{}", arguments.json ? answer->body + "\n" : incident_text(*incident));
  return incident->open() ? kBad : kFine;
}

int show(const Arguments& arguments) {
  return print(arguments, ask_admin(arguments.admin, "GET", fmt::format("{}/{}", kPath, arguments.id)));
}

int resolve(const Arguments& arguments) {
  const auto body =
      nlohmann::json{{"why", arguments.why}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return print(arguments,
               ask_admin(arguments.admin, "POST", fmt::format("{}/{}/resolve", kPath, arguments.id), body));
}

}  // namespace

void add_incidents(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<Arguments>();
  auto* command =
      app.add_subcommand("incidents", "What is wrong in the fleet, since when, and what was done");
  command->require_subcommand(0, 1);
  command->fallthrough();
  command->add_option("--admin", arguments->admin, "admin address of the gateway")->capture_default_str();
  command->add_flag("--json", arguments->json, "one JSON object on standard output");
  const auto id_check = CLI::Validator(
      [](const std::string& id) {
        return incident::number_of(id) ? std::string() : id + " is no incident; write it as inc-1";
      },
      "ID");
  auto* one = command->add_subcommand("show", "One incident with its times, evidence, servers and changes");
  one->add_option("ID", arguments->id, "such as inc-1")->required()->check(id_check);
  auto* close = command->add_subcommand("resolve", "Close an incident");
  close->add_option("ID", arguments->id, "such as inc-1")->required()->check(id_check);
  close->add_option("--why", arguments->why, "what ended it");
  command->footer(
      "Examples:\n"
      "  truekeel incidents\n"
      "  truekeel incidents show inc-1\n"
      "  truekeel incidents resolve inc-1 --why \"rolled back to v1\"\n"
      "\nExit codes: 0 no incident is open, 1 one is, 2 usage, 4 no gateway answers.");
  command->callback([arguments, one, close, &run] {
    run = [arguments, shown = one->parsed(), closed = close->parsed()] {
      return shown ? show(*arguments) : closed ? resolve(*arguments) : list(*arguments);
    };
  });
}

}  // namespace truekeel::cli
