// Is it worth to infer parts of pictures? Moving and doubtful regions of several cameras packed into
// one model input, against whole pictures at the same cost: docs/decisions/0010-region-inference.md.
// region_inference TESTDATA [--model M] [--budget B]... [--regions SHARE]... [--context PX]...
//                  [--scale S] [--perfect] [--by-clip]
// All clips of the reference are cameras of one run in steps of media time, chosen from by the
// product's own policy; boxes are carried by its propagator. `--regions` is the share of the budget
// that goes to packed inputs (0: none, as the product does). `--perfect` takes what full inference
// found inside each region for what the model would say of it.
#include <algorithm>
#include <array>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "framemill/base/check.h"
#include "framemill/base/clock.h"
#include "framemill/infer/backend.h"
#include "framemill/sched/inference_policy.h"
#include "framemill/video/source.h"
#include "framemill/vision/box_propagator.h"
#include "framemill/vision/letterbox.h"
#include "framemill/vision/nms.h"

namespace framemill {
namespace {

using Detections = std::vector<Detection>;

constexpr float kCandidateMin = .1F;
constexpr float kAnswerMin = .2F;  ///< lowest score of an answer
constexpr float kSure = .5F;
constexpr float kSameObjectIou = .3F;
constexpr int kBlock = 8;      ///< pixels of the thumbnail, in which changes are looked for
constexpr int kGap = 8;        ///< grey pixels between regions
constexpr float kInside = 3;   ///< a box so near to a cut edge is not believed, model pixels
constexpr int kChangedSum = 192;  ///< of absolute luma differences in a block

struct Options {
  std::string testdata;
  std::string model = "openvino/yolo11n_640_int8_yassim.xml";
  std::vector<double> budgets;
  std::vector<double> region_shares;
  std::vector<int> contexts;
  float scale = 1;
  bool is_perfect = false;
  bool is_by_clip = false;
};

/// The model, one input at a time.
class Model {
 public:
  explicit Model(const std::string& path) {
    auto backend = load_backend({.path = path});
    CHECK(backend.has_value());
    backend_ = std::move(*backend);
    input_ = backend_->facts().input.value_or(Size{640, 640});
    auto request = backend_->create_request(1, input_);
    CHECK(request.has_value());
    request_ = std::move(*request);
    const auto head = recognise_head(backend_->facts().outputs, input_, 80, std::nullopt);
    CHECK(head.has_value());
    head_ = *head;
  }
  [[nodiscard]] Size input() const { return input_; }
  [[nodiscard]] std::span<float> tensor() { return request_->input(0); }
  /// In model pixels.
  Detections infer() {
    std::mutex mu;
    std::condition_variable changed;
    bool is_done = false;
    request_->start([&](const Result<void>& result) {
      CHECK(result.has_value());
      const std::lock_guard lock(mu);
      is_done = true;
      changed.notify_all();
    });
    {
      std::unique_lock lock(mu);
      changed.wait(lock, [&] { return is_done; });
    }
    Detections found;
    decode_head(head_, request_->output(0), kCandidateMin, found);
    nms(found, .65F);
    return found;
  }

