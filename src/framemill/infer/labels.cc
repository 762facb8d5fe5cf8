#include "framemill/infer/labels.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <sstream>

#include <fmt/format.h>

namespace framemill {
namespace {

constexpr std::array<std::string_view, 80> kCocoLabels{
    "person",        "bicycle",      "car",
    "motorcycle",    "airplane",     "bus",
    "train",         "truck",        "boat",
    "traffic light", "fire hydrant", "stop sign",
    "parking meter", "bench",        "bird",
    "cat",           "dog",          "horse",
    "sheep",         "cow",          "elephant",
    "bear",          "zebra",        "giraffe",
    "backpack",      "umbrella",     "handbag",
    "tie",           "suitcase",     "frisbee",
    "skis",          "snowboard",    "sports ball",
    "kite",          "baseball bat", "baseball glove",
    "skateboard",    "surfboard",    "tennis racket",
    "bottle",        "wine glass",   "cup",
    "fork",          "knife",        "spoon",
    "bowl",          "banana",       "apple",
    "sandwich",      "orange",       "broccoli",
    "carrot",        "hot dog",      "pizza",
    "donut",         "cake",         "chair",
    "couch",         "potted plant", "bed",
    "dining table",  "toilet",       "tv",
    "laptop",        "mouse",        "remote",
    "keyboard",      "cell phone",   "microwave",
    "oven",          "toaster",      "sink",
    "refrigerator",  "book",         "clock",
    "vase",          "scissors",     "teddy bear",
    "hair drier",    "toothbrush"};

constexpr int kClassCountMax = 100'000;

/// Reads the two notations; stops for good at the first thing that fits neither.
class LabelReader {
 public:
  explicit LabelReader(std::string_view text) : text_(text) {}

  Result<std::vector<std::string>> read() {
    if (!take('{') && !take('[')) return wrong("a { or [");
    const char close = text_[at_ - 1] == '{' ? '}' : ']';
    std::vector<std::string> labels;
    while (!take(close)) {
      std::size_t id = labels.size();
      if (close == '}') {
        const std::optional<int> key = read_key();
        if (!key || *key < 0 || *key >= kClassCountMax) return wrong("a class number");
        id = static_cast<std::size_t>(*key);
        if (!take(':')) return wrong("a :");
      }
      std::optional<std::string> name = read_quoted();
      if (!name) return wrong("a name in quotes");
      for (std::size_t i = labels.size(); i <= id; ++i)
        labels.push_back(unnamed_label(static_cast<int>(i)));
      labels[id] = *std::move(name);
      if (!take(',') && peek() != close) return wrong(fmt::format("a , or {}", close));
    }
    if (peek() != '\0') return wrong("the end");
    return labels;
  }

 private:
  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    ++at_;
    return true;
  }
  std::optional<int> read_key() {
    std::string digits;
    if (peek() == '"' || peek() == '\'') {
      const std::optional<std::string> quoted = read_quoted();
      if (!quoted) return std::nullopt;
      digits = *quoted;
    } else {
      while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])))
        digits += text_[at_++];
    }
    int key = 0;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), key);
    if (status != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return key;
  }
  std::optional<std::string> read_quoted() {
    const char quote = peek();
    if (quote != '"' && quote != '\'') return std::nullopt;
    std::string name;
    for (++at_; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (c == quote) {
        ++at_;
        return name;
      }
      if (c == '\\' && at_ + 1 < text_.size()) c = text_[++at_];
      name += c;
    }
    return std::nullopt;
  }
  Failure wrong(std::string_view wanted) const {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format(R"(expected {} at character {} of the class names "{}")", wanted, at_,
                            text_.substr(0, 60)));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<std::string> coco_labels() { return {kCocoLabels.begin(), kCocoLabels.end()}; }

std::string unnamed_label(int class_id) { return fmt::format("class {}", class_id); }

bool has_no_names(const std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != unnamed_label(static_cast<int>(i))) return false;
  return true;
}

Result<std::vector<std::string>> parse_labels(std::string_view text) {
  return LabelReader(text).read();
}

Result<std::vector<std::string>> labels_from_metadata(
    const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> labels;
  const auto names = metadata.find("names");
  if (names != metadata.end() && !names->second.empty()) {
    Result<std::vector<std::string>> parsed = parse_labels(names->second);
    if (!parsed) return fail(parsed.error().at(R"(metadata "names")"));
    return parsed;
  }
  const auto words = metadata.find("labels");
  if (words == metadata.end() || words->second.empty()) return labels;
  std::istringstream stream(words->second);
  for (std::string word; stream >> word;) {
    std::ranges::replace(word, '_', ' ');
    labels.push_back(word);
  }
  return labels;
}

}  // namespace framemill
