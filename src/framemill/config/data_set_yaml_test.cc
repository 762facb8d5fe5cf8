#include "framemill/config/data_set_yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(DataSetYaml, ReadsListsMapsAndSplits) {
  const auto list =
      parse_data_set_yaml("path: ../d\ntrain: [a, b]\nval: v\nnames: [cat, dog]\n", "d.yaml");
  ASSERT_TRUE(list) << list.error().message();
  EXPECT_EQ(list->root, "../d");
  EXPECT_THAT(list->splits.at("train"), ElementsAre("a", "b"));
  EXPECT_THAT(list->splits.at("val"), ElementsAre("v"));
  EXPECT_THAT(list->class_names, ElementsAre("cat", "dog"));
  const auto map = parse_data_set_yaml("names: {1: dog, 0: cat}\nnc: 2\ndownload: x\n", "d.yaml");
  ASSERT_TRUE(map);
  EXPECT_THAT(map->class_names, ElementsAre("cat", "dog"));
  EXPECT_TRUE(map->splits.empty());
}

TEST(DataSetYaml, NamesFileAndLineOfWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"val: v\nnames:\n  0: cat\n  2: dog\n", "class 1 has no name"},
      {"names:\n  0: cat\n  x: dog\n", "d.yaml:3: names: \"x\" is no class"},
      {"names: cat\n", "names: write a list"},
      {"- a\n", "is no map"},
      {"names: [cat\n", "d.yaml:"},
  };
  for (const auto& [text, says] : cases) {
    const auto yaml = parse_data_set_yaml(text, "d.yaml");
    ASSERT_FALSE(yaml) << text;
    EXPECT_THAT(yaml.error().message(), HasSubstr(says)) << text;
  }
}

}  // namespace
}  // namespace framemill
