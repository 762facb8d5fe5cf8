// The way from files to figures, over a backend that finds the bright area of a picture.
#include "framemill/engine/evaluation/evaluation.h"

#include <algorithm>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "framemill/base/temp_folder_for_test.h"
#include "framemill/infer/fake_backend.h"
#include "framemill/vision/annotate.h"

namespace framemill {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr Size kSize{640, 384};

/// A dark picture with a bright square at `left`, 64 pixels wide, on the backend's grid; -64: none.
std::vector<std::uint8_t> picture_with_square(int left) {
  const auto samples = std::make_shared<std::vector<std::uint8_t>>(
      static_cast<std::size_t>(kSize.width) * kSize.height, std::uint8_t{30});
  for (int y = 64; y < 128; ++y) {
    for (int x = std::max(left, 0); x < left + 64; ++x)
      (*samples)[static_cast<std::size_t>(y) * kSize.width + static_cast<std::size_t>(x)] = 220;
  }
  Picture picture{.format = PixelFormat::kGray, .range = ColorRange::kFull, .size = kSize};
  picture.planes[0] = {.data = samples->data(), .stride = kSize.width};
  picture.owner = samples;
  return *draw_jpeg(picture, {}, {}, "");
}

class EvaluationTest : public testing::Test {
 protected:
  EvaluationTest() {
    for (int i = 0; i < 12; ++i) {
      const int left = 32 * i;
      write("images/" + name_of(i) + ".jpg", picture_with_square(left));
      const std::string label =
          std::to_string((left + 32.0) / kSize.width) + " 0.25 0.1 0.1666667\n";
      root_.write("labels/" + name_of(i) + ".txt", "0 " + label);
    }
  }

