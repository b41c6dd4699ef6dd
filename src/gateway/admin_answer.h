// SPDX-License-Identifier: Apache-2.0
// What the admin API answers: JSON, or a problem (RFC 9457).
#pragma once

#include <string>
#include <string_view>

#include "http/server.h"

namespace truekeel::gateway {

struct AdminAnswer {
  int status = 200;
  std::string type = "application/json";
  std::string body = {};
  std::string_view allow = {};         ///< with a 405; of static storage
  std::string_view authenticate = {};  ///< with a 401; of static storage

  [[nodiscard]] static AdminAnswer json(std::string text, int status = 200);
  [[nodiscard]] static AdminAnswer problem(int status, std::string title, std::string detail);
  /// 405: the path takes these methods ("GET, POST") alone.
  [[nodiscard]] static AdminAnswer takes(std::string_view path, std::string_view methods);
};

http::Task<void> respond(http::Exchange& exchange, const AdminAnswer& answer);

}  // namespace truekeel::gateway
