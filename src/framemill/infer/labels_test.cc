#include "framemill/infer/labels.h"

#include <tuple>

#include <gtest/gtest.h>

namespace framemill {
namespace {

using Labels = std::vector<std::string>;

TEST(ParseLabels, ReadsWhatExportersWrite) {
  const std::pair<const char*, Labels> cases[] = {
      {"{0: 'person', 1: 'car'}", {"person", "car"}},
      {R"({0: "cat's eye", 1: 'rolled-in_scale'})", {"cat's eye", "rolled-in_scale"}},
      {R"({"0": "person", "1": "traffic light"})", {"person", "traffic light"}},
      {R"([ "a" , 'b' ])", {"a", "b"}},
      {"{1: 'second', 0: 'first'}", {"first", "second"}},
      {"{2: 'third'}", {"class 0", "class 1", "third"}},
      {R"({0: 'it\'s'})", {"it's"}},
      {"{}", {}},
      {"[]", {}},
      {"['a',]", {"a"}},
  };
  for (const auto& [text, want] : cases) {
    const Result<Labels> labels = parse_labels(text);
    ASSERT_TRUE(labels) << text << ": " << labels.error().message();
    EXPECT_EQ(*labels, want) << text;
  }
}

TEST(ParseLabels, RefusesAnythingElse) {
  for (const char* text : {"", "person", "{", "{0", "{0:", "{0: person}", "{0: 'person'",
                           "{'x': 'y'}", "{-1: 'y'}", "{999999999: 'y'}", "{99999999999999: 'y'}",
                           "['a'}", "['a' 'b']", "['a'] x", "{0: 'open"}) {
    const Result<Labels> labels = parse_labels(text);
    ASSERT_FALSE(labels) << text;
    EXPECT_EQ(labels.error().code(), ErrorCode::kInvalidArgument) << text;
  }
}

TEST(LabelsFromMetadata, PrefersNamesAndKnowsOpenVinosWords) {
  EXPECT_EQ(*labels_from_metadata({}), Labels{});
  EXPECT_EQ(*labels_from_metadata({{"names", "['a']"}, {"labels", "b c"}}), Labels{"a"});
  EXPECT_EQ(*labels_from_metadata({{"labels", "person traffic_light"}}),
            (Labels{"person", "traffic light"}));
  const Result<Labels> wrong = labels_from_metadata({{"names", "person"}});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message().find("names"), std::string::npos);
}

TEST(CocoLabels, AreEightyInTheUsualOrder) {
  const Labels labels = coco_labels();
  ASSERT_EQ(labels.size(), 80U);
  const std::pair<std::size_t, const char*> samples[] = {{0, "person"},        {2, "car"},
                                                         {9, "traffic light"}, {27, "tie"},
                                                         {39, "bottle"},       {79, "toothbrush"}};
  for (const auto& [id, name] : samples) EXPECT_EQ(labels[id], name);
}

}  // namespace
}  // namespace framemill
