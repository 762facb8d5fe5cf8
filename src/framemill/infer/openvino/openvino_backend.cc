#include "framemill/infer/openvino/openvino_backend.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openvino/op/constant.hpp>
#include <openvino/openvino.hpp>

#include "framemill/base/content_hash.h"
#include "framemill/base/mutex.h"
#include "framemill/infer/cpu_plan.h"
#include "framemill/infer/request_shape.h"

// Every call into OpenVINO may throw; every exception ends in this file.
namespace framemill {
namespace {

// Of models with a dynamic batch. On a CPU batches gain nothing (CPU-milliseconds a picture at
// 640x384 in batches of 1, 2, 4, 8: 37, 39, 36, 36), on a GPU they do.
constexpr std::size_t kBatchMax = 32;
constexpr std::size_t kGpuRequests = 2;  // one computes while the other's data moves

/// OpenVINO's messages are stacks of "Exception from file:line:" with the reason below them.
std::string last_lines(std::string_view message) {
  constexpr std::size_t kMost = 300;
  std::string text;
  for (std::size_t begin = 0; begin < message.size();) {
    const std::size_t end = std::min(message.find('\n', begin), message.size());
    const std::string_view line = message.substr(begin, end - begin);
    begin = end + 1;
    const bool is_place = line.starts_with("Exception from") || line.starts_with("Check '");
    const bool is_blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
    if (is_place || is_blank) continue;
    if (!text.empty()) text += "; ";
    text += line.substr(line.find_first_not_of(" \t"));
  }
  if (text.empty()) text = message;
  if (text.size() > kMost) text = text.substr(0, kMost) + "...";
  return text;
}

/// The exception now being handled as an error. Only inside a catch block.
Failure fail_from_exception(ErrorCode otherwise, std::string_view what) {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::kResourceExhausted, fmt::format("{}: out of memory", what));
  } catch (const std::exception& e) {
    return fail(otherwise, fmt::format("{}: {}", what, last_lines(e.what())));
  } catch (...) {
    return fail(otherwise, fmt::format("{}: unknown exception", what));
  }
}

struct Shape {
  std::size_t batch = 1;
  Size input;
  friend auto operator<=>(const Shape& a, const Shape& b) {
    return std::tuple(a.batch, a.input.width, a.input.height) <=>
           std::tuple(b.batch, b.input.width, b.input.height);
  }
};

class OpenVinoRequest final : public InferRequest {
 public:
  /// Throws what OpenVINO throws.
  OpenVinoRequest(ov::CompiledModel& compiled, const Shape& shape)
      : shape_(shape),
        request_(compiled.create_infer_request()),
        input_(request_.get_input_tensor()),
        output_(request_.get_output_tensor(0)) {}

  std::size_t batch() const override { return shape_.batch; }
  Size input_size() const override { return shape_.input; }

  std::span<float> input(std::size_t item) override {
    CHECK(item < shape_.batch);
    const std::size_t count = input_.get_size() / shape_.batch;
    return {input_.data<float>() + item * count, count};
  }

  void start(std::function<void(Result<void>)> done) override {
    try {
      // Set anew each time: OpenVINO takes the callback out while it runs it, and puts it back only
      // if there is none, so a request restarted from `done`'s consumer at once would lose its own.
      // `done` may end this object's user; nothing of it is touched after the call.
      request_.set_callback([done](std::exception_ptr problem) {
        if (!problem) {
          done({});
          return;
        }
        Result<void> result;
        try {
          std::rethrow_exception(problem);
        } catch (...) {
          result = fail_from_exception(ErrorCode::kInternal, "inference failed");
        }
        done(std::move(result));
      });
      request_.start_async();
    } catch (...) {
      done(fail_from_exception(ErrorCode::kInternal, "inference could not be started"));
    }
  }

  std::span<const float> output(std::size_t item) override {
    CHECK(item < shape_.batch);
    const std::size_t count = output_.get_size() / shape_.batch;
    return {output_.data<float>() + item * count, count};
  }

 private:
  const Shape shape_;
  ov::InferRequest request_;
  ov::Tensor input_;  // shapes are static, so both stay where they are
  ov::Tensor output_;
};

/// What of the graph decides how it may be reshaped.
struct InputLayout {
  bool is_channels_last = false;
  bool is_batch_dynamic = false;
  bool is_size_dynamic = false;
};

