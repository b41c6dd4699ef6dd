// SPDX-License-Identifier: Apache-2.0
#include "protocol/sse.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace truekeel::protocol {
namespace {

struct Event {
  std::string event, data, id;
  bool operator==(const Event&) const = default;
  friend void PrintTo(const Event& e, std::ostream* out) {
    *out << "{" << e.event << "|" << testing::PrintToString(e.data) << "|" << e.id << "}";
  }
};

struct Stream {
  std::vector<Event> events;
  std::size_t blocks = 0;
  std::string raw;  ///< all bytes given back, rest included
};

/// Feeds `text` in the pieces that `cuts` (ascending positions) make.
Stream parse(std::string_view text, const std::vector<std::size_t>& cuts = {}) {
  SseParser parser;
  Stream stream;
  std::size_t at = 0;
  const auto take = [&](std::size_t end) {
    parser.push(text.substr(at, end - at));
    at = end;
    while (true) {
      const auto block = parser.next();
      if (!block || !*block) break;
      ++stream.blocks;
      stream.raw += (*block)->raw;
      if ((*block)->is_event) {
        stream.events.push_back(
            {std::string((*block)->event), std::string((*block)->data), std::string((*block)->id)});
      }
    }
  };
  for (const auto cut : cuts) take(cut);
  take(text.size());
  stream.raw += parser.rest();
  return stream;
}

struct Case {
  const char* what;
  std::string text;
  std::vector<Event> events;
};

// The examples of WHATWG HTML, 9.2.5 and 9.2.6, and what servers really send.
const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"one line", "data: YHOO\n\n", {{"", "YHOO", ""}}},
      {"several lines of data", "data: YHOO\ndata: +2\ndata: 10\n\n", {{"", "YHOO\n+2\n10", ""}}},
      {"comment, id, id reset, kept space",
       ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
       {{"", "first event", "1"}, {"", "second event", ""}, {"", " third event", ""}}},
      {"empty data, unfinished end", "data\n\ndata\ndata\n\ndata:", {{"", "", ""}, {"", "\n", ""}}},
      {"no space after the colon", "data:test\n\ndata: test\n\n", {{"", "test", ""}, {"", "test", ""}}},
      {"type", "event: add\ndata: 73857293\n\ndata: x\n\n", {{"add", "73857293", ""}, {"", "x", ""}}},
      {"type without data is no event", "event: add\n\ndata: x\n\n", {{"", "x", ""}}},
      {"id stays", "id: 7\ndata: a\n\ndata: b\n\n", {{"", "a", "7"}, {"", "b", "7"}}},
      {"id with NUL is ignored", std::string("id: a\0b\ndata: x\n\n", 17), {{"", "x", ""}}},
      {"CRLF", "event: e\r\ndata: a\r\ndata: b\r\n\r\ndata: c\r\n\r\n", {{"e", "a\nb", ""}, {"", "c", ""}}},
      {"CR", "data: a\rdata: b\r\rdata: c\r\r", {{"", "a\nb", ""}, {"", "c", ""}}},
      {"mixed ends",
       "data: a\r\ndata: b\n\rdata: c\r\n\ndata: d\n\r\n",
       {{"", "a\nb", ""}, {"", "c", ""}, {"", "d", ""}}},
      {"byte order mark",
       "\xEF\xBB\xBF"
       "data: a\n\n\xEF\xBB\xBF"
       "data: b\n\n",
       {{"", "a", ""}}},
      {"byte order mark and blank lines", "\xEF\xBB\xBF\n\ndata: a\n\n", {{"", "a", ""}}},
      {"unknown fields", "retry: 10\nfoo: bar\ndata: x\nDATA: y\n\n", {{"", "x", ""}}},
      {"UTF-8 and JSON",
       "data: {\"t\":\"\xF0\x9F\x98\x80 \xE0\xB8\x81\"}\n\n",
       {{"", "{\"t\":\"\xF0\x9F\x98\x80 \xE0\xB8\x81\"}", ""}}},
      {"OpenAI's end", "data: {}\n\ndata: [DONE]\n\n", {{"", "{}", ""}, {"", "[DONE]", ""}}},
      {"keep-alive of llama-server", ":\n\ndata: x\n\n:\n\n", {{"", "x", ""}}},
      {"unfinished at the end", "data: x\n\ndata: y\n", {{"", "x", ""}}},
      {"nothing", "", {}},
      {"blank lines", "\n\r\n\r\r\n", {}},
  };
  return all;
}

TEST(SseParser, ReadsEveryLegalShape) {
  for (const auto& c : cases()) {
    const Stream stream = parse(c.text);
    EXPECT_EQ(stream.events, c.events) << c.what;
    EXPECT_EQ(stream.raw, c.text) << c.what;
  }
}

