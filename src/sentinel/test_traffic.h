// SPDX-License-Identifier: Apache-2.0
// Answers of a simulated fleet, as the tap would hand them over. For tests.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/philox.h"
#include "evidence/calibration.h"
#include "evidence/synthetic_rows.h"
#include "fleet/config.h"
#include "sentinel/auditor.h"

namespace truekeel::sentinel {

/// Two pools of llama.cpp servers: s1, s2 (short) and l1 (long).
inline std::shared_ptr<const fleet::Config> test_fleet(const std::string& more = "") {
  const auto config = fleet::parse_config(more + R"(
models:
  - {name: m, tokenizer: bound, classes: [{name: short, max_tokens: 2048, pool: short}, {name: long, max_tokens: 32768, pool: long}]}
pools:
  short: {endpoints: [{name: s1, url: "http://h:1", engine: llama.cpp, labels: {version: v1}},
                      {name: s2, url: "http://h:2", engine: llama.cpp, labels: {version: v2}}]}
  long: {endpoints: [{name: l1, url: "http://h:3", engine: llama.cpp, labels: {version: v1}}]}
)");
  return std::make_shared<const fleet::Config>(config.value());
}

/// Draws tokens and writes their records in chat's shape.
class RecordWriter {
 public:
  static constexpr std::uint32_t kVocabulary = 2000;

  RecordWriter(evidence::Sampling sampling, std::uint64_t seed)
      : sampling_(std::move(sampling)), random_(seed) {
    const auto conduct = evidence::shipped("llama.cpp")->conduct;
    for (int i = 0; i < 24; ++i) {
      rows_.push_back(evidence::synthetic_row(random_, kVocabulary));
      laws_.emplace_back(rows_.back(), sampling_, conduct);
    }
  }

  /// One record; with `rate`, the token is drawn by the fault.
  std::string token(evidence::Fault fault, double rate) {
    const std::size_t row = random_.below(rows_.size());
    const bool faulty = random_.uniform() < rate;
    const auto drawn =
        faulty ? laws_[row].draw(fault, random_) : laws_[row].draw(evidence::Fault::none, random_);
    std::string text = entry(row, drawn) + R"(,"top_logprobs":[)";
    for (std::size_t i = 0; i < 20; ++i) text += (i > 0 ? "," : "") + entry(row, i) + "}";
    return text + "]}";
  }

  std::string tokens(int count, evidence::Fault fault = evidence::Fault::none, double rate = 0) {
    std::string text;
    for (int i = 0; i < count; ++i) text += (i > 0 ? "," : "") + token(fault, rate);
    return R"({"content":[)" + text + "]}";
  }

  [[nodiscard]] const evidence::Sampling& sampling() const { return sampling_; }

 private:
  [[nodiscard]] std::string entry(std::size_t row, std::size_t token) const {
    char number[40];
    std::snprintf(number, sizeof number, "%.9g", static_cast<double>(rows_[row].logprob[token]));
    return R"({"id":)" + std::to_string(token) + R"(,"logprob":)" + number;
  }

  evidence::Sampling sampling_;
  PhiloxStream random_;
  std::vector<evidence::SyntheticRow> rows_;
  std::vector<evidence::DrawLaw> laws_;
};

}  // namespace truekeel::sentinel
