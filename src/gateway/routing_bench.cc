// SPDX-License-Identifier: Apache-2.0
// What it costs to find the context class of a chat of 100 KB: where the bounds decide, where a count decides
// that may stop at the boundary, and, to compare, with every token counted. Reads the request each time.
// TRUEKEEL_MODEL names the GGUF file whose vocabulary counts.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>

#include "base/philox.h"
#include "engine/tokenizer.h"
#include "fleet/context_class.h"
#include "gateway/ask.h"

namespace truekeel::gateway {
namespace {

constexpr std::size_t kPromptBytes = 100 << 10;

std::string chat() {
  constexpr const char* kWords[] = {"the",      "server", "of",    "window",   "answers", "quietly",
                                    "and",      "token",  "a",     "measured", "request", "to",
                                    "evidence", "long",   "never", "is",       "counted"};
  PhiloxStream random(1);
  std::string text;
  while (text.size() < kPromptBytes) text.append(kWords[random.below(std::size(kWords))]).append(" ");
  return R"({"model":"m","messages":[{"role":"user","content":")" + text + R"("}],"max_tokens":256})";
}

const engine::Tokenizer& tokenizer() {
  static const auto loaded = [] {
    const char* path = std::getenv("TRUEKEEL_MODEL");
    return engine::Tokenizer::load(path == nullptr ? "" : path).value();
  }();
  return *loaded;
}

/// The plan for such a chat, as Proxy makes it; `count_all` counts on where it might stop.
fleet::ContextPlan plan(const fleet::ModelConfig& model, const std::string& body,
                        protocol::JsonParser& parser, bool count_all) {
  const auto ask = read_ask(find_route("POST", "/v1/chat/completions", false), parser, body).value();
  auto planned = fleet::plan_context(model, bound_prompt(ask, tokenizer().traits()), 256);
  if (const auto* needed = std::get_if<fleet::CountNeeded>(&planned.outcome)) {
    std::vector<engine::Message> conversation;
    for (const auto& message : protocol::read_messages(parser, ask.body).value()) {
      conversation.push_back({message.role, message.text});
    }
    const auto stop_above = count_all ? engine::kCountAll : needed->stop_above;
    planned = fleet::with_count(std::move(planned), *tokenizer().count_chat(conversation, stop_above));
  }
  return planned;
}

void run(benchmark::State& state, std::uint32_t short_window, bool count_all) {
  fleet::ModelConfig model;
  model.classes = {{"short", short_window, "p", 0}, {"long", 1 << 20, "p", 0}};
  const auto body = chat();
  protocol::JsonParser parser;
  for (auto _ : state) benchmark::DoNotOptimize(plan(model, body, parser, count_all));
  state.counters["tokens"] = static_cast<double>(plan(model, body, parser, true).prompt.lower);
  state.counters["counted"] = plan(model, body, parser, count_all).counted == fleet::CountedBy::exact ? 1 : 0;
}

void BM_BoundsDecide(benchmark::State& state) { run(state, 1 << 17, false); }
void BM_CountStopsAtTheBoundary(benchmark::State& state) { run(state, 8192, false); }
void BM_CountAll(benchmark::State& state) { run(state, 8192, true); }
BENCHMARK(BM_BoundsDecide)->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_CountStopsAtTheBoundary)->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_CountAll)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace truekeel::gateway

BENCHMARK_MAIN();
