// Run lengths as text, and polygons (image/runs.h).
#include "sgmae/image/runs.h"

#include <cmath>
#include <cstring>
#include <string_view>

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sgmae;
  if (size < 2) return 0;
  const ImageSize image{data[0] % 40, data[1] % 40};
  data += 2;
  size -= 2;
  try_to(ExitCode::data, [&] {
    const Runs runs = runs_of_text({reinterpret_cast<const char*>(data), size}, image);
    if (runs_of_text(text_of(runs), image) != runs) std::abort();
    const Runs plain = runs_of_mask(view(mask_of(runs)));
    if (area_of(plain) != area_of(runs) || box_around(plain) != box_around(runs)) std::abort();
    if (common_area(plain, runs) != area_of(runs)) std::abort();
  });
  // The same bytes as coordinates: of a polygon whose mask fits the image.
  std::vector<double> polygon;
  for (; size >= sizeof(float) && polygon.size() < 60; size -= sizeof(float)) {
    float coordinate = 0;
    std::memcpy(&coordinate, data, sizeof(float));
    data += sizeof(float);
    polygon.push_back(std::abs(coordinate) <= largest_coordinate ? coordinate : 0);
  }
  polygon.resize(polygon.size() / 2 * 2);
  const std::vector<std::vector<double>> polygons{polygon};
  const Runs runs = runs_of_polygons(polygons, image);
  return try_to(ExitCode::data, [&] { runs_of_counts(runs.counts, image); });
}
