// SPDX-License-Identifier: Apache-2.0
// truekeel backup: what a gateway keeps, copied while it runs.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.h"
#include "cli/read_config.h"
#include "store/backup.h"

namespace truekeel::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string config;
  std::string file;
  bool json = false;
};

int failed(const std::string& why, int code) {
  fmt::print(stderr, "truekeel backup: {}\n", why);
  return code;
}

/// The gateway replaces its state file as a whole, so that any copy of it is of one moment.
Result<bool> copy_state(const std::string& from, const std::string& to) {
  std::error_code error;
  if (from.empty() || !fs::exists(from, error)) return false;
  if (!fs::copy_file(from, to, error)) {
    return fail(ErrorCode::unavailable, fmt::format("cannot write '{}': {}", to, error.message()));
  }
  return true;
}

int backup(const Arguments& arguments) {
  const auto config = read_config(arguments.config);
  if (!config) return failed(config.error().message, kUsage);
  const std::string& store = config->store.sqlite_path;
  if (store.empty())
    return failed("store: memory is gone with the gateway; there is nothing to copy", kUsage);
  const std::string state_to = arguments.file + ".state";
  std::error_code error;
  if (fs::exists(state_to, error)) return failed(fmt::format("'{}' is there already", state_to), kUsage);
  if (const auto done = store::back_up(store, arguments.file); !done) {
    const bool usage = done.error().code == ErrorCode::invalid_argument;
    return failed(done.error().message, usage ? kUsage : kEnvironment);
  }
  const auto state = copy_state(config->evidence.state_file, state_to);
  if (!state) return failed(state.error().message, kEnvironment);
  if (arguments.json) {
    const nlohmann::ordered_json report = {{"store", arguments.file},
                                           {"state", *state ? nlohmann::ordered_json(state_to) : nullptr}};
    fmt::print("{}\n", report.dump());
  } else {
    fmt::print("store {} -> {}\n", store, arguments.file);
    if (*state) fmt::print("state {} -> {}\n", config->evidence.state_file, state_to);
  }
  return kFine;
}

}  // namespace

void add_backup(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("backup", "Copy what a gateway keeps, also while it runs");
  command->add_option("file", arguments->file, "the copy of the store; its audit state goes to FILE.state")
      ->required();
  command->add_option("-c,--config", arguments->config, "the gateway's configuration")->required();
  command->add_flag("--json", arguments->json, "one JSON object on standard output");
  command->footer(
      "Example:\n"
      "  truekeel backup -c truekeel.yaml /backups/truekeel-$(date +%F).db\n"
      "\nTo restore, stop the gateway and put the files in the places of `store` and `state_file`; remove "
      "what stands beside the store as -wal and -shm.\n"
      "Exit codes: 0 copied, 2 a wrong configuration, or the file is there already, 4 it cannot be read or "
      "written.");
  command->callback([arguments, &run] { run = [arguments] { return backup(*arguments); }; });
}

}  // namespace truekeel::cli
