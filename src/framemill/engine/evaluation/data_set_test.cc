#include "framemill/engine/evaluation/data_set.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/engine/evaluation/class_map.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

/// A folder for one test, filled file by file. Pictures are not opened by what is tested here, so
/// they are empty files.
class DataSetTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text = "") const { root_.write(name, text); }
  [[nodiscard]] std::string at(const std::string& name) const { return root_ / name; }
  [[nodiscard]] Result<DataSet> read(const std::string& name = "",
                                     std::optional<LabelFormat> format = std::nullopt,
                                     const std::string& split = "") const {
    return read_data_set({.path = at(name), .format = format, .split = split});
  }

  const TempFolder root_;
};

constexpr const char* kLine = "1 0.5 0.5 0.2 0.2\n";
constexpr const char* kCoco =
    R"({"images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4]}]})";

TEST_F(DataSetTest, FindsUltralyticsLayoutWithItsYaml) {
  put("data.yaml",
      "path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\nnc: 2\n");
  put("images/train/x.jpg");
  put("labels/train/x.txt", kLine);
  put("images/val/b.jpg");
  put("images/val/a.PNG");
  put("labels/val/a.txt", kLine);
  put("labels/val/b.txt", "");
  for (const char* const name : {"", "data.yaml"}) {
    const auto data = read(name);
    ASSERT_TRUE(data) << data.error().message();
    EXPECT_EQ(data->format, LabelFormat::kYolo);
    EXPECT_THAT(data->class_names, ElementsAre("cat", "dog"));
    ASSERT_EQ(data->pictures.size(), 2U);
    EXPECT_EQ(data->pictures[0].id, "a");
    EXPECT_EQ(data->pictures[0].objects.size(), 1U);
    EXPECT_THAT(data->label_files, ElementsAre(at("labels/val/a.txt"), at("labels/val/b.txt")));
    EXPECT_THAT(data->used_classes(), ElementsAre(false, true));
    EXPECT_THAT(data->notes, testing::IsEmpty());
  }
  EXPECT_EQ(read()->split, "val");
  const auto train = read("data.yaml", std::nullopt, "train");
  ASSERT_TRUE(train);
  EXPECT_EQ(train->pictures[0].id, "x");
  EXPECT_EQ(train->split, "train");
  const auto test = read("data.yaml", std::nullopt, "test");
  ASSERT_FALSE(test);
  EXPECT_THAT(test.error().message(), HasSubstr("names no test"));
}

TEST_F(DataSetTest, TakesAllPartsOfASplit) {
  put("data.yaml", "val: [day/images, ../night/images, more.txt]\nnames: [cat, dog]\n");
  for (const char* const part : {"day", "night", "other"}) {
    put(std::string(part) + "/images/" + part + ".jpg");
    put(std::string(part) + "/labels/" + part + ".txt", kLine);
  }
  put("more.txt", "other/images/other.jpg\n./day/images/day.jpg\n");
  for (const char* const name : {"", "data.yaml"}) {
    const auto data = read(name);
    ASSERT_TRUE(data) << data.error().message();
    std::vector<std::string> ids;
    for (const LabelledPicture& each : data->pictures) ids.push_back(each.id);
    EXPECT_THAT(ids, ElementsAre("day", "night", "other"));
  }
}

TEST_F(DataSetTest, TakesNoOtherSplitForOneThatIsNotThere) {
  put("data.yaml", "train: images/train\nval: pictures/val\nnames: [cat, dog]\n");
  put("images/train/x.jpg");
  put("labels/train/x.txt", kLine);
  for (const char* const name : {"", "data.yaml"}) {
    const auto data = read(name);
    ASSERT_FALSE(data) << name;
    EXPECT_THAT(data.error().message(), HasSubstr("val: pictures/val: there is no such folder"));
    EXPECT_TRUE(read(name, std::nullopt, "train")) << name;
  }
  put("annotations/instances_val2017.json", kCoco);  // the YAML of a trainer beside COCO's labels
  put("val2017/a.jpg");
  EXPECT_EQ(read()->format, LabelFormat::kCoco);
  put("images/val/a.jpg");  // the same split elsewhere
  put("labels/val/a.txt", kLine);
  const auto data = read();
  ASSERT_TRUE(data) << data.error().message();
  EXPECT_EQ(data->pictures[0].id, "a");
  EXPECT_THAT(data->notes, ElementsAre(HasSubstr("there is no such folder; ")));
}

TEST_F(DataSetTest, TakesNamesFromOneFolderUp) {
  put("config.yaml", "val: images/val2017\nnames: [cat, dog]\n");
  put("val2017/images/a.jpg");
  put("val2017/labels/a.txt", kLine);
  for (const char* const name : {"val2017", "val2017/"}) {
    const auto data = read(name);
    ASSERT_TRUE(data) << data.error().message();
    EXPECT_THAT(data->class_names, ElementsAre("cat", "dog"));
  }
  put("other/images/a.jpg");
  put("other/labels/a.txt", kLine);
  const auto other = read("other");  // the YAML is not about it
  ASSERT_TRUE(other);
  EXPECT_THAT(other->class_names, testing::IsEmpty());
  const auto by_yaml = read("config.yaml");
  ASSERT_FALSE(by_yaml);
  EXPECT_THAT(by_yaml.error().message(), HasSubstr("val: images/val2017: there is no such folder"));
}

