// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "cli/commands.h"

int main(int argc, char** argv) {
  using namespace truekeel::cli;
  CLI::App app("Truekeel keeps LLM serving true.", "truekeel");
  app.set_version_flag("--version", TRUEKEEL_VERSION, "print the version and exit");
  app.require_subcommand(1);
  Run run;
  add_serve(app, run);
  add_check_config(app, run);
  add_worker(app, run);
  add_replay(app, run);
  add_incidents(app, run);
  add_explain(app, run);
  add_changes(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kFine : kUsage;
  }
  return run();
}
