// SPDX-License-Identifier: Apache-2.0
// A child process of ours with its log. Thread safety: the thread of its context.
// Invariants: it ends with its owner, and gets SIGTERM when this process dies, however; a Ctrl-C at the
// terminal reaches this process alone.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace truekeel::drill {

class Child {
 public:
  struct Command {
    std::string name;  ///< for people
    std::string program;
    std::vector<std::string> arguments;
    std::string log;  ///< file for all of its output
  };
  /// Error::unavailable when it cannot be started.
  [[nodiscard]] static Result<std::unique_ptr<Child>> start(boost::asio::io_context& context,
                                                            Command command);
  /// Kills it if it still runs, and waits for its end.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] const std::string& name() const { return command_.name; }
  [[nodiscard]] int pid() const;
  [[nodiscard]] bool running();

  /// SIGTERM.
  void ask_to_end();

  /// The word that follows `mark` in the log; nothing while it is not there with a blank or a line's end
  /// behind it.
  [[nodiscard]] std::optional<std::string> word_after(std::string_view mark) const;
  /// The last lines of the log.
  [[nodiscard]] std::string log_tail(std::size_t lines) const;

 private:
  struct Process;
  Child(Command command, std::unique_ptr<Process> process);
  [[nodiscard]] std::string log() const;

  const Command command_;
  const std::unique_ptr<Process> process_;
};

}  // namespace truekeel::drill