 private:
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<InferRequest> request_;
  HeadSpec head_;
  Size input_;
};

/// A sampled frame: what carries boxes to it, its pixels as the model sees them, what it finds.
struct Shot {
  std::shared_ptr<const MotionFrame> motion;
  std::vector<std::uint8_t> pixels;  ///< three planes of `plan.resized`
  Detections found;                  ///< by full inference, source pixels, candidates too
};

struct Clip {
  std::string name;
  Size source;
  Letterbox plan;
  std::vector<Shot> shots;
};

std::optional<Clip> read_clip(const Options& options, Model& model, const std::string& name,
                              std::int64_t every, std::size_t answers) {
  SourceOptions source_options{.url = options.testdata + "/clips/" + name + ".mp4",
                               .pace = Pace::kFast,
                               .is_motion_wanted = true,
                               .sampling = {.every = every}};
  const SystemClock clock;
  auto source = create_source(source_options, clock);
  if (!source || !(*source)->open()) return std::nullopt;
  const Size input = model.input();
  Clip clip{.name = name};
  while (clip.shots.size() < answers) {
    auto frame = (*source)->read();
    if (!frame || !*frame) break;
    SourceFrame& sample = **frame;
    if (!sample.is_sampled || sample.picture == nullptr) continue;
    clip.source = sample.picture->size;
    clip.plan = *plan_letterbox(clip.source, input, LetterboxPlace::kCenter);
    Shot& shot = clip.shots.emplace_back();
    shot.motion = make_motion_frame(*sample.picture, std::move(sample.motion));
    const std::span<float> tensor = model.tensor();
    write_letterbox(*sample.picture, clip.plan, input, {}, tensor);
    const auto [width, height] = clip.plan.resized;
    shot.pixels.reserve(static_cast<std::size_t>(3 * width * height));
    for (int plane = 0; plane < 3; ++plane) {
      for (int y = 0; y < height; ++y) {
        const float* const row =
            tensor.data() + (plane * input.height + clip.plan.top + y) * input.width + clip.plan.left;
        for (int x = 0; x < width; ++x)
          shot.pixels.push_back(static_cast<std::uint8_t>(std::lround(row[x] * 255)));
      }
    }
    shot.found = model.infer();
    for (Detection& d : shot.found) d.box = to_source(d.box, clip.plan, clip.source);
    std::erase_if(shot.found, [](const Detection& d) { return area(d.box) <= 0; });
  }
  return clip;
}

/// A part of a camera's picture that wants to be looked at.
struct Region {
  std::size_t camera = 0;
  Box crop;          ///< model pixels from the picture's corner, whole numbers
  double worth = 0;  ///< wrong detections x age that an inference would spare
  int left = 0, top = 0;  ///< its place in the packed input
};

double visibility(float score) {
  return std::clamp((static_cast<double>(score) - .1) / .3, 0.0, 1.0);
}

/// The objects of one camera, as vision/object_state.h keeps them, each with an age of its own.
class RegionState {
 public:
  void advance(const Shot* before, const Shot& now) {
    ++age_;
    if (before == nullptr) return;
    propagator_.propagate(*before->motion, *now.motion, objects_, step_);
    unexplained_ += step_.unexplained;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (area(objects_[i].box) <= 0) continue;
      drifts_[kept] = drifts_[i] + step_.boxes[i].drift;
      ages_[kept] = ages_[i] + 1;
      objects_[kept++] = objects_[i];
    }
    resize(kept);
    note_changes(*before->motion, *now.motion);
  }

  [[nodiscard]] ObjectDoubt doubt() const {
    ObjectDoubt doubt{.age = age_, .unexplained = unexplained_};
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      const double weight = visibility(objects_[i].score);
      doubt.objects += weight;
      doubt.drift += weight * std::min(1.0F, drifts_[i]);
    }
    return doubt;
  }
  [[nodiscard]] const Detections& objects() const { return objects_; }

  void see_all(const Detections& found, bool has_memory) {
    Detections objects = found;
    std::vector<bool> is_known(objects.size());
    if (has_memory) {
      for (const auto& [old_index, new_index] : pair_up(objects_, objects)) {
        is_known[new_index] = true;
        objects[new_index].score =
            .5F * (objects[new_index].score + objects_[old_index].score);
      }
      for (std::size_t i = 0; i < objects.size(); ++i)
        if (!is_known[i]) distrust(objects[i]);
    }
    objects_ = std::move(objects);
    drifts_.assign(objects_.size(), 0);
    ages_.assign(objects_.size(), 0);
    age_ = 0;
    unexplained_ = 0;
    std::ranges::fill(heat_, 0.0F);
  }

