// SPDX-License-Identifier: Apache-2.0
#include "drill/ask.h"

#include <fmt/format.h>

#include "http/fetch.h"

namespace truekeel::drill {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);
constexpr std::size_t kBytesMax = 16u << 20;

}  // namespace

http::Task<Result<std::string>> ask(http::Net& net, http::Client& client, const http::Endpoint& to,
                                    std::string_view method, std::string path, std::string body) {
  const auto what = fmt::format("{} {}", method, path);
  auto answer = co_await http::fetch(net, client, to, std::string(method), std::move(path), std::move(body),
                                     kPatience, kBytesMax);
  if (!answer) co_return fail(ErrorCode::unavailable, fmt::format("{}: {}", what, answer.error().message));
  if (answer->status != 200) {
    co_return fail(ErrorCode::unavailable,
                   fmt::format("{}: status {}: {}", what, answer->status, answer->body));
  }
  co_return std::move(answer->body);
}

}  // namespace truekeel::drill