class OpenVinoBackend final : public Backend {
 public:
  OpenVinoBackend(ov::Core core, std::shared_ptr<ov::Model> model, InputLayout layout,
                  ov::AnyMap settings, ModelFacts facts)
      : core_(std::move(core)),
        model_(std::move(model)),
        layout_(layout),
        settings_(std::move(settings)),
        facts_(std::move(facts)) {}

  const ModelFacts& facts() const override { return facts_; }

  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override
      EXCLUDES(mu_) {
    if (const Result<void> fits = check_request_shape(facts_, batch, input); !fits)
      return fail(fits.error());
    const Shape shape{batch, input};
    try {
      ov::CompiledModel compiled = compile(shape);
      return std::unique_ptr<InferRequest>(std::make_unique<OpenVinoRequest>(compiled, shape));
    } catch (...) {
      return fail_from_exception(
          ErrorCode::kUnsupported,
          fmt::format("{}: OpenVINO cannot run it on {} with batch {} at {}x{}", facts_.path,
                      facts_.device, batch, input.width, input.height));
    }
  }

 private:
  /// Throws what OpenVINO throws. Others wait while one shape is compiled.
  ov::CompiledModel compile(const Shape& shape) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    const auto found = compiled_.find(shape);
    if (found != compiled_.end()) return found->second;
    std::shared_ptr<ov::Model> model = model_;
    if (layout_.is_batch_dynamic || layout_.is_size_dynamic) {
      model = model_->clone();
      const auto [batch, width, height] = std::tuple(static_cast<std::int64_t>(shape.batch),
                                                     static_cast<std::int64_t>(shape.input.width),
                                                     static_cast<std::int64_t>(shape.input.height));
      model->reshape(ov::PartialShape{batch, 3, height, width});
    }
    ov::CompiledModel compiled = core_.compile_model(model, facts_.device, settings_);
    compiled_.emplace(shape, compiled);
    return compiled;
  }

  ov::Core core_;                           // synchronizes itself
  const std::shared_ptr<ov::Model> model_;  // cloned before it is changed
  const InputLayout layout_;
  const ov::AnyMap settings_;
  const ModelFacts facts_;
  Mutex mu_;
  std::map<Shape, ov::CompiledModel> compiled_ GUARDED_BY(mu_);
};

// ---- reading a model

std::string upper(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return result;
}

/// The device to compile for, from the setting.
Result<std::string> choose_device(ov::Core& core, const std::string& wanted) {
  const std::string device = upper(wanted);
  if (device == "CPU") return device;  // spares a look at all drivers; a CPU is always there
  const std::vector<std::string> available = core.get_available_devices();
  const auto is_gpu = [](const std::string& name) { return name.starts_with("GPU"); };
  if (device == "AUTO" || device.empty()) {
    const auto gpu = std::ranges::find_if(available, is_gpu);
    return gpu == available.end() ? std::string("CPU") : *gpu;
  }
  // "GPU" stands for "GPU.0" as well; "HETERO:GPU,CPU" and the like are OpenVINO's own business.
  const bool is_listed = std::ranges::any_of(available, [&device](const std::string& name) {
    return name == device || name.starts_with(device + ".") || name + ".0" == device;
  });
  if (is_listed || device.find(':') != std::string::npos) return device;
  return fail(ErrorCode::kUnsupported,
              fmt::format(R"(device "{}" is not there; OpenVINO finds {} (drivers missing?); set )"
                          R"("device: auto" or one of these)",
                          wanted, fmt::join(available, ", ")));
}

/// The arithmetic to ask the device for; none: it decides. On CPUs with AMX or AVX-512 BF16
/// OpenVINO decides for bf16 by itself, which moves scores of FP32 models by up to .1: there, the
/// weights' own precision is asked for, and bf16 is the user's choice (docs/inference.md has both's
/// figures).
Result<std::optional<ov::element::Type>> choose_precision(ov::Core& core, const std::string& device,
                                                          Precision wanted) {
  using Choice = std::optional<ov::element::Type>;
  const bool is_cpu = device == "CPU";
  if (wanted == Precision::kAuto) return is_cpu ? Choice(ov::element::f32) : Choice();
  if (wanted == Precision::kFp32) return Choice(ov::element::f32);
  const std::string name = wanted == Precision::kFp16 ? "FP16" : "BF16";
  const auto capabilities = core.get_property(device, ov::device::capabilities);
  if (std::ranges::find(capabilities, name) == capabilities.end())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} cannot compute in {} ({} can: {}); set precision: auto", device,
                            wanted == Precision::kFp16 ? "fp16" : "bf16", device,
                            fmt::join(capabilities, ", ")));
  return wanted == Precision::kFp16 ? Choice(ov::element::f16) : Choice(ov::element::bf16);
}

