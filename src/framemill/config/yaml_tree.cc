#include "framemill/config/yaml_tree.h"

#include <exception>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

namespace framemill {
namespace {

constexpr std::size_t kNodesMax = 200'000;
constexpr std::size_t kDepthMax = 32;

/// What a node and all below it weigh against kNodesMax; a long text counts like several values, so
/// that aliases of it cannot fill the memory.
std::size_t count_nodes(const YamlNode& node) {
  std::size_t count = 1 + node.text.size() / 256;
  for (const YamlNode& item : node.items) count += count_nodes(item);
  for (const YamlEntry& entry : node.entries)
    count += entry.key.size() / 256 + count_nodes(entry.value);
  return count;
}

std::size_t measure_depth(const YamlNode& node) {
  std::size_t depth = 0;
  for (const YamlNode& item : node.items) depth = std::max(depth, measure_depth(item));
  for (const YamlEntry& entry : node.entries) depth = std::max(depth, measure_depth(entry.value));
  return depth + 1;
}

/// Builds the tree from the parser's events rather than from yaml-cpp's own nodes, which keep
/// neither duplicate keys nor limits. After the first problem it ignores everything.
class TreeBuilder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add({.kind = YamlNode::Kind::kNull, .line = line_of(mark), .column = mark.column}, anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (problem_) return;
    const auto target = anchors_.find(anchor);
    if (target == anchors_.end())
      return stop(line_of(mark), "an alias stands inside its own anchor");
    if (depth_ + measure_depth(target->second) > kDepthMax) return too_deep(line_of(mark));
    nodes_ += count_nodes(target->second);
    if (nodes_ > kNodesMax) return too_many(line_of(mark));
    YamlNode copy = target->second;
    copy.line = line_of(mark);
    copy.column = mark.column;
    add(std::move(copy), 0);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    add({.kind = YamlNode::Kind::kText,
         .line = line_of(mark),
         .column = mark.column,
         .text = value,
         .is_quoted = tag == "!"},
        anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open({.kind = YamlNode::Kind::kList, .line = line_of(mark), .column = mark.column}, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open({.kind = YamlNode::Kind::kMap, .line = line_of(mark), .column = mark.column}, anchor);
  }
  void OnMapEnd() override { close(); }

  struct Problem {
    int line;
    std::string message;
  };
  [[nodiscard]] const std::optional<Problem>& problem() const { return problem_; }
  [[nodiscard]] YamlNode take_root() { return std::move(root_); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor;
    std::optional<YamlEntry> entry;  ///< maps: its key is read, and waits for the value
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }
  void stop(int line, std::string message) {
    if (!problem_) problem_ = Problem{line, std::move(message)};
  }
  void too_many(int line) {
    stop(line, fmt::format("more than {} values; split the file", kNodesMax));
  }
  void too_deep(int line) { stop(line, fmt::format("nested deeper than {} levels", kDepthMax)); }

  void open(YamlNode node, YAML::anchor_t anchor) {
    if (problem_) return;
    if (++depth_ > kDepthMax) return too_deep(node.line);
    if (++nodes_ > kNodesMax) return too_many(node.line);
    stack_.push_back({std::move(node), anchor, {}});
  }
  void close() {
    if (problem_) return;
    Open closed = std::move(stack_.back());
    stack_.pop_back();
    --depth_;
    attach(std::move(closed.node), closed.anchor);
  }
  void add(YamlNode node, YAML::anchor_t anchor) {
    if (problem_) return;
    if (++nodes_ > kNodesMax) return too_many(node.line);
    attach(std::move(node), anchor);
  }
  void attach(YamlNode node, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = node;
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == YamlNode::Kind::kList) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.entry) {
      if (node.kind != YamlNode::Kind::kText)
        return stop(node.line, fmt::format("a key is {}; write a text", describe(node.kind)));
      parent.entry = YamlEntry{std::move(node.text), node.line, node.column, {}};
    } else {
      parent.entry->value = std::move(node);
      parent.node.entries.push_back(*std::move(parent.entry));
      parent.entry.reset();
    }
  }

  YamlNode root_;
  std::vector<Open> stack_;
  std::map<YAML::anchor_t, YamlNode> anchors_;
  std::optional<Problem> problem_;
  std::size_t nodes_ = 0;
  std::size_t depth_ = 0;
};

Failure invalid(std::string_view name, int line, std::string_view message) {
  return fail(ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", name, line, message));
}

}  // namespace

std::string_view describe(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kText:
      return "a text";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
  }
  return "unknown";
}

Result<YamlNode> parse_yaml(std::string_view text, std::string_view name) {
  if (text.size() > kConfigurationBytesMax)
    return invalid(
        name, 1, fmt::format("larger than {} MiB; split the file", kConfigurationBytesMax >> 20U));
  if (text.find('\0') != std::string_view::npos)
    return invalid(name, 1,
                   "is no text, so no configuration; clips and models have options of their own, "
                   "see --help");
  TreeBuilder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    if (parser.HandleNextDocument(builder) && !builder.problem()) {
      TreeBuilder second;
      if (parser.HandleNextDocument(second))
        return invalid(
            name, second.take_root().line,
            "a second document starts here; a configuration is one, so remove the \"---\"");
    }
  } catch (const YAML::Exception& exception) {
    return invalid(
        name, exception.mark.line + 1,
        fmt::format("not valid YAML: {}; check indentation, quotes and brackets near here",
                    exception.msg));
  } catch (const std::exception& exception) {  // bad_alloc and the like
    return invalid(name, 1, fmt::format("cannot be read as YAML: {}", exception.what()));
  }
  if (builder.problem()) return invalid(name, builder.problem()->line, builder.problem()->message);
  return builder.take_root();
}

}  // namespace framemill
