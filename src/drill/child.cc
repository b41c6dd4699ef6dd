// SPDX-License-Identifier: Apache-2.0
#include "drill/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

namespace truekeel::drill {
namespace {

namespace process = boost::process::v2;

/// Run in the child, between fork and exec.
struct EndsWithParent {
  template <class Launcher, class Path>
  process::error_code on_exec_setup(Launcher&, const Path&, const char* const*(&)) {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    return {};
  }
};

}  // namespace

struct Child::Process {
  process::basic_process<boost::asio::io_context::executor_type> handle;
};

Result<std::unique_ptr<Child>> Child::start(boost::asio::io_context& context, Command command) {
  const int log = open(command.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log < 0) return fail(ErrorCode::unavailable, fmt::format("{}: {}", command.log, std::strerror(errno)));
  process::error_code error;
  auto handle =
      process::default_process_launcher()(context.get_executor(), error, command.program, command.arguments,
                                          process::process_stdio{nullptr, log, log}, EndsWithParent());
  close(log);
  if (error) {
    return fail(ErrorCode::unavailable,
                fmt::format("{} cannot be started ({}): {}", command.name, command.program, error.message()));
  }
  auto owned = std::make_unique<Process>(std::move(handle));
  return std::unique_ptr<Child>(new Child(std::move(command), std::move(owned)));
}

Child::Child(Command command, std::unique_ptr<Process> process)
    : command_(std::move(command)), process_(std::move(process)) {}

Child::~Child() {
  process::error_code ignored;
  if (running()) process_->handle.terminate(ignored);
}

int Child::pid() const { return process_->handle.id(); }

bool Child::running() {
  process::error_code error;
  return process_->handle.running(error) && !error;
}

void Child::ask_to_end() {
  process::error_code ignored;
  if (running()) process_->handle.request_exit(ignored);
}

std::string Child::log() const {
  std::ifstream file(command_.log);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::optional<std::string> Child::word_after(std::string_view mark) const {
  const auto text = log();
  const auto at = text.find(mark);
  if (at == std::string::npos) return std::nullopt;
  const auto begin = at + mark.size();
  const auto end = text.find_first_of(" ,\n", begin);
  if (end == std::string::npos) return std::nullopt;
  return text.substr(begin, end - begin);
}

std::string Child::log_tail(std::size_t lines) const {
  auto text = log();
  while (text.ends_with('\n')) text.pop_back();
  std::size_t at = text.size();
  for (; lines > 0 && at != std::string::npos && at > 0; --lines) at = text.rfind('\n', at - 1);
  return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

}  // namespace truekeel::drill
