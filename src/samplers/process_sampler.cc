// SPDX-License-Identifier: Apache-2.0
#include "samplers/process_sampler.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <system_error>
#include <thread>

#include "conformance/wire.h"

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX asks for it; some headers have it

namespace truekeel::samplers {
namespace {

using conformance::Call;
using conformance::Draw;

std::chrono::steady_clock::time_point after(std::chrono::milliseconds timeout) {
  return std::chrono::steady_clock::now() + timeout;
}

/// How long a child may take to end by itself: one that closed its output is about to.
std::chrono::milliseconds grace_after(const Error& error) {
  return std::chrono::milliseconds(error.code == ErrorCode::unavailable ? 500 : 0);
}

struct Pipe {
  Fd read, write;
};

Result<Pipe> open_pipe() {
  std::array<int, 2> fds{};
  if (pipe2(fds.data(), O_CLOEXEC) != 0)
    return fail(ErrorCode::io, "pipe: " + std::generic_category().message(errno));
  return Pipe{Fd(fds[0]), Fd(fds[1])};
}

/// posix_spawn's two parameter blocks, freed together.
struct SpawnSetup {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnSetup() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
};

}  // namespace

Result<std::unique_ptr<LineSampler>> LineSampler::open(Fd in, Fd out, const ProcessOptions& options) {
  std::unique_ptr<LineSampler> sampler(
      new LineSampler(LineChannel(std::move(in), std::move(out), options.line_max), options));
  const auto line = sampler->channel_.exchange(conformance::hello_line(), after(options.start_timeout));
  if (!line) return std::unexpected(line.error());
  auto semantics = conformance::read_semantics(*line);
  if (!semantics) return std::unexpected(semantics.error());
  sampler->semantics_ = std::move(*semantics);
  return sampler;
}

Result<std::vector<Draw>> LineSampler::draw(const Call& call) {
  const std::uint64_t id = ++calls_;
  const auto line = channel_.exchange(conformance::call_line(call, id), after(options_.call_timeout));
  if (!line) return std::unexpected(line.error());
  return conformance::read_draws(*line, call, id);
}

Result<std::unique_ptr<ProcessSampler>> ProcessSampler::start(std::vector<std::string> command,
                                                              const ProcessOptions& options) {
  std::unique_ptr<ProcessSampler> sampler(new ProcessSampler(std::move(command), options));
  if (const auto spawned = sampler->spawn(); !spawned) return std::unexpected(spawned.error());
  sampler->semantics_ = sampler->lines_->semantics();
  return sampler;
}

ProcessSampler::~ProcessSampler() { stop({}); }

Result<bool> ProcessSampler::spawn() {
  auto to_child = open_pipe(), from_child = open_pipe();
  if (!to_child || !from_child) return std::unexpected((to_child ? from_child : to_child).error());
  SpawnSetup setup;
  posix_spawn_file_actions_adddup2(&setup.actions, to_child->read.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&setup.actions, from_child->write.get(), STDOUT_FILENO);
  // A group of its own, so that whatever the child starts is ended with it; SIGPIPE as programs expect it.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  posix_spawnattr_setsigdefault(&setup.attributes, &broken_pipe);
  posix_spawnattr_setpgroup(&setup.attributes, 0);
  posix_spawnattr_setflags(&setup.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);

  std::vector<char*> arguments;
  arguments.reserve(command_.size() + 1);
  for (const std::string& argument : command_) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const int error =
      posix_spawnp(&pid_, arguments[0], &setup.actions, &setup.attributes, arguments.data(), environ);
  if (error != 0) {
    pid_ = -1;
    return fail(ErrorCode::unavailable,
                fmt::format("cannot start {}: {}", command_[0], std::generic_category().message(error)));
  }
  to_child->read = Fd();
  from_child->write = Fd();
  auto lines = LineSampler::open(std::move(from_child->read), std::move(to_child->write), options_);
  if (!lines)
    return fail(lines.error().code, fmt::format("{}: {} ({})", command_[0], lines.error().message,
                                                stop(grace_after(lines.error()))));
  lines_ = std::move(*lines);
  return true;
}

std::string ProcessSampler::stop(std::chrono::milliseconds grace) {
  lines_.reset();
  if (pid_ < 0) return "not running";
  int status = 0;
  // A child that ends by itself tells more than one that we kill.
  const auto until = after(grace);
  bool ended = false;
  while (!(ended = waitpid(pid_, &status, WNOHANG) == pid_) && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  kill(-pid_, SIGKILL);
  if (!ended) waitpid(pid_, &status, 0);
  pid_ = -1;
  if (!ended) return "killed";
  return WIFSIGNALED(status) ? fmt::format("it died of signal {}", WTERMSIG(status))
                             : fmt::format("it ended with code {}", WEXITSTATUS(status));
}

Result<std::vector<Draw>> ProcessSampler::draw(const Call& call) {
  if (!lines_)
    if (const auto spawned = spawn(); !spawned) return std::unexpected(spawned.error());
  auto draws = lines_->draw(call);
  if (draws) return draws;
  // An answer that is none leaves the lines out of step: the next call starts afresh in any case.
  return fail(draws.error().code,
              fmt::format("{} ({})", draws.error().message, stop(grace_after(draws.error()))));
}

}  // namespace truekeel::samplers
