// SPDX-License-Identifier: Apache-2.0
// truekeel explain: how one request was handled.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>

#include "cli/admin_client.h"
#include "cli/commands.h"
#include "cli/incidents_text.h"
#include "incident/incident_json.h"

namespace truekeel::cli {
namespace {

struct Arguments {
  std::string admin = kDefaultAdmin;
  std::string id;
  bool json = false;
};

int explain(const Arguments& arguments) {
  const auto answer = ask_admin(arguments.admin, "GET", "/api/v1/requests/" + arguments.id);
  if (!answer || answer->status != 200) return report_failure("explain", answer);
  const auto record = incident::request_record_from_json(answer->body);
  if (!record) return report_stranger("explain", record.error().message);
  fmt::print("{}", arguments.json ? answer->body + "\n" : request_text(*record));
  return kFine;
}

std::string check_id(const std::string& id) {
  const bool plain =
      std::ranges::all_of(id, [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '-'; });
  return plain && !id.empty() ? std::string() : "a request id is as req_0123456789abcdef01234567";
}

}  // namespace

void add_explain(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<Arguments>();
  auto* command =
      app.add_subcommand("explain", "Which server answered a request, and what the signals said; no content");
  command->add_option("REQUEST_ID", arguments->id, "the x-truekeel-request-id of its answer")
      ->required()
      ->check(CLI::Validator(check_id, "REQUEST_ID"));
  command->add_option("--admin", arguments->admin, "admin address of the gateway")->capture_default_str();
  command->add_flag("--json", arguments->json, "one JSON object on standard output");
  command->footer(
      "Example:\n"
      "  truekeel explain req_4f1d2a90b7c85e3361a0f2d4\n"
      "\nRequests are remembered for a day, or a million of them. Exit codes: 0 found, 2 unknown, 4 no "
      "gateway "
      "answers.");
  command->callback([arguments, &run] { run = [arguments] { return explain(*arguments); }; });
}

}  // namespace truekeel::cli
