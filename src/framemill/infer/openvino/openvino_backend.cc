#include "framemill/infer/openvino/openvino_backend.h"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openvino/openvino.hpp>

#include "framemill/base/mutex.h"
#include "framemill/base/text_case.h"
#include "framemill/infer/cpu_plan.h"
#include "framemill/infer/device_name.h"
#include "framemill/infer/model_files.h"
#include "framemill/infer/openvino/openvino_cache.h"
#include "framemill/infer/openvino/openvino_error.h"
#include "framemill/infer/openvino/openvino_facts.h"
#include "framemill/infer/openvino/openvino_model.h"
#include "framemill/infer/request_shape.h"

// Every call into OpenVINO may throw; every exception ends in this file.
namespace framemill {
namespace {

// Of models with a dynamic batch. On a CPU batches gain nothing (CPU-milliseconds a picture at
// 640x384 in batches of 1, 2, 4, 8: 37, 39, 36, 36), on a GPU they do.
constexpr std::size_t kBatchMax = 32;
constexpr std::size_t kGpuRequests = 2;  // one computes while the other's data moves

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
  OpenVinoRequest(std::shared_ptr<ov::CompiledModel> compiled, const Shape& shape)
      : shape_(shape),
        compiled_(std::move(compiled)),
        request_(compiled_->create_infer_request()),
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
          result = fail_from_openvino_exception(ErrorCode::kInternal, "inference failed");
        }
        done(std::move(result));
      });
      request_.start_async();
    } catch (...) {
      done(fail_from_openvino_exception(ErrorCode::kInternal, "inference could not be started"));
    }
  }

  std::span<const float> output(std::size_t item) override {
    CHECK(item < shape_.batch);
    const std::size_t count = output_.get_size() / shape_.batch;
    return {output_.data<float>() + item * count, count};
  }

 private:
  const Shape shape_;
  const std::shared_ptr<ov::CompiledModel> compiled_;  // is in use
  ov::InferRequest request_;
  ov::Tensor input_;  // shapes are static, so both stay where they are
  ov::Tensor output_;
};

class OpenVinoBackend final : public Backend {
 public:
  /// `graph`: null where it was not needed so far.
  OpenVinoBackend(ov::Core core, std::shared_ptr<ov::Model> graph, InputLayout layout,
                  ov::AnyMap settings, OpenVinoCache cache, std::string cache_key, ModelFacts facts)
      : core_(std::move(core)),
        layout_(layout),
        settings_(std::move(settings)),
        cache_(std::move(cache)),
        cache_key_(std::move(cache_key)),
        facts_(std::move(facts)),
        graph_(std::move(graph)) {}

  const ModelFacts& facts() const override { return facts_; }

  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override
      EXCLUDES(mu_) {
    if (const Result<void> fits = check_request_shape(facts_, batch, input); !fits)
      return fail(fits.error());
    const Shape shape{batch, input};
    try {
      Result<std::shared_ptr<ov::CompiledModel>> compiled = compile(shape);
      if (!compiled) return fail(compiled.error());
      return std::unique_ptr<InferRequest>(
          std::make_unique<OpenVinoRequest>(*std::move(compiled), shape));
    } catch (...) {
      return fail_from_openvino_exception(
          ErrorCode::kUnsupported,
          fmt::format("{}: OpenVINO cannot run it on {} with batch {} at {}x{}", facts_.path,
                      facts_.device, batch, input.width, input.height));
    }
  }

