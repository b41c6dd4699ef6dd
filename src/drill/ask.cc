// SPDX-License-Identifier: Apache-2.0
#include "drill/ask.h"

#include <fmt/format.h>

namespace truekeel::drill {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);
constexpr std::size_t kBytesMax = 16u << 20;

}  // namespace

http::Task<Result<std::string>> ask(http::Net& net, http::Client& client, const http::Endpoint& to,
                                    std::string_view method, std::string path, std::string body) {
  http::Call call(client);
  const http::RequestHead head{.method = std::string(method),
                               .target = path,
                               .minor_version = 1,
                               .headers = {{"content-type", "application/json"}}};
  const http::CallOptions options{.deadline = net.now() + kPatience, .idempotent = method == "GET"};
  if (const auto sent = co_await call.send(to, head, body, options); !sent)
    co_return fail(ErrorCode::unavailable, fmt::format("{} {}: {}", method, path, sent.error().message));
  auto text = co_await call.read_all(kBytesMax);
  if (!text)
    co_return fail(ErrorCode::unavailable, fmt::format("{} {}: {}", method, path, text.error().message));
  if (call.head().status != 200) {
    co_return fail(ErrorCode::unavailable,
                   fmt::format("{} {}: status {}: {}", method, path, call.head().status, *text));
  }
  co_return std::move(*text);
}

}  // namespace truekeel::drill
