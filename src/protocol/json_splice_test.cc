// SPDX-License-Identifier: Apache-2.0
#include "protocol/json_splice.h"

#include <gtest/gtest.h>

namespace truekeel::protocol {
namespace {

struct Case {
  std::string object;
  std::vector<JsonEdit> edits;
  std::string expected;
};

TEST(Splice, ChangesWhatItIsToldToAndNothingElse) {
  const std::vector<Case> cases = {
      {R"({"a":1.0,"b":1e400,"c":[ 1,2]})", {}, R"({"a":1.0,"b":1e400,"c":[ 1,2]})"},
      // Set: in place, or appended.
      {R"({ "a" : 1 , "b": 2 })", {{"a", "[3]"}}, R"({ "a" : [3] , "b": 2 })"},
      {R"({"a":1})", {{"z", R"("x")"}}, R"({"a":1,"z":"x"})"},
      {"{ }", {{"z", "1"}}, R"({"z":1 })"},
      {" {} \n", {{"y", "1"}, {"z", "2"}}, " {\"y\":1,\"z\":2} \n"},
      {R"({"a":1})", {{"q\"", "1"}}, R"({"a":1,"q\"":1})"},
      // Removed: first, middle, last, all.
      {R"({"a":1, "b":2, "c":3})", {{"a", {}}}, R"({"b":2, "c":3})"},
      {R"({"a":1, "b":2, "c":3})", {{"b", {}}}, R"({"a":1, "c":3})"},
      {R"({"a":1, "b":2, "c":3 })", {{"c", {}}}, R"({"a":1, "b":2 })"},
      {R"({"a":1, "b":2 })", {{"a", {}}, {"b", {}}}, "{ }"},
      {R"({"a":1})", {{"b", {}}}, R"({"a":1})"},
      {R"({"a":1,"b":2})", {{"a", {}}, {"z", "3"}}, R"({"b":2,"z":3})"},
      {R"({"a":1})", {{"a", {}}, {"z", "3"}}, R"({"z":3})"},
      // Names decoded, duplicates, brackets and quotes inside of values.
      {R"({"mod\u0065l":"x","k":"}\",{"})", {{"model", R"("y")"}}, R"({"mod\u0065l":"y","k":"}\",{"})"},
      {R"({"a":1,"b":2,"a":3,"a":4})", {{"a", "5"}}, R"({"a":5,"b":2})"},
      {R"({"a":1,"b":2,"a":3})", {{"a", {}}}, R"({"b":2})"},
      {R"({"a":1,"a":2,"b":3})", {{"b", "4"}}, R"({"a":1,"a":2,"b":4})"},
  };
  JsonParser parser;
  for (const auto& c : cases) EXPECT_EQ(splice(parser, c.object, c.edits), c.expected) << c.object;
}

TEST(Splice, SaysWhatIsNoObject) {
  JsonParser parser;
  EXPECT_FALSE(splice(parser, "[]", {}));
  EXPECT_FALSE(splice(parser, R"({"a":1)", {}));
}

TEST(Splice, LeavesRoomForTheNextReader) {
  JsonParser parser;
  const auto out = splice(parser, R"({"a":1})", std::vector<JsonEdit>{{"b", "2"}});
  ASSERT_TRUE(out);
  EXPECT_GE(out->capacity(), out->size() + kJsonPadding);
}

}  // namespace
}  // namespace truekeel::protocol
