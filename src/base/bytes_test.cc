// SPDX-License-Identifier: Apache-2.0
#include "base/bytes.h"

#include <gtest/gtest.h>

#include <string>

namespace truekeel {
namespace {

TEST(Bytes, ComeBackAsTheyWerePut) {
  ByteWriter writer;
  writer.put(std::uint32_t{7});
  writer.put(-1.5f);
  writer.put_text("name");
  writer.put_text(std::string(70'000, 'x'));
  const std::string sealed = std::move(writer).seal();
  const auto body = unsealed(sealed);
  ASSERT_TRUE(body);
  ByteReader reader(*body);
  EXPECT_EQ(reader.get<std::uint32_t>(), 7u);
  EXPECT_EQ(reader.get<float>(), -1.5f);
  EXPECT_EQ(reader.get_text(), "name");
  EXPECT_EQ(reader.get_text().size(), 65'535u);
  EXPECT_TRUE(reader.ok() && reader.at_end());
  EXPECT_EQ(reader.get<std::uint64_t>(), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(Bytes, WhatIsDamagedOrMissingShows) {
  ByteWriter writer;
  writer.put_text("name");
  const std::string sealed = std::move(writer).seal();
  EXPECT_FALSE(unsealed(sealed.substr(1)));
  EXPECT_FALSE(unsealed("short"));
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string damaged = sealed;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_FALSE(unsealed(damaged)) << at;
  }
  ByteReader reader(
      std::string_view("\x05\x00"
                       "abc",
                       5));
  EXPECT_EQ(reader.get_text(), "") << "five were promised";
  EXPECT_FALSE(reader.ok());
}

}  // namespace
}  // namespace truekeel
