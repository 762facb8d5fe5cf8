#include "framemill/infer/model_files.h"

#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"

namespace framemill {
namespace {

using testing::ElementsAre;

/// A protobuf field of bytes, fewer than 16,384.
std::string field(int number, const std::string& content) {
  const std::size_t size = content.size();
  return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(size % 128 | 128),
                     static_cast<char>(size / 128)} +
         content;
}
/// A tensor that lies in another file.
std::string external(const std::string& place) {
  return field(13, field(1, "offset") + field(2, "0")) +
         field(13, field(1, "location") + field(2, place));
}
std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(ModelFiles, AnOnnxGraphNamesThoseOfItsTensors) {
  const std::string branch = field(6, field(5, external("b")));  // attribute: graph
  const std::string node = field(5, branch) + field(5, field(5, external("c")));
  const std::string model = field(7, field(5, external("a")) + field(1, node) +
                                         field(5, external("a")) + field(5, field(8, "inside")));
  EXPECT_THAT(external_data_of(bytes_of(model)), ElementsAre("a", "b", "c"));
  for (std::size_t size = 0; size < model.size(); ++size)
    static_cast<void>(external_data_of(bytes_of(model).first(size)));
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = model;
    for (int i = 0; i < 3; ++i) damaged[random() % damaged.size()] = static_cast<char>(random());
    static_cast<void>(external_data_of(bytes_of(damaged)));
  }
}

// Promise: other weights beside the same graph are another model.
TEST(ModelFiles, WeightsBesideAGraphAreOfTheModel) {
  const TempFolder folder;
  const std::string path = (folder / "m.onnx").string();
  folder.write("m.onnx",
               field(7, field(5, external("m.onnx.data")) + field(5, external("../up")) +
                            field(5, external("/etc/passwd")) + field(5, external("gone"))));
  folder.write("m.onnx.data", "weights");
  EXPECT_THAT(model_files(path), ElementsAre(path, (folder / "m.onnx.data").string()));
  const auto before = hash_model(path);
  folder.write("m.onnx.data", "Weights");
  EXPECT_NE(*before, *hash_model(path));
  EXPECT_THAT(model_files((folder / "x.xml").string()),
              ElementsAre((folder / "x.xml").string(), (folder / "x.bin").string()));
  EXPECT_THAT(model_files((folder / "none.onnx").string()),
              ElementsAre((folder / "none.onnx").string()));
}

}  // namespace
}  // namespace framemill
