// Libraries of the program's own that are opened at run time, where what they need may be missing:
// libsgmae_NAME.so lies beside the program that was built, or in ../lib/sgmae of one that was
// installed.
#pragma once

#include <string>

namespace sgmae {

// The address of `symbol` in that library, which stays open; null where there is none, and then
// `why` says so.
void* open_plugin(const std::string& name, const char* symbol, std::string& why);

}  // namespace sgmae