/// Picks what of the model says how it was made: all of an ONNX file's metadata_props, and of an IR
/// the keys that exporters write into rt_info/model_info.
std::map<std::string, std::string> read_metadata(const ov::Model& model) {
  std::map<std::string, std::string> metadata;
  const ov::RTMap& info = model.get_rt_info();
  const auto framework = info.find("framework");
  if (framework != info.end() && framework->second.is<ov::AnyMap>())
    for (const auto& [key, value] : framework->second.as<ov::AnyMap>())
      if (value.is<std::string>()) metadata[key] = value.as<std::string>();
  for (const char* const key :
       {"names", "labels", "model_type", "task", "stride", "imgsz", "framemill.color",
        "framemill.range", "framemill.letterbox", "framemill.score", "framemill.nms_iou"})
    if (model.has_rt_info("model_info", key))
      metadata[key] = model.get_rt_info<std::string>("model_info", key);
  return metadata;
}

/// "int8" where the weights or activations are quantised, else the type most weights have.
std::string guess_precision(const ov::Model& model) {
  std::size_t int8_count = 0, f16_count = 0, f32_count = 0;
  for (const auto& op : model.get_ops()) {
    if (!ov::is_type<ov::op::v0::Constant>(op)) continue;
    const std::size_t count = ov::shape_size(op->get_output_shape(0));
    const ov::element::Type type = op->get_output_element_type(0);
    if (type == ov::element::i8 || type == ov::element::u8)
      int8_count += count;
    else if (type == ov::element::f16 || type == ov::element::bf16)
      f16_count += count;
    else if (type == ov::element::f32)
      f32_count += count;
  }
  if (int8_count > f16_count + f32_count) return "int8";
  return f16_count > f32_count ? "fp16" : "fp32";
}

template <typename Node>  // const or not
std::string name_of(const ov::Output<Node>& port) {
  // An output of an IR may have no tensor name; then the operation that makes it says which it is.
  if (!port.get_names().empty()) return port.get_any_name();
  const auto node = port.get_node_shared_ptr();
  return node->get_input_size() > 0 ? node->get_input_node_ptr(0)->get_friendly_name()
                                    : node->get_friendly_name();
}

/// What the input has to be; else why it cannot be served.
Result<InputLayout> read_input(const ov::Model& model) {
  const auto refuse = [](const std::string& why) {
    return fail(
        ErrorCode::kUnsupported,
        why + "; export the model for detection with one float input [batch,3,height,width]");
  };
  if (model.inputs().size() != 1) {
    std::vector<std::string> names;
    for (const auto& input : model.inputs()) names.push_back(name_of(input));
    return refuse(fmt::format("has {} inputs ({}), a detector has one", names.size(),
                              fmt::join(names, ", ")));
  }
  const ov::Output<const ov::Node> input = model.input();
  const ov::PartialShape& shape = input.get_partial_shape();
  const ov::element::Type type = input.get_element_type();
  const std::string description =
      fmt::format("its input is {} {}", type.to_string(), shape.to_string());
  if (type != ov::element::f32 && type != ov::element::f16 && type != ov::element::bf16)
    return refuse(description);
  if (shape.rank() != 4) return refuse(description + ", not a picture");
  const auto is_three = [&shape](std::size_t i) {
    return shape[i].is_static() && shape[i].get_length() == 3;
  };
  InputLayout layout;
  layout.is_channels_last = !is_three(1) && is_three(3);
  if (!is_three(1) && !layout.is_channels_last) return refuse(description + ", without 3 channels");
  const std::size_t height = layout.is_channels_last ? 1 : 2;
  layout.is_batch_dynamic = shape[0].is_dynamic();
  layout.is_size_dynamic = shape[height].is_dynamic() || shape[height + 1].is_dynamic();
  if (!layout.is_batch_dynamic && shape[0].get_length() != 1)
    return refuse(fmt::format("{}, with a fixed batch of {}; a batch must be 1 or dynamic",
                              description, shape[0].get_length()));
  return layout;
}

}  // namespace

