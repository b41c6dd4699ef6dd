// SPDX-License-Identifier: Apache-2.0
#include "cli/read_config.h"

#include <utility>

#include "base/read_file.h"

namespace truekeel::cli {

Result<fleet::Config> read_config(const std::string& file) {
  const auto text = read_file(file, fleet::kMaxConfigBytes);
  if (!text) return std::unexpected(text.error());
  auto config = fleet::parse_config(*text);
  if (config) return std::move(*config);
  std::string problems;
  for (const auto& problem : config.error()) {
    problems += (problems.empty() ? "" : "\n") + fleet::format_problem(file, problem);
  }
  return fail(ErrorCode::invalid_argument, std::move(problems));
}

}  // namespace truekeel::cli
