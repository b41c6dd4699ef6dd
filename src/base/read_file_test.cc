// SPDX-License-Identifier: Apache-2.0
#include "base/read_file.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace truekeel {
namespace {

TEST(ReadFile, GivesWhatThereIsAndOneByteMoreThanAllowed) {
  const std::string path = testing::TempDir() + "read_file_test";
  for (const std::size_t size : {0u, 5u, 16'384u, 16'385u, 100'000u}) {
    const std::string text(size, 'x');
    std::ofstream(path, std::ios::binary) << text;
    EXPECT_EQ(read_file(path, 100'000).value(), text) << size;
  }
  EXPECT_EQ(read_file(path, 99'999)->size(), 100'000u) << "as long as allowed, and one more";
  EXPECT_EQ(read_file(path, 5)->size(), 6u);
  std::remove(path.c_str());
  EXPECT_EQ(read_file(path, 5).error().code, ErrorCode::io);
}

}  // namespace
}  // namespace truekeel