  /// `found` lies whole inside `seen`, source pixels; of objects whole inside it nothing else is left.
  void see_part(const Detections& found, const Box& seen, Size source) {
    std::vector<std::size_t> inside;
    Detections examined;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (!is_within(objects_[i].box, seen, source)) continue;
      inside.push_back(i);
      examined.push_back(objects_[i]);
    }
    std::vector<bool> is_new(found.size(), true), is_gone(objects_.size(), false);
    for (const std::size_t i : inside) is_gone[i] = true;
    for (const auto& [old_index, new_index] : pair_up(examined, found)) {
      const std::size_t i = inside[old_index];
      is_new[new_index] = is_gone[i] = false;
      objects_[i].box = found[new_index].box;
      objects_[i].score = .5F * (objects_[i].score + found[new_index].score);
      drifts_[i] = 0;
      ages_[i] = 0;
    }
    Detections added;
    for (std::size_t i = 0; i < found.size(); ++i) {
      const bool is_other = std::ranges::any_of(objects_, [&](const Detection& d) {
        return d.class_id == found[i].class_id && iou(d.box, found[i].box) >= kSameObjectIou;
      });
      if (!is_new[i] || is_other) continue;
      added.push_back(found[i]);
      distrust(added.back());
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (is_gone[i]) continue;
      objects_[kept] = objects_[i], drifts_[kept] = drifts_[i], ages_[kept++] = ages_[i];
    }
    resize(kept);
    objects_.insert(objects_.end(), added.begin(), added.end());
    resize(objects_.size());
    forget_changes(seen, source);
  }

  /// Appends what wants to be looked at, with `context` model pixels around it.
  void propose(std::size_t camera, const Clip& clip, int context, std::vector<Region>& regions) {
    const auto scale = static_cast<float>(clip.plan.scale);
    std::vector<Region> mine;
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      const double expected = visibility(objects_[i].score) * std::min(1.0F, drifts_[i]) + .005 * ages_[i];
      if (ages_[i] == 0) continue;
      const Box& b = objects_[i].box;
      mine.push_back({camera, {b.x1 * scale, b.y1 * scale, b.x2 * scale, b.y2 * scale}, expected * ages_[i]});
    }
    propose_changes(camera, clip, mine);
    for (Region& region : mine) region.crop = grown(region.crop, context, clip.plan.resized);
    merge(mine);
    regions.insert(regions.end(), mine.begin(), mine.end());
  }

  /// Not cut off by the edge of `seen`, unless that is the picture's.
  static bool is_within(const Box& box, const Box& seen, Size source) {
    const auto w = static_cast<float>(source.width), h = static_cast<float>(source.height);
    const float margin = kInside * w / 640;
    return (seen.x1 <= 0 || box.x1 > seen.x1 + margin) && (seen.y1 <= 0 || box.y1 > seen.y1 + margin) &&
           (seen.x2 >= w || box.x2 < seen.x2 - margin) && (seen.y2 >= h || box.y2 < seen.y2 - margin) &&
           box.x2 > seen.x1 && box.x1 < seen.x2 && box.y2 > seen.y1 && box.y1 < seen.y2;
  }

 private:
  using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;

  static Pairs pair_up(const Detections& before, const Detections& now) {
    std::vector<std::tuple<float, std::size_t, std::size_t>> all;
    for (std::size_t i = 0; i < before.size(); ++i) {
      for (std::size_t j = 0; j < now.size(); ++j) {
        const float overlap = iou(before[i].box, now[j].box);
        if (before[i].class_id == now[j].class_id && overlap >= kSameObjectIou)
          all.emplace_back(-overlap, i, j);
      }
    }
    std::ranges::sort(all);
    std::vector<bool> is_old_used(before.size()), is_new_used(now.size());
    Pairs pairs;
    for (const auto& [overlap, i, j] : all) {
      if (is_old_used[i] || is_new_used[j]) continue;
      is_old_used[i] = is_new_used[j] = true;
      pairs.emplace_back(i, j);
    }
    return pairs;
  }

  static void distrust(Detection& d) {
    if (d.score < kSure) d.score = std::max(0.0F, d.score - .4F * (kSure - d.score));
  }

  static Box grown(const Box& b, int context, Size size) {
    const auto c = static_cast<float>(context);
    const Box wide{std::floor(b.x1 - c), std::floor(b.y1 - c), std::ceil(b.x2 + c), std::ceil(b.y2 + c)};
    return clip(wide, size);
  }

  /// Regions that share pixels become one where that costs no more than both.
  static void merge(std::vector<Region>& regions) {
    for (std::size_t i = 0; i < regions.size(); ++i) {
      for (std::size_t j = i + 1; j < regions.size();) {
        const Box &a = regions[i].crop, &b = regions[j].crop;
        const Box both{std::min(a.x1, b.x1), std::min(a.y1, b.y1), std::max(a.x2, b.x2), std::max(a.y2, b.y2)};
        if (area(both) > 1.05F * (area(a) + area(b))) {
          ++j;
          continue;
        }
        regions[i].crop = both;
        regions[i].worth += regions[j].worth;
        regions.erase(regions.begin() + static_cast<std::ptrdiff_t>(j));
        j = i + 1;
      }
    }
  }

  void note_changes(const MotionFrame& from, const MotionFrame& to) {
    const Thumbnail &a = from.luma[0], &b = to.luma[0];
    columns_ = a.size.width / kBlock, rows_ = a.size.height / kBlock;
    heat_.resize(static_cast<std::size_t>(columns_ * rows_));
    if (a.size != b.size) return;
    for (int row = 0; row < rows_; ++row) {
      for (int column = 0; column < columns_; ++column) {
        int sum = 0;
        for (int y = row * kBlock; y < (row + 1) * kBlock; ++y)
          for (int x = column * kBlock; x < (column + 1) * kBlock; ++x)
            sum += std::abs(a.luma[static_cast<std::size_t>(y * a.size.width + x)] - b.luma[static_cast<std::size_t>(y * a.size.width + x)]);
        if (sum <= kChangedSum || is_explained(column, row, to)) continue;
        const int edge = std::min({row, column, rows_ - 1 - row, columns_ - 1 - column});
        heat_[static_cast<std::size_t>(row * columns_ + column)] += edge < 2 ? 1 : .3F;
      }
    }
  }

  [[nodiscard]] bool is_explained(int column, int row, const MotionFrame& frame) const {
    const float scale = static_cast<float>(frame.luma[0].size.width) / static_cast<float>(frame.picture_size.width);
    const float x = static_cast<float>(column * kBlock), y = static_cast<float>(row * kBlock);
    return std::ranges::any_of(objects_, [&](const Detection& d) {
      return d.box.x1 * scale < x + 1.5F * kBlock && d.box.x2 * scale > x - .5F * kBlock &&
             d.box.y1 * scale < y + 1.5F * kBlock && d.box.y2 * scale > y - .5F * kBlock;
    });
  }

  /// Connected blocks that changed.
  void propose_changes(std::size_t camera, const Clip& clip, std::vector<Region>& mine) {
    double mean_area = 0;
    for (const Detection& d : objects_) mean_area += area(d.box) / static_cast<double>(objects_.size());
    const double picture = static_cast<double>(clip.source.width) * clip.source.height;
    if (objects_.empty()) mean_area = .01 * picture;
    const double object_blocks = std::max(1.0, mean_area / picture * columns_ * rows_);
    std::vector<bool> is_seen(heat_.size());
    for (std::size_t first = 0; first < heat_.size(); ++first) {
      if (is_seen[first] || heat_[first] <= 0) continue;
      std::vector<std::size_t> open{first};
      is_seen[first] = true;
      double heat = 0;
      int left = columns_, top = rows_, right = 0, bottom = 0;
      while (!open.empty()) {
        const auto at = static_cast<int>(open.back());
        open.pop_back();
        heat += heat_[static_cast<std::size_t>(at)];
        const int x = at % columns_, y = at / columns_;
        left = std::min(left, x), right = std::max(right, x + 1);
        top = std::min(top, y), bottom = std::max(bottom, y + 1);
        for (int v = std::max(0, y - 1); v < std::min(rows_, y + 2); ++v) {
          for (int u = std::max(0, x - 1); u < std::min(columns_, x + 2); ++u) {
            const auto next = static_cast<std::size_t>(v * columns_ + u);
            if (is_seen[next] || heat_[next] <= 0) continue;
            is_seen[next] = true;
            open.push_back(next);
          }
        }
      }
      const float sx = static_cast<float>(clip.plan.resized.width) / static_cast<float>(columns_);
      const float sy = static_cast<float>(clip.plan.resized.height) / static_cast<float>(rows_);
      mine.push_back({camera,
                      {sx * static_cast<float>(left), sy * static_cast<float>(top), sx * static_cast<float>(right), sy * static_cast<float>(bottom)},
                      .3 * heat / object_blocks * static_cast<double>(std::max<std::int64_t>(1, age_))});
    }
  }

  void forget_changes(const Box& seen, Size source) {
    const auto to_block = [](float at, int side, int count) { return at / static_cast<float>(side) * static_cast<float>(count); };
    double before = 0, after = 0;
    for (int row = 0; row < rows_; ++row) {
      for (int column = 0; column < columns_; ++column) {
        float& heat = heat_[static_cast<std::size_t>(row * columns_ + column)];
        before += heat;
        const float x = static_cast<float>(column) + .5F, y = static_cast<float>(row) + .5F;
        if (x > to_block(seen.x1, source.width, columns_) && x < to_block(seen.x2, source.width, columns_) &&
            y > to_block(seen.y1, source.height, rows_) && y < to_block(seen.y2, source.height, rows_))
          heat = 0;
        after += heat;
      }
    }
    if (before > 0) unexplained_ *= after / before;
  }

  void resize(std::size_t count) {
    objects_.resize(count);
    drifts_.resize(count);
    ages_.resize(count);
  }

  BoxPropagator propagator_{MotionMethod::kAuto};
  PropagationStep step_;
  Detections objects_;
  std::vector<float> drifts_;
  std::vector<int> ages_;
  std::int64_t age_ = 0;
  double unexplained_ = 0;
  int columns_ = 0, rows_ = 0;
  std::vector<float> heat_;  ///< unexplained change, by block of the thumbnail
};

