// SPDX-License-Identifier: Apache-2.0
// Structured log: one event per line on standard error, fields as key=value or as JSON.
// Never log content: no prompt, no answer, no token. Thread safety: every function, from any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>

namespace truekeel {

enum class LogLevel { debug, info, warning, error };
enum class LogFormat { text, json };

struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, const std::string& v) : key(k), value(std::string_view(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <class Int>
    requires std::is_integral_v<Int>
  LogField(std::string_view k, Int v) : key(k), value(static_cast<std::int64_t>(v)) {}
};

/// Sets what is printed; call before threads start.
void log_setup(LogLevel least, LogFormat format);

/// `event` is a dotted name such as "endpoint.drained": what happened, never a sentence.
void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});

inline void log_info(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::info, event, fields);
}
inline void log_warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  log(LogLevel::warning, event, fields);
}

/// The line that log() prints, without its time; for tests.
[[nodiscard]] std::string format_log_line(LogFormat format, LogLevel level, std::string_view event,
                                          std::initializer_list<LogField> fields);

}  // namespace truekeel
