# Of cmake/parts.txt: licences.cpp for `sgmae licences`, with the versions that are built with, and each part's
# own licence text to be installed.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS cmake/parts.txt)
file(STRINGS cmake/parts.txt lines REGEX "^[^#]")
set(entries "")
foreach(line ${lines})
  string(REGEX MATCH "^(.*) [|] (deb|pypi) (.*) [|] (.*) [|] (.*)$" match "${line}")
  set(name "${CMAKE_MATCH_1}")
  set(kind "${CMAKE_MATCH_2}")
  set(package "${CMAKE_MATCH_3}")
  set(licence "${CMAKE_MATCH_4}")
  set(how "${CMAKE_MATCH_5}")
  set(version "")
  if(kind STREQUAL deb)
    execute_process(COMMAND dpkg-query -W -f "\${Version}" ${package} OUTPUT_VARIABLE version ERROR_QUIET)
    set(texts /usr/share/doc/${package}/copyright)
  else()
    string(REPLACE "-" "_" folder ${package})
    file(GLOB info "${SGMAE_TORCH_DIR}/../${folder}-*.dist-info")
    string(REGEX REPLACE ".*/${folder}-(.*)[.]dist-info" "\\1" version "${info}")
    file(GLOB_RECURSE texts "${info}/licenses/LICENSE" "${info}/licenses/NOTICE" "${info}/License.txt")
  endif()
  if(NOT version)
    continue()  # not here, so not built in
  endif()
  string(APPEND entries "      {\"${name}\", \"${kind}\", \"${package}\", \"${version}\", \"${licence}\", \"${how}\"},\n")
  foreach(text ${texts})
    if(EXISTS ${text})
      get_filename_component(file ${text} NAME)
      file(REAL_PATH ${text} text)
      install(FILES ${text} DESTINATION share/doc/sgmae/licences/${package} RENAME ${file})
    endif()
  endforeach()
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/licences.cpp CONTENT "#include \"cli/licences.h\"

namespace sgmae {

const std::vector<Part>& parts() {
  static const std::vector<Part> all{
${entries}  };
  return all;
}

}  // namespace sgmae
")
