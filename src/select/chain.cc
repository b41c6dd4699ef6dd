// SPDX-License-Identifier: Apache-2.0
#include "select/chain.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

namespace truekeel::select {
namespace {

constexpr std::array<std::string_view, kOps> kNames = {"bias",  "penalties", "mask", "temperature",
                                                       "top_k", "top_p",     "min_p"};

std::optional<Op> op_of(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Op>(found - kNames.begin());
}

}  // namespace

std::string_view name_of(Op op) { return kNames[static_cast<std::size_t>(op)]; }

Result<Chain> Chain::make(std::span<const Op> ops) {
  Chain chain(std::initializer_list<Op>{});
  bool edits_over = false;
  for (const Op op : ops) {
    if (static_cast<std::size_t>(op) >= kOps)
      return fail(ErrorCode::invalid_argument, std::to_string(static_cast<int>(op)) + " is no operation");
    if (chain.has(op))
      return fail(ErrorCode::invalid_argument, std::string(name_of(op)) + " stands twice in the chain");
    if (changes_logits(op) && edits_over)
      return fail(ErrorCode::invalid_argument,
                  std::string(name_of(op)) + " changes logits and must stand before temperature and filters");
    edits_over |= !changes_logits(op);
    chain.ops_[chain.size_++] = op;
  }
  return chain;
}

Result<Chain> Chain::parse(std::string_view text) {
  if (text == "standard") return Chain();
  if (text == "llama.cpp") return llama_cpp();
  if (text == "vllm") return vllm();
  if (text == "hf") return hf();
  std::array<Op, kOps + 1> ops;
  std::size_t count = 0;
  while (!text.empty()) {
    const auto name = text.substr(0, text.find(','));
    const auto op = op_of(name);
    if (!op)
      return fail(ErrorCode::invalid_argument,
                  "unknown operation '" + std::string(name) + "'; known: " + Chain().to_string());
    if (count == ops.size())
      return fail(ErrorCode::invalid_argument, "an operation stands twice in the chain");
    ops[count++] = *op;
    text.remove_prefix(std::min(text.size(), name.size() + 1));
  }
  return make(std::span(ops).first(count));
}

std::string Chain::to_string() const {
  std::string text;
  for (const Op op : ops()) {
    if (!text.empty()) text += ',';
    text += name_of(op);
  }
  return text;
}

}  // namespace truekeel::select
