// SPDX-License-Identifier: Apache-2.0
#include "http/net.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <typeinfo>
#include <utility>

#include "base/log.h"

namespace truekeel::http {

void spawn(Net& net, Task<void> task) {
  boost::asio::co_spawn(net.context(), std::move(task), [](std::exception_ptr escaped) {
    if (!escaped) return;
    try {
      std::rethrow_exception(escaped);
    } catch (const std::exception& e) {
      // Its type alone: what() may quote what a client sent.
      log(LogLevel::error, "http.task_failed", {{"exception", typeid(e).name()}});
    } catch (...) {
      log(LogLevel::error, "http.task_failed", {{"exception", "unknown"}});
    }
  });
}

}  // namespace truekeel::http