/// Fills one input with the regions that are worth most for their area; guillotine packing.
std::vector<Region> pack(std::vector<Region>& regions, Size input, float scale) {
  struct Free {
    int left, top, width, height;
  };
  std::vector<Free> free{{0, 0, input.width, input.height}};
  std::ranges::stable_sort(regions, std::greater<>{}, [](const Region& r) { return r.worth / area(r.crop); });
  std::vector<Region> packed, left_out;
  for (Region& region : regions) {
    const int width = std::min(input.width, static_cast<int>(std::ceil((region.crop.x2 - region.crop.x1) * scale)) + kGap);
    const int height = std::min(input.height, static_cast<int>(std::ceil((region.crop.y2 - region.crop.y1) * scale)) + kGap);
    auto best = free.end();
    int best_slack = INT32_MAX;
    for (auto f = free.begin(); f != free.end(); ++f) {
      const int slack = std::min(f->width - width, f->height - height);
      if (slack >= 0 && slack < best_slack) best_slack = slack, best = f;
    }
    if (best == free.end() || region.worth <= 0) {
      left_out.push_back(region);
      continue;
    }
    const Free f = *best;
    free.erase(best);
    region.left = f.left, region.top = f.top;
    packed.push_back(region);
    // Along the longer leftover side, so that one large part stays whole.
    if (f.width - width > f.height - height) {
      free.push_back({f.left + width, f.top, f.width - width, f.height});
      free.push_back({f.left, f.top + height, width, f.height - height});
    } else {
      free.push_back({f.left, f.top + height, f.width, f.height - height});
      free.push_back({f.left + width, f.top, f.width - width, height});
    }
  }
  regions = std::move(left_out);
  return packed;
}

