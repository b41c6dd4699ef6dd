// SPDX-License-Identifier: Apache-2.0
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include <sys/prctl.h>
#include <sys/resource.h>

#include <cstdlib>

#include "cli/commands.h"

namespace {

/// A dump of memory would put prompts on disk. The limit stops files, the flag stops pipes to a collector.
void forbid_core_dumps() {
  if (std::getenv("TRUEKEEL_CORE_DUMPS") != nullptr) return;
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
#ifndef TRUEKEEL_SANITIZED  // the leak checker attaches to the process
  prctl(PR_SET_DUMPABLE, 0);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  using namespace truekeel::cli;
  forbid_core_dumps();
  CLI::App app("Truekeel keeps LLM serving true.", "truekeel");
  app.set_version_flag("--version", TRUEKEEL_VERSION, "print the version and exit");
  app.require_subcommand(1);
  Run run;
  add_serve(app, run);
  add_check_config(app, run);
  add_backup(app, run);
  add_worker(app, run);
  add_replay(app, run);
  add_verify(app, run);
  add_incidents(app, run);
  add_explain(app, run);
  add_changes(app, run);
  add_drill(app, run);
  add_completion(app, run);
  add_man(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? kFine : kUsage;
  }
  return run();
}
