// SPDX-License-Identifier: Apache-2.0
#include "cli/admin_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "http/client.h"
#include "http/tcp_net.h"
#include "http/url.h"

namespace truekeel::cli {
namespace {

constexpr Duration kLimit = std::chrono::seconds(10);
constexpr std::size_t kAnswerBytesMax = 64u << 20;

http::Task<void> call(http::Net& net, const http::Place& place, const http::RequestHead& head,
                      std::string_view body, Result<AdminAnswer>& answer) {
  http::Client client(net, {});
  http::Call exchange(client);
  const http::CallOptions options{.first_byte = kLimit, .idle = kLimit, .deadline = net.now() + kLimit};
  if (const auto sent = co_await exchange.send(place.endpoint, head, body, options); !sent) {
    answer = fail(ErrorCode::unavailable, sent.error().message);
    co_return;
  }
  auto text = co_await exchange.read_all(kAnswerBytesMax);
  if (text) {
    answer = AdminAnswer{exchange.head().status, std::move(*text)};
  } else {
    answer = fail(ErrorCode::unavailable, text.error().message);
  }
}

}  // namespace

Result<AdminAnswer> ask_admin(const std::string& admin, std::string_view method, const std::string& path,
                              std::string_view body) {
  const auto url = parse_url(admin);
  const auto place = url ? http::place_of(*url) : std::unexpected(url.error());
  if (!place)
    return fail(ErrorCode::invalid_argument, fmt::format("--admin {}: {}", admin, place.error().message));
  const http::RequestHead head{.method = std::string(method),
                               .target = place->prefix + path,
                               .minor_version = 1,
                               .headers = {{"content-type", "application/json"}}};
  boost::asio::io_context context(1);
  const auto net = http::make_tcp_net(context);
  Result<AdminAnswer> answer = fail(ErrorCode::internal, "no answer");
  http::spawn(*net, call(*net, *place, head, body, answer));
  context.run();
  if (!answer) {
    return fail(ErrorCode::unavailable,
                fmt::format("no gateway answers at {} ({}): is `truekeel serve` running, and is "
                            "this its admin address (--admin URL)?",
                            admin, answer.error().message));
  }
  return answer;
}

int report_failure(std::string_view command, const Result<AdminAnswer>& answer) {
  if (!answer) {
    fmt::print(stderr, "truekeel {}: {}\n", command, answer.error().message);
    return answer.error().code == ErrorCode::invalid_argument ? kUsage : kEnvironment;
  }
  const auto problem = nlohmann::json::parse(answer->body, nullptr, false);
  const auto text = [&](const char* field) {
    return problem.is_object() ? problem.value(field, std::string()) : std::string();
  };
  fmt::print(stderr, "truekeel {}: {}: {}\n", command, text("title"), text("detail"));
  return answer->status == 400 || answer->status == 404 ? kUsage : kEnvironment;
}

}  // namespace truekeel::cli