  void forget_unused() override EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    std::erase_if(compiled_, [](const auto& each) { return each.second.use_count() == 1; });
  }

 private:
  /// Throws what OpenVINO throws. Others wait while one shape is compiled.
  Result<std::shared_ptr<ov::CompiledModel>> compile(const Shape& shape) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    const auto found = compiled_.find(shape);
    if (found != compiled_.end()) return found->second;
    const std::string key =
        fmt::format("{}\n{} {} {}", cache_key_, shape.batch, shape.input.width, shape.input.height);
    std::optional<ov::CompiledModel> compiled =
        cache_.find_graph(core_, key, facts_.device, settings_);
    if (!compiled) {
      if (const Result<void> read = read_graph(); !read) return fail(read.error());
      compiled = core_.compile_model(shaped_graph(shape), facts_.device, settings_);
      cache_.keep_graph(key, *compiled);
    }
    auto shared = std::make_shared<ov::CompiledModel>(*std::move(compiled));
    compiled_.emplace(shape, shared);
    return shared;
  }

  Result<void> read_graph() REQUIRES(mu_) {
    if (graph_ != nullptr) return {};
    const Result<std::string> hash = hash_model(facts_.path);
    if (!hash) return fail(hash.error());
    if (const Result<void> same = check_same_model(*hash, facts_.hash); !same)
      return fail(same.error().at(facts_.path));
    Result<OpenVinoModel> model = read_openvino_model(core_, facts_.path);
    if (!model) return fail(model.error());
    graph_ = std::move(model->graph);
    return {};
  }

  std::shared_ptr<ov::Model> shaped_graph(const Shape& shape) REQUIRES(mu_) {
    if (!layout_.is_batch_dynamic && !layout_.is_size_dynamic) return graph_;
    std::shared_ptr<ov::Model> shaped = graph_->clone();
    const auto [batch, width, height] = std::tuple(static_cast<std::int64_t>(shape.batch),
                                                   static_cast<std::int64_t>(shape.input.width),
                                                   static_cast<std::int64_t>(shape.input.height));
    shaped->reshape(ov::PartialShape{batch, 3, height, width});
    return shaped;
  }

  ov::Core core_;  // synchronizes itself
  const InputLayout layout_;
  const ov::AnyMap settings_;
  OpenVinoCache cache_;  // used under mu_
  const std::string cache_key_;
  const ModelFacts facts_;
  Mutex mu_;
  std::shared_ptr<ov::Model> graph_ GUARDED_BY(mu_);  // cloned before it is changed
  std::map<Shape, std::shared_ptr<ov::CompiledModel>> compiled_ GUARDED_BY(mu_);
};

// ---- loading

/// Whether OpenVINO's GPU plugin could find a device: a driver's node (/dev/dxg in WSL). Asking the
/// plugin itself takes .1 s or more at each start.
bool may_have_gpu() {
  std::error_code ignored;
  return std::filesystem::exists("/dev/dri", ignored) ||
         std::filesystem::exists("/dev/dxg", ignored);
}

/// The device to compile for, from the setting.
Result<OpenVinoDevice> choose_device(ov::Core& core, const std::string& wanted) {
  const std::string device = to_lower(wanted);
  const bool is_auto = device == "auto" || device.empty();
  // Spares a look at all drivers; a CPU is always there.
  if (device == "cpu" || (is_auto && !may_have_gpu())) return find_openvino_device("CPU", {"CPU"});
  return find_openvino_device(wanted, core.get_available_devices());
}

bool has_processor(const OpenVinoDevice& device) {
  return std::ranges::find(device.parts, "CPU") != device.parts.end();
}

/// Its parts' names as the drivers tell them: virtual devices tell none.
std::string full_name_of(ov::Core& core, const OpenVinoDevice& device) {
  std::vector<std::string> names;
  for (const std::string& part : device.parts)
    names.push_back(core.get_property(part, ov::device::full_name));
  return fmt::format("{}", fmt::join(names, " + "));
}

/// What all parts can do.
std::vector<std::string> capabilities_of(ov::Core& core, const OpenVinoDevice& device) {
  std::vector<std::string> all = core.get_property(device.parts.front(), ov::device::capabilities);
  for (const std::string& part : device.parts) {
    const std::vector<std::string> own = core.get_property(part, ov::device::capabilities);
    std::erase_if(all, [&own](const std::string& each) { return !std::ranges::count(own, each); });
  }
  return all;
}

/// The arithmetic to ask the device for; none: it decides. On CPUs with AMX or AVX-512 BF16
/// OpenVINO decides for bf16 by itself, which moves scores of FP32 models by up to .1: there, the
/// weights' own precision is asked for, and bf16 is the user's choice (docs/inference.md has both's
/// figures).
Result<std::optional<ov::element::Type>> choose_precision(ov::Core& core,
                                                          const OpenVinoDevice& device,
                                                          Precision wanted) {
  using Choice = std::optional<ov::element::Type>;
  if (wanted == Precision::kAuto) return device.name == "CPU" ? Choice(ov::element::f32) : Choice();
  if (wanted == Precision::kFp32) return Choice(ov::element::f32);
  const std::string name = wanted == Precision::kFp16 ? "FP16" : "BF16";
  const std::vector<std::string> capabilities = capabilities_of(core, device);
  if (std::ranges::find(capabilities, name) == capabilities.end())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} cannot compute in {} ({} can: {}); set precision: auto",
                            device.name, wanted == Precision::kFp16 ? "fp16" : "bf16", device.name,
                            fmt::join(capabilities, ", ")));
  return wanted == Precision::kFp16 ? Choice(ov::element::f16) : Choice(ov::element::bf16);
}

