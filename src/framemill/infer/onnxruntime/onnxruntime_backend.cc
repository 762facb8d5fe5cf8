#include "framemill/infer/onnxruntime/onnxruntime_backend.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "framemill/base/mutex.h"
#include "framemill/infer/compiled_models.h"
#include "framemill/infer/cpu_plan.h"
#include "framemill/infer/device_name.h"
#include "framemill/infer/model_files.h"
#include "framemill/infer/onnxruntime/cuda_facts.h"
#include "framemill/infer/onnxruntime/letterbox_choice.h"
#include "framemill/infer/onnxruntime/onnx_weights.h"
#include "framemill/infer/onnxruntime/ort_error.h"
#include "framemill/infer/onnxruntime/ort_library.h"
#include "framemill/infer/onnxruntime/ort_request.h"
#include "framemill/infer/onnxruntime/ort_session.h"
#include "framemill/infer/onnxruntime/provider_options.h"
#include "framemill/infer/request_shape.h"

// Every call into ONNX Runtime may throw; every exception ends in this file or in ort_request.cc.
namespace framemill {
namespace {

constexpr std::size_t kBatchMax = 32;  // of models with a dynamic batch
constexpr std::size_t kGpuRequests =
    3;  // one computes while others' data moves, or their answers are read

/// What every session of a model is made with.
Ort::SessionOptions common_options() {
  Ort::SessionOptions options;
  options.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
  options.SetInterOpNumThreads(1);
  return options;
}

/// A request computes on the thread that runs it and on those of the session's pool, which all
/// requests share: with `streams` requests at once, threads - streams in the pool make `threads` in
/// all. With as many streams as threads there is no pool, and no core of an inference waits for
/// another one.
Ort::SessionOptions cpu_options(const CpuPlan& plan) {
  Ort::SessionOptions options = common_options();
  options.SetIntraOpNumThreads(static_cast<int>(plan.threads - plan.streams + 1));
  // Decoders share these cores; a thread that spins would take their time.
  options.AddConfigEntry("session.intra_op.allow_spinning", "0");
  options.AddConfigEntry("session.set_denormal_as_zero", "1");
  // Without it 8-bit products saturate on CPUs without VNNI, and INT8 models come out wrong.
  options.AddConfigEntry("session.x64quantprecision", "1");
  return options;
}

/// Reads a graph and leaves it as it is: for what the file says, not to run it.
Ort::SessionOptions reading_options() {
  Ort::SessionOptions options = common_options();
  options.SetIntraOpNumThreads(1);
  options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
  return options;
}

struct Pairs {
  std::vector<const char*> keys, values;
  explicit Pairs(const ProviderOptions& options) {
    for (const auto& [key, value] : options.values) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
  }
};

void append_cuda(Ort::SessionOptions& session, const ProviderOptions& options) {
  const Pairs pairs(options);
  OrtCUDAProviderOptionsV2* made = nullptr;
  Ort::ThrowOnError(Ort::GetApi().CreateCUDAProviderOptions(&made));
  const std::unique_ptr<OrtCUDAProviderOptionsV2, void (*)(OrtCUDAProviderOptionsV2*)> owner(
      made, Ort::GetApi().ReleaseCUDAProviderOptions);
  Ort::ThrowOnError(Ort::GetApi().UpdateCUDAProviderOptions(
      made, pairs.keys.data(), pairs.values.data(), pairs.keys.size()));
  session.AppendExecutionProvider_CUDA_V2(*made);
}

void append_tensorrt(Ort::SessionOptions& session, const ProviderOptions& options) {
  const Pairs pairs(options);
  OrtTensorRTProviderOptionsV2* made = nullptr;
  Ort::ThrowOnError(Ort::GetApi().CreateTensorRTProviderOptions(&made));
  const std::unique_ptr<OrtTensorRTProviderOptionsV2, void (*)(OrtTensorRTProviderOptionsV2*)>
      owner(made, Ort::GetApi().ReleaseTensorRTProviderOptions);
  Ort::ThrowOnError(Ort::GetApi().UpdateTensorRTProviderOptions(
      made, pairs.keys.data(), pairs.values.data(), pairs.keys.size()));
  session.AppendExecutionProvider_TensorRT_V2(*made);
}

/// TensorRT for RTX is a library of its own that the runtime is told of, and that offers devices.
Result<void> append_rtx(OnnxRuntimeLibrary& library, Ort::SessionOptions& session,
                        const OnnxDevice& device, const CudaFacts& cuda,
                        const ProviderOptions& options) {
#if ORT_API_VERSION >= 22
  {
    const MutexLock lock(library.mu);
    if (!library.is_rtx_registered)
      library.env.RegisterExecutionProviderLibrary(
          "framemill_rtx", library.folder + "/" + provider_library(device.provider));
    library.is_rtx_registered = true;
  }
  std::vector<Ort::ConstEpDevice> offered;
  for (const Ort::ConstEpDevice& found : library.env.GetEpDevices())
    if (std::string_view(found.EpName()).find("TensorRTRTX") != std::string_view::npos)
      offered.push_back(found);
  const std::optional<std::size_t> place = rtx_place(cuda, device.index, offered.size());
  if (!place)
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("{} is not there: TensorRT for RTX offers {} devices; it runs on GeForce "
                    "RTX and RTX PRO of Ampere (8.6), Ada (8.9) and Blackwell. Take cuda or "
                    "tensorrt on others",
                    to_string(device), offered.size()));
  const std::unordered_map<std::string, std::string> values(options.values.begin(),
                                                            options.values.end());
  session.AppendExecutionProvider_V2(library.env, {offered[*place]}, values);
  return {};
#else
  static_cast<void>(library), static_cast<void>(session), static_cast<void>(cuda);
  static_cast<void>(options);
  return fail(ErrorCode::kUnsupported,
              fmt::format("{}: framemill was built with the headers of ONNX Runtime 1.{}, which "
                          "know no plug-in providers; build it with those of 1.22 or newer",
                          to_string(device), ORT_API_VERSION));
#endif
}

using Shape = std::tuple<std::size_t, int, int>;  // batch, width, height

class OnnxRuntimeBackend final : public Backend {
 public:
  OnnxRuntimeBackend(OnnxRuntimeLibrary& library, OnnxDevice device, BackendOptions options,
                     std::shared_ptr<const ModelPorts> ports, CudaFacts cuda,
                     std::shared_ptr<const CudaLetterbox> letterbox, ModelFacts facts)
      : library_(library),
        device_(device),
        gate_(library.capture_gate(device.index)),
        options_(std::move(options)),
        ports_(std::move(ports)),
        cuda_(std::move(cuda)),
        letterbox_(std::move(letterbox)),
        facts_(std::move(facts)),
        threads_(std::make_shared<RunThreads>(facts_.parallel_requests)) {}

