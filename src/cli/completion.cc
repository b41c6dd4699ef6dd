// SPDX-License-Identifier: Apache-2.0
// truekeel completion: scripts that let shells complete commands, options and choices, made from the parser
// itself, so that they cannot fall behind it.
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"

namespace truekeel::cli {
namespace {

/// A command as it is typed: "incidents show".
struct Command {
  std::string path;
  const CLI::App* app;
};

void append_commands(const CLI::App& app, const std::string& path, std::vector<Command>& out) {
  out.push_back({path, &app});
  for (const auto* inner : app.get_subcommands([](const CLI::App*) { return true; })) {
    append_commands(*inner, path.empty() ? inner->get_name() : path + ' ' + inner->get_name(), out);
  }
}

std::vector<Command> commands_of(const CLI::App& app) {
  std::vector<Command> commands;
  append_commands(app, "", commands);
  return commands;
}

std::vector<const CLI::App*> subcommands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<const CLI::Option*> flags(const CLI::App& app) {
  return app.get_options([](const CLI::Option* option) { return !option->get_lnames().empty(); });
}

/// The choices of "TEXT:{a,b}", with blanks between; empty when anything may be given.
std::string choices_of(const CLI::Option& option) {
  const auto type = option.get_type_name();
  const auto begin = type.find('{'), end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return {};
  auto choices = type.substr(begin + 1, end - begin - 1);
  std::ranges::replace(choices, ',', ' ');
  return choices;
}

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const auto* inner : subcommands(app)) words += inner->get_name() + ' ';
  for (const auto* option : flags(app)) words += "--" + option->get_lnames().front() + ' ';
  for (const auto* place :
       app.get_options([](const CLI::Option* option) { return option->get_positional(); }))
    words += choices_of(*place);
  return words;
}

/// Finds the command among the words before the cursor, then offers what it takes. Files complete as ever.
std::string bash_script(const CLI::App& app) {
  std::string commands, words, choices;
  for (const auto& [path, command] : commands_of(app)) {
    commands += fmt::format("      \"{}\") found=1 ;;\n", path);
    words += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, words_of(*command));
    for (const auto* option : flags(*command)) {
      if (const auto list = choices_of(*option); !list.empty())
        choices +=
            fmt::format("    \"{} --{}\") words=\"{}\" ;;\n", path, option->get_lnames().front(), list);
    }
  }
  return fmt::format(R"(_truekeel() {{
  local cur=${{COMP_WORDS[COMP_CWORD]}} path= word next words= found
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    next="${{path:+$path }}$word" found=
    case "$next" in
{}    esac
    [ -n "$found" ] && path=$next
  done
  case "$path ${{COMP_WORDS[COMP_CWORD-1]}}" in
{}    *) case "$path" in
{}    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}}
complete -o default -F _truekeel truekeel
)",
                     commands, choices, words);
}

std::string fish_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '\'';
}

/// At the top a command is offered while none was typed; below, within the last one that was.
std::string fish_script(const CLI::App& app) {
  std::string script;
  for (const auto& [path, command] : commands_of(app)) {
    std::string where = "__fish_use_subcommand";
    for (std::size_t at = 0; at < path.size();) {
      const auto end = std::min(path.find(' ', at), path.size());
      where = (at == 0 ? "" : where + "; and ") + "__fish_seen_subcommand_from " + path.substr(at, end - at);
      at = end + 1;
    }
    for (const auto* inner : subcommands(*command)) {
      script += fmt::format("complete -c truekeel -n {} -a {} -d {}\n", fish_quoted(where), inner->get_name(),
                            fish_quoted(inner->get_description()));
    }
    for (const auto* option : flags(*command)) {
      const auto list = choices_of(*option);
      script += fmt::format("complete -c truekeel -n {} -l {}{} -d {}\n", fish_quoted(where),
                            option->get_lnames().front(), list.empty() ? "" : " -x -a " + fish_quoted(list),
                            fish_quoted(option->get_description()));
    }
  }
  return script;
}

}  // namespace

void add_completion(CLI::App& app, Run& run) {
  auto shell = std::make_shared<std::string>();
  auto* command = app.add_subcommand("completion", "Print a script that completes commands in a shell");
  command->add_option("SHELL", *shell)->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  command->footer(
      "Examples:\n"
      "  truekeel completion bash > /etc/bash_completion.d/truekeel\n"
      "  truekeel completion fish > ~/.config/fish/completions/truekeel.fish\n"
      "  echo 'source <(truekeel completion zsh)' >> ~/.zshrc");
  command->callback([shell, &app, &run] {
    run = [shell, &app] {
      if (*shell == "zsh") fmt::print("autoload -U +X compinit bashcompinit && compinit && bashcompinit\n");
      fmt::print("{}", *shell == "fish" ? fish_script(app) : bash_script(app));
      return kFine;
    };
  });
}

}  // namespace truekeel::cli