TEST_F(DataSetTest, FindsLabelsBesidePicturesAndClassesTxt) {
  put("classes.txt", "cat\r\ndog\n");
  put("a.jpg");
  put("a.txt", kLine);
  put("b.jpg");
  const auto data = read();
  ASSERT_TRUE(data) << data.error().message();
  EXPECT_EQ(data->format, LabelFormat::kYolo);
  EXPECT_THAT(data->class_names, ElementsAre("cat", "dog"));
  EXPECT_THAT(data->notes,
              ElementsAre(HasSubstr("1 of 2 pictures have no file of labels, such as b.jpg")));
}

TEST_F(DataSetTest, TellsPicturesOfOneNameApart) {
  for (const char* const name : {"cam1/0001", "cam2/0001", "cam2/0002"}) {
    put("images/" + std::string(name) + ".jpg");
    put("labels/" + std::string(name) + ".txt", kLine);
  }
  put("images/cam2/0001.png");
  const auto data = read();
  ASSERT_TRUE(data) << data.error().message();
  std::vector<std::string> ids;
  for (const LabelledPicture& each : data->pictures) ids.push_back(each.id);
  EXPECT_THAT(
      ids, ElementsAre("images/cam1/0001", "images/cam2/0001.jpg", "images/cam2/0001.png", "0002"));
}

TEST_F(DataSetTest, NamesEveryBrokenLineWithFileAndLine) {
  put("images/a.jpg");
  put("images/b.jpg");
  put("labels/a.txt", std::string(kLine) + "1 2 3\n");
  put("labels/b.txt", "1 0.5 0.5 7 0.2\n");
  const auto data = read();
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(data.error().message(), HasSubstr("labels/a.txt:2: 3 values"));
  EXPECT_THAT(data.error().message(), HasSubstr("labels/b.txt:1: \"7\" lies outside"));
}

TEST_F(DataSetTest, FindsCocoAnnotationsAndTheirPictures) {
  put("annotations/instances_val2017.json", kCoco);
  put("annotations/other.json", "{}");
  put("val2017/a.jpg");
  const auto data = read();
  ASSERT_TRUE(data) << data.error().message();
  EXPECT_EQ(data->format, LabelFormat::kCoco);
  EXPECT_EQ(data->pictures[0].path, at("val2017/a.jpg"));
  EXPECT_THAT(data->label_files, ElementsAre(at("annotations/instances_val2017.json")));
  EXPECT_THAT(data->category_ids, ElementsAre(3));
  put("annotations/instances_train2017.json", kCoco);
  const auto chosen = read();
  ASSERT_TRUE(chosen);
  EXPECT_THAT(chosen->notes, ElementsAre(HasSubstr("instances_val2017.json is used")));
  fs::rename(root_ / "annotations/instances_val2017.json", root_ / "annotations/one.json");
  fs::rename(root_ / "annotations/instances_train2017.json", root_ / "annotations/two.json");
  const auto two = read();
  ASSERT_FALSE(two);
  EXPECT_THAT(two.error().message(), HasSubstr("name one of them by --data"));
}