  /// The CPU's session serves every shape.
  void set_cpu_session(Ort::Session session) EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    sessions_[Shape{}].push_back(share(std::move(session)));
  }

  const ModelFacts& facts() const override { return facts_; }

  Result<std::unique_ptr<InferRequest>> create_request(std::size_t batch, Size input) override
      EXCLUDES(mu_) {
    if (const Result<void> shape = check_request_shape(facts_, batch, input); !shape)
      return fail(shape.error());
    try {
      Result<std::shared_ptr<OrtSession>> session = session_for(batch, input);
      if (!session) return fail(session.error().at(facts_.path));
      Result<std::unique_ptr<InferRequest>> request =
          make_ort_request(*std::move(session), batch, input, request_count_++);
      if (!request) return fail(request.error().at(facts_.path));
      return request;
    } catch (...) {
      return fail_from_ort_exception(
          ErrorCode::kUnsupported,
          fmt::format("{}: ONNX Runtime cannot run it on {} with batch {} at {}x{}", facts_.path,
                      facts_.device, batch, input.width, input.height));
    }
  }

  void forget_unused() override EXCLUDES(mu_) {
    std::vector<std::shared_ptr<OrtSession>> unused;
    {
      const MutexLock lock(mu_);
      for (auto& [shape, sessions] : sessions_) {
        const auto begin = std::ranges::partition(
            sessions, [](const auto& session) { return session.use_count() > 1; });
        std::ranges::move(begin, std::back_inserter(unused));
        sessions.erase(begin.begin(), begin.end());
      }
    }
    const CaptureGate::Use use(gate_);
    unused.clear();
  }