  static std::string name_of(int i) { return std::string(1, static_cast<char>('a' + i)); }
  void write(const std::string& name, const std::vector<std::uint8_t>& bytes) const {
    root_.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  std::shared_ptr<const Detector> load(std::vector<std::string> labels) {
    FakeBackendOptions options{
        .input = kSize, .class_count = static_cast<int>(labels.size()), .parallel_requests = 2};
    DetectorOptions detector{.labels = std::move(labels), .candidate_score = .001F};
    auto loaded = Detector::create(create_fake_backend(options, control_), detector);
    EXPECT_TRUE(loaded) << loaded.error().message();
    return *std::move(loaded);
  }
  [[nodiscard]] DataSet data() const {
    auto data = read_data_set({.path = root_.path().string()});
    EXPECT_TRUE(data) << data.error().message();
    return *std::move(data);
  }

  const TempFolder root_;
  std::shared_ptr<FakeBackendControl> control_ = std::make_shared<FakeBackendControl>();
  const SystemClock clock_;
};

TEST_F(EvaluationTest, JudgesAModelOnFiles) {
  const auto evaluation = evaluate(data(), load({"square"}), nullptr, {}, {}, clock_);
  ASSERT_TRUE(evaluation) << evaluation.error().message();
  EXPECT_THAT(evaluation->pictures, SizeIs(12));
  EXPECT_EQ(evaluation->objects, 12);
  ASSERT_THAT(evaluation->conditions, SizeIs(1));
  const ModelQuality& quality = *evaluation->conditions[0].model;
  EXPECT_THAT(quality.ap.by_size[0].ap50, testing::Optional(testing::DoubleNear(1, 1e-9)));
  EXPECT_EQ(quality.operating.by_size[0].found, 12);
  EXPECT_EQ(evaluation->conditions[0].agreement, std::nullopt);
  EXPECT_THAT(evaluation->notes, ElementsAre(HasSubstr("the data set has no class names")));
}

TEST_F(EvaluationTest, LeavesOutAndTellsBrokenPictures) {
  write("images/c.jpg", {1, 2, 3});
  std::vector<std::size_t> seen;
  PictureRunHooks hooks;
  hooks.on_done = [&](const SeenPicture&, std::size_t picture, std::size_t, const Picture&,
                      const auto& found) {
    seen.push_back(picture);
    EXPECT_THAT(found, SizeIs(1));
  };
  const auto evaluation = evaluate(data(), load({"square"}), nullptr, {}, {}, clock_, hooks);
  ASSERT_TRUE(evaluation) << evaluation.error().message();
  EXPECT_THAT(evaluation->pictures, SizeIs(11));
  EXPECT_EQ(evaluation->broken, 1U);
  EXPECT_THAT(evaluation->problems, ElementsAre(HasSubstr("c.jpg: ")));
  EXPECT_THAT(seen, SizeIs(11));
  EXPECT_THAT(evaluation->conditions[0].model->ap.by_size[0].ap50,
              testing::Optional(testing::DoubleNear(1, 1e-9)));
}

TEST_F(EvaluationTest, HoldsAgainstAModelWhoseClassesHaveOtherNumbers) {
  // The fake reports class 0 always, so the reference says "cat" for squares.
  const auto other = load({"cat", "square"});
  const auto evaluation =
      evaluate(data(), load({"square", "cat"}), other,
               {.conditions = {Degradation::kNone, Degradation::kNoise}}, {.worst_max = 2}, clock_);
  ASSERT_TRUE(evaluation) << evaluation.error().message();
  ASSERT_THAT(evaluation->conditions, SizeIs(2));
  EXPECT_EQ(evaluation->conditions[0].agreement->agreement(), 0);
  EXPECT_EQ(evaluation->conditions[0].agreement->by_class[1].counts.wanted, 12);
  EXPECT_FALSE(evaluation->violations.empty());
  EXPECT_THAT(evaluation->worst, SizeIs(4));  // two of each condition
  EXPECT_EQ(evaluation->worst[0].missed, 1);
  EXPECT_EQ(evaluation->worst[0].unconfirmed, 1);
  EXPECT_FALSE(evaluation->worst[0].jpeg.empty());
}

TEST_F(EvaluationTest, GivesTheSamePicturesToBothModels) {
  const auto evaluation =
      evaluate(data(), load({"square"}), load({"square"}),
               {.conditions = {Degradation::kNone, Degradation::kNoise, Degradation::kMotionBlur}},
               {}, clock_);
  ASSERT_TRUE(evaluation) << evaluation.error().message();
  for (const ConditionReport& each : evaluation->conditions) {
    EXPECT_EQ(each.agreement->agreement(), 1) << each.name;
    EXPECT_EQ(each.loss->by_size[0]->value, 0) << each.name;
  }
  EXPECT_TRUE(evaluation->violations.empty());
}

TEST_F(EvaluationTest, TooFewDetectionsShowNothing) {
  const auto with_itself = [&](std::int64_t least, std::size_t pictures) {
    return evaluate(data(), load({"square"}), load({"square"}), {.pictures_max = pictures},
                    {.limits = {.sure_least = least}}, clock_);
  };
  const auto few = with_itself(20, 0);
  ASSERT_TRUE(few) << few.error().message();
  EXPECT_EQ(few->compared, 12);
  EXPECT_EQ(few->verdict, Verdict::kNotShown);
  EXPECT_EQ(with_itself(12, 0)->verdict, Verdict::kConsistent);
  EXPECT_EQ(with_itself(12, 11)->verdict, Verdict::kNotShown);

  // What a limit breaks by is enough to say so.
  const auto other =
      evaluate(data(), load({"square", "cat"}), load({"cat", "square"}), {}, {}, clock_);
  ASSERT_TRUE(other) << other.error().message();
  EXPECT_EQ(other->verdict, Verdict::kNotConsistent);
  EXPECT_EQ(evaluate(data(), load({"square"}), nullptr, {}, {}, clock_)->verdict, std::nullopt);
}

TEST_F(EvaluationTest, EmptyPicturesShowNothing) {
  fs::remove_all(root_ / "labels");
  for (int i = 0; i < 12; ++i) write("images/" + name_of(i) + ".jpg", picture_with_square(-64));
  const auto nothing = evaluate(data(), load({"square"}), load({"square"}), {}, {}, clock_);
  ASSERT_TRUE(nothing) << nothing.error().message();
  EXPECT_EQ(nothing->compared, 0);
  EXPECT_EQ(nothing->verdict, Verdict::kNotShown);
}

TEST_F(EvaluationTest, LooksAtAPartOfThePicturesEvenlySpread) {
  const auto evaluation =
      evaluate(data(), load({"square"}), nullptr, {.pictures_max = 3}, {}, clock_);
  ASSERT_TRUE(evaluation);
  std::vector<std::string> ids;
  for (const SeenPicture& each : evaluation->pictures) ids.push_back(each.id);
  EXPECT_THAT(ids, ElementsAre("a", "e", "i"));
}

TEST_F(EvaluationTest, EndsWithTheErrorOfAModelThatFails) {
  const auto model = load({"square"});
  control_->fail_all = true;
  const auto evaluation = evaluate(data(), model, nullptr, {}, {}, clock_);
  ASSERT_FALSE(evaluation);
  EXPECT_EQ(evaluation.error().code(), ErrorCode::kInternal);
}

TEST_F(EvaluationTest, StopsWhereAsked) {
  PictureRunHooks hooks;
  hooks.is_stopped = [] { return true; };
  const auto evaluation = evaluate(data(), load({"square"}), nullptr, {}, {}, clock_, hooks);
  ASSERT_FALSE(evaluation);
  EXPECT_EQ(evaluation.error().code(), ErrorCode::kCancelled);
}

TEST_F(EvaluationTest, RefusesClassesThatTheOtherSideLacks) {
  root_.write("data.yaml", "names: [square, human]\n");
  const auto message = [&](const std::vector<std::string>& labels, std::vector<std::string> classes,
                           const std::vector<std::string>* reference = nullptr) {
    const auto plan = plan_classes(data(), labels, "m", reference, "other", classes);
    return plan ? "none: " + (plan->notes.empty() ? "" : plan->notes[0]) : plan.error().message();
  };
  EXPECT_THAT(message({"square", "person"}, {"person"}),
              HasSubstr("--classes: the data set has no class \"person\"; it has \"square\""));
  EXPECT_EQ(message({"square", "person"}, {"person", "square"}),
            "none: the data set has no class \"person\"");
  const std::vector<std::string> other{"person", "cat"};
  EXPECT_THAT(message({"square", "person"}, {"square"}, &other),
              HasSubstr("--classes: other has no class \"square\"; it has \"person\", \"cat\""));
  // The data set has the class, and no object of it.
  EXPECT_THAT(message({"square", "human"}, {"human"}), HasSubstr("none of its 12 pictures has"));
}

TEST_F(EvaluationTest, RefusesLabelsWithoutAnObject) {
  for (int i = 0; i < 12; ++i) root_.write("labels/" + name_of(i) + ".txt", "");
  const auto evaluation = evaluate(data(), load({"square"}), nullptr, {}, {}, clock_);
  ASSERT_FALSE(evaluation);
  EXPECT_EQ(evaluation.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(evaluation.error().message(), HasSubstr("no average precision"));
  const auto compared = evaluate(data(), load({"square"}), load({"square"}), {}, {}, clock_);
  ASSERT_TRUE(compared) << compared.error().message();
  EXPECT_THAT(compared->notes, testing::Contains(HasSubstr("agreement alone decides")));
}

TEST_F(EvaluationTest, RefusesToJudgeAgainstNothing) {
  fs::remove_all(root_ / "labels");
  const auto evaluation = evaluate(data(), load({"square"}), nullptr, {}, {}, clock_);
  ASSERT_FALSE(evaluation);
  EXPECT_THAT(evaluation.error().message(), HasSubstr("has no labels"));
}

TEST_F(EvaluationTest, ResultsOfPicturesOfOneNameStayApart) {
  for (const char* const camera : {"one", "two"}) {
    const int left = camera[0] == 'o' ? 0 : 320;
    write(std::string("images/") + camera + "/0001.jpg", picture_with_square(left));
    root_.write(std::string("labels/") + camera + "/0001.txt",
                "0 " + std::to_string((left + 32.0) / kSize.width) + " 0.25 0.1 0.1666667\n");
  }
  const auto evaluation = evaluate(data(), load({"square"}), nullptr, {}, {}, clock_);
  ASSERT_TRUE(evaluation) << evaluation.error().message();
  const auto again = evaluate_results(
      data(), root_.write("results.json", to_coco_results(*evaluation, data())), {});
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->conditions[0].model->operating.by_size[0].found, 14);
  const auto plain = evaluate_results(
      data(),
      root_.write("plain.json",
                  R"([{"image_id": "0001", "category_id": 0, "bbox": [1, 2, 3, 4], "score": 1}])"),
      {});
  ASSERT_FALSE(plain);
  EXPECT_THAT(plain.error().message(), HasSubstr("0001 is no picture of"));
}

TEST_F(EvaluationTest, CanBeHandedOnAsResultsAndJudgedAgain) {
  const auto evaluation = evaluate(data(), load({"square"}), nullptr, {}, {}, clock_);
  ASSERT_TRUE(evaluation);
  const std::string path = root_.write("results.json", to_coco_results(*evaluation, data()));
  const auto again = evaluate_results(data(), path, {});
  ASSERT_TRUE(again) << again.error().message();
  const ApFigures first = evaluation->conditions[0].model->ap.by_size[0];
  const ApFigures second = again->conditions[0].model->ap.by_size[0];
  EXPECT_NEAR(*first.ap, *second.ap, 1e-3);
  EXPECT_EQ(evaluation->objects, again->objects);
}

}  // namespace
}  // namespace framemill
