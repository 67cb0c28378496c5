# Writes OUTPUT, the source file that lists every sgmae/eval/measures/*.cpp: NAME.cpp defines
# measure::NAME(), which gets its name here.
set(declarations "")
set(calls "")
foreach(measure ${MEASURES})
  get_filename_component(name ${measure} NAME_WE)
  string(APPEND declarations "Measure ${name}();\n")
  string(APPEND calls "add(\"${name}\", measure::${name}());\n    ")
endforeach()
set(text "#include \"sgmae/eval/measure.h\"

#include <algorithm>

namespace sgmae {

namespace measure {
${declarations}}  // namespace measure

const std::vector<Measure>& measures() {
  static const std::vector<Measure> all = [] {
    std::vector<Measure> list;
    const auto add = [&](const char* name, Measure measure) {
      measure.name = name;
      list.push_back(std::move(measure));
    };
    ${calls}std::sort(list.begin(), list.end(),
              [](const Measure& a, const Measure& b) { return a.order < b.order; });
    return list;
  }();
  return all;
}

}  // namespace sgmae
")
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "${text}" @ONLY)