 private:
  std::shared_ptr<OrtSession> share(Ort::Session session) const {
    auto shared = std::make_shared<OrtSession>();
    shared->session = std::move(session);
    // On a graphics device threads sleep while it computes. A graph belongs to one, and so its
    // request: with fewer threads than requests two in flight might want the same one.
    const bool is_cpu = device_.provider == OnnxProvider::kCpu;
    shared->threads = is_cpu ? threads_ : std::make_shared<RunThreads>(1);
    shared->ports = ports_;
    shared->gate = &gate_;
    shared->letterbox = letterbox_;
    return shared;
  }

  /// On the CPU one session serves all requests. On a graphics device each has a session of its
  /// own, or one that another request of its shape has left: what lies between input and output is
  /// memory of the session, and two requests at once have been seen to spoil each other's (replays
  /// of captured graphs always, plain runs whose input is copied from the host at times). Throws
  /// what ONNX Runtime throws.
  Result<std::shared_ptr<OrtSession>> session_for(std::size_t batch, Size input) EXCLUDES(mu_) {
    const bool is_cpu = device_.provider == OnnxProvider::kCpu;
    const Shape shape = is_cpu ? Shape{} : Shape{batch, input.width, input.height};
    {
      const MutexLock lock(mu_);
      for (const std::shared_ptr<OrtSession>& session : sessions_[shape])
        if (is_cpu || session.use_count() == 1) return session;
    }
    if (is_cpu) return open_again();
    Result<std::shared_ptr<OrtSession>> made = device_.provider == OnnxProvider::kCuda
                                                   ? compile_for(batch, input)
                                                   : compile_alone(batch, input);
    const MutexLock lock(mu_);
    if (made) sessions_[shape].push_back(*made);
    return made;
  }

  /// The CPU's session, which was forgotten while nobody used it.
  Result<std::shared_ptr<OrtSession>> open_again() EXCLUDES(mu_, compile_mu_) {
    const MutexLock alone(compile_mu_);
    {
      const MutexLock lock(mu_);
      if (const auto& sessions = sessions_[Shape{}]; !sessions.empty()) return sessions.front();
    }
    if (const Result<void> same = check_file(); !same) return fail(same.error());
    const Ort::SessionOptions session = cpu_options(plan_cpu(options_.streams, options_.threads));
    std::shared_ptr<OrtSession> made =
        share(Ort::Session(library_.env, facts_.path.c_str(), session));
    const MutexLock lock(mu_);
    sessions_[Shape{}].push_back(made);
    return made;
  }

  /// A file that is read once more may hold another model by now.
  Result<void> check_file() const {
    const Result<std::string> hash = hash_model(facts_.path);
    return hash ? check_same_model(*hash, facts_.hash) : Result<void>();  // the runtime says it
  }

  /// TensorRT's engines are kept on disk: a second session of a shape waits for the first one's.
  Result<std::shared_ptr<OrtSession>> compile_alone(std::size_t batch, Size input)
      EXCLUDES(compile_mu_) {
    const MutexLock lock(compile_mu_);
    try {
      return compile_for(batch, input);
    } catch (const Ort::Exception& e) {
      const std::optional<std::string> engine = damaged_engine(e.what(), options_.cache_dir);
      std::error_code ignored;
      if (!engine || !std::filesystem::remove(*engine, ignored)) throw;
    }
    return compile_for(batch, input);
  }

