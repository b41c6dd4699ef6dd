// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <expected>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "fleet/check_report.h"
#include "fleet/config.h"

namespace truekeel::cli {
namespace {

struct Options {
  std::string file;
  bool json = false;
};

/// The file's text, one byte more than a configuration may have at most; errno in words on failure.
std::expected<std::string, std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) return std::unexpected(std::string(std::strerror(errno)));
  std::string text(fleet::kMaxConfigBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return std::unexpected(std::string(std::strerror(errno)));
  return text;
}

int check_config(const Options& options) {
  const auto text = read_file(options.file);
  if (!text) {
    std::fprintf(stderr, "%s: cannot be read: %s\n", options.file.c_str(), text.error().c_str());
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
  command->callback([&run, options] { run = [options] { return check_config(*options); }; });
}

}  // namespace truekeel::cli
