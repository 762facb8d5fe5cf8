#include "framemill/config/data_set_yaml.h"

#include <charconv>

#include <fmt/format.h>

#include "framemill/config/yaml_tree.h"

namespace framemill {
namespace {

Failure wrong(std::string_view file, int line, std::string_view message) {
  return fail(ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", file, line, message));
}

Result<std::vector<std::string>> read_names(const YamlNode& node, std::string_view file) {
  std::vector<std::string> names;
  if (node.kind == YamlNode::Kind::kList) {
    for (const YamlNode& item : node.items) names.push_back(item.text);
    return names;
  }
  if (node.kind != YamlNode::Kind::kMap)
    return wrong(file, node.line,
                 "names: write a list of class names, or a map from class to name");
  std::map<int, std::string> by_id;
  for (const YamlEntry& entry : node.entries) {
    int id = 0;
    const char* const end = entry.key.data() + entry.key.size();
    const auto [rest, status] = std::from_chars(entry.key.data(), end, id);
    if (status != std::errc{} || rest != end || id < 0)
      return wrong(file, entry.line,
                   fmt::format("names: \"{}\" is no class; keys are 0, 1, 2, ...", entry.key));
    by_id[id] = entry.value.text;
  }
  for (const auto& [id, name] : by_id) {
    if (id != static_cast<int>(names.size()))
      return wrong(file, node.line, fmt::format("names: class {} has no name", names.size()));
    names.push_back(name);
  }
  return names;
}

}  // namespace

Result<DataSetYaml> parse_data_set_yaml(std::string_view text, std::string_view file) {
  const Result<YamlNode> root = parse_yaml(text, file);
  if (!root) return fail(root.error());
  if (root->kind != YamlNode::Kind::kMap)
    return wrong(file, 1, "is no map; a data set's file has names, val and the like");
  DataSetYaml data;
  for (const YamlEntry& entry : root->entries) {
    const YamlNode& value = entry.value;
    const bool is_split = entry.key == "train" || entry.key == "val" || entry.key == "test";
    if (entry.key == "path") {
      data.root = value.text;
    } else if (is_split && value.kind == YamlNode::Kind::kText && !value.text.empty()) {
      data.splits[entry.key] = {value.text};
    } else if (is_split && value.kind == YamlNode::Kind::kList && !value.items.empty()) {
      for (const YamlNode& item : value.items) data.splits[entry.key].push_back(item.text);
    } else if (entry.key == "names") {
      Result<std::vector<std::string>> names = read_names(value, file);
      if (!names) return fail(names.error());
      data.class_names = *std::move(names);
    }
  }
  return data;
}

}  // namespace framemill
