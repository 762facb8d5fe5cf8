#include "framemill/cli/typed_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(PutYamlFirst, NoOptionSwallowsTheWorkload) {
  EXPECT_THAT(put_yaml_first({"--profile", "a.json", "hall.yaml", "--json"}),
              ElementsAre("hall.yaml", "--profile", "a.json", "--json"));
  EXPECT_THAT(put_yaml_first({"hall.yml", "--profile", "a.json", "b.json"}),
              ElementsAre("hall.yml", "--profile", "a.json", "b.json"));
  EXPECT_THAT(put_yaml_first({"--out=x.yaml", "a", "b.yaml", "c.yaml"}),
              ElementsAre("b.yaml", "--out=x.yaml", "a", "c.yaml"));
  EXPECT_THAT(put_yaml_first({"a", "b"}), ElementsAre("a", "b"));
  EXPECT_THAT(put_yaml_first({}), IsEmpty());
}

TEST(TypedCommand, QuotesWhatAShellWouldTakeApart) {
  EXPECT_EQ(typed_command("eval", {"a.onnx", "--data", "my pictures"}),
            "framemill eval a.onnx --data 'my pictures'");
  EXPECT_EQ(typed_command("prepare", {"clips/*.mp4", "it's", ""}),
            "framemill prepare 'clips/*.mp4' 'it'\\''s' ''");
}

}  // namespace
}  // namespace framemill
