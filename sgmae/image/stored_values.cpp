#include "sgmae/image/stored_values.h"

#include <nlohmann/json.hpp>

namespace sgmae {

NLOHMANN_JSON_SERIALIZE_ENUM(Pages, {{Pages::first, "first"},
                                     {Pages::channels, "channels"},
                                     {Pages::images, "images"}})
NLOHMANN_JSON_SERIALIZE_ENUM(ArrayAxes, {{ArrayAxes::automatic, "auto"},
                                         {ArrayAxes::hwc, "hwc"},
                                         {ArrayAxes::chw, "chw"}})

nlohmann::json to_json(const StoredValues& stored) {
  nlohmann::json json{{"pages", stored.pages}, {"axes", stored.axes}, {"nodata", nullptr}};
  if (stored.nodata) json["nodata"] = *stored.nodata;
  if (!stored.picture.empty()) json["picture"] = stored.picture;
  return json;
}

StoredValues stored_values_from_json(const nlohmann::json& json) {
  StoredValues stored;
  stored.pages = json.value("pages", stored.pages);
  stored.axes = json.value("axes", stored.axes);
  if (const auto nodata = json.find("nodata"); nodata != json.end() && !nodata->is_null())
    stored.nodata = nodata->get<double>();
  stored.picture = json.value("picture", stored.picture);
  return stored;
}

}  // namespace sgmae
