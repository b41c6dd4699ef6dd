// SPDX-License-Identifier: Apache-2.0
#include "incident/record_lines.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/philox.h"
#include "incident/incident_json.h"
#include "incident/test_fleet.h"

namespace truekeel::incident {
namespace {

using std::chrono::milliseconds;

RequestRecord full(std::string id) {
  return {.id = std::move(id),
          .at = kTestStart,
          .operation = "chat",
          .model = "m",
          .context_class = "short",
          .pool = "p",
          .endpoint = "s1",
          .fingerprint = "fp \"1\" ä\n",
          .counted = "bound",
          .status = 200,
          .end = "ok",
          .duration_ms = 12,
          .input_tokens = 7,
          .output_tokens = 3,
          .signals = {{"audit", true, "fine"}, {"canary", false, "not for clients"}}};
}

std::string lines_of(const std::vector<RequestRecord>& records) {
  RecordLines lines;
  for (const auto& record : records) lines.add(record);
  return lines.text();
}

TEST(RecordLines, StateWhatDiffersFromTheLineBefore) {
  auto second = full("b");
  second.at += milliseconds(4);
  second.input_tokens.reset();
  const auto text = lines_of({full("a"), second, second});
  EXPECT_EQ(text.substr(text.find('\n') + 1),
            "{\"id\":\"b\",\"at\":\"" + rfc3339(second.at) + "\",\"input_tokens\":null}\n{}\n");
}

TEST(RecordLines, EveryRecordComesBackAsItWent) {
  constexpr std::uint64_t kSeed = 5;
  PhiloxStream random(kSeed);
  const auto one_of = [&](std::vector<std::string> texts) { return texts[random.below(texts.size())]; };
  std::vector<RequestRecord> records;
  for (int i = 0; i < 300; ++i) {
    records.push_back({.id = "req_" + std::to_string(i),
                       .at = kTestStart + milliseconds(random.below(3)),
                       .operation = one_of({"chat", "text_completion"}),
                       .model = one_of({"", "m", "a \"b\"\\"}),
                       .context_class = one_of({"", "short", "long"}),
                       .pool = one_of({"", "short"}),
                       .endpoint = one_of({"", "s1", "s2"}),
                       .fingerprint = one_of({"", "ä\n\x7f"}),
                       .counted = one_of({"bound", "exact"}),
                       .status = random.below(2) == 0 ? 200u : 503u,
                       .end = one_of({"ok", "cut"}),
                       .duration_ms = static_cast<std::uint32_t>(random.below(2)),
                       .input_tokens = random.below(2) == 0 ? std::nullopt : std::optional(random.next()),
                       .output_tokens = random.below(2),
                       .signals = {}});
    if (random.below(2) == 0) records.back().signals = full("").signals;
  }
  const auto text = lines_of(records);
  for (const auto& record : records) {
    EXPECT_EQ(find_record(text, record.id).value(), record) << "seed " << kSeed;
  }
}

TEST(RecordLines, OfOneIdTheLastIsFound) {
  auto later = full("a");
  later.status = 503;
  EXPECT_EQ(find_record(lines_of({full("a"), full("b"), later}), "a").value(), later);
}

TEST(RecordLines, WhatWasWrittenAsOneRecordIsRead) {
  EXPECT_EQ(find_record(to_json(full("a")), "a").value(), full("a"));
  EXPECT_FALSE(find_record(to_json(full("a")), "").value().has_value());
}

TEST(RecordLines, WhatIsSomethingElseIsAnError) {
  for (const char* text : {"x", "[]", "{\"id\":\"a\"}\nnull", "{\"id\":\"a\"}", "\n"}) {
    EXPECT_FALSE(find_record(text, "a").has_value()) << text;
  }
  EXPECT_FALSE(find_record("", "a").value().has_value());
}

}  // namespace
}  // namespace truekeel::incident
