#include "framemill/infer/openvino/openvino_cache.h"

#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "framemill/base/content_hash.h"
#include "framemill/base/replace_file.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kFactsKey = "facts";
/// Raised when what is kept changes its meaning, or what is made of a file before it is compiled.
constexpr int kFormat = 2;

/// A file is the check sum of its content, a line feed, and the content.
constexpr std::size_t kCheckSumSize = 64;

/// Whether it was written. A cache that cannot be is none; the next start tries again.
bool write_checked(const std::string& path, std::string_view content) {
  std::error_code ignored;
  fs::create_directories(fs::path(path).parent_path(), ignored);
  return replace_file(path, fmt::format("{}\n{}", hash_text(content), content)).has_value();
}

/// The content of a whole and undamaged file, in memory that OpenVINO may share.
std::optional<ov::Tensor> read_checked(const std::string& path) {
  std::error_code problem;
  const std::uintmax_t size = fs::file_size(path, problem);
  if (problem || size <= kCheckSumSize + 1) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string sum(kCheckSumSize + 1, '\0');
  ov::Tensor content(ov::element::u8, ov::Shape{size - sum.size()});
  auto* const bytes = static_cast<char*>(content.data());
  if (!file.read(sum.data(), static_cast<std::streamsize>(sum.size())) ||
      !file.read(bytes, static_cast<std::streamsize>(content.get_byte_size())))
    return std::nullopt;
  sum.pop_back();
  if (hash_text({bytes, content.get_byte_size()}) != sum) return std::nullopt;
  note_use(path);
  return content;
}

Json to_json(const OpenVinoModelFacts& facts) {
  Json outputs = Json::array();
  for (const OutputShape& output : facts.outputs)
    outputs.push_back({{"name", output.name}, {"dims", output.dims}});
  return {{"is_channels_last", facts.layout.is_channels_last},
          {"is_batch_dynamic", facts.layout.is_batch_dynamic},
          {"is_size_dynamic", facts.layout.is_size_dynamic},
          {"input", facts.input ? Json{facts.input->width, facts.input->height} : Json()},
          {"precision", facts.precision},
          {"outputs", std::move(outputs)},
          {"metadata", facts.metadata}};
}

/// Throws what the parser throws.
OpenVinoModelFacts facts_from_json(const Json& json) {
  OpenVinoModelFacts facts;
  json.at("is_channels_last").get_to(facts.layout.is_channels_last);
  json.at("is_batch_dynamic").get_to(facts.layout.is_batch_dynamic);
  json.at("is_size_dynamic").get_to(facts.layout.is_size_dynamic);
  if (const Json& input = json.at("input"); !input.is_null())
    facts.input = Size{input.at(0).get<int>(), input.at(1).get<int>()};
  json.at("precision").get_to(facts.precision);
  for (const Json& output : json.at("outputs"))
    facts.outputs.push_back({.name = output.at("name").get<std::string>(),
                             .dims = output.at("dims").get<std::vector<std::int64_t>>()});
  json.at("metadata").get_to(facts.metadata);
  return facts;
}

}  // namespace

OpenVinoCache::OpenVinoCache(std::string folder, const std::string& model_hash)
    : folder_(std::move(folder)),
      prefix_(
          fmt::format("{}\n{}\n{}", kFormat, ov::get_openvino_version().buildNumber, model_hash)) {}

std::string OpenVinoCache::path_of(const std::string& key) const {
  return fmt::format("{}/openvino/{}", folder_, hash_text(prefix_ + "\n" + key).substr(0, 32));
}

void OpenVinoCache::keep(const std::string& key, std::string_view content) const {
  if (write_checked(path_of(key), content)) prune_compiled_models(folder_);
}

std::optional<OpenVinoModelFacts> OpenVinoCache::find_facts() const {
  if (folder_.empty()) return std::nullopt;
  const std::optional<ov::Tensor> content = read_checked(path_of(kFactsKey));
  if (!content) return std::nullopt;
  try {
    const auto* const text = static_cast<const char*>(content->data());
    return facts_from_json(Json::parse(text, text + content->get_byte_size()));
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

void OpenVinoCache::keep_facts(const OpenVinoModelFacts& facts) const {
  if (folder_.empty()) return;
  keep(kFactsKey, to_json(facts).dump(1, ' ', true, Json::error_handler_t::replace));
}

std::optional<ov::CompiledModel> OpenVinoCache::find_graph(ov::Core& core, const std::string& key,
                                                           const std::string& device,
                                                           const ov::AnyMap& settings) const {
  if (folder_.empty() || by_openvino_) return std::nullopt;
  const std::optional<ov::Tensor> content = read_checked(path_of(key));
  if (!content) return std::nullopt;
  try {
    return core.import_model(*content, device, settings);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::string OpenVinoCache::leave_graphs_to_openvino() {
  if (folder_.empty()) return {};
  const std::string path = path_of("graphs of OpenVINO's own");
  by_openvino_.emplace(folder_, path);
  if (by_openvino_->is_usable()) return path;
  folder_.clear();
  return {};
}

void OpenVinoCache::keep_graph(const std::string& key, ov::CompiledModel& graph) {
  if (folder_.empty()) return;
  if (by_openvino_) return by_openvino_->look_again();
  try {
    std::ostringstream content;
    graph.export_model(content);
    keep(key, content.view());
  } catch (const std::exception&) {  // a graph that cannot be exported is compiled at each start
  }
}

}  // namespace framemill