  /// A provider that is to capture graphs refuses a model of which a part would run on the CPU: it
  /// gets a second try without.
  Result<std::shared_ptr<OrtSession>> compile_for(std::size_t batch, Size input) {
    if (letterbox_ == nullptr || device_.provider != OnnxProvider::kCuda)
      return compile(batch, input, false);
    try {
      return compile(batch, input, true);
    } catch (const Ort::Exception&) {
      return compile(batch, input, false);
    }
  }

  /// A session for one shape on a graphics device: engines and captured graphs are for one.
  Result<std::shared_ptr<OrtSession>> compile(std::size_t batch, Size input,
                                              bool may_capture_graphs) {
    ProviderRequest request{.device = device_,
                            .precision = options_.precision,
                            .model_hash = facts_.hash,
                            .input_name = ports_->input_name,
                            .batch = batch,
                            .input = input,
                            .is_shape_fixed = !ports_->is_batch_dynamic && ports_->input,
                            .is_int8 = facts_.precision == "int8",
                            .is_half = facts_.precision == "fp16",
                            .may_capture_graphs = may_capture_graphs,
                            .cache_dir = options_.cache_dir,
                            .runtime = facts_.runtime,
                            .compiler = engine_compiler(device_.provider),
                            .cuda = cuda_};
    Result<ProviderOptions> provider = provider_options(request);
    if (!provider) return fail(provider.error());
    std::optional<CompiledFolder> engines;  // without them an engine is built again
    if (!provider->cache_folder.empty())
      engines.emplace(options_.cache_dir, provider->cache_folder);
    if (engines && !engines->is_usable()) {
      engines.reset();
      request.cache_dir.clear();
      provider = provider_options(request);
    }
    Ort::SessionOptions session = common_options();
    const std::vector<std::int64_t> sides = ports_->tensor_shape(batch, input);
    std::map<std::string, std::int64_t> named;  // the first of sides that share a name
    for (std::size_t i = 0; i < sides.size(); ++i)
      if (!ports_->symbols[i].empty()) named.emplace(ports_->symbols[i], sides[i]);
    for (const auto& [symbol, side] : named)
      Ort::ThrowOnError(
          Ort::GetApi().AddFreeDimensionOverrideByName(session, symbol.c_str(), side));
    switch (device_.provider) {
      case OnnxProvider::kTensorRt:
        append_tensorrt(session, *provider);
        [[fallthrough]];  // CUDA takes the nodes that TensorRT does not know
      case OnnxProvider::kCuda: {
        ProviderRequest rest = request;
        rest.device.provider = OnnxProvider::kCuda;
        rest.precision =
            request.precision == Precision::kFp32 ? Precision::kFp32 : Precision::kAuto;
        append_cuda(session, *provider_options(rest));
        break;
      }
      case OnnxProvider::kTensorRtRtx:
        if (const Result<void> rtx = append_rtx(library_, session, device_, cuda_, *provider); !rtx)
          return fail(rtx.error());
        break;
      case OnnxProvider::kCpu:
        break;
    }
    if (const Result<void> same = check_file(); !same) return fail(same.error());
    const CaptureGate::Use use(gate_, CaptureGate::Length::kLong);
    auto shared = share(Ort::Session(library_.env, facts_.path.c_str(), session));
    if (engines) engines->look_again();
    shared->cuda_index = device_.index;
    shared->has_cuda_graphs = provider->has_cuda_graphs && ports_->is_output_shape_fixed();
    return shared;
  }

