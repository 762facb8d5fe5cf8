#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/engine/evaluation/coco_labels.h"
#include "framemill/engine/evaluation/voc/voc_labels.h"
#include "framemill/engine/evaluation/yolo_labels.h"

namespace framemill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

TEST(YoloLabels, ReadBoxesAndOutlines) {
  LabelProblems problems;
  const auto objects = parse_yolo_labels(
      "\xEF\xBB\xBF"
      "2 0.5 0.5 0.2 0.4\r\n\n  0 1e-1 .2 0.1\t0.1\n1 0.1 0.1 0.3 0.1 0.2 0.4\n",
      "a.txt", 3, problems);
  EXPECT_TRUE(problems.empty());
  ASSERT_EQ(objects.size(), 3U);
  EXPECT_EQ(objects[0].class_id, 2);
  EXPECT_NEAR(objects[0].box.x1, .4, 1e-6);
  EXPECT_NEAR(objects[0].box.y2, .7, 1e-6);
  EXPECT_NEAR(objects[0].area, .08, 1e-9);
  EXPECT_NEAR(objects[2].box.x2, .3, 1e-6);  // of the outline
  EXPECT_NEAR(objects[2].box.y2, .4, 1e-6);
}

TEST(YoloLabels, NameEachBrokenLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"0 0.5 0.5 0.2", "4 values"},
      {"0 0.5 0.5 0.2 0.2 0.2", "6 values"},
      {"x 0.5 0.5 0.2 0.2", "\"x\" is no class"},
      {"-1 0.5 0.5 0.2 0.2", "is no class"},
      {"1.5 0.5 0.5 0.2 0.2", "is no class"},
      {"3 0.5 0.5 0.2 0.2", "class 3 has no name; the data set names 3 classes"},
      {"0 0.5 nan 0.2 0.2", "\"nan\" is no number"},
      {"0 0.5 0,5 0.2 0.2", "\"0,5\" is no number"},
      {"0 320 240 100 50", "\"320\" lies outside 0..1"},
      {"0 0.5 0.5 1.2 0.2", "\"1.2\" lies outside 0..1"},
      {"0 -0.1 0.5 0.2 0.2", "outside 0..1"},
      {"0 0.5 0.5 0 0.2", "no area"},
  };
  for (const auto& [line, says] : cases) {
    LabelProblems problems;
    const auto objects =
        parse_yolo_labels(std::string("0 0.5 0.5 0.2 0.2\n") + line + "\n", "a.txt", 3, problems);
    EXPECT_EQ(objects.size(), 1U) << line;
    ASSERT_EQ(problems.count(), 1U) << line;
    EXPECT_THAT(problems.lines()[0], StartsWith("a.txt:2: ")) << line;
    EXPECT_THAT(problems.lines()[0], HasSubstr(says)) << line;
  }
}

TEST(LabelProblems, ListTwentyAndHowManyMore) {
  LabelProblems problems;
  static_cast<void>(parse_yolo_labels(
      std::string(200, 'x') + "\n" +
          [] {
            std::string text;
            for (int i = 0; i < 24; ++i) text += "y\n";
            return text;
          }(),
      "a.txt", std::nullopt, problems));
  EXPECT_EQ(problems.count(), 25U);
  EXPECT_THAT(problems.error().message(), HasSubstr("a.txt:20: "));
  EXPECT_THAT(problems.error().message(), HasSubstr("... and 5 more"));
}

constexpr const char* kCoco = R"({
  "images": [{"id": 10, "file_name": "b.jpg", "width": 640, "height": 480},
             {"id": 9, "file_name": "a.jpg", "width": 320, "height": 240}],
  "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
  "annotations": [
    {"id": 1, "image_id": 9, "category_id": 18, "bbox": [10, 20, 30, 40], "area": 700, "iscrowd": 0,
     "segmentation": [[1, 2, 3, 4, 5, 6]]},
    {"id": 2, "image_id": 9, "category_id": 1, "bbox": [1.5, 2, 3, 4], "iscrowd": 1}]})";

TEST(CocoLabels, ReadPicturesClassesAndCrowds) {
  LabelProblems problems;
  const Result<CocoLabels> labels = parse_coco_labels(kCoco, "c.json", problems);
  ASSERT_TRUE(labels) << labels.error().message();
  EXPECT_TRUE(problems.empty());
  EXPECT_THAT(labels->class_names, ElementsAre("person", "dog"));  // by category id
  EXPECT_THAT(labels->category_ids, ElementsAre(1, 18));
  ASSERT_EQ(labels->pictures.size(), 2U);
  EXPECT_EQ(labels->pictures[0].id, "9");  // as a number: before 10
  ASSERT_EQ(labels->pictures[0].objects.size(), 2U);
  const LabelledObject& dog = labels->pictures[0].objects[0];
  EXPECT_EQ(dog.box, (Box{10, 20, 40, 60}));
  EXPECT_EQ(dog.exact, (ExactBox{10, 20, 30, 40}));
  EXPECT_EQ(dog.area, 700);
  EXPECT_EQ(dog.class_id, 1);
  const LabelledObject& crowd = labels->pictures[0].objects[1];
  EXPECT_EQ(crowd.area, 12);
  EXPECT_TRUE(crowd.is_crowd && crowd.is_ignored);
}