/// What became of one setting.
struct Outcome {
  AgreementCounts total;
  std::vector<AgreementCounts> by_clip;
  AgreementCounts crops;  ///< what the model says of regions, against full inference there
  double inputs = 0, frames = 0, regions = 0, covered = 0;
};

class Run {
 public:
  Run(const Options& options, const std::vector<Clip>& clips, Model& model, double budget, double region_share, int context)
      : options_(options), clips_(clips), model_(model), context_(context), states_(clips.size()),
        region_budget_(budget * region_share),
        policy_({.cameras = std::vector<PolicyCamera>(clips.size(), {PolicyKind::kAdaptive, Priority::kNormal}),
                 .share = budget * (1 - region_share)}) {
    outcome_.by_clip.resize(clips.size());
  }

  Outcome play() {
    std::size_t steps = 0;
    for (const Clip& clip : clips_) steps = std::max(steps, clip.shots.size());
    for (std::size_t k = 0; k < steps; ++k) step(k);
    return outcome_;
  }

 private:
  void step(std::size_t k) {
    std::vector<SampledFrame> frames;
    for (std::size_t c = 0; c < clips_.size(); ++c) {
      if (k >= clips_[c].shots.size()) continue;
      states_[c].advance(k == 0 ? nullptr : &clips_[c].shots[k - 1], clips_[c].shots[k]);
      frames.push_back({.camera = static_cast<CameraIndex>(c), .is_stream_start = k == 0, .is_scene_start = k == 0, .doubt = states_[c].doubt()});
    }
    std::vector<bool> is_inferred;
    policy_.choose(frames, 0, 0, is_inferred);
    std::vector<Region> regions;
    std::vector<bool> is_whole(clips_.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const std::size_t c = frames[i].camera;
      const Detections& found = clips_[c].shots[k].found;
      if (is_inferred[i]) {
        policy_.learn(frames[i].camera, frames[i].doubt, count_agreement(found, states_[c].objects()));
        states_[c].see_all(found, k > 0);
        is_whole[c] = true;
        ++outcome_.inputs;
      } else if (region_budget_ > 0) {
        states_[c].propose(c, clips_[c], context_, regions);
      }
    }
    outcome_.frames += static_cast<double>(frames.size());
    region_credit_ += region_budget_ * static_cast<double>(frames.size());
    for (; region_credit_ >= 1 && !regions.empty(); --region_credit_) infer_regions(k, regions);
    region_credit_ = std::min(region_credit_, 2.0);
    for (const SampledFrame& frame : frames) {
      const std::size_t c = frame.camera;
      const Detections& found = clips_[c].shots[k].found;
      const AgreementCounts counts = count_agreement(found, is_whole[c] ? found : states_[c].objects());
      outcome_.total += counts;
      outcome_.by_clip[c] += counts;
    }
  }

