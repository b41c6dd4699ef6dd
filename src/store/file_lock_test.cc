// SPDX-License-Identifier: Apache-2.0
#include "store/file_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/test_folder.h"

namespace truekeel::store {
namespace {

TEST(FileLock, IsHeldByOneUntilItGoes) {
  const TestFolder folder;
  {
    auto first = FileLock::take(folder.file("lock")).value();
    EXPECT_EQ(FileLock::take(folder.file("lock")).error().code, ErrorCode::unavailable);
    const FileLock moved = std::move(first);
    EXPECT_FALSE(FileLock::take(folder.file("lock"))) << "moved, it is held still";
  }
  EXPECT_TRUE(FileLock::take(folder.file("lock")));
}

TEST(FileLock, AFileThatCannotBeMadeIsNamed) {
  const TestFolder folder;
  const auto lock = FileLock::take(folder.file("no folder/lock"));
  ASSERT_FALSE(lock);
  EXPECT_THAT(lock.error().message, testing::HasSubstr("no folder/lock': No such file"));
}

}  // namespace
}  // namespace truekeel::store
