// SPDX-License-Identifier: Apache-2.0
// truekeel worker: an inference server with exact token selection.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/log.h"
#include "cli/commands.h"
#include "engine/llama_engine.h"
#include "fleet/config.h"
#include "http/tcp_net.h"
#include "worker/service.h"

namespace truekeel::cli {
namespace {

struct Options {
  engine::LlamaOptions engine;
  std::string host = "127.0.0.1";
  std::uint16_t port = 9101;
  std::uint32_t queue = 64;
  std::string alias;
  bool exact = false;
  worker::SelectionOptions selection;
  std::uint32_t given_piece = worker::kGivenPiece;
  std::uint32_t drain_s = 30;
  bool drill = false;
  std::vector<std::string> faults;
  LogFormat log_format = LogFormat::text;
};

constexpr const char* kExamples = R"(
Examples:
  truekeel worker --model SmolLM2.gguf --port 9101
  truekeel worker --model SmolLM2.gguf --ctx 32768 --parallel 2 \
      --rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 8192
  curl -s http://127.0.0.1:9101/v1/chat/completions -H 'content-type: application/json' \
      -d '{"messages": [{"role": "user", "content": "Say hello."}]}'

Exit codes: 0 ended as asked, 2 usage error, 4 the model, the memory or the port cannot be had.)";

int environment_error(std::string_view message) {
  fmt::print(stderr, "truekeel worker: {}\n", message);
  return kEnvironment;
}

std::string url_of(const std::string& host, std::uint16_t port) {
  const bool is_v6 = host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", is_v6 ? "[" : "", host, is_v6 ? "]" : "", port);
}

worker::ServiceOptions service_options(const Options& options, worker::Exactness exactness) {
  worker::ServiceOptions made;
  made.model = options.alias.empty() ? std::filesystem::path(options.engine.model_path).stem().string()
                                     : options.alias;
  made.queue = options.queue;
  made.width_max = options.exact ? exactness.width_max() : options.engine.slots;
  made.exactness = std::move(exactness);
  made.selection = options.selection;
  made.given_piece = options.given_piece;
  return made;
}

/// Requires: the parser has checked them.
std::vector<worker::Fault> faults_of(const Options& options) {
  std::vector<worker::Fault> faults;
  for (const auto& text : options.faults) faults.push_back(*worker::parse_fault(text));
  return faults;
}

http::Task<void> announce(worker::Service& service, std::string url, std::string model,
                          const Options& options) {
  co_await service.warm_up();
  fmt::print("truekeel worker ready at {} (model {}, ctx {} x {} slots, replay: {}{})\n", url, model,
             options.engine.ctx, options.engine.slots, service.replay(),
             options.drill ? ", DRILL: its answers may be wrong on purpose" : "");
  std::fflush(stdout);
}

http::Task<void> end(http::Net& net, worker::Service& service, Duration patience) {
  co_await service.drain(net.now() + patience);
  net.context().stop();
}

int run_worker(const Options& options) {
  log_setup(LogLevel::info, options.log_format);
  auto engine = engine::make_llama_engine(options.engine);
  if (!engine) return environment_error(engine.error().message);
  auto exactness = worker::measure_exactness(**engine);
  if (!exactness) return environment_error(exactness.error().message);
  log_info("worker.measured", {{"exact_widths", exactness->widths()}, {"slots", options.engine.slots}});

  boost::asio::io_context context(1);
  const auto net = http::make_tcp_net(context);
  auto settings = service_options(options, std::move(*exactness));
  worker::FaultInjector faults((*engine)->vocabulary());
  if (options.drill) settings.faults = &faults;
  if (const auto set = faults.set(faults_of(options)); !set) return environment_error(set.error().message);
  worker::Service service(*net, **engine, settings);
  const auto port = service.listen({options.host, options.port});
  if (!port) {
    return environment_error(
        fmt::format("{}; another --port, or --port 0 for any free one, may help", port.error().message));
  }
  http::spawn(*net, announce(service, url_of(options.host, *port), settings.model, options));

  boost::asio::signal_set signals(context, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    log_info("worker.draining", {{"deadline_s", options.drain_s}});
    http::spawn(*net, end(*net, service, std::chrono::seconds(options.drain_s)));
    // A second signal does not wait.
    signals.async_wait([&](const boost::system::error_code& again, int) {
      if (!again) context.stop();
    });
  });
  context.run();
  return kFine;
}

