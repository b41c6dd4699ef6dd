// SPDX-License-Identifier: Apache-2.0
#include "gateway/admin_answer.h"

#include <fmt/format.h>

#include <utility>

#include "protocol/errors.h"

namespace truekeel::gateway {

AdminAnswer AdminAnswer::json(std::string text, int status) {
  return {.status = status, .body = std::move(text)};
}

AdminAnswer AdminAnswer::problem(int status, std::string title, std::string detail) {
  return {.status = status,
          .type = "application/problem+json",
          .body = protocol::problem_body({status, std::move(title), std::move(detail)})};
}

AdminAnswer AdminAnswer::takes(std::string_view path, std::string_view methods) {
  auto wrong = problem(405, "Method not allowed", fmt::format("{} takes {}", path, methods));
  wrong.allow = methods;
  return wrong;
}

http::Task<void> respond(http::Exchange& exchange, const AdminAnswer& answer) {
  http::Headers headers = {{"content-type", answer.type}, {"cache-control", "no-store"}};
  if (!answer.allow.empty()) headers.add("allow", answer.allow);
  if (!answer.authenticate.empty()) headers.add("www-authenticate", answer.authenticate);
  static_cast<void>(co_await exchange.respond(answer.status, headers, answer.body));
}

}  // namespace truekeel::gateway
