// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "base/read_file.h"
#include "cli/commands.h"
#include "fleet/check_report.h"
#include "fleet/config.h"

namespace truekeel::cli {
namespace {

struct Options {
  std::string file;
  bool json = false;
};

int check_config(const Options& options) {
  const auto text = read_file(options.file, fleet::kMaxConfigBytes);
  if (!text) {
    std::fprintf(stderr, "%s\n", text.error().message.c_str());
    return kUsage;
  }
  const auto parsed = fleet::parse_config(*text);
  const auto report =
      options.json ? fleet::check_json(options.file, parsed) : fleet::check_text(options.file, parsed);
  // A program that asked for JSON reads it from standard output, right or wrong.
  std::fputs(report.c_str(), parsed || options.json ? stdout : stderr);
  return parsed ? kFine : kUsage;
}

}  // namespace

void add_check_config(CLI::App& app, Run& run) {
  app.add_flag_callback(
      "--print-default-config",
      [] {
        const auto text = fleet::default_config();
        std::fwrite(text.data(), 1, text.size(), stdout);
        throw CLI::Success();
      },
      "print a commented configuration and exit");
  auto* command = app.add_subcommand("check-config", "Check a configuration file and say what it means.");
  auto options = std::make_shared<Options>();
  command->add_option("file", options->file, "the configuration")->required();
  command->add_flag("--json", options->json, "one JSON object on standard output");
  command->footer(
      "Example:\n"
      "  truekeel check-config truekeel.yaml\n"
      "\nExit codes: 0 it may be served, 2 what is wrong stands there with its line and the fix.");
  command->callback([&run, options] { run = [options] { return check_config(*options); }; });
}

}  // namespace truekeel::cli
