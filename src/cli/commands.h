// SPDX-License-Identifier: Apache-2.0
// The commands of the program, one per file. Each adds itself to the parser and stores what to run.
#pragma once

#include <CLI/App.hpp>
#include <functional>

namespace truekeel::cli {

/// Exit codes shared by all commands.
enum ExitCode : int { kFine = 0, kBad = 1, kUsage = 2, kUndecided = 3, kEnvironment = 4 };

/// What the chosen command runs; returns an exit code.
using Run = std::function<int()>;

/// `backup`.
void add_backup(CLI::App& app, Run& run);

/// `check-config`, and the option `--print-default-config` of the program itself.
void add_check_config(CLI::App& app, Run& run);

/// `incidents`, `explain` and `changes`: questions to a running gateway.
void add_incidents(CLI::App& app, Run& run);
void add_explain(CLI::App& app, Run& run);
void add_changes(CLI::App& app, Run& run);

/// `drill`.
void add_drill(CLI::App& app, Run& run);

/// `serve`.
void add_serve(CLI::App& app, Run& run);

/// `completion` and `man`: what the parser itself can tell shells and readers. Added last.
void add_completion(CLI::App& app, Run& run);
void add_man(CLI::App& app, Run& run);

/// `replay`.
void add_replay(CLI::App& app, Run& run);

/// `verify`.
void add_verify(CLI::App& app, Run& run);

/// `worker`.
void add_worker(CLI::App& app, Run& run);

}  // namespace truekeel::cli