void add_engine_options(CLI::App& command, engine::LlamaOptions& engine) {
  static const std::map<std::string, engine::RopeScaling> kScalings = {
      {"none", engine::RopeScaling::none},
      {"linear", engine::RopeScaling::linear},
      {"yarn", engine::RopeScaling::yarn}};
  std::vector<std::string> kv_types;
  for (const auto name : engine::kv_type_names()) kv_types.emplace_back(name);

  command.add_option("--model", engine.model_path, "GGUF file")->required()->type_name("FILE");
  command.add_option("--ctx", engine.ctx, "window of each slot, in tokens")
      ->check(CLI::Range(16u, 1u << 22))
      ->capture_default_str();
  command.add_option("--parallel", engine.slots, "slots: answers that are generated at once")
      ->check(CLI::Range(1u, 256u))
      ->capture_default_str();
  command.add_option("--threads", engine.threads, "threads that compute")
      ->check(CLI::Range(1u, 512u))
      ->capture_default_str();
  command
      .add_option("--ubatch", engine.ubatch, "tokens of a prompt that are computed at once; changes the bits")
      ->check(CLI::Range(1u, 16384u))
      ->capture_default_str();
  command.add_option("--kv-type", engine.kv_type, "type of the KV cache")
      ->check(CLI::IsMember(kv_types))
      ->capture_default_str();
  command
      .add_option("--rope-scaling", engine.rope_scaling, "none, linear or yarn; default: as the model says")
      ->transform(CLI::CheckedTransformer(kScalings).description("{none,linear,yarn}"))
      ->type_name("KIND");
  command.add_option("--rope-scale", engine.rope_scale, "stretches the trained window by this factor")
      ->check(CLI::Range(1.0, 1024.0))
      ->capture_default_str();
  command.add_option("--yarn-orig-ctx", engine.yarn_orig_ctx,
                     "window that YaRN stretches; default: the trained one");
}

void add_selection_options(CLI::App& command, worker::SelectionOptions& selection) {
  static const std::map<std::string, select::DType> kTypes = {{"fp32", select::DType::f32},
                                                              {"bf16", select::DType::bf16}};
  command
      .add_option("--vocab-shards", selection.shards,
                  "parts of the vocabulary that select together, a thread each; the tokens stay the same")
      ->check(CLI::Range(1u, 64u))
      ->capture_default_str();
  command
      .add_option("--shard-dtype", selection.dtype,
                  "what shards round their logits to first: fp32, or bf16, which changes some tokens")
      ->transform(CLI::CheckedTransformer(kTypes).description("{fp32,bf16}"))
      ->type_name("TYPE");
}

void add_drill_options(CLI::App& command, Options& options) {
  const auto check = CLI::Validator(
      [](const std::string& text) {
        const auto fault = worker::parse_fault(text);
        return fault ? std::string() : fault.error().message;
      },
      "FAULT");
  command.add_flag("--drill", options.drill,
                   "this server is part of a drill: it may be made to serve wrong tokens, on loopback alone");
  command
      .add_option("--fault", options.faults,
                  "with --drill: tail:RATE[,ids=uniform|proportional|script] replaces tokens by improbable "
                  "ones, top1:RATE[,batch>=N] loses the best token; may be repeated")
      ->check(check)
      ->allow_extra_args(false);
}

/// Faults are for drills, and drills for this machine.
void check_drill(const Options& options) {
  if (!options.faults.empty() && !options.drill)
    throw CLI::ValidationError("--fault", "makes a server answer wrongly, and so needs --drill");
  if (options.drill && !fleet::is_loopback(options.host))
    throw CLI::ValidationError("--drill", "needs a --host on loopback: what it serves may be wrong");
}

}  // namespace

void add_worker(CLI::App& app, Run& run) {
  static const std::map<std::string, LogFormat> kFormats = {{"text", LogFormat::text},
                                                            {"json", LogFormat::json}};
  const auto options = std::make_shared<Options>();
  options->engine.threads = std::max(1u, std::thread::hardware_concurrency());
  auto* command = app.add_subcommand("worker", "Serve a model: inference with exact token selection");
  command->footer(kExamples);
  add_engine_options(*command, options->engine);
  add_selection_options(*command, options->selection);
  command->add_option("--host", options->host, "address to listen on")->capture_default_str();
  command->add_option("--port", options->port, "port to listen on; 0: any free one")->capture_default_str();
  command->add_option("--alias", options->alias, "name of the model in the API; default: the file's name");
  command->add_option("--queue", options->queue, "answers that may wait for a slot; beyond: 429")
      ->check(CLI::Range(1u, 1u << 20))
      ->capture_default_str();
  command
      ->add_option("--given-piece", options->given_piece,
                   "tokens of a score or a fast replay that are computed at once; changes their bits")
      ->check(CLI::Range(1u, 16384u))
      ->capture_default_str();
  command->add_flag("--exact", options->exact,
                    "decode no more slots at once than give the bits of one slot alone");
  command->add_option("--drain", options->drain_s, "seconds that answers may take to end after SIGTERM")
      ->capture_default_str();
  add_drill_options(*command, *options);
  command->add_option("--log-format", options->log_format, "text or json")
      ->transform(CLI::CheckedTransformer(kFormats).description("{text,json}"))
      ->type_name("FORMAT");
  command->callback([&run, options] {
    if (options->engine.rope_scale != 1 && options->engine.rope_scaling != engine::RopeScaling::linear &&
        options->engine.rope_scaling != engine::RopeScaling::yarn) {
      throw CLI::ValidationError("--rope-scale", "needs --rope-scaling linear or yarn");
    }
    check_drill(*options);
    run = [options] { return run_worker(*options); };
  });
}

}  // namespace truekeel::cli
