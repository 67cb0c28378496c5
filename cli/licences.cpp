// sgmae licences: what others made and the program holds.
#include "cli/licences.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/command.h"
#include "sgmae/base/version.h"

namespace sgmae {
namespace {

// A bill of materials as CycloneDX 1.5 has it.
nlohmann::ordered_json bill_of_materials() {
  using Json = nlohmann::ordered_json;
  Json components = Json::array();
  for (const Part& part : parts()) {
    const bool one_known = part.licence.find(' ') == std::string::npos;
    Json licence = one_known && !part.licence.starts_with("LicenseRef-")
                       ? Json{{"license", {{"id", part.licence}}}}
                       : Json{{"expression", part.licence}};
    std::string number = part.version;  // a package URL has its own writing of + and ~
    for (const auto& [letter, code] : {std::pair{'+', "%2B"}, {'~', "%7E"}, {':', "%3A"}})
      for (std::size_t at = 0; (at = number.find(letter, at)) != std::string::npos; at += 3)
        number.replace(at, 1, code);
    components.push_back({{"type", "library"},
                          {"name", part.name},
                          {"version", part.version},
                          {"licenses", Json::array({std::move(licence)})},
                          {"purl", str("pkg:", part.source == "deb" ? "deb/debian/" : "pypi/",
                                       part.package, "@", number)}});
  }
  return {{"bomFormat", "CycloneDX"},
          {"specVersion", "1.5"},
          {"version", 1},
          {"metadata",
           {{"component",
             {{"type", "application"},
              {"name", "sgmae"},
              {"version", version},
              {"licenses", Json::array({{{"license", {{"id", "Apache-2.0"}}}}})}}}}},
          {"components", std::move(components)}};
}

}  // namespace

Command licences_command() {
  Command command;
  command.run = [](const std::vector<std::string>&) {
    std::size_t name = 0, number = 0, licence = 0;
    for (const Part& part : parts()) {
      name = std::max(name, part.name.size());
      number = std::max(number, part.version.size());
      licence = std::max(licence, part.licence.size());
    }
    std::printf("sgmae %s is under Apache-2.0. It holds or brings along:\n\n", version);
    for (const Part& part : parts())
      std::printf("%-*s  %-*s  %-*s  %s\n", static_cast<int>(name), part.name.c_str(),
                  static_cast<int>(number), part.version.c_str(), static_cast<int>(licence),
                  part.licence.c_str(), part.how.c_str());
    std::printf(
        "\nTheir texts are installed in share/doc/sgmae/licences. This software is based in part "
        "on\nthe work of the Independent JPEG Group. Portions of this software are copyright © "
        "1996–2022\nThe FreeType Project (www.freetype.org). All rights reserved.\n");
    return bill_of_materials();
  };
  return command;
}

}  // namespace sgmae