ov::AnyMap settings_of(const CpuPlan& plan) {
  return {ov::num_streams(ov::streams::Num(static_cast<int>(plan.streams))),
          ov::inference_num_threads(static_cast<int>(plan.threads)),
          // Decoders share these cores; a pinned stream would wait for them while another core is
          // free.
          ov::hint::enable_cpu_pinning(false)};
}

/// What a compiled graph depends on beside the model and OpenVINO's version.
std::string cache_key_of(ov::Core& core, const OpenVinoDevice& device,
                         const std::string& device_name, const ov::AnyMap& settings) {
  std::string key = fmt::format("{}\n{}\n{}", device.name, device_name,
                                fmt::join(capabilities_of(core, device), " "));
  for (const auto& [name, value] : settings)
    key += fmt::format("\n{}={}", name, value.as<std::string>());
  return key;
}

}  // namespace

Result<std::unique_ptr<Backend>> load_openvino_backend(const BackendOptions& options) {
  ModelFacts facts;
  facts.path = options.path;
  facts.name = std::filesystem::path(options.path).stem().string();
  Result<std::string> hash = hash_model(options.path);
  if (!hash) return fail(hash.error());
  facts.hash = *std::move(hash);

  try {
    ov::Core core;
    facts.runtime = "OpenVINO " + openvino_version();
    const Result<OpenVinoDevice> device = choose_device(core, options.device);
    if (!device) return fail(device.error().at(options.path));
    facts.device = device->name;
    const bool is_cpu = facts.device == "CPU";

    OpenVinoCache cache(options.cache_dir, facts.hash);
    OpenVinoModel model;
    if (std::optional<OpenVinoModelFacts> kept = cache.find_facts(); kept) {
      model.facts = *std::move(kept);
    } else {
      Result<OpenVinoModel> read = read_openvino_model(core, options.path);
      if (!read) return fail(read.error());
      model = *std::move(read);
      cache.keep_facts(model.facts);
    }
    facts.metadata = std::move(model.facts.metadata);
    facts.precision = std::move(model.facts.precision);
    facts.outputs = std::move(model.facts.outputs);
    facts.input = model.facts.input;
    facts.batch_max = model.facts.layout.is_batch_dynamic ? kBatchMax : 1;
    facts.input_multiple = input_multiple_of(facts);
    if (options.letterbox_on == LetterboxOn::kDevice)
      facts.letterbox_note = "OpenVINO takes its input from the host; set runtime: onnxruntime";

    ov::AnyMap settings;
    const Result<std::optional<ov::element::Type>> precision =
        choose_precision(core, *device, options.precision);
    if (!precision) return fail(precision.error().at(options.path));
    if (*precision) settings.insert(ov::hint::inference_precision(**precision));
    const CpuPlan plan = plan_cpu(options.streams, options.threads);
    if (is_cpu) {
      settings.merge(settings_of(plan));
      facts.parallel_requests = plan.streams;
    } else {
      settings.insert(ov::hint::performance_mode(ov::hint::PerformanceMode::THROUGHPUT));
      if (options.streams > 0)
        settings.insert(ov::num_streams(ov::streams::Num(static_cast<int>(options.streams))));
      facts.parallel_requests = options.streams > 0 ? options.streams : kGpuRequests;
      if (has_processor(*device)) {
        // Of the device that it shares the graph with, it has nothing.
        ov::AnyMap own = settings_of(plan);
        if (options.precision == Precision::kAuto)
          own.insert(ov::hint::inference_precision(ov::element::f32));
        settings.insert(ov::device::properties("CPU", std::move(own)));
      }
    }
    facts.device_name = full_name_of(core, *device);
    std::string cache_key = cache_key_of(core, *device, facts.device_name, settings);
    if (!is_cpu) {
      // What a graph depends on in other devices' drivers, OpenVINO alone knows.
      const std::string folder = cache.leave_graphs_to_openvino();
      if (!folder.empty()) settings.insert(ov::cache_dir(folder));
    }
    return std::unique_ptr<Backend>(std::make_unique<OpenVinoBackend>(
        std::move(core), std::move(model.graph), model.facts.layout, std::move(settings),
        std::move(cache), std::move(cache_key), std::move(facts)));
  } catch (...) {
    return fail_from_openvino_exception(ErrorCode::kUnsupported,
                                        fmt::format("{}: OpenVINO cannot load it", options.path));
  }
}

}  // namespace framemill
