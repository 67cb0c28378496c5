// Detections in COCO's JSON (data/coco_results.h), and JSON itself (io/json_reader.h) beside
// nlohmann's parser.
// sources: sgmae/data/coco_results.cpp sgmae/data/coco_file.cpp sgmae/data/coco_fields.cpp
#include "sgmae/data/coco_results.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "fuzz/fuzz.h"
#include "sgmae/io/json_reader.h"

namespace {

// A file of these bytes; the readers take paths.
std::string file_of(const void* data, std::size_t size, int file) {
  if (::ftruncate(file, 0) != 0 || ::pwrite(file, data, size, 0) < 0) std::abort();
  return "/proc/self/fd/" + std::to_string(file);
}

// Whether it is JSON: we take all that nlohmann's parser takes. It ends at a byte 0.
void compare(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return;
  bool ours = true;
  try {
    sgmae::JsonReader json(text, "fuzz");
    json.skip();
    json.finish();
  } catch (const sgmae::Error&) {
    ours = false;
  }
  if (!ours && nlohmann::json::accept(text)) std::abort();
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  static const CocoFile truth = [] {
    constexpr auto text = R"({"images": [{"id": 1, "width": 9, "height": 7}, {"id": 2}],
      "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}], "annotations": []})";
    return CocoFile(file_of(text, std::strlen(text), ::memfd_create("truth", 0)));
  }();
  static const int file = ::memfd_create("fuzz", 0);
  compare({reinterpret_cast<const char*>(data), size});
  const std::string path = file_of(data, size, file);
  return try_to(ExitCode::data, [&] {
    const CocoResults results(path, truth);
    for (const CocoDetection& detection : results.detections()) {
      const Shape shape = results.shape(detection);
      if (!shape.empty()) box_around(runs_of(shape, {9, 7}));
    }
  });
}