  void infer_regions(std::size_t k, std::vector<Region>& regions) {
    const Size input = model_.input();
    const std::vector<Region> packed = pack(regions, input, options_.scale);
    if (packed.empty()) return;
    ++outcome_.inputs;
    outcome_.regions += static_cast<double>(packed.size());
    for (const Region& r : packed) outcome_.covered += area(r.crop) * options_.scale * options_.scale / (input.width * input.height);
    Detections found;
    if (!options_.is_perfect) {
      std::ranges::fill(model_.tensor(), 114.0F / 255);
      for (const Region& region : packed) draw(clips_[region.camera], k, region);
      found = model_.infer();
    }
    for (const Region& region : packed) use(region, clips_[region.camera], k, found);
  }

  void draw(const Clip& clip, std::size_t k, const Region& region) {
    const Size input = model_.input();
    const auto [width, height] = clip.plan.resized;
    const int w = static_cast<int>((region.crop.x2 - region.crop.x1) * options_.scale);
    const int h = static_cast<int>((region.crop.y2 - region.crop.y1) * options_.scale);
    const std::uint8_t* pixels = clip.shots[k].pixels.data();
    for (int plane = 0; plane < 3; ++plane) {
      for (int y = 0; y < std::min(h, input.height - region.top); ++y) {
        float* const row = model_.tensor().data() + (plane * input.height + region.top + y) * input.width + region.left;
        for (int x = 0; x < std::min(w, input.width - region.left); ++x) row[x] = sample(pixels + plane * width * height, clip.plan.resized, region, x, y);
      }
    }
  }

  [[nodiscard]] float sample(const std::uint8_t* plane, Size size, const Region& region, int x, int y) const {
    const float u = region.crop.x1 + (static_cast<float>(x) + .5F) / options_.scale - .5F;
    const float v = region.crop.y1 + (static_cast<float>(y) + .5F) / options_.scale - .5F;
    const int x0 = std::clamp(static_cast<int>(std::floor(u)), 0, size.width - 1), x1 = std::min(x0 + 1, size.width - 1);
    const int y0 = std::clamp(static_cast<int>(std::floor(v)), 0, size.height - 1), y1 = std::min(y0 + 1, size.height - 1);
    const float a = std::clamp(u - static_cast<float>(x0), 0.0F, 1.0F), b = std::clamp(v - static_cast<float>(y0), 0.0F, 1.0F);
    const auto at = [&](int i, int j) { return static_cast<float>(plane[j * size.width + i]); };
    return ((1 - b) * ((1 - a) * at(x0, y0) + a * at(x1, y0)) + b * ((1 - a) * at(x0, y1) + a * at(x1, y1))) / 255;
  }

