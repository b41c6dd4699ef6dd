// SPDX-License-Identifier: Apache-2.0
// truekeel serve: the gateway as a process.
#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/read_config.h"
#include "fleet/config.h"
#include "gateway/gateway.h"

namespace truekeel::cli {
namespace {

struct Arguments {
  std::string config;
  unsigned threads = 2;
  std::string log_level = "info";
  std::string log_format = "text";
};

int exit_code_of(const Error& error) { return error.code == ErrorCode::unavailable ? kEnvironment : kUsage; }

/// SIGHUP, SIGINT and SIGTERM arrive at next_signal() alone; call before threads start.
sigset_t block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int next_signal(const sigset_t& signals) {
  int number = 0;
  sigwait(&signals, &number);
  return number;
}

std::string address(const std::string& host, std::uint16_t port, bool tls = false) {
  return to_string(Url{.host = host, .port = port, .prefix = {}, .tls = tls});
}

/// Under systemd's Type=notify-reload a reload begins at an instant of its own clock.
void tell_systemd_of_reload() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", now.tv_sec * 1'000'000LL + now.tv_nsec / 1000);
}

/// Models and pools, certificates and clients' keys: what is wrong stays as it was, and the log says why.
void reload(const std::string& file, gateway::Gateway& gateway) {
  const auto failed = [](const char* what, const Error& error) {
    log_warning("gateway.reload_failed", {{"kept", what}, {"error", error.message}});
  };
  if (const auto read = gateway.read_files_again(); !read) failed("certificates or keys", read.error());
  auto config = read_config(file);
  if (!config) return failed("models and pools", config.error());
  const auto needs_restart = gateway.replace(std::move(*config));
  if (!needs_restart) return failed("models and pools", needs_restart.error());
  for (const auto& key : *needs_restart) {
    log_warning("gateway.needs_restart", {{"setting", key}, {"effect", "it keeps its old value until then"}});
  }
  log_info("gateway.reloaded", {{"file", file}});
}

/// Returns at SIGINT or SIGTERM; at SIGHUP reloads.
void serve_until_told(const sigset_t& signals, const std::string& file, gateway::Gateway& gateway) {
  while (next_signal(signals) == SIGHUP) {
    tell_systemd_of_reload();
    reload(file, gateway);
    sd_notify(0, "READY=1");
  }
}

/// Prints when every context class can be served by its own pool, once.
void announce_readiness(gateway::Gateway& gateway, const std::string& url, const std::atomic<bool>& ending) {
  while (!ending && !gateway.complete()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  if (ending) return;
  fmt::print("truekeel gateway ready at {}\n", url);
  std::fflush(stdout);
}

/// As many files as the process may open. A soft limit is for programs that use select().
std::uint64_t raise_open_files() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return UINT64_MAX;
  const rlim_t before = std::exchange(files.rlim_cur, files.rlim_max);
  return files.rlim_max == before || setrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_max : before;
}

std::string affinity_secret(const fleet::Config& config) {
  if (config.affinity_secret_env.empty()) return {};
  const char* secret = std::getenv(config.affinity_secret_env.c_str());
  if (secret == nullptr || *secret == '\0') {
    log_warning("affinity.random_secret", {{"variable", config.affinity_secret_env},
                                           {"effect", "sessions move at a restart, replicas disagree"}});
    return {};
  }
  return secret;
}

int serve(const Arguments& arguments) {
  log_setup(arguments.log_level == "debug"     ? LogLevel::debug
            : arguments.log_level == "warning" ? LogLevel::warning
                                               : LogLevel::info,
            arguments.log_format == "json" ? LogFormat::json : LogFormat::text);
  const auto config = read_config(arguments.config);
  if (!config) {
    const bool of_file = config.error().code == ErrorCode::invalid_argument;
    fmt::print(stderr, "{}{}\n", of_file ? "" : "truekeel serve: ", config.error().message);
    return kUsage;
  }
  for (const auto& sentence : fleet::advice(*config)) log_warning("config.advice", {{"text", sentence}});
  const sigset_t signals = block_signals();
  auto gateway = gateway::Gateway::start(std::make_shared<const fleet::Config>(*config),
                                         {.io_threads = arguments.threads,
                                          .affinity_secret = affinity_secret(*config),
                                          .open_files = raise_open_files()});
  if (!gateway) {
    fmt::print(stderr, "truekeel serve: {}\n", gateway.error().message);
    return exit_code_of(gateway.error());
  }
  const auto url = address(config->listen.host, (*gateway)->port(), !config->tls.cert_file.empty());
  fmt::print("truekeel gateway listening at {}, admin at {}\n", url,
             address(config->admin.host, (*gateway)->admin_port()));
  std::fflush(stdout);
  sd_notify(0, "READY=1");

  std::atomic<bool> ending = false;
  std::thread announcer([&] { announce_readiness(**gateway, url, ending); });
  serve_until_told(signals, arguments.config, **gateway);
  sd_notify(0, "STOPPING=1");
  ending = true;
  announcer.join();
  // A second signal does not wait for anybody.
  std::thread([signals] { next_signal(signals), std::_Exit(kBad); }).detach();
  (*gateway)->stop();
  return kFine;
}

}  // namespace

void add_serve(CLI::App& app, Run& run) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("serve", "Run the gateway in front of a fleet");
  command
      ->add_option("-c,--config", arguments->config,
                   "configuration file (see truekeel --print-default-config)")
      ->required();
  command->add_option("--threads", arguments->threads, "event loops, one thread each")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  command->add_option("--log-level", arguments->log_level, "debug logs every request")
      ->check(CLI::IsMember({"debug", "info", "warning"}))
      ->capture_default_str();
  command->add_option("--log-format", arguments->log_format)
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  truekeel --print-default-config > truekeel.yaml\n"
      "  truekeel check-config truekeel.yaml\n"
      "  truekeel serve -c truekeel.yaml\n"
      "\nSIGHUP: models and pools, clients' keys and certificates are read again. SIGTERM or Ctrl-C: "
      "readiness fails, answers "
      "under way may end, then the gateway does. A second one "
      "ends it at once.");
  command->callback([arguments, &run] { run = [arguments] { return serve(*arguments); }; });
}

}  // namespace truekeel::cli
