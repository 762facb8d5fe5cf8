#include "framemill/engine/evaluation/class_map.h"

#include <algorithm>
#include <cctype>
#include <map>

#include <fmt/format.h>

#include "framemill/infer/labels.h"

namespace framemill {
namespace {

constexpr std::size_t kNamesShown = 12;

std::string normalised(const std::string& name) {
  std::string text;
  for (const char c : name) {
    if (c == '_' || c == '-')
      text += ' ';
    else
      text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

Result<ClassMap> map_by_number(const std::vector<std::string>& classes,
                               const std::vector<bool>& is_used, const std::string& who,
                               const std::vector<std::string>& model,
                               const std::string& model_name) {
  ClassMap map;
  for (std::size_t i = 0; i < std::max(classes.size(), is_used.size()); ++i) {
    const bool is_there = i < model.size();
    if (!is_there && i < is_used.size() && is_used[i])
      return fail(
          ErrorCode::kInvalidArgument,
          fmt::format("class {} of {} is none of the {} classes of {}, and without names on "
                      "both sides classes go by their numbers; give the data set a "
                      "data.yaml with names, or the model --labels",
                      i, who, model.size(), model_name));
    map.to_model.push_back(is_there ? static_cast<int>(i) : -1);
  }
  map.note = fmt::format("{} has no class names, so classes go by their numbers",
                         has_no_names(model) ? model_name : who);
  return map;
}

}  // namespace

std::string list_names(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamesShown); ++i)
    text += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", names[i]);
  if (names.size() > kNamesShown) text += fmt::format(" and {} more", names.size() - kNamesShown);
  return text;
}

bool is_same_class(const std::string& a, const std::string& b) {
  return normalised(a) == normalised(b);
}

Result<ClassMap> map_classes(const std::vector<std::string>& classes,
                             const std::vector<bool>& is_used, const std::string& who,
                             const std::vector<std::string>& model, const std::string& model_name) {
  if (has_no_names(classes) || has_no_names(model))
    return map_by_number(classes, is_used, who, model, model_name);
  std::map<std::string, int> by_name;
  for (std::size_t i = 0; i < model.size(); ++i)
    by_name.emplace(normalised(model[i]), static_cast<int>(i));
  ClassMap map;
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const auto found = by_name.find(normalised(classes[i]));
    map.to_model.push_back(found == by_name.end() ? -1 : found->second);
    if (found == by_name.end() && i < is_used.size() && is_used[i]) missing.push_back(classes[i]);
  }
  if (!missing.empty())
    return fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{} of the classes of {} {} not among those of {}: {}; the model has {}. "
                    "Name the model's classes with --labels, or those to look at with "
                    "--classes",
                    missing.size(), who, missing.size() == 1 ? "is" : "are", model_name,
                    list_names(missing), list_names(model)));
  return map;
}

}  // namespace framemill
