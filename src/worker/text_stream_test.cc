// SPDX-License-Identifier: Apache-2.0
#include "worker/text_stream.h"

#include <gtest/gtest.h>

#include <array>

#include "base/philox.h"

namespace truekeel::worker {
namespace {

using Strings = std::vector<std::string>;

Strings push_all(TextStream& stream, const Strings& pieces) {
  Strings shown;
  for (const auto& piece : pieces) {
    shown.push_back(stream.push(piece));
    if (stream.stopped()) break;
  }
  return shown;
}

TEST(TextStream, HoldsACharacterBackUntilItIsWhole) {
  TextStream stream({});
  EXPECT_EQ(push_all(stream, {"a\xf0\x9f", "\x99", "\x82!"}), (Strings{"a", "", "🙂!"}));
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, ReplacesWhatIsNoCharacter) {
  TextStream stream({});
  // Unicode 15, table 3-8: one replacement for each maximal part.
  EXPECT_EQ(stream.push("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), "��������A");
  EXPECT_EQ(stream.push("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), "����A");
  EXPECT_EQ(stream.push("\xed\xa0\x80\xf4\x90\x80\x80\xff"), "��������");
  EXPECT_EQ(stream.push("\xe4\xbc"), "");
  EXPECT_EQ(stream.finish(), "�");
}

TEST(TextStream, HoldsBackWhatMayBeginAStopString) {
  TextStream stream({"END", "E!"});
  EXPECT_EQ(push_all(stream, {"to the E", "N", "EN", "D more"}), (Strings{"to the ", "", "EN", ""}));
  EXPECT_TRUE(stream.stopped());
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, TheFirstStopStringInTheTextEndsIt) {
  TextStream stream({"late", "b"});
  EXPECT_EQ(stream.push("abc late"), "a");
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStream, AStopStringMayHoldCutCharacters) {
  TextStream stream({"会话"});
  EXPECT_EQ(push_all(stream, {"x\xe4\xbc", "\x9a\xe8", "\xaf", "\x9d"}), (Strings{"x", "", "", ""}));
  EXPECT_TRUE(stream.stopped());
}

TEST(TextStream, GivesTheHeldTextWhenTheAnswerEndsOtherwise) {
  TextStream stream({"STOP"});
  EXPECT_EQ(stream.push("a STO"), "a ");
  EXPECT_EQ(stream.finish(), "STO");
}

// Every cut of the same bytes shows the same text, and no more is held back than must be.
TEST(TextStream, DoesNotDependOnTheCuts) {
  const Strings stop = {"aab", "\nc", "é!"};
  static constexpr std::array<std::string_view, 8> kParts = {"a", "b", "\n", "c", "é", "!", "\xff", "🙂"};
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    PhiloxStream random(seed);
    std::string bytes;
    for (auto n = random.below(12); n > 0; --n) bytes += kParts[random.below(kParts.size())];

    TextStream whole(stop), cut(stop);
    std::string expected = whole.push(bytes), shown;
    for (std::string_view rest = bytes; !rest.empty() && !cut.stopped();) {
      const auto size = 1 + random.below(rest.size());
      shown += cut.push(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    EXPECT_EQ(cut.stopped(), whole.stopped()) << "seed " << seed;
    EXPECT_EQ(shown, expected) << "seed " << seed;
    EXPECT_EQ(cut.finish(), whole.finish()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace truekeel::worker