TEST(SseParser, OneCutAnywhereChangesNothing) {
  for (const auto& c : cases()) {
    for (std::size_t cut = 0; cut <= c.text.size(); ++cut) {
      const Stream stream = parse(c.text, {cut});
      EXPECT_EQ(stream.events, c.events) << c.what << ", cut at " << cut;
      EXPECT_EQ(stream.raw, c.text) << c.what << ", cut at " << cut;
    }
  }
}

TEST(SseParser, ByteByByteChangesNothing) {
  for (const auto& c : cases()) {
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < c.text.size(); ++i) cuts.push_back(i);
    const Stream stream = parse(c.text, cuts);
    EXPECT_EQ(stream.events, c.events) << c.what;
    EXPECT_EQ(stream.raw, c.text) << c.what;
  }
}

TEST(SseParser, RandomStreamsInRandomPieces) {
  constexpr unsigned kSeed = 20261122;
  SCOPED_TRACE(kSeed);
  std::mt19937 random(kSeed);
  const std::vector<std::string> pieces = {"data", ":",     " ",  "x", "\n", "\r", "\r\n",
                                           "\n\n", "event", "id", "é", "\0", "{}", "\xEF\xBB\xBF"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (unsigned i = random() % 40; i > 0; --i) text += pieces[random() % pieces.size()];
    std::vector<std::size_t> cuts;
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (random() % 4 == 0) cuts.push_back(i);
    }
    const Stream whole = parse(text);
    const Stream cut = parse(text, cuts);
    ASSERT_EQ(whole.events, cut.events) << testing::PrintToString(text);
    ASSERT_EQ(cut.raw, text);
  }
}

TEST(SseParser, GivesABlockWithoutWaitingForWhatFollows) {
  SseParser parser;
  parser.push("data: x\r\n\r");
  const auto block = parser.next();
  ASSERT_TRUE(block && *block);
  EXPECT_EQ((*block)->data, "x");
  parser.push("\n");
  EXPECT_EQ(*parser.next(), std::nullopt);
  EXPECT_EQ(parser.rest(), "\n");
}

TEST(SseParser, KeepAliveIsABlockButNoEvent) {
  SseParser parser;
  parser.push(": ping\n\n");
  const auto block = parser.next();
  ASSERT_TRUE(block && *block);
  EXPECT_FALSE((*block)->is_event);
  EXPECT_EQ((*block)->raw, ": ping\n\n");
}

TEST(SseParser, ABlockBeyondTheLimitIsAnErrorHoweverItComes) {
  const std::string at_limit = "data: 12345678\n\n";
  for (const std::size_t step : {1, 3, 100}) {
    for (const bool beyond : {false, true}) {
      SseParser parser(at_limit.size() - 1 - (beyond ? 1 : 0));
      bool failed = false;
      int events = 0;
      for (std::size_t at = 0; at < at_limit.size(); at += step) {
        parser.push(std::string_view(at_limit).substr(at, step));
        const auto block = parser.next();
        failed = failed || !block;
        events += block && *block ? 1 : 0;
      }
      EXPECT_EQ(failed, beyond) << step;
      EXPECT_EQ(events, beyond ? 0 : 1) << step;
    }
  }
}

TEST(SseParser, TheLimitDoesNotDependOnWhereCrLfIsCut) {
  const std::string text = "data: a\r\n\r\ndata: b\r\n\r\n";
  constexpr std::size_t kContent = std::string_view("data: a\r\n").size();
  for (const std::size_t limit : {kContent - 1, kContent}) {
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      SseParser parser(limit);
      int events = 0;
      for (const auto& piece : {text.substr(0, cut), text.substr(cut)}) {
        parser.push(piece);
        for (auto block = parser.next(); block && *block; block = parser.next()) ++events;
      }
      EXPECT_EQ(events, limit == kContent ? 2 : 0) << "cut at " << cut;
    }
  }
}

TEST(SseParser, StaysInErrorAndGivesEarlierBlocksFirst) {
  SseParser parser(16);
  parser.push("data: a\n\ndata: 0123456789abcdef\n\ndata: b\n\n");
  const auto first = parser.next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->data, "a");
  ASSERT_FALSE(parser.next());
  parser.push("data: c\n\n");
  const auto after = parser.next();
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, ErrorCode::too_large);
}

TEST(AppendSse, WritesWhatTheParserReads) {
  std::string text;
  append_sse(text, "", "{}");
  EXPECT_EQ(text, "data: {}\n\n");
  append_sse(text, "message_stop", "a\nb\n");
  append_sse(text, "", "");
  EXPECT_EQ(parse(text).events,
            (std::vector<Event>{{"", "{}", ""}, {"message_stop", "a\nb\n", ""}, {"", "", ""}}));
}

}  // namespace
}  // namespace truekeel::protocol
