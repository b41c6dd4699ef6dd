// SPDX-License-Identifier: Apache-2.0
// An auditor and what its taps would hand over, one step at a time. For tests.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sentinel/test_traffic.h"

namespace truekeel::sentinel {

class AuditorTest : public testing::Test {
 protected:
  AnswerId admit(fleet::EndpointId endpoint, bool streamed, std::uint64_t session = 1,
                 std::string client_version = "") {
    Admission about{.endpoint = endpoint,
                    .context_class = endpoint < 2 ? "short" : "long",
                    .window = 2048,
                    .client_version = std::move(client_version)};
    about.prompt = fleet::TokenRange::exactly(10);
    about.output_most = 100;
    about.session = about.client = session;
    about.streamed = streamed;
    about.sampling = writer_.sampling();
    auditor_.on(Admitted{++last_, now_, about});
    return last_;
  }
  void records(AnswerId answer, std::string text) {
    const std::size_t size = text.size();
    auditor_.on(Records{.answer = answer, .text = std::move(text), .audit_at = size, .seed = {}});
  }
  void complete(AnswerId answer, std::uint64_t drawn, const std::string& fingerprint = "fp") {
    AnswerEnd end{.how = AnswerEnd::How::complete};
    end.usage = protocol::Usage{.prompt_tokens = 10, .completion_tokens = drawn, .total_tokens = 10 + drawn};
    end.drawn = drawn;
    end.finish_reason = "stop";
    end.fingerprint = fingerprint;
    auditor_.on(Ended{.answer = answer, .end = end});
  }
  std::vector<incident::Finding> flush(Duration step = std::chrono::milliseconds(250)) {
    now_ += step;
    wall_ += std::chrono::duration_cast<std::chrono::milliseconds>(step);
    EXPECT_TRUE(auditor_.flush_due(now_));
    auto found = auditor_.flush(now_, wall_);
    findings_.insert(findings_.end(), found.begin(), found.end());
    return found;
  }
  /// As a new process goes on that has found this state.
  Result<std::size_t> restart(std::string_view state, std::chrono::milliseconds away = {}) {
    now_ = {};
    wall_ += away;
    std::destroy_at(&auditor_);
    std::construct_at(&auditor_, config_, AuditorSettings{}, now_, wall_);
    return auditor_.restore(state);
  }
  std::uint64_t entered() const {
    const auto& lattice = auditor_.audit().lattice();
    const auto all = lattice.find(evidence::Slice());
    return all == evidence::kNoNode ? 0 : lattice.info(all).tokens;
  }
  std::uint64_t lost(Lost why, fleet::EndpointId endpoint = 0) const {
    return auditor_.endpoint(endpoint).lost[static_cast<std::size_t>(why)];
  }

  std::shared_ptr<const fleet::Config> config_ = test_fleet();
  Instant now_{};
  WallTime wall_{std::chrono::hours(480'000)};
  Auditor auditor_{config_, {}, now_, wall_};
  RecordWriter writer_{
      {.temperature = 0.7, .top_k = 40, .top_p = 0.9, .vocabulary = RecordWriter::kVocabulary}, 61};
  AnswerId last_ = 0;
  std::vector<incident::Finding> findings_;
};

/// Windows of traffic on all three servers; tokens of s2 are faulty at some rate.
class AuditorTraffic : public AuditorTest {
 protected:
  void windows(int count, double rate, std::optional<std::uint64_t> session = {}) {
    for (int i = 0; i < count && !convicted(); ++i) window(i, rate, session);
  }
  void window(int number, double rate, std::optional<std::uint64_t> session = {}) {
    std::vector<AnswerId> answers;
    for (fleet::EndpointId endpoint = 0; endpoint < 3; ++endpoint) {
      const bool streamed = (number + static_cast<int>(endpoint)) % 3 != 0;
      answers.push_back(
          admit(endpoint, streamed, session.value_or(1 + static_cast<std::uint64_t>(number) % 9)));
      records(answers.back(), writer_.tokens(20, evidence::Fault::tail_uniform, endpoint == 1 ? rate : 0));
    }
    for (const AnswerId answer : answers) complete(answer, 20);
    flush();
  }
  bool convicted() const { return std::ranges::any_of(findings_, &incident::Finding::convicted); }
};

}  // namespace truekeel::sentinel