TEST_F(DataSetTest, SaysWhereItLookedForCocoPictures) {
  put("annotations/c.json", kCoco);
  const auto data = read();
  ASSERT_FALSE(data);
  EXPECT_EQ(data.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(data.error().message(), HasSubstr("none of its 1 pictures, such as a.jpg"));
}

std::string voc(const std::string& name) {
  return "<annotation><size><width>64</width><height>48</height></size><object><name>" + name +
         "</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object>"
         "</annotation>";
}

TEST_F(DataSetTest, FindsVocAndLeavesOutPicturesWithoutLabels) {
  put("Annotations/a.xml", voc("dog"));
  put("Annotations/b.xml", voc("cat"));
  put("Annotations/gone.xml", voc("cat"));
  put("JPEGImages/a.jpg");
  put("JPEGImages/b.jpg");
  put("JPEGImages/c.jpg");
  const auto data = read();
  ASSERT_TRUE(data) << data.error().message();
  EXPECT_EQ(data->format, LabelFormat::kVoc);
  EXPECT_THAT(data->class_names, ElementsAre("cat", "dog"));
  ASSERT_EQ(data->pictures.size(), 2U);
  EXPECT_THAT(data->label_files, ElementsAre(at("Annotations/a.xml"), at("Annotations/b.xml")));
  EXPECT_EQ(data->pictures[0].objects[0].class_id, 1);
  EXPECT_EQ(data->pictures[0].labelled_size, (Size{64, 48}));
  EXPECT_THAT(data->notes, ElementsAre(HasSubstr("1 files of labels have no picture"),
                                       HasSubstr("1 pictures have no labels and are left out")));
}

TEST_F(DataSetTest, TakesThePicturesThatVocListsForTheSplit) {
  for (const char* const name : {"a", "b", "c"}) {
    put(std::string("Annotations/") + name + ".xml", voc("dog"));
    put(std::string("JPEGImages/") + name + ".jpg");
  }
  const auto ids_of = [&](const std::string& split) {
    std::string ids;
    const auto data = read("", std::nullopt, split);
    EXPECT_TRUE(data) << data.error().message();
    for (const LabelledPicture& each : data->pictures) ids += each.id;
    return ids;
  };
  EXPECT_EQ(ids_of(""), "abc");
  EXPECT_THAT(read("", std::nullopt, "test").error().message(),
              HasSubstr("has no list test.txt for --split test"));
  put("ImageSets/Main/val.txt", "b\n");
  put("ImageSets/Main/test.txt", "a\r\nc  -1\n");
  EXPECT_EQ(ids_of(""), "b");
  EXPECT_EQ(ids_of("test"), "ac");
  EXPECT_EQ(read()->split, "val");
  EXPECT_THAT(read()->notes, ElementsAre(HasSubstr("1 pictures of ImageSets/Main/val.txt")));
}

TEST_F(DataSetTest, PrefersYoloAndTellsOfTheOthers) {
  put("images/a.jpg");
  put("labels/a.txt", kLine);
  put("xml/a.xml", voc("dog"));
  const auto data = read();
  ASSERT_TRUE(data);
  EXPECT_EQ(data->format, LabelFormat::kYolo);
  EXPECT_THAT(data->notes, ElementsAre(HasSubstr("--format voc")));
  const auto chosen = read("", LabelFormat::kVoc);
  ASSERT_TRUE(chosen) << chosen.error().message();
  EXPECT_EQ(chosen->format, LabelFormat::kVoc);
  const auto coco = read("", LabelFormat::kCoco);
  ASSERT_FALSE(coco);
  EXPECT_THAT(coco.error().message(), HasSubstr("has no COCO labels"));
}

TEST_F(DataSetTest, TakesPicturesAndClipsWithoutLabels) {
  put("day/a.jpg");
  put("gate.mp4");
  put("notes.txt", "hello");
  const auto data = read();
  ASSERT_TRUE(data) << data.error().message();
  EXPECT_FALSE(data->is_labelled());
  EXPECT_EQ(data->pictures.size(), 1U);
  EXPECT_EQ(data->clips.size(), 1U);
  EXPECT_FALSE(data->pictures[0].is_labelled);
}

TEST_F(DataSetTest, RefusesWhatHoldsNothing) {
  put("notes.txt");
  const auto empty = read();
  ASSERT_FALSE(empty);
  EXPECT_THAT(empty.error().message(), HasSubstr("holds no pictures"));
  const auto gone = read("nowhere");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(read("notes.txt"));
}

TEST(ScaleObjects, GivesPixelsOfThePicture) {
  LabelledPicture picture{
      .labelled_size = {200, 100},
      .objects = {{.box = {20, 10, 40, 30}, .area = 400, .exact = ExactBox{20, 10, 20, 20}}}};
  const auto objects = scale_objects(picture, {400, 400});
  EXPECT_EQ(objects[0].box, (Box{40, 40, 80, 120}));
  EXPECT_EQ(objects[0].area, 400 * 2 * 4);
  EXPECT_EQ(objects[0].exact, (ExactBox{40, 40, 40, 80}));
}

TEST(MapClasses, GoesByName) {
  const auto map = map_classes({"Rolled_in scale", "cat", "ghost"}, {true, true, false},
                               "the data set", {"cat", "rolled-in_scale"}, "m");
  ASSERT_TRUE(map) << map.error().message();
  EXPECT_THAT(map->to_model, ElementsAre(1, 0, -1));
  EXPECT_EQ(map->note, "");
}

TEST(MapClasses, RefusesUsedClassesThatTheModelLacks) {
  const auto map = map_classes({"cat", "ghost", "elf"}, {true, true, true}, "the data set",
                               {"cat", "dog"}, "m.onnx");
  ASSERT_FALSE(map);
  EXPECT_THAT(map.error().message(), HasSubstr("2 of the classes of the data set"));
  EXPECT_THAT(map.error().message(), HasSubstr("\"ghost\", \"elf\""));
  EXPECT_THAT(map.error().message(), HasSubstr("--labels"));
}

TEST(MapClasses, GoesByNumberWhereOneSideHasNoNames) {
  const auto map = map_classes({"cat", "dog"}, {true, true}, "the data set",
                               {"class 0", "class 1", "class 2"}, "m.onnx");
  ASSERT_TRUE(map);
  EXPECT_THAT(map->to_model, ElementsAre(0, 1));
  EXPECT_THAT(map->note, HasSubstr("m.onnx has no class names"));
  const auto unnamed = map_classes({}, {false, true, false}, "the data set", {"a", "b"}, "m");
  ASSERT_TRUE(unnamed) << unnamed.error().message();
  EXPECT_THAT(unnamed->to_model, ElementsAre(0, 1, -1));
  EXPECT_FALSE(map_classes({}, {false, false, true}, "the data set", {"a", "b"}, "m"));
}

}  // namespace
}  // namespace framemill
