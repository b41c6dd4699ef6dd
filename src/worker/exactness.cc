// SPDX-License-Identifier: Apache-2.0
#include "worker/exactness.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "base/philox.h"

namespace truekeel::worker {
namespace {

using engine::Slot;
using engine::SlotToken;
using engine::Token;

/// llama.cpp attends to blocks of 256 cells; from the second block on it may choose other paths.
constexpr std::size_t kLongPrompt = 270, kShortPrompt = 6;

/// What one slot is fed: a prompt, and tokens to step with.
struct Script {
  std::vector<Token> prompt;
  std::vector<Token> steps;
};

std::vector<Script> make_scripts(const engine::EngineInfo& info, std::size_t vocabulary) {
  std::vector<Script> scripts(info.slots);
  for (Slot slot = 0; slot < info.slots; ++slot) {
    PhiloxStream random(slot);
    const auto token = [&] { return static_cast<Token>(random.below(vocabulary)); };
    // Widths go down from all slots: the slot takes part in every step that is wider than its number.
    scripts[slot].steps.resize(info.slots - std::max<Slot>(slot, 1));
    const std::size_t room = info.numerics.ctx - scripts[slot].steps.size();
    scripts[slot].prompt.resize(std::min(slot == 0 ? kLongPrompt : kShortPrompt, room));
    std::ranges::generate(scripts[slot].prompt, token);
    std::ranges::generate(scripts[slot].steps, token);
  }
  return scripts;
}

Result<void> fill(engine::Engine& engine, Slot slot, std::span<const Token> prompt) {
  engine.release(slot);
  while (!prompt.empty()) {
    const auto piece = prompt.first(std::min<std::size_t>(engine.info().numerics.ubatch, prompt.size()));
    if (auto done = engine.prefill(slot, piece, 0); !done) return done;
    prompt = prompt.subspan(piece.size());
  }
  return {};
}

/// Hashes of the rows that the slot has by itself, step by step.
Result<std::vector<std::uint64_t>> step_alone(engine::Engine& engine, Slot slot, const Script& script) {
  if (auto done = fill(engine, slot, script.prompt); !done) return std::unexpected(done.error());
  std::vector<std::uint64_t> hashes;
  for (const Token token : script.steps) {
    if (auto done = engine.decode(std::array{SlotToken{slot, token}}); !done) {
      return std::unexpected(done.error());
    }
    hashes.push_back(XXH3_64bits(engine.row(0).data(), engine.row(0).size_bytes()));
  }
  engine.release(slot);
  return hashes;
}

}  // namespace

std::uint32_t Exactness::width_max() const {
  std::uint32_t width = 1;
  while (width + 1 < exact.size() && exact[width + 1]) ++width;
  return width;
}

std::string Exactness::widths() const {
  std::string text;
  for (std::size_t first = 1; first < exact.size(); ++first) {
    if (!exact[first]) continue;
    auto last = first;
    while (last + 1 < exact.size() && exact[last + 1]) ++last;
    text += fmt::format("{}{}", text.empty() ? "" : ",", first);
    if (last > first) text += fmt::format("-{}", last);
    first = last;
  }
  return text;
}

Result<Exactness> measure_exactness(engine::Engine& engine) {
  const auto slots = engine.info().slots;
  const auto scripts = make_scripts(engine.info(), engine.vocabulary().size());
  std::vector<std::vector<std::uint64_t>> alone;
  for (Slot slot = 0; slot < slots; ++slot) {
    auto hashes = step_alone(engine, slot, scripts[slot]);
    if (!hashes) return std::unexpected(std::move(hashes.error()));
    alone.push_back(std::move(*hashes));
  }
  for (Slot slot = 0; slot < slots; ++slot) {
    if (auto done = fill(engine, slot, scripts[slot].prompt); !done) return std::unexpected(done.error());
  }
  Exactness found{std::vector<bool>(slots + 1, true)};
  for (std::uint32_t width = slots; width >= 2; --width) {
    const std::size_t index = slots - width;
    std::vector<SlotToken> step;
    step.reserve(width);
    for (Slot slot = 0; slot < width; ++slot) step.push_back({slot, scripts[slot].steps[index]});
    if (auto done = engine.decode(step); !done) return std::unexpected(done.error());
    for (Slot slot = 0; slot < width; ++slot) {
      const auto row = engine.row(slot);
      if (XXH3_64bits(row.data(), row.size_bytes()) != alone[slot][index]) found.exact[width] = false;
    }
  }
  for (Slot slot = 0; slot < slots; ++slot) engine.release(slot);
  return found;
}

}  // namespace truekeel::worker
