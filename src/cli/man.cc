// SPDX-License-Identifier: Apache-2.0
// truekeel man: the manual page, made from the parser itself.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <string>
#include <string_view>

#include "cli/commands.h"

namespace truekeel::cli {
namespace {

/// Text for troff: a backslash, a hyphen and a line that begins like a request would mean something else.
std::string plain(std::string_view text) {
  std::string out;
  bool at_start = true;
  for (const char c : text) {
    if (at_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    at_start = c == '\n';
  }
  return out;
}

void append_options(const CLI::App& app, std::string& out) {
  for (const auto* option : app.get_options([](const CLI::Option*) { return true; })) {
    auto head = option->get_name(option->get_positional());
    if (option->get_expected_max() > 0 && !option->get_positional()) head += " " + option->get_type_name();
    if (!option->get_default_str().empty()) head += "=" + option->get_default_str();
    out += fmt::format(".TP\n.B {}\n{}\n", plain(head), plain(option->get_description()));
  }
}

void append_command(const CLI::App& app, const std::string& path, std::string& out) {
  out += fmt::format(".SH {}\n{}\n", plain(path), plain(app.get_description()));
  append_options(app, out);
  if (!app.get_footer().empty()) out += fmt::format(".PP\n.nf\n{}\n.fi\n", plain(app.get_footer()));
  for (const auto* inner : app.get_subcommands([](const CLI::App*) { return true; }))
    append_command(*inner, path + ' ' + inner->get_name(), out);
}

std::string page(const CLI::App& app) {
  std::string out = fmt::format(
      ".TH TRUEKEEL 1 \"\" \"{}\"\n.SH NAME\ntruekeel \\- {}\n.SH SYNOPSIS\n.B truekeel\nCOMMAND [OPTIONS]\n",
      app.version(), plain(app.get_description()));
  append_command(app, "truekeel", out);
  return out;
}

}  // namespace

void add_man(CLI::App& app, Run& run) {
  auto* command = app.add_subcommand("man", "Print the manual page of all commands");
  command->footer("Example:\n  truekeel man | man -l -");
  command->callback([&app, &run] {
    run = [&app] {
      fmt::print("{}", page(app));
      return kFine;
    };
  });
}

}  // namespace truekeel::cli