TEST(CocoLabels, NameEachBrokenEntry) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"[10, 20, 30, 40]", "[10, 20, 30]", "annotations[0].bbox"},
      {"[10, 20, 30, 40]", "[10, 20, -30, 40]", "annotations[0].bbox"},
      {"\"image_id\": 9, \"category_id\": 18", "\"image_id\": 7, \"category_id\": 18",
       "annotations[0].image_id"},
      {"\"category_id\": 18", "\"category_id\": 19", "annotations[0].category_id"},
      {"\"id\": 10", "\"id\": 9", "images[1].id: 9 stands twice"},
      {"\"width\": 640", "\"width\": 0", "images[0]"},
      {"\"name\": \"dog\"", "\"name\": 3", "categories[0]"},
  };
  for (const auto& [from, to, says] : cases) {
    std::string text = kCoco;
    text.replace(text.find(from), std::string(from).size(), to);
    LabelProblems problems;
    ASSERT_TRUE(parse_coco_labels(text, "c.json", problems)) << to;
    ASSERT_FALSE(problems.empty()) << to;
    EXPECT_THAT(problems.error().message(), HasSubstr(std::string("c.json: ") + says)) << to;
  }
}

TEST(CocoLabels, RefuseWhatIsNoSuchDocument) {
  LabelProblems problems;
  const auto broken = parse_coco_labels("{\"images\": [", "c.json", problems);
  ASSERT_FALSE(broken);
  EXPECT_THAT(broken.error().message(), StartsWith("c.json: not JSON: "));
  const auto other = parse_coco_labels("{\"images\": []}", "c.json", problems);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message(), HasSubstr("no list \"annotations\""));
}

TEST(CocoResults, ReadIdsOfBothKinds) {
  const auto results = parse_coco_results(
      R"([{"image_id": 9, "category_id": 18, "bbox": [1, 2, 3, 4], "score": 0.5},
          {"image_id": "gate", "category_id": 0, "bbox": [1, 2, 3, 4], "score": 1}])",
      "r.json");
  ASSERT_TRUE(results) << results.error().message();
  EXPECT_EQ((*results)[0].picture_id, "9");
  EXPECT_EQ((*results)[1].picture_id, "gate");
  EXPECT_EQ((*results)[0].detection.box, (ExactBox{1, 2, 3, 4}));
  const auto wrong =
      parse_coco_results(R"([{"image_id": 9, "category_id": 1, "score": 1}])", "r.json");
  ASSERT_FALSE(wrong);
  EXPECT_THAT(wrong.error().message(), HasSubstr("r.json: [0].bbox"));
}

constexpr const char* kVoc = R"(<annotation>
  <filename>a.jpg</filename>
  <size><width>200</width><height>100</height><depth>3</depth></size>
  <object><name> rolled-in_scale </name><difficult>0</difficult>
    <bndbox><xmin>2</xmin><ymin>3.5</ymin><xmax>144</xmax><ymax>99</ymax></bndbox></object>
  <object><name>patch</name><difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>)";

TEST(VocLabels, ReadObjects) {
  LabelProblems problems;
  const Result<VocLabels> labels = parse_voc_labels(kVoc, "a.xml", problems);
  ASSERT_TRUE(labels) << labels.error().message();
  EXPECT_TRUE(problems.empty());
  EXPECT_EQ(labels->size, (Size{200, 100}));
  ASSERT_EQ(labels->objects.size(), 2U);
  EXPECT_EQ(labels->objects[0].class_name, "rolled-in_scale");
  EXPECT_EQ(labels->objects[0].object.box, (Box{2, 3.5F, 144, 99}));
  EXPECT_FALSE(labels->objects[0].object.is_ignored);
  EXPECT_TRUE(labels->objects[1].object.is_ignored);
}

TEST(VocLabels, NameTheLineOfWhatIsBroken) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"<xmax>144</xmax>", "<xmax>one</xmax>", "a.xml:4: rolled-in_scale: <bndbox> needs numbers"},
      {"<xmax>144</xmax>", "<xmax>244</xmax>", "outside the picture of 200x100"},
      {"<xmax>144</xmax>", "<xmax>2</xmax>", "has no area"},
      {"<name>patch</name>", "", "a.xml:6: object without a <name>"},
      {"<width>200</width>", "<width>x</width>", "a.xml:3: <size>"},
  };
  for (const auto& [from, to, says] : cases) {
    std::string text = kVoc;
    text.replace(text.find(from), std::string(from).size(), to);
    LabelProblems problems;
    ASSERT_TRUE(parse_voc_labels(text, "a.xml", problems)) << to;
    ASSERT_FALSE(problems.empty()) << to;
    EXPECT_THAT(problems.error().message(), HasSubstr(says)) << to;
  }
  LabelProblems problems;
  const auto cut = parse_voc_labels(std::string(kVoc).substr(0, 200), "a.xml", problems);
  ASSERT_FALSE(cut);
  EXPECT_THAT(cut.error().message(), StartsWith("a.xml:"));
  EXPECT_FALSE(parse_voc_labels("<html/>", "a.xml", problems));
}

}  // namespace
}  // namespace framemill
