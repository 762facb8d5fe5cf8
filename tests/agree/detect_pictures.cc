// detect_pictures MODEL PICTURES [--cache DIR] [--runtime R] [--precision P]
//
// Runs every picture of PICTURES through MODEL with framemill's own detector and prints one JSON
// line for each: {"name": ..., "detections": [{"class": 0, "label": "person", "score": .9, "box":
// [x1, y1, x2, y2]}]}. PICTURES is a stream of pictures, each "FMPIC1 <name> <width> <height>\n"
// and then the planes Y, U and V at full size, full range, BT.601 (run_agreement.py makes it, so
// that both sides see the same pixels).
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "framemill/infer/detector.h"

using namespace framemill;

namespace {

constexpr int kSideMax = 16'384;

struct NamedPicture {
  std::string name;
  Picture picture;
};

Result<std::vector<NamedPicture>> read_pictures(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, fmt::format("{}: cannot be opened", path));
  std::vector<NamedPicture> pictures;
  for (std::string line; std::getline(file, line);) {
    std::istringstream header(line);
    std::string magic;
    NamedPicture entry;
    Size& size = entry.picture.size;
    if (!(header >> magic >> entry.name >> size.width >> size.height) || magic != "FMPIC1" ||
        size.width < 1 || size.height < 1 || size.width > kSideMax || size.height > kSideMax)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{}: \"{}\" is no header", path, line));
    const std::size_t plane =
        static_cast<std::size_t>(size.width) * static_cast<std::size_t>(size.height);
    auto samples = std::make_shared<std::vector<std::uint8_t>>(3 * plane);
    file.read(reinterpret_cast<char*>(samples->data()),
              static_cast<std::streamsize>(samples->size()));
    if (!file) return fail(ErrorCode::kInvalidArgument, fmt::format("{}: broke off", path));
    entry.picture.format = PixelFormat::kI444;
    entry.picture.range = ColorRange::kFull;
    entry.picture.matrix = ColorMatrix::kBt601;
    for (std::size_t i = 0; i < 3; ++i)
      entry.picture.planes[i] = {samples->data() + i * plane, size.width};
    entry.picture.owner = samples;
    pictures.push_back(std::move(entry));
  }
  return pictures;
}

int complain(const Error& error) {
  fmt::print(stderr, "detect_pictures: {}\n", error.message());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  DetectorOptions options;
  std::vector<std::string> paths;
  std::string runtime = "auto", precision = "auto";
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--cache") == 0 && i + 1 < argc)
      options.backend.cache_dir = argv[++i];
    else if (std::strcmp(argv[i], "--runtime") == 0 && i + 1 < argc)
      runtime = argv[++i];
    else if (std::strcmp(argv[i], "--precision") == 0 && i + 1 < argc)
      precision = argv[++i];
    else
      paths.emplace_back(argv[i]);
  }
  if (paths.size() != 2) {
    fmt::print(
        stderr,
        "usage: detect_pictures MODEL PICTURES [--cache DIR] [--runtime R] [--precision P]\n");
    return 2;
  }
  const Result<RuntimeKind> runtime_kind = parse_runtime(runtime);
  if (!runtime_kind) return complain(runtime_kind.error());
  const Result<Precision> parsed_precision = parse_precision(precision);
  if (!parsed_precision) return complain(parsed_precision.error());
  options.backend.runtime = *runtime_kind;
  options.backend.precision = *parsed_precision;
  options.backend.path = paths[0];
  options.backend.device = "CPU";
  const Result<std::unique_ptr<Detector>> detector = Detector::load(options);
  if (!detector) return complain(detector.error());
  const Result<std::vector<NamedPicture>> pictures = read_pictures(paths[1]);
  if (!pictures) return complain(pictures.error());

  const ModelFacts& facts = (*detector)->facts();
  fmt::print(stderr, "{}: {}, head {}, {} classes, batch {}\n", facts.name, facts.precision,
             to_string((*detector)->head_kind()), (*detector)->labels().size(), facts.batch_max);
  for (const auto& [name, picture] : *pictures) {
    const Size input = (*detector)->input_for(picture.size);
    Result<std::unique_ptr<DetectorRequest>> request = (*detector)->create_request(1, input);
    if (!request) return complain(request.error());
    if (const Result<void> set = (*request)->set_picture(0, picture); !set)
      return complain(set.error());
    std::promise<Result<void>> done;
    (*request)->start([&done](Result<void> result) { done.set_value(std::move(result)); });
    if (const Result<void> result = done.get_future().get(); !result)
      return complain(result.error());
    std::string detections;
    for (const Detection& d : (*request)->detections(0))
      detections += fmt::format(
          R"({}{{"class":{},"label":"{}","score":{:.5f},"box":[{:.3f},{:.3f},{:.3f},{:.3f}]}})",
          detections.empty() ? "" : ",", d.class_id,
          (*detector)->labels()[static_cast<std::size_t>(d.class_id)], d.score, d.box.x1, d.box.y1,
          d.box.x2, d.box.y2);
    fmt::print(R"({{"name":"{}","width":{},"height":{},"detections":[{}]}})"
               "\n",
               name, picture.size.width, picture.size.height, detections);
  }
  return 0;
}