  OnnxRuntimeLibrary& library_;
  const OnnxDevice device_;
  CaptureGate& gate_;
  const BackendOptions options_;
  const std::shared_ptr<const ModelPorts> ports_;
  const CudaFacts cuda_;
  const std::shared_ptr<const CudaLetterbox> letterbox_;  // null: pictures come from the host
  const ModelFacts facts_;
  const std::shared_ptr<RunThreads> threads_;
  std::atomic<std::size_t> request_count_ = 0;
  Mutex compile_mu_;
  Mutex mu_;
  std::map<Shape, std::vector<std::shared_ptr<OrtSession>>> sessions_ GUARDED_BY(mu_);
};

/// What the CPU can compute in.
Result<void> check_precision(const OnnxDevice& device, Precision precision) {
  const bool is_exact = precision == Precision::kAuto || precision == Precision::kFp32;
  if (device.provider != OnnxProvider::kCpu || is_exact) return {};
  return fail(
      ErrorCode::kUnsupported,
      "ONNX Runtime's CPU provider computes in fp32 (INT8 layers aside); set precision: auto, "
      "or runtime: openvino");
}

}  // namespace

Result<std::unique_ptr<Backend>> load_onnxruntime_backend(const BackendOptions& options) {
  const Result<OnnxDevice> device = parse_onnx_device(options.device);
  if (!device) return fail(device.error().at(options.path));
  if (const Result<void> precision = check_precision(*device, options.precision); !precision)
    return fail(precision.error().at(options.path));
  const Result<OnnxRuntimeLibrary*> library = load_onnxruntime();
  if (!library) return fail(library.error().at(options.path));
  if (const Result<void> provider = prepare_provider(**library, *device); !provider)
    return fail(provider.error().at(options.path));

  ModelFacts facts;
  facts.path = options.path;
  facts.name = std::filesystem::path(options.path).stem().string();
  facts.runtime = (*library)->name();
  facts.device = to_string(*device);
  Result<std::string> hash = hash_model(options.path);
  if (!hash) return fail(hash.error());
  facts.hash = *std::move(hash);

  const bool is_cpu = device->provider == OnnxProvider::kCpu;
  const CpuPlan plan = plan_cpu(options.streams, options.threads);
  CudaFacts cuda;
  if (is_cpu) {
    facts.device_name = cpu_name();
    facts.parallel_requests = plan.streams;
  } else {
    Result<CudaFacts> found = read_cuda_facts();
    if (!found) return fail(found.error().at(options.path));
    cuda = *std::move(found);
    facts.device_name = cuda.devices.at(static_cast<std::size_t>(device->index)).name;
    facts.parallel_requests = options.streams > 0 ? options.streams : kGpuRequests;
  }
  LetterboxChoice letterbox = choose_letterbox(options.letterbox_on, *device, **library);
  facts.letterbox = letterbox.where;
  facts.letterbox_note = letterbox.note;
  try {
    Ort::Session session((*library)->env, options.path.c_str(),
                         is_cpu ? cpu_options(plan) : reading_options());
    Result<ModelPorts> ports = read_model_ports(session);
    if (!ports) return fail(ports.error().at(options.path));
    facts.metadata = ports->metadata;
    facts.outputs = ports->outputs;
    facts.input = ports->input;
    facts.batch_max = ports->is_batch_dynamic ? kBatchMax : 1;
    facts.input_multiple = input_multiple_of(facts);
    facts.precision = onnx_file_precision(options.path);
    auto backend = std::make_unique<OnnxRuntimeBackend>(
        **library, *device, options, std::make_shared<const ModelPorts>(*std::move(ports)),
        std::move(cuda), std::move(letterbox.on_device), std::move(facts));
    if (is_cpu) backend->set_cpu_session(std::move(session));
    return std::unique_ptr<Backend>(std::move(backend));
  } catch (...) {
    return fail_from_ort_exception(
        ErrorCode::kInvalidArgument,
        fmt::format(
            "{}: ONNX Runtime cannot read it as a model; is the file complete, and exported "
            "with an opset that {} knows?",
            options.path, (*library)->name()));
  }
}

}  // namespace framemill
