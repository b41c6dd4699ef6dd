// SPDX-License-Identifier: Apache-2.0
#include "fleet/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <istream>
#include <optional>
#include <spanstream>

namespace truekeel::fleet {
namespace {

/// Thrown through yaml-cpp, whose way of stopping early it is; never leaves this file.
struct Stop {
  YamlFault fault;
};

YamlFault fault_at(const YAML::Mark& mark, std::string message, std::string fix) {
  return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1, std::move(message), std::move(fix)};
}

class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnAnchor(const YAML::Mark& mark, const std::string&) override {
    throw Stop{fault_at(mark, "anchors (&name) are not supported", "write the value out where it is used")};
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Stop{fault_at(mark, "aliases (*name) are not supported", "write the value out")};
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(node(YamlNode::Kind::null, mark)); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    YamlNode scalar = node(YamlNode::Kind::scalar, mark);
    scalar.quoted = tag == "!";
    if (!scalar.quoted) refuse_tag(mark, tag);
    scalar.text = value;
    add(std::move(scalar));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(node(YamlNode::Kind::sequence, mark));
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(node(YamlNode::Kind::map, mark));
  }
  void OnMapEnd() override { close(); }

  YamlNode take() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    std::optional<YamlNode> key;  ///< of a map: waits for its value
  };

  static YamlNode node(YamlNode::Kind kind, const YAML::Mark& mark) {
    YamlNode made;
    made.kind = kind;
    made.line = std::max(mark.line, 0) + 1;
    made.column = std::max(mark.column, 0) + 1;
    return made;
  }

  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?") return;
    throw Stop{fault_at(mark, "tags (!type) are not supported", "remove the tag")};
  }

  void open(YamlNode container) {
    if (open_.size() >= kMaxYamlDepth) {
      throw Stop{{container.line, container.column, "nested too deeply", "nothing here needs more levels"}};
    }
    open_.push_back({std::move(container), std::nullopt});
  }

  void close() {
    YamlNode done = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(done));
  }

  void add(YamlNode child) {
    if (open_.empty()) {
      root_ = std::move(child);
    } else if (Open& parent = open_.back(); parent.node.kind == YamlNode::Kind::sequence) {
      parent.node.items.push_back(std::move(child));
    } else if (!parent.key) {
      parent.key = std::move(child);
    } else {
      parent.node.entries.push_back({std::move(*parent.key), std::move(child)});
      parent.key.reset();
    }
  }

  std::vector<Open> open_;
  YamlNode root_;
};

}  // namespace

std::expected<YamlNode, YamlFault> parse_yaml(std::string_view text) {
  std::ispanstream stream(std::span<const char>(text.data(), text.size()));
  try {
    YAML::Parser parser(stream);
    TreeBuilder first;
    if (!parser.HandleNextDocument(first)) return YamlNode{};
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) {
      return std::unexpected(YamlFault{1, 1, "more than one YAML document", "remove the line ---"});
    }
    return first.take();
  } catch (const Stop& stop) {
    return std::unexpected(stop.fault);
  } catch (const YAML::Exception& error) {
    return std::unexpected(fault_at(error.mark, "not YAML: " + error.msg,
                                    "look here and just above; is a bracket or a quote left open?"));
  }
}

}  // namespace truekeel::fleet