Result<std::unique_ptr<Backend>> load_openvino_backend(const BackendOptions& options) {
  ModelFacts facts;
  facts.path = options.path;
  facts.name = std::filesystem::path(options.path).stem().string();
  std::vector<std::string> files{options.path};
  if (std::filesystem::path(options.path).extension() == ".xml")
    files.push_back(std::filesystem::path(options.path).replace_extension(".bin").string());
  Result<std::string> hash = hash_files(files);
  if (!hash) return fail(hash.error());
  facts.hash = *std::move(hash);

  try {
    ov::Core core;
    const std::string version = ov::get_openvino_version().buildNumber;
    facts.runtime = "OpenVINO " + version.substr(0, version.find('-'));
    Result<std::string> device = choose_device(core, options.device);
    if (!device) return fail(device.error().at(options.path));
    facts.device = *device;

    std::shared_ptr<ov::Model> model;
    try {
      model = core.read_model(options.path);
    } catch (...) {
      return fail_from_exception(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: OpenVINO cannot read it as a model; is the file complete, and exported "
                      "with an opset that {} knows?",
                      options.path, facts.runtime));
    }

    const Result<InputLayout> layout = read_input(*model);
    if (!layout) return fail(layout.error().at(options.path));
    ov::preprocess::PrePostProcessor adapter(model);
    adapter.input().tensor().set_element_type(ov::element::f32).set_layout("NCHW");
    adapter.input().model().set_layout(layout->is_channels_last ? "NHWC" : "NCHW");
    for (std::size_t i = 0; i < model->outputs().size(); ++i)
      if (model->output(i).get_element_type().is_real())
        adapter.output(i).tensor().set_element_type(ov::element::f32);
    facts.metadata = read_metadata(*model);
    facts.precision = guess_precision(*model);
    if (options.letterbox_on == LetterboxOn::kDevice)
      facts.letterbox_note = "OpenVINO takes its input from the host; set runtime: onnxruntime";
    for (const auto& output : model->outputs()) {
      OutputShape shape{.name = name_of(output), .dims = {}};
      if (output.get_partial_shape().rank().is_static())
        for (const ov::Dimension& side : output.get_partial_shape())
          shape.dims.push_back(side.is_static() ? side.get_length() : -1);
      facts.outputs.push_back(std::move(shape));
    }
    if (facts.outputs.empty() || !model->output(0).get_element_type().is_real())
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{}: its first output holds no floats; export it for detection",
                              options.path));
    model = adapter.build();

    facts.batch_max = layout->is_batch_dynamic ? kBatchMax : 1;
    if (!layout->is_size_dynamic) {
      const ov::PartialShape shape = model->input().get_partial_shape();
      facts.input =
          Size{static_cast<int>(shape[3].get_length()), static_cast<int>(shape[2].get_length())};
    }
    facts.input_multiple = input_multiple_of(facts);

    ov::AnyMap settings;
    const Result<std::optional<ov::element::Type>> precision =
        choose_precision(core, facts.device, options.precision);
    if (!precision) return fail(precision.error().at(options.path));
    if (*precision) settings.insert(ov::hint::inference_precision(**precision));
    if (facts.device == "CPU") {
      const CpuPlan plan = plan_cpu(options.streams, options.threads);
      settings.insert(ov::num_streams(ov::streams::Num(static_cast<int>(plan.streams))));
      settings.insert(ov::inference_num_threads(static_cast<int>(plan.threads)));
      // Decoders share these cores; a pinned stream would wait for them while another core is free.
      settings.insert(ov::hint::enable_cpu_pinning(false));
      facts.parallel_requests = plan.streams;
    } else {
      settings.insert(ov::hint::performance_mode(ov::hint::PerformanceMode::THROUGHPUT));
      if (options.streams > 0)
        settings.insert(ov::num_streams(ov::streams::Num(static_cast<int>(options.streams))));
      facts.parallel_requests = options.streams > 0 ? options.streams : kGpuRequests;
    }
    if (!options.cache_dir.empty()) settings.insert(ov::cache_dir(options.cache_dir));
    facts.device_name = core.get_property(facts.device, ov::device::full_name);
    return std::unique_ptr<Backend>(std::make_unique<OpenVinoBackend>(
        std::move(core), std::move(model), *layout, std::move(settings), std::move(facts)));
  } catch (...) {
    return fail_from_exception(ErrorCode::kUnsupported,
                               fmt::format("{}: OpenVINO cannot load it", options.path));
  }
}

}  // namespace framemill
