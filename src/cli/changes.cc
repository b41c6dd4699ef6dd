// SPDX-License-Identifier: Apache-2.0
// truekeel changes: lists and records deploys, flags and load-balancer edits.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/incidents_text.h"
#include "incident/incident_json.h"

namespace truekeel::cli {
namespace {

constexpr const char* kPath = "/api/v1/changes";

struct Arguments {
  std::string admin = kDefaultAdmin;
  std::map<std::string, std::string> fields;  // summary, kind, at, author, link
  std::vector<std::string> touches;           // as version=v2
  bool json = false;
};

int list(const Arguments& arguments) {
  const auto answer = ask_admin(arguments.admin, "GET", kPath);
  if (!answer || answer->status != 200) return report_failure("changes", answer);
  const auto changes = incident::changes_from_json(answer->body);
  if (!changes) return report_stranger("changes", changes.error().message);
  if (arguments.json) {
    fmt::print("{}\n", answer->body);
    return kFine;
  }
  fmt::print("{} changes are on record{}\n", changes->size(),
             changes->empty() ? "." : ", the newest first.\n");
  for (const auto& change : *changes) fmt::print("{}\n", change_line(change));
  return kFine;
}

int add(const Arguments& arguments) {
  nlohmann::json body;
  for (const auto& [field, value] : arguments.fields) {
    if (!value.empty()) body[field] = value;
  }
  for (const auto& term : arguments.touches) {
    const auto equals = term.find('=');
    body["touches"][term.substr(0, equals)] = term.substr(equals + 1);
  }
  const auto answer = ask_admin(arguments.admin, "POST", kPath,
                                body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  const bool kept = answer && answer->status == 201;
  if (!answer || (!kept && answer->status != 202)) return report_failure("changes", answer);
  const auto change = incident::change_from_json(answer->body);
  if (!change) return report_stranger("changes", change.error().message);
  if (arguments.json) {
    fmt::print("{}\n", answer->body);
  } else {
    fmt::print("{}. It will be ranked in incidents that began near it.\n\n{}\n",
               kept ? "Recorded" : "Taken, but not written to the store yet", change_line(*change));
  }
  return kFine;
}

}  // namespace

void add_changes(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("changes", "What people and machines changed in the fleet");
  command->require_subcommand(0, 1);
  command->fallthrough();
  command->add_option("--admin", arguments->admin, "admin address of the gateway")->capture_default_str();
  command->add_flag("--json", arguments->json, "one JSON object on standard output");
  auto* added = command->add_subcommand("add", "Record a change");
  added->add_option("SUMMARY", arguments->fields["summary"], "one line that says what changed")->required();
  added->add_option("--kind", arguments->fields["kind"])
      ->check(CLI::IsMember({"deploy", "flag", "load_balancer", "config", "other"}));
  added->add_option("--at", arguments->fields["at"],
                    "when it took effect, as 2026-01-31T12:34:56Z (default: now)");
  added->add_option("--author", arguments->fields["author"]);
  added->add_option("--link", arguments->fields["link"], "where to read more");
  added->add_option("--touches", arguments->touches, "what it touched, as version=v2; several narrow it down")
      ->check(CLI::Validator(
          [](const std::string& term) {
            const auto equals = term.find('=');
            const bool whole = equals != std::string::npos && equals > 0 && equals + 1 < term.size();
            return whole ? std::string() : "write it as version=v2";
          },
          "NAME=VALUE"));
  command->footer(
      "Examples:\n"
      "  truekeel changes\n"
      "  truekeel changes add \"sampler v2 on half of the fleet\" --kind deploy --touches version=v2\n"
      "\nExit codes: 0 done, 2 usage, 4 no gateway answers.");
  command->callback([arguments, added, &run] {
    run = [arguments, adds = added->parsed()] { return adds ? add(*arguments) : list(*arguments); };
  });
}

}  // namespace truekeel::cli
