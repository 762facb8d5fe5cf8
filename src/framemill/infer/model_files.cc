#include "framemill/infer/model_files.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "framemill/base/content_hash.h"
#include "framemill/infer/protobuf_fields.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using Bytes = std::span<const std::uint8_t>;

// The fields of onnx.proto (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto,
// StringStringEntryProto) that lead to the places of tensors outside of the file.
constexpr std::uint32_t kModelGraph = 7;
constexpr std::uint32_t kGraphNode = 1, kGraphInitializer = 5;
constexpr std::uint32_t kNodeAttribute = 5;
constexpr std::uint32_t kAttributeTensor = 5, kAttributeGraph = 6, kAttributeGraphs = 11;
constexpr std::uint32_t kTensorExternalData = 13;
constexpr std::uint32_t kEntryKey = 1, kEntryValue = 2;
/// Graphs in graphs (branches and loops); a broken file may claim anything.
constexpr int kDepthMost = 16;

std::string to_text(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

void see_tensor(Bytes tensor, std::set<std::string>& places) {
  for_each_protobuf_field(tensor, [&](const ProtobufField& field) {
    if (field.number != kTensorExternalData) return;
    std::string key, value;
    for_each_protobuf_field(field.bytes, [&](const ProtobufField& part) {
      if (part.number == kEntryKey) key = to_text(part.bytes);
      if (part.number == kEntryValue) value = to_text(part.bytes);
    });
    if (key == "location") places.insert(value);
  });
}

void see_graph(Bytes graph, int depth, std::set<std::string>& places);

void see_node(Bytes node, int depth, std::set<std::string>& places) {
  for_each_protobuf_field(node, [&](const ProtobufField& attribute) {
    if (attribute.number != kNodeAttribute) return;
    for_each_protobuf_field(attribute.bytes, [&](const ProtobufField& field) {
      if (field.number == kAttributeTensor) see_tensor(field.bytes, places);
      if (field.number == kAttributeGraph || field.number == kAttributeGraphs)
        see_graph(field.bytes, depth + 1, places);
    });
  });
}

void see_graph(Bytes graph, int depth, std::set<std::string>& places) {
  if (depth > kDepthMost) return;
  for_each_protobuf_field(graph, [&](const ProtobufField& field) {
    if (field.number == kGraphInitializer) see_tensor(field.bytes, places);
    if (field.number == kGraphNode) see_node(field.bytes, depth, places);
  });
}

/// Below the model's folder, as both runtimes demand.
bool is_below(const fs::path& place) {
  return !place.empty() && place.is_relative() &&
         std::ranges::none_of(place, [](const fs::path& part) { return part == ".."; });
}

}  // namespace

std::vector<std::string> external_data_of(Bytes onnx_file) {
  std::set<std::string> places;
  for_each_protobuf_field(onnx_file, [&](const ProtobufField& part) {
    if (part.number == kModelGraph) see_graph(part.bytes, 0, places);
  });
  return {places.begin(), places.end()};
}

std::vector<std::string> model_files(const std::string& path) {
  std::vector<std::string> files{path};
  const fs::path model(path);
  if (model.extension() == ".xml")
    files.push_back(fs::path(model).replace_extension(".bin").string());
  if (model.extension() != ".onnx") return files;
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> content((std::istreambuf_iterator<char>(file)), {});
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(content.data());
  for (const std::string& place : external_data_of({bytes, content.size()})) {
    const fs::path found = model.parent_path() / place;
    std::error_code ignored;
    if (is_below(place) && fs::is_regular_file(found, ignored)) files.push_back(found.string());
  }
  return files;
}

Result<std::string> hash_model(const std::string& path) { return hash_files(model_files(path)); }

Result<void> check_same_model(const std::string& hash_now, const std::string& hash_then) {
  if (hash_now == hash_then) return {};
  return fail(ErrorCode::kFailedPrecondition,
              "was replaced by another model while it runs; start again to use that one");
}

}  // namespace framemill
