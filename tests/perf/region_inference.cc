// Is it worth it to infer parts of pictures? Moving and doubtful regions of several cameras packed
// into one model input, against whole pictures at the same cost:
// region_inference TESTDATA [--model M] [--budget B]... [--regions SHARE]... [--context PX]...
//                  [--scale S] [--perfect] [--by-clip]
// All clips of the reference are cameras of one run in steps of media time, chosen from by the
// product's own policy; boxes are carried by its propagator. `--regions` is the share of the budget
// that goes to packed inputs (0: none, as the product does), `--context` what is added around a
// region, `--scale` its size in the input beside that in a whole picture. `--perfect` takes what
// full inference found inside a region for what the model would say of it: the most that could be
// had. Figures and verdict: docs/decisions/0010-region-inference.md.
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

#include "region_state.h"
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

constexpr float kCandidateMin = .1F;
constexpr int kGap = 8;  ///< grey pixels between regions

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
        const float* const row = tensor.data() +
                                 (plane * input.height + clip.plan.top + y) * input.width +
                                 clip.plan.left;
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

/// Fills one input with the regions that are worth most for their area; guillotine packing.
std::vector<Region> pack(std::vector<Region>& regions, Size input, float scale) {
  struct Free {
    int left, top, width, height;
  };
  std::vector<Free> free{{0, 0, input.width, input.height}};
  std::ranges::stable_sort(regions, std::greater<>{},
                           [](const Region& r) { return r.worth / area(r.crop); });
  std::vector<Region> packed, left_out;
  for (Region& region : regions) {
    const int width = std::min(
        input.width, static_cast<int>(std::ceil((region.crop.x2 - region.crop.x1) * scale)) + kGap);
    const int height =
        std::min(input.height,
                 static_cast<int>(std::ceil((region.crop.y2 - region.crop.y1) * scale)) + kGap);
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
  double inputs = 0;      ///< of both kinds
  double frames = 0;
  double packed_inputs = 0, regions = 0, covered = 0;
};

class Run {
 public:
  Run(const Options& options, const std::vector<Clip>& clips, Model& model, double budget,
      double region_share, int context)
      : options_(options),
        clips_(clips),
        model_(model),
        context_(context),
        states_(clips.size()),
        region_budget_(budget * region_share),
        policy_({.cameras = std::vector<PolicyCamera>(clips.size(),
                                                      {PolicyKind::kAdaptive, Priority::kNormal}),
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
      frames.push_back({.camera = static_cast<CameraIndex>(c),
                        .is_stream_start = k == 0,
                        .is_scene_start = k == 0,
                        .doubt = states_[c].doubt()});
    }
    std::vector<bool> is_inferred;
    policy_.choose(frames, 0, 0, is_inferred);
    std::vector<Region> regions;
    std::vector<bool> is_whole(clips_.size());
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const std::size_t c = frames[i].camera;
      const Detections& found = clips_[c].shots[k].found;
      if (is_inferred[i]) {
        policy_.learn(frames[i].camera, frames[i].doubt,
                      count_agreement(found, states_[c].objects()));
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
      const AgreementCounts counts =
          count_agreement(found, is_whole[c] ? found : states_[c].objects());
      outcome_.total += counts;
      outcome_.by_clip[c] += counts;
    }
  }

  void infer_regions(std::size_t k, std::vector<Region>& regions) {
    const Size input = model_.input();
    const std::vector<Region> packed = pack(regions, input, options_.scale);
    if (packed.empty()) return;
    ++outcome_.inputs;
    ++outcome_.packed_inputs;
    outcome_.regions += static_cast<double>(packed.size());
    for (const Region& r : packed)
      outcome_.covered +=
          area(r.crop) * options_.scale * options_.scale / (input.width * input.height);
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
        float* const row = model_.tensor().data() +
                           (plane * input.height + region.top + y) * input.width + region.left;
        for (int x = 0; x < std::min(w, input.width - region.left); ++x)
          row[x] = sample(pixels + plane * width * height, clip.plan.resized, region, x, y);
      }
    }
  }

  [[nodiscard]] float sample(const std::uint8_t* plane, Size size, const Region& region, int x,
                             int y) const {
    const float u = region.crop.x1 + (static_cast<float>(x) + .5F) / options_.scale - .5F;
    const float v = region.crop.y1 + (static_cast<float>(y) + .5F) / options_.scale - .5F;
    const int x0 = std::clamp(static_cast<int>(std::floor(u)), 0, size.width - 1),
              x1 = std::min(x0 + 1, size.width - 1);
    const int y0 = std::clamp(static_cast<int>(std::floor(v)), 0, size.height - 1),
              y1 = std::min(y0 + 1, size.height - 1);
    const float a = std::clamp(u - static_cast<float>(x0), 0.0F, 1.0F),
                b = std::clamp(v - static_cast<float>(y0), 0.0F, 1.0F);
    const auto at = [&](int i, int j) { return static_cast<float>(plane[j * size.width + i]); };
    return ((1 - b) * ((1 - a) * at(x0, y0) + a * at(x1, y0)) +
            b * ((1 - a) * at(x0, y1) + a * at(x1, y1))) /
           255;
  }

  void use(const Region& region, const Clip& clip, std::size_t k, const Detections& found) {
    const auto scale = static_cast<float>(clip.plan.scale);
    const Box seen{region.crop.x1 / scale, region.crop.y1 / scale,
                   region.crop.x2 >= static_cast<float>(clip.plan.resized.width)
                       ? static_cast<float>(clip.source.width)
                       : region.crop.x2 / scale,
                   region.crop.y2 >= static_cast<float>(clip.plan.resized.height)
                       ? static_cast<float>(clip.source.height)
                       : region.crop.y2 / scale};
    const auto w = (region.crop.x2 - region.crop.x1) * options_.scale,
               h = (region.crop.y2 - region.crop.y1) * options_.scale;
    const auto l = static_cast<float>(region.left), t = static_cast<float>(region.top);
    const auto is_seen = [&](const Detection& d) {
      return RegionState::is_within(d.box, seen, clip.source);
    };
    Detections mine, wanted;
    for (Detection d : found) {
      const float x = .5F * (d.box.x1 + d.box.x2) - l, y = .5F * (d.box.y1 + d.box.y2) - t;
      if (x < 0 || y < 0 || x >= w || y >= h) continue;
      const auto back = [&](float at, float place, float begin) {
        return ((at - place) / options_.scale + begin) / scale;
      };
      d.box =
          framemill::clip({back(d.box.x1, l, region.crop.x1), back(d.box.y1, t, region.crop.y1),
                           back(d.box.x2, l, region.crop.x1), back(d.box.y2, t, region.crop.y1)},
                          clip.source);
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

void print_row(const char* name, double budget, double region_share, int context,
               const AgreementCounts& c) {
  std::printf("%-40s %.2f %.2f %4d  %.4f %.4f %.4f", name, budget, region_share, context,
              c.recall(), c.sure_precision(), c.precision());
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
  std::printf("%-40s %s\n", "",
              "budget, share of it for regions, context px; recall, sure, precision; inputs / "
              "frame; in regions: recall, sure; regions / input, filled");
  for (const double budget : options.budgets) {
    for (const double region_share : options.region_shares) {
      for (const int context : options.contexts) {
        if (region_share == 0 && context != options.contexts.front()) continue;
        const Outcome o = Run(options, clips, model, budget, region_share, context).play();
        const double packed = std::max(1.0, o.packed_inputs);
        print_row("all", budget, region_share, context, o.total);
        std::printf("  %.4f  %.4f %.4f  %.1f %.2f\n", o.inputs / o.frames, o.crops.recall(),
                    o.crops.sure_precision(), o.regions / packed, o.covered / packed);
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
    if (argument == "--model")
      options.model = value();
    else if (argument == "--budget")
      options.budgets.push_back(std::atof(value()));
    else if (argument == "--regions")
      options.region_shares.push_back(std::atof(value()));
    else if (argument == "--context")
      options.contexts.push_back(std::atoi(value()));
    else if (argument == "--scale")
      options.scale = static_cast<float>(std::atof(value()));
    else if (argument == "--perfect")
      options.is_perfect = true;
    else if (argument == "--by-clip")
      options.is_by_clip = true;
    else
      options.testdata = argument;
  }
  if (options.budgets.empty()) options.budgets = {.2, .1};
  if (options.region_shares.empty()) options.region_shares = {0, .25, .5};
  if (options.contexts.empty()) options.contexts = {32, 64};
  const auto is_share = [](double x) { return x > 0 && x <= 1; };
  const auto is_part = [](double x) { return x >= 0 && x < 1; };
  if (options.testdata.empty() || !std::ranges::all_of(options.budgets, is_share) ||
      !std::ranges::all_of(options.region_shares, is_part) || !is_share(options.scale)) {
    std::fprintf(
        stderr,
        "usage: region_inference TESTDATA [--model M] [--budget B]... [--regions SHARE]... "
        "[--context PX]... [--scale S] [--perfect] [--by-clip]; 0 < B, S <= 1, "
        "0 <= SHARE < 1\n");
    return 2;
  }
  return framemill::run(options);
}