  void use(const Region& region, const Clip& clip, std::size_t k, const Detections& found) {
    const auto scale = static_cast<float>(clip.plan.scale);
    const Box seen{region.crop.x1 / scale, region.crop.y1 / scale,
                   region.crop.x2 >= static_cast<float>(clip.plan.resized.width) ? static_cast<float>(clip.source.width) : region.crop.x2 / scale,
                   region.crop.y2 >= static_cast<float>(clip.plan.resized.height) ? static_cast<float>(clip.source.height) : region.crop.y2 / scale};
    const auto w = (region.crop.x2 - region.crop.x1) * options_.scale, h = (region.crop.y2 - region.crop.y1) * options_.scale;
    const auto l = static_cast<float>(region.left), t = static_cast<float>(region.top);
    const auto is_seen = [&](const Detection& d) { return RegionState::is_within(d.box, seen, clip.source); };
    Detections mine, wanted;
    for (Detection d : found) {
      const float x = .5F * (d.box.x1 + d.box.x2) - l, y = .5F * (d.box.y1 + d.box.y2) - t;
      if (x < 0 || y < 0 || x >= w || y >= h) continue;
      const auto back = [&](float at, float place, float begin) { return ((at - place) / options_.scale + begin) / scale; };
      d.box = framemill::clip({back(d.box.x1, l, region.crop.x1), back(d.box.y1, t, region.crop.y1), back(d.box.x2, l, region.crop.x1), back(d.box.y2, t, region.crop.y1)}, clip.source);
      if (area(d.box) > 0 && is_seen(d)) mine.push_back(d);
    }
    std::ranges::copy_if(clip.shots[k].found, std::back_inserter(wanted), is_seen);
    if (options_.is_perfect) mine = wanted;
    outcome_.crops += count_agreement(wanted, mine);
    states_[region.camera].see_part(mine, seen, clip.source);
  }

  const Options& options_;
  const std::vector<Clip>& clips_;
  Model& model_;
  const int context_;
  std::vector<RegionState> states_;
  const double region_budget_;
  double region_credit_ = 0;
  InferencePolicy policy_;
  Outcome outcome_;
};

void print_row(const char* name, double budget, double region_share, int context, const AgreementCounts& c) {
  std::printf("%-40s %.2f %.2f %4d  %.4f %.4f %.4f", name, budget, region_share, context, c.recall(), c.sure_precision(), c.precision());
}

int run(const Options& options) {
  std::ifstream file(options.testdata + "/reference/steps.json");
  const auto steps = nlohmann::json::parse(file, nullptr, false);
  if (steps.is_discarded()) {
    std::fprintf(stderr, "region_inference: no reference in %s\n", options.testdata.c_str());
    return 1;
  }
  Model model(options.testdata + "/models/" + options.model);
  std::vector<Clip> clips;
  for (const auto& [name, facts] : steps.items()) {
    auto clip = read_clip(options, model, name, facts["every"], facts["answers"]);
    if (!clip) {
      std::fprintf(stderr, "region_inference: cannot read %s\n", name.c_str());
      return 1;
    }
    clips.push_back(*std::move(clip));
  }
  std::printf("%-40s %s\n", "", "budget, share of it for regions, context px; recall, sure, precision; inputs / frame; in regions: recall, sure; regions / input, filled");
  for (const double budget : options.budgets) {
    for (const double region_share : options.region_shares) {
      for (const int context : options.contexts) {
        if (region_share == 0 && context != options.contexts.front()) continue;
        const Outcome o = Run(options, clips, model, budget, region_share, context).play();
        const double packed = o.inputs > 0 ? o.regions : 0;
        print_row("all", budget, region_share, context, o.total);
        std::printf("  %.4f  %.4f %.4f  %.0f %.0f\n", o.inputs / o.frames, o.crops.recall(), o.crops.sure_precision(), packed, o.covered);
        for (std::size_t c = 0; options.is_by_clip && c < clips.size(); ++c) {
          print_row(clips[c].name.c_str(), budget, region_share, context, o.by_clip[c]);
          std::printf("\n");
        }
        std::fflush(stdout);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace framemill

int main(int argc, char** argv) {
  framemill::Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (argument == "--model") options.model = value();
    else if (argument == "--budget") options.budgets.push_back(std::atof(value()));
    else if (argument == "--regions") options.region_shares.push_back(std::atof(value()));
    else if (argument == "--context") options.contexts.push_back(std::atoi(value()));
    else if (argument == "--scale") options.scale = static_cast<float>(std::atof(value()));
    else if (argument == "--perfect") options.is_perfect = true;
    else if (argument == "--by-clip") options.is_by_clip = true;
    else options.testdata = argument;
  }
  if (options.budgets.empty()) options.budgets = {.2, .1};
  if (options.region_shares.empty()) options.region_shares = {0, .25, .5};
  if (options.contexts.empty()) options.contexts = {32, 64};
  return framemill::run(options);
}
